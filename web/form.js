// SPDX-License-Identifier: Apache-2.0
// form.js - a form drawn from a workflow's params (JSON Schema), and what was filled in.

import { el } from "./dom.js";

const typeOf = (schema) => [].concat(schema.type || "string").find((t) => t !== "null") || "string";

function title(name, schema) {
  const text = schema.title || name.replace(/[_-]+/g, " ");
  return text[0].toUpperCase() + text.slice(1);
}

function choice(id, schema, value) {
  return el("select", { id }, schema.enum.map((v) =>
    el("option", { value: JSON.stringify(v), selected: v === value }, String(v))));
}

function check(id, schema, value) {
  return el("input", { id, type: "checkbox", checked: value === true });
}

/** About a hundredth of the range: 1, 2 or 5 times a power of ten. */
function fineStep(range) {
  const power = 10 ** Math.floor(Math.log10(range / 100));
  const times = range / 100 / power;
  return (times >= 5 ? 5 : times >= 2 ? 2 : 1) * power;
}

/** A slider where the range is small enough to aim at, with the number beside it. */
function number(id, schema, value) {
  const whole = typeOf(schema) === "integer";
  const min = schema.minimum, max = schema.maximum;
  const step = schema.multipleOf || (whole ? 1 : "any");
  const field = el("input", { id, type: "number", inputMode: whole ? "numeric" : "decimal",
    min, max, step, value: value ?? "" });
  if (min === undefined || max === undefined || max - min > 100) return field;
  const slide = el("input", { type: "range", min, max, step: whole ? step : schema.multipleOf || fineStep(max - min),
    value: value ?? min, tabIndex: -1, "aria-hidden": "true" }); // the step first: setting a value rounds to it
  slide.addEventListener("input", () => { field.value = slide.value; });
  field.addEventListener("input", () => { slide.value = field.value; });
  return el("span", { class: "slide" }, slide, field);
}

function text(id, schema, value) {
  return el("input", { id, type: "text", value: value ?? "", maxLength: schema.maxLength ?? 10000 });
}

function control(id, schema, value) {
  if (schema.enum) return choice(id, schema, value);
  if (typeOf(schema) === "boolean") return check(id, schema, value);
  if (["integer", "number"].includes(typeOf(schema))) return number(id, schema, value);
  return text(id, schema, value);
}

/** Draws the form into box. fixed: values an effect presets. */
export function draw(box, schema, fixed = {}) {
  const rows = Object.entries(schema?.properties || {}).map(([name, one]) => {
    const id = `param-${name}`;
    const unit = one.minimum !== undefined && one.maximum !== undefined ? `${one.minimum} to ${one.maximum}` : "";
    const hint = [one.description, unit && !one.enum ? `(${unit})` : ""].filter(Boolean).join(" ");
    const input = control(id, one, fixed[name] ?? one.default);
    const field = input.matches("input,select") ? input : input.querySelector(`#${CSS.escape(id)}`);
    field.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    return el("div", { class: "field", data: { name } },
      el("label", { htmlFor: id }, title(name, one)), input,
      el("small", { id: `${id}-hint`, class: "quiet" }, hint),
      el("small", { id: `${id}-error`, class: "error" }));
  });
  box.replaceChildren(...rows);
}

/** The values that were filled in, typed as the schema says; empty fields are left to their defaults. */
export function read(box, schema) {
  const values = {};
  for (const [name, one] of Object.entries(schema?.properties || {})) {
    const input = box.querySelector(`#${CSS.escape(`param-${name}`)}`);
    if (one.enum) values[name] = JSON.parse(input.value);
    else if (typeOf(one) === "boolean") values[name] = input.checked;
    else if (input.value === "") continue;
    else values[name] = ["integer", "number"].includes(typeOf(one)) ? Number(input.value) : input.value;
  }
  return values;
}

/** Shows the server's messages at their fields; returns those that belong to none. */
export function showErrors(box, fields) {
  const rest = [];
  for (const node of box.querySelectorAll(".field")) {
    node.querySelector(".error").textContent = "";
    node.classList.remove("wrong");
  }
  for (const [path, messages] of Object.entries(fields)) {
    const node = path.startsWith("params.") &&
      box.querySelector(`[data-name="${CSS.escape(path.slice(7).split(".")[0])}"]`);
    if (node) {
      node.classList.add("wrong");
      node.querySelector(".error").textContent = messages.join(" ");
    } else {
      rest.push(...messages);
    }
  }
  box.querySelector(".wrong input:not([type=range]), .wrong select")?.focus();
  return rest;
}
