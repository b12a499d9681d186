"use strict";
// What every page of the console runs: live bays, forms that call the HTTP API, the player's extras.

const say = (problem) => {
  const box = document.getElementById("problem");
  box.querySelector("h2").textContent = problem.detail || "操作没有完成。";
  box.querySelector(".next").textContent = problem.next || "请稍后重试。";
  const list = box.querySelector("ul");
  list.replaceChildren();
  const findings = (problem.facts && problem.facts.findings) || [];
  for (const finding of findings.filter((one) => !one.passed)) {
    const item = document.createElement("li");
    item.textContent = finding.message_zh + (finding.mend_zh || "");
    list.append(item);
  }
  box.showModal();
};

const call = async (method, path, body) => {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw { detail: "与服务的连接中断,操作没有完成。", next: "请检查网络后重试。" };
  }
  const text = await response.text();
  let answer = {};
  try { answer = text ? JSON.parse(text) : {}; } catch { /* not JSON: told below */ }
  if (response.status === 401) { location.href = "/login?next=" + encodeURIComponent(location.pathname); }
  if (!response.ok) { throw answer; }
  return answer;
};

// Times are entered in the county's time, whatever the computer's zone is.
const valuesOf = (form) => {
  const values = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.multiple) {
      values[field.name] = Array.from(field.selectedOptions, (option) => option.value);
    } else if (field.type === "checkbox") {
      values[field.name] = (values[field.name] || []).concat(field.checked ? [field.value] : []);
    } else if (field.value !== "") {
      const local = field.type === "datetime-local";
      const seconds = local && field.value.length === 16 ? ":00" : "";
      values[field.name] = local ? field.value + seconds + "+08:00" : field.value;
    }
  }
  return values;
};

const showResult = (form, answer) => {
  const box = form.parentElement.querySelector("[data-result]");
  box.replaceChildren();
  const head = document.createElement("p");
  head.className = answer.verified ? "tag good" : "alert";
  head.textContent = answer.verified
    ? `核验通过:${answer.recordings} 份录音录像完整无改动,监管链日志一致。`
    : `核验未通过:发现 ${answer.wrong.length} 个问题。`;
  const list = document.createElement("ul");
  for (const wrong of answer.wrong) {
    const item = document.createElement("li");
    item.textContent = wrong.zh;
    list.append(item);
  }
  box.append(head, list);
};

const countyTime = (at) =>
  new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", dateStyle: "short", timeStyle: "short" }).format(new Date(at));

// A one-time code is on the screen until somebody says that it was written down, and never again.
const showCode = (answer) => {
  const box = document.getElementById("code");
  const centre = location.protocol === "https:" ? location.origin : "https://县中心地址";
  box.querySelector("[data-code]").textContent = answer.code;
  box.querySelector("[data-until]").textContent = countyTime(answer.until);
  box.querySelector("[data-command]").textContent = `liuhen station enrol ${centre} ${answer.code} --ca county-ca.pem`;
  box.addEventListener("close", () => location.reload(), { once: true });
  box.showModal();
};

// A form whose answer leads to another page stays inert until that page is there.
const send = async (form) => {
  form.inert = true;
  if (form.dataset.then === "show") {
    form.parentElement.querySelector("[data-result]").textContent = "正在进行,请稍候……";
  }
  try {
    const values = valuesOf(form);
    const body = Object.keys(values).length ? values : undefined;
    const answer = await call(form.dataset.method, form.dataset.api, body);
    const then = form.dataset.then;
    if (then === "reload") location.reload();
    else if (then === "code") { showCode(answer); form.inert = false; }
    else if (then === "show") { showResult(form, answer); form.inert = false; }
    else location.href = then.replace("{id}", answer.id);
  } catch (problem) {
    form.inert = false;
    say(problem);
  }
};

const human = (bytes) => {
  const units = ["字节", "KB", "MB", "GB"];
  let at = 0;
  while (bytes >= 1024 && at < 3) { bytes /= 1024; at += 1; }
  return (at ? bytes.toFixed(1) : String(bytes)) + " " + units[at];
};

const drawBay = (bay) => {
  const card = document.querySelector(`[data-bay="${CSS.escape(bay.name)}"]`);
  if (!card) return;
  const put = (part, text) => { card.querySelector(part).textContent = text; };
  card.dataset.state = bay.state;
  put(".state", bay.state_zh);
  put(".source", bay.source || "—");
  put(".files", `${bay.files_done} / ${bay.files_total}`);
  put(".bytes", `${human(bay.bytes_done)} / ${human(bay.bytes_total)}`);
  put(".current", bay.current || "");
  put(".reason", bay.reason_zh || "");
  card.querySelector("progress").value = bay.bytes_total ? (100 * bay.bytes_done) / bay.bytes_total : 0;
};

