"use strict";
// The screen at the dock: draws itself anew every second. Each fresh page starts the eight seconds
// again after which screen.css covers everything; so a page that is not fresh shows nothing green.
const drawAnew = async () => {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 4000);
  try {
    const response = await fetch("/", { signal: late.signal, cache: "no-store" });
    if (!response.ok || response.redirected) throw response;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("screen");
    const old = document.getElementById("screen");
    if (fresh.outerHTML !== old.outerHTML) old.replaceWith(document.adoptNode(fresh));
    document.body.dataset.beat = document.body.dataset.beat === "b" ? "a" : "b";
  } catch {
    // Nothing is said here: silence is what the cover waits for.
  } finally {
    clearTimeout(timer);
    setTimeout(drawAnew, 1000);
  }
};
document.addEventListener("DOMContentLoaded", drawAnew);
// A page brought back as it was left is no fresh page.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
