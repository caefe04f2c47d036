// SPDX-License-Identifier: Apache-2.0
// api.js - talking to bpd: the envelope, the bearer token, uploads, and streams of events.

let token = sessionStorage.getItem("token") || "";

export const haveToken = () => token !== "";

/** Keeps the token for this tab only. */
export function useToken(text) {
  token = text;
  sessionStorage.setItem("token", text);
}

/** What the server refused, with its messages per field. */
export class Refused extends Error {
  constructor(status, message, fields) {
    super(message);
    this.status = status;
    this.fields = fields || {};
  }
}

function headers(extra) {
  return token ? { Authorization: `Bearer ${token}`, ...extra } : extra;
}

/** Calls the API; returns data or throws Refused. */
export async function call(method, path, body) {
  const init = { method, headers: headers({}), cache: "no-store" };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const response = await fetch(path, init);
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    throw new Refused(response.status, `The server answered ${response.status}.`);
  }
  if (!answer.success) throw new Refused(response.status, answer.message, answer.data);
  return answer.data;
}

/** Objects that this daemon serves are fetched from where the page came from, whatever name it gives itself. */
export function local(url) {
  const u = new URL(url, location.href);
  return u.pathname.startsWith("/objects/") ? u.pathname + u.search : u.href;
}

/** PUTs a file to a signed URL; onProgress(fraction). */
export function upload(file, where, onProgress) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open(where.method || "PUT", local(where.upload_url));
    for (const [name, value] of Object.entries(where.headers || {})) {
      if (name.toLowerCase() !== "host") x.setRequestHeader(name, [].concat(value)[0]);
    }
    x.upload.onprogress = (e) => e.lengthComputable && onProgress(e.loaded / e.total);
    x.onerror = () => reject(new Refused(0, "The upload was interrupted."));
    x.onload = () => {
      if (x.status < 300) return resolve();
      let message = `The upload was refused (${x.status}).`;
      try {
        message = JSON.parse(x.responseText).message || message;
      } catch { /* not ours: a cloud's own page */ }
      reject(new Refused(x.status, message));
    };
    x.send(file);
  });
}

/** Splits a stream of server-sent events; calls on(name, data) for each. */
async function readEvents(body, on) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      let name = "message", data = "";
      for (const line of part.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) on(name, JSON.parse(data));
    }
  }
}

/** Follows one job until it is finished, across lost connections. */
export async function follow(id, on) {
  let over = false;
  while (!over) {
    try {
      const response = await fetch(`/api/jobs/${id}/events`, { headers: headers({}), cache: "no-store" });
      if (!response.ok) throw new Refused(response.status, `The server answered ${response.status}.`);
      await readEvents(response.body, (name, data) => {
        if (name === "end") over = true;
        else on(name, data);
      });
    } catch (e) {
      if (e instanceof Refused && e.status < 500) throw e;
    }
    if (!over) await new Promise((r) => setTimeout(r, 1000));
  }
}
