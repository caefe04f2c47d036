// SPDX-License-Identifier: Apache-2.0
// submit.js - from a file to a finished video: the form, the upload, the job, its progress and its output.

import { call, follow, local, upload, Refused } from "./api.js";
import { $, bytes, clock, el } from "./dom.js";
import * as form from "./form.js";

let choices = []; // {label, workflow, effect}
let file = null;
let drawn = ""; // the choice the form shows now

const chosen = () => choices[$("pick").selectedIndex];

function show() {
  const c = chosen();
  if (!c || drawn === JSON.stringify(c)) return; // what was filled in stays
  drawn = JSON.stringify(c);
  $("summary").textContent = c.workflow.summary || "";
  $("file").accept = (c.workflow.accepts || []).join(",");
  $("file-hint").textContent = c.workflow.accepts ? `or drop it here: ${c.workflow.accepts.join(", ")}` : "or drop it here";
  form.draw($("params"), c.workflow.params, c.effect?.params);
}

/** Fills the list of what can be submitted. */
export async function refreshChoices() {
  const { workflows } = await call("GET", "/api/workflows");
  const { effects } = await call("GET", "/api/effects");
  const known = new Map(workflows.filter((w) => !w.draining).map((w) => [w.slug, w]));
  const before = $("pick").value;
  choices = [
    ...[...known.values()].map((workflow) => ({ key: `w:${workflow.slug}`, label: workflow.name || workflow.slug, workflow })),
    ...effects.filter((e) => known.has(e.workflow)).map((effect) =>
      ({ key: `e:${effect.slug}`, label: `${effect.name} (effect)`, workflow: known.get(effect.workflow), effect })),
  ];
  $("pick").replaceChildren(...choices.map((c) => el("option", { value: c.key }, c.label)));
  $("go").disabled = choices.length === 0;
  if (choices.length === 0) $("summary").textContent = "No workflow is loaded yet; copy a plugin into the plugins directory.";
  if (choices.some((c) => c.key === before)) $("pick").value = before;
  show();
}

function take(picked) {
  file = picked;
  $("file-name").textContent = file ? file.name : "Choose a file";
  if (file) $("file-hint").textContent = bytes(file.size);
  const preview = $("preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.hidden = !file?.type.startsWith("image/");
  if (!preview.hidden) preview.src = URL.createObjectURL(file);
}

function say(text, fraction) {
  $("result").hidden = false;
  $("result-text").textContent = text;
  const bar = $("result-bar");
  if (fraction === null) bar.removeAttribute("value");
  else if (fraction !== undefined) bar.value = fraction;
}

const words = {
  "job.leased": (e) => `${e.worker} took the job (attempt ${e.attempt}).`,
  "job.progress": (e) => e.text || `${Math.round(e.fraction * 100)} %`,
  "job.requeued": (e) => `Interrupted (${e.reason}); it continues on the next worker.`,
  "job.expired": () => "The worker fell silent; the job is queued again.",
  "job.retry": (e) => `The attempt failed and will be tried again: ${e.error}`,
  "job.completed": (e) => `Done: waited ${(e.wait_ms / 1000).toFixed(1)} s, ran ${(e.run_ms / 1000).toFixed(1)} s.`,
  "job.failed": (e) => `Failed: ${e.error}`,
  "job.cancelled": () => "Cancelled.",
};

function showOutput(job) {
  if (job.status !== "completed" || !job.output?.url) return;
  const url = local(job.output.url);
  const video = $("video");
  video.hidden = !(job.output.mime_type || "video/").startsWith("video/");
  if (!video.hidden) {
    video.src = url;
    video.play().catch(() => { /* the browser waits for a click */ });
  }
  $("result-links").replaceChildren(el("a", { href: url, download: `job-${job.id}.mp4` },
    `Download (${bytes(job.output.size || 0)})`));
}

export function timeline(job) {
  return (job.timeline || []).filter((t) => t.what !== "progress").map((t) =>
    el("li", {}, el("time", {}, clock(t.at_ms)), " ", el("strong", {}, t.what), " ",
      el("span", { class: "quiet" }, [t.who, t.detail].filter(Boolean).join(": "))));
}

function onEvent(name, data) {
  if (name === "job") {
    $("result-steps").replaceChildren(...timeline(data));
    if (["queued", "scheduled"].includes(data.status)) say("Waiting for a worker; the first one may have to boot.", null);
    else if (data.status === "leased") say(data.progress_text || "Running.", data.progress);
    else if (data.status === "failed") say(`Failed: ${data.error}`, 0);
    else if (data.status === "cancelled") say("Cancelled.", 0);
    showOutput(data);
    return;
  }
  const fraction = { "job.progress": data.fraction, "job.completed": 1, "job.leased": 0, "job.failed": 0 }[name];
  if (words[name]) say(words[name](data), fraction === undefined ? null : fraction);
}

function input(where) {
  return { key: where.key, mime: file.type, name: file.name };
}

async function send() {
  const c = chosen();
  const params = form.read($("params"), c.workflow.params);
  const body = { params, ...(c.effect ? { effect: c.effect.slug } : { workflow: c.workflow.slug }) };
  $("video").hidden = true;
  $("video").removeAttribute("src");
  $("result-links").replaceChildren();
  $("result-steps").replaceChildren();
  say("Uploading.", 0);
  const where = await call("POST", "/api/uploads", { name: file.name, mime: file.type, bytes: file.size });
  await upload(file, where, (part) => say("Uploading.", part));
  body.inputs = [input(where)];
  body.idempotency_key = crypto.randomUUID?.();
  const job = await call("POST", "/api/jobs", body);
  $("result-title").textContent = job.duplicate ? `Job ${job.id} (pending already)` : `Job ${job.id}`;
  await follow(job.id, onEvent);
}

async function onSubmit(event) {
  event.preventDefault();
  $("form-error").textContent = "";
  form.showErrors($("params"), {});
  if (!file) {
    $("form-error").textContent = "Choose a file first.";
    $("file").focus();
    return;
  }
  $("go").disabled = true;
  try {
    await send();
  } catch (e) {
    if (!(e instanceof Refused)) console.error(e);
    const rest = e instanceof Refused ? form.showErrors($("params"), e.fields) : [];
    $("form-error").textContent = [e.message, ...rest].join(" ");
    if ($("result-steps").childElementCount === 0) $("result").hidden = true;
  } finally {
    $("go").disabled = false;
  }
}

export function start() {
  const drop = $("drop");
  $("pick").addEventListener("change", show);
  $("file").addEventListener("change", () => take($("file").files[0] || null));
  $("job-form").addEventListener("submit", onSubmit);
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (e) => {
      e.preventDefault();
      drop.classList.toggle("over", name === "dragover");
    });
  }
  drop.addEventListener("drop", (e) => e.dataTransfer.files[0] && take(e.dataTransfer.files[0]));
}
