// SPDX-License-Identifier: Apache-2.0
// chart.js - the last hour of a workflow as lines, asked for only while somebody looks.

import { el } from "./dom.js";
import { call } from "./api.js";

const FRESH_MS = 60000;
const WIDTH = 240, HEIGHT = 40;
const LINES = [["QueueDepth", "jobs"], ["ActiveWorkers", "workers"]];

const known = new Map(); // slug -> { at, lines: [[samples], ...], error }

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function line(samples, label) {
  if (!samples.length) return el("p", { class: "quiet" }, `No samples of ${label} in the last hour.`);
  const values = samples.map((s) => s.value), most = Math.max(...values);
  const begin = samples[0].at_ms, span = Math.max(1, samples.at(-1).at_ms - begin);
  const points = samples.map((s) => `${((s.at_ms - begin) / span * WIDTH).toFixed(1)},` +
    `${(HEIGHT - 2 - s.value / Math.max(1, most) * (HEIGHT - 4)).toFixed(1)}`).join(" ");
  const words = `${label}: now ${values.at(-1)}, at most ${most} in the last hour`;
  return el("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words, preserveAspectRatio: "none" },
      svg("polyline", { points, fill: "none", stroke: "currentColor", "stroke-width": "1.5", "vector-effect": "non-scaling-stroke" })),
    el("figcaption", { class: "quiet" }, words));
}

function fill(node, slug) {
  const k = known.get(slug);
  node.replaceChildren(...(!k ? [el("p", { class: "quiet" }, "Asking…")] : k.error ? [el("p", { class: "error" }, k.error)]
    : LINES.map(([, label], i) => line(k.lines[i], label))));
}

async function refresh(node, slug) {
  const k = known.get(slug);
  if (k && Date.now() - k.at < FRESH_MS) return;
  known.set(slug, { lines: LINES.map(() => []), ...k, at: Date.now() }); // one question at a time
  try {
    const answers = await Promise.all(LINES.map(([metric]) =>
      call("GET", `/api/admin/metrics?workflow=${encodeURIComponent(slug)}&metric=${metric}&minutes=60`)));
    known.set(slug, { at: Date.now(), lines: answers.map((a) => a.samples) });
  } catch (e) {
    known.set(slug, { at: Date.now(), lines: [], error: e.message });
  }
  fill(document.querySelector(`[data-chart="${CSS.escape(slug)}"]`) || node, slug);
}

/** The last hour of a workflow, folded unless `open`. */
export function lastHour(slug, open) {
  const body = el("div", { data: { chart: slug } });
  const node = el("details", { class: "hour", open }, el("summary", {}, "Last hour"), body);
  const show = () => { fill(body, slug); refresh(body, slug); };
  if (open) show();
  node.addEventListener("toggle", () => { if (node.open) show(); });
  return node;
}
