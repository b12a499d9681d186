// The panel 递交文件 of the page 录像: tus 1.0 to /api/v1/submissions, resumed by choosing the file again.
import { sha256 } from "./vendor/noble-sha256.js";

const ROOT = "/api/v1/submissions";
const SLICE = 64 * 1024 * 1024; // bytes of one request
const READ = 4 * 1024 * 1024; // bytes hashed at once
const LONGEST_MS = 30000; // between two tries while the link is down

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const place = (id) => `${ROOT}/${id}`;
const LOST = { lost: true, detail: "与服务的连接中断。", next: "正在自动重试,请不要关闭页面。" };
const STOPPED = { stopped: true };

// One request of tus; gives its headers. `sent` hears how many bytes are on their way.
const ask = (job, method, path, headers, body, sent) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    for (const [name, value] of Object.entries({ "Tus-Resumable": "1.0.0", Accept: "application/json", ...headers })) {
      request.setRequestHeader(name, value);
    }
    job.request = request;
    if (sent) request.upload.addEventListener("progress", (event) => sent(event.loaded));
    request.addEventListener("error", () => reject(LOST));
    request.addEventListener("abort", () => reject(STOPPED));
    request.addEventListener("load", () => {
      const offset = request.getResponseHeader("Upload-Offset");
      const answer = { offset: offset === null ? null : Number(offset), location: request.getResponseHeader("Location") };
      if (request.status === 401) location.href = "/login?next=" + encodeURIComponent(location.pathname);
      if (request.status >= 200 && request.status < 300) { resolve(answer); return; }
      if ([502, 503, 504].includes(request.status)) { reject(LOST); return; }
      let problem = {};
      try { problem = JSON.parse(request.responseText); } catch { /* not JSON: told below */ }
      reject({ ...answer, ...problem, detail: problem.detail || "服务没有接受该文件。", next: problem.next || "请稍后重试。" });
    });
    request.send(body);
  });

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const hashed = async (job) => {
  const hash = sha256.create(); // piece by piece: the browser's own wants a whole file in memory
  for (let at = 0; at < job.file.size; at += READ) {
    if (job.stopped) throw STOPPED;
    let data;
    try {
      data = await job.file.slice(at, at + READ).arrayBuffer();
    } catch {
      throw { detail: "文件无法读取,可能已被移动或改动。", next: "请重新选择该文件。" };
    }
    hash.update(new Uint8Array(data));
    job.show(`正在计算校验值 ${Math.floor((100 * at) / job.file.size)}%`, at / job.file.size);
  }
  return Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
};

const announce = async (job) => {
  const facts = { filename: job.file.name, sha256: job.sha256, modified: String(job.file.lastModified) };
  const metadata = Object.entries(facts).map(([name, value]) => `${name} ${base64(value)}`).join(",");
  const answer = await ask(job, "POST", ROOT, { "Upload-Length": String(job.file.size), "Upload-Metadata": metadata });
  job.id = answer.location.split("/").pop();
  job.known();
  return answer.offset;
};

const sendFrom = async (job, offset) => {
  const started = Date.now();
  const end = Math.min(job.file.size, offset + SLICE);
  const shown = (sent) => {
    const done = Math.min(end, offset + sent);
    const speed = sent / Math.max(0.5, (Date.now() - started) / 1000);
    const text = done === job.file.size ? "正在核对" : `${human(done)} / ${human(job.file.size)},${human(Math.round(speed))}/秒`;
    job.show(text, done / job.file.size);
  };
  shown(0);
  const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) };
  const answer = await ask(job, "PATCH", place(job.id), headers, job.file.slice(offset, end), shown);
  return answer.offset;
};

// Until it is whole: the service alone knows how far it is, and is asked again after every trouble.
const handIn = async (job) => {
  let wait = 1000;
  let offset = null;
  for (;;) {
    try {
      if (job.stopped) throw STOPPED;
      job.sha256 = job.sha256 || (await hashed(job));
      if (offset === null) offset = await announce(job);
      if (offset >= job.file.size) return;
      offset = await sendFrom(job, offset);
      wait = 1000;
    } catch (trouble) {
      const elsewhere = trouble.code === "conflict" && trouble.offset !== null && trouble.offset !== undefined;
      if (!trouble.lost && !elsewhere) throw trouble;
      offset = null;
      job.show(trouble.lost ? trouble.detail + trouble.next : "正在从已收到的位置继续", job.bar.value);
      await pause(wait);
      wait = Math.min(LONGEST_MS, wait * 2);
    }
  }
};

