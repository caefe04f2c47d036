// SPDX-License-Identifier: Apache-2.0
// dom.js - building elements. Text is always text: nothing here parses HTML.

export const $ = (id) => document.getElementById(id);

/** Makes an element; props are properties, `class`, `data`, attributes with a dash, or on... handlers. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key === "class") node.className = value;
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key.includes("-") || !(key in node)) node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return node;
}

/** Seconds as words for people: "12 s", "3 min", "2 h". */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString(undefined, { hour12: false });

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  if (n < 1048576) return `${(n / 1024).toFixed(0)} kB`;
  return `${(n / 1048576).toFixed(1)} MB`;
}

export const badge = (state) => el("span", { class: "badge", data: { state } }, state);
