// SPDX-License-Identifier: Apache-2.0
// view.js - the operator's part of the page: fleets and why they are as they are, jobs, events.

import { $, badge, clock, duration, el } from "./dom.js";
import { call } from "./api.js";
import { lastHour } from "./chart.js";
import { timeline } from "./submit.js";

const MAX_EVENTS = 200;

function number(label, value) {
  return el("div", { class: "number" }, el("b", {}, String(value ?? 0)), el("span", {}, label));
}

function instances(fleet, now) {
  if (!fleet?.instances?.length) return el("p", { class: "quiet" }, "No instances.");
  return el("ul", { class: "instances" }, fleet.instances.map((i) =>
    el("li", {}, badge(i.leases > 0 ? "busy" : i.state), " ", el("code", {}, i.id), " ",
      el("span", { class: "quiet" },
        [i.type, i.spot ? "spot" : "", i.interrupting ? "notice given" : "",
          i.launched_ms ? duration((now - i.launched_ms) / 1000) : ""].filter(Boolean).join(" · ")))));
}

function decisions(scaling) {
  const list = [...(scaling?.decisions || [])].sort((a, b) => b.at_ms - a.at_ms).slice(0, 12);
  if (!list.length) return null;
  return el("details", { class: "decisions" }, el("summary", {}, "Decisions so far"),
    el("ol", { class: "timeline" }, list.map((d) =>
      el("li", {}, el("time", {}, clock(d.at_ms)), " ", el("strong", {}, `${d.from} → ${d.to}`), " ",
        el("span", { class: "quiet" }, d.reason)))));
}

function fleetCard(w, state) {
  const fleet = state.fleets?.find((f) => f.workflow === w.slug);
  const scaling = state.scaling?.find((s) => s.workflow === w.slug);
  const opened = $(`fleet-${w.slug}`)?.querySelector("details.decisions")?.open;
  const looked = $(`fleet-${w.slug}`)?.querySelector("details.hour")?.open;
  const more = decisions(scaling);
  if (more) more.open = opened === true;
  return el("article", { class: "card", id: `fleet-${w.slug}` },
    el("h3", {}, w.name || w.slug, " ", w.draining ? badge("draining") : null,
      el("small", { class: "quiet" }, ` ${w.version} · generation ${w.generation}`)),
    el("div", { class: "numbers" }, number("queued", scaling?.queued), number("running", scaling?.leased),
      number("instances", (fleet?.running || 0) + (fleet?.pending || 0)), number("desired", fleet?.desired),
      number("at most", w.max_size)),
    el("p", { class: "why" }, el("b", {}, "Why: "), scaling?.reason || "not decided yet",
      el("span", { class: "quiet" }, scaling?.policy ? ` (policy ${scaling.policy})` : "")),
    fleet?.error ? el("p", { class: "error" }, fleet.error) : null,
    instances(fleet, state.now_ms), lastHour(w.slug, looked === true), more);
}

/** What there is to say about a job beside its status. */
function note(job) {
  if (job.status === "leased") return job.progress_text || "";
  if (job.status === "scheduled" && job.waits_for > 0)
    return `waits for ${job.waits_for} ${job.waits_for === 1 ? "job" : "jobs"}`;
  return job.error || (job.unique_key ? `unique: ${job.unique_key}` : "");
}

function jobRow(job, now) {
  const leased = job.status === "leased";
  const open = el("button", { class: "link", type: "button", data: { job: job.id } }, String(job.id));
  return el("tr", { id: `job-${job.id}` },
    el("th", { scope: "row" }, open),
    el("td", {}, badge(job.status)),
    el("td", {}, job.effect ? `${job.workflow} · ${job.effect}` : job.workflow),
    el("td", {}, job.tenant),
    el("td", {}, leased ? el("progress", { max: 1, value: job.progress, "aria-label": `Progress of job ${job.id}` }) : null,
      el("span", { class: "quiet note" }, note(job))),
    el("td", {}, job.worker ? el("code", {}, job.worker) : ""),
    el("td", {}, `${job.attempts}/${job.max_attempts}`),
    el("td", {}, job.created_at ? duration((now - Date.parse(job.created_at)) / 1000) : ""));
}

async function openJob(id, state) {
  let job = state.jobs.find((j) => j.id === id);
  try {
    job = await call("GET", `/api/jobs/${id}`);
  } catch { /* another tenant's: what the list knows has to do */ }
  if (!job) return;
  const rows = ["status", "workflow", "effect", "tenant", "priority", "after", "waits_for", "unique_key", "worker",
    "error", "created_at", "not_before", "started_at", "finished_at"];
  $("detail-title").textContent = `Job ${id}`;
  $("detail-body").replaceChildren(
    el("dl", {}, rows.filter((k) => job[k]).flatMap((k) =>
      [el("dt", {}, k.replace("_", " ")), el("dd", {}, Array.isArray(job[k]) ? job[k].join(", ") : String(job[k]))])),
    el("h3", {}, "Params"), el("pre", {}, JSON.stringify(job.params, null, 2)),
    el("h3", {}, "Timeline"), el("ol", { class: "timeline" }, timeline(job)));
  $("detail").showModal();
}

function health(state) {
  const node = $("health");
  const word = state.draining ? "draining" : state.ready ? "ready" : state.not_ready || "starting";
  node.textContent = word;
  node.dataset.state = word;
  $("about").textContent = `stage ${state.stage} · version ${state.version} · up ` +
    `${duration((state.now_ms - state.started_ms) / 1000)} · ${state.waiting_polls} waiting workers` + (state.controllers > 1 ? ` · ${state.leads ? "leads" : "follows"}, ${state.controllers} controllers` : "");
}

let shown = { jobs: [] };

/** Draws a whole state. Keeps the focus where it was. */
export function draw(state) {
  const focused = document.activeElement?.dataset?.job;
  shown = state;
  health(state);
  $("fleet-list").replaceChildren(...(state.workflows.length ? state.workflows.map((w) => fleetCard(w, state))
    : [el("p", { class: "quiet" }, "No workflow is loaded. Copy one's .so into the plugins directory.")]));
  $("job-rows").replaceChildren(...(state.jobs.length ? state.jobs.map((j) => jobRow(j, state.now_ms))
    : [el("tr", {}, el("td", { colSpan: 8, class: "quiet" }, "No jobs yet."))]));
  if (focused) document.querySelector(`[data-job="${focused}"]`)?.focus();
}

function eventText(e) {
  return Object.entries(e).filter(([k, v]) => !["event", "seq", "at_ms"].includes(k) && v !== "")
    .map(([k, v]) => `${k}=${typeof v === "number" && !Number.isInteger(v) ? v.toFixed(2) : v}`).join("  ");
}

/** Adds one event to the list; progress also moves the job's bar at once. */
export function event(e) {
  if (e.event === "job.progress") {
    const row = $(`job-${e.job}`);
    const bar = row?.querySelector("progress");
    if (bar) {
      bar.value = e.fraction;
      row.querySelector(".note").textContent = e.text;
    }
  }
  const list = $("event-list");
  list.prepend(el("li", {}, el("time", {}, clock(e.at_ms)), " ", el("strong", {}, e.event), " ",
    el("span", { class: "quiet" }, eventText(e))));
  while (list.childElementCount > MAX_EVENTS) list.lastElementChild.remove();
}

export function start() {
  $("job-rows").addEventListener("click", (e) => {
    const id = Number(e.target.dataset?.job);
    if (id) openJob(id, shown);
  });
}