const button = (text, act) => {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
};

const row = (panel, name) => {
  const item = document.createElement("li");
  const title = document.createElement("b");
  const bar = document.createElement("progress");
  const told = document.createElement("span");
  const acts = document.createElement("span");
  title.textContent = name;
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", name);
  told.setAttribute("role", "status");
  acts.className = "acts";
  item.append(title, bar, told, acts);
  panel.querySelector("ul").prepend(item);
  return { item, bar, told, acts };
};

const giveUp = async (panel, id, item, job) => {
  if (job) { job.stopped = true; if (job.request) job.request.abort(); }
  try {
    if (id) await ask({}, "DELETE", place(id), {});
    item.remove();
  } catch (problem) {
    say(problem);
  }
  refresh(panel);
};

const start = (panel, file) => {
  const { item, bar, told, acts } = row(panel, file.name);
  const job = { file, bar, id: null, sha256: null, stopped: false, request: null };
  job.show = (text, share) => { told.textContent = text; bar.value = share; };
  job.known = () => {
    for (const other of panel.querySelectorAll(`[data-id="${job.id}"]`)) if (other !== item) other.remove();
    item.dataset.id = job.id;
    item.dataset.busy = "";
  };
  const run = async () => {
    item.dataset.busy = "";
    delete item.dataset.wrong;
    job.stopped = false;
    acts.replaceChildren(
      button("暂停", () => { job.stopped = true; if (job.request) job.request.abort(); }),
      button("放弃", () => giveUp(panel, job.id, item, job)),
    );
    try {
      await handIn(job);
      delete item.dataset.busy;
      acts.replaceChildren();
      job.show("已收到,等待封存入库", 1);
      refresh(panel);
    } catch (problem) {
      delete item.dataset.busy;
      if (problem.stopped) {
        told.textContent = "已暂停";
      } else {
        item.dataset.wrong = "";
        told.textContent = (problem.detail || "操作没有完成。") + (problem.next || "");
        job.sha256 = null; // what the file holds now is found out anew
      }
      acts.replaceChildren(
        button(problem.stopped ? "继续" : "重试", run),
        button("放弃", () => giveUp(panel, job.id, item, job)),
      );
      item.dataset.waits = "";
    }
  };
  run();
};

const drawKnown = (panel, one) => {
  let item = panel.querySelector(`[data-id="${one.id}"]`);
  if (item && (item.dataset.busy !== undefined || (one.state === "arriving" && item.dataset.waits !== undefined))) return;
  if (!item) {
    item = row(panel, one.name).item;
    item.dataset.id = one.id;
    panel.querySelector("ul").append(item);
  }
  const acts = item.querySelector(".acts");
  const told = item.querySelector("[role=status]");
  item.dataset.state = one.state;
  item.querySelector("progress").value = one.offset / one.size;
  delete item.dataset.wrong;
  acts.replaceChildren();
  told.textContent = one.state_zh;
  if (one.state === "arriving") {
    told.textContent = `未传完(${human(one.offset)} / ${human(one.size)}),重新选择该文件即可继续`;
    acts.append(button("放弃", () => giveUp(panel, one.id, item, null)));
  } else if (one.state === "attention") {
    item.dataset.wrong = "";
    told.textContent = `${one.state_zh}:${one.reason_zh || "原因不明"}。文件仍在服务器上,请联系管理员。`;
  } else if (one.state === "accessioned") {
    const link = document.createElement("a");
    link.href = "/recordings/" + one.recording;
    link.textContent = "查看录像";
    acts.append(link);
  }
};

// What is on its way is asked about until it is accessioned.
const refresh = async (panel) => {
  clearTimeout(panel.next);
  let known;
  try {
    known = (await call("GET", ROOT)).items;
  } catch {
    panel.next = setTimeout(() => refresh(panel), 5000);
    return;
  }
  for (const one of known) drawKnown(panel, one);
  if (known.some((one) => one.state !== "accessioned")) panel.open = true;
  if (known.some((one) => one.state === "received")) panel.next = setTimeout(() => refresh(panel), 2000);
};

document.addEventListener("DOMContentLoaded", () => {
  for (const panel of document.querySelectorAll("[data-hand-in]")) {
    const input = panel.querySelector("input[type=file]");
    input.addEventListener("change", () => {
      for (const file of input.files) start(panel, file);
      input.value = "";
    });
    refresh(panel);
  }
});
window.addEventListener("beforeunload", (event) => {
  if (document.querySelector("[data-hand-in] [data-busy]")) event.preventDefault();
});