const followBays = async () => {
  const offline = document.querySelector("[data-offline]");
  try {
    for (const bay of await call("GET", "/api/v1/bays")) drawBay(bay);
    offline.hidden = true;
  } catch {
    // A green light that is not up to date is worse than none.
    offline.hidden = false;
    for (const card of document.querySelectorAll("[data-bay]")) card.dataset.state = "unknown";
  }
  setTimeout(followBays, 1000);
};

// What somebody is about to click, or writes into, stays until the next look.
const inUse = (part) => part.matches(":active, :focus-within");

// Rows of a list by their ids: new ones come in where they belong, those that are no more go.
const sortRows = (list, fresh) => {
  const wanted = Array.from(fresh.children).filter((row) => row.id);
  const ids = new Set(wanted.map((row) => row.id));
  for (const row of Array.from(list.children)) {
    if (row.id && !ids.has(row.id) && !inUse(row)) row.remove();
  }
  const still = inUse(list);
  let before = list.firstElementChild;
  for (const row of wanted) {
    const shown = document.getElementById(row.id);
    if (shown && (still || shown === before)) before = shown.nextElementSibling;
    else list.insertBefore(shown || document.adoptNode(row), before);
  }
};

// A page whose parts are drawn anew from the service's own page; forms beside them stay.
const followPage = async () => {
  const offline = document.querySelector("[data-offline]");
  const lists = document.querySelectorAll("[data-following]");
  try {
    const response = await fetch(location.href);
    if (response.redirected) location.reload(); // the login has ended
    if (!response.ok || response.redirected) throw response;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const list of lists) sortRows(list, fresh.getElementById(list.id));
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(part.id);
      if (now && now.outerHTML !== part.outerHTML && !inUse(part)) part.replaceWith(document.adoptNode(now));
    }
    offline.hidden = true;
    for (const list of lists) list.removeAttribute("data-stale");
  } catch {
    offline.hidden = false;
    for (const list of lists) list.dataset.stale = "";
  }
  setTimeout(followPage, 5000);
};

const dressPlayer = (box) => {
  const video = box.querySelector("video, audio");
  const failed = box.querySelector("[data-failed]");
  const show = box.querySelector("[data-show]");
  if (show) {
    show.addEventListener("click", () => {
      const picture = box.querySelector("img");
      picture.addEventListener("error", () => { failed.hidden = false; });
      picture.src = show.dataset.show;
      picture.hidden = false;
      show.hidden = true;
    });
  }
  if (!video) return;
  video.addEventListener("error", () => { failed.hidden = false; });
  for (const button of box.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      video.pause();
      video.currentTime += Number(button.dataset.step) / Number(box.dataset.fps);
    });
  }
  const speed = box.querySelector("[data-speed]");
  if (speed) speed.addEventListener("change", () => { video.playbackRate = Number(speed.value); });
  const clock = box.querySelector("[data-clock]");
  if (clock && clock.dataset.start) {
    const start = Date.parse(clock.dataset.start);
    const county = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", dateStyle: "short", timeStyle: "medium" });
    video.addEventListener("timeupdate", () => {
      clock.textContent = county.format(new Date(start + video.currentTime * 1000));
    });
  }
};

const followScene = async (box) => {
  const picture = box.querySelector("[data-picture]");
  const offline = box.querySelector("[data-stale]");
  const kind = box.querySelector("[data-kind]").value;
  try {
    const code = await call("GET", `${box.dataset.scene}?kind=${kind}`);
    picture.src = "data:image/svg+xml;utf8," + encodeURIComponent(code.svg);
    picture.hidden = false;
    offline.hidden = true;
    box.querySelector("[data-clock]").textContent = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", timeStyle: "medium" }).format(new Date(code.at));
    // The next code is due at the next whole second of the service's clock, never before it.
    setTimeout(() => followScene(box), Math.max(50, Date.parse(code.due) - Date.parse(code.now)));
  } catch {
    picture.hidden = true;
    offline.hidden = false;
    setTimeout(() => followScene(box), 1000);
  }
};

// Listening before the page has a body: a click on a half-loaded page is never lost.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-api]")) return;
  event.preventDefault();
  send(event.target);
});
document.addEventListener("click", (event) => {
  if (!event.target.matches("[data-pick-all]")) return;
  for (const box of event.target.form.querySelectorAll("[type=checkbox]")) box.checked = true;
});
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("[data-scene]")) followScene(box);
  for (const box of document.querySelectorAll("[data-player]")) dressPlayer(box);
  if (document.querySelector("[data-bays]")) followBays();
  if (document.querySelector("[data-following]")) setTimeout(followPage, 5000);
});
// The browser may bring back a page as it was left: it shows what has changed since.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
