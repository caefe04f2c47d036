// SPDX-License-Identifier: Apache-2.0
// app.js - puts the page together: the session, the operator's live view where it is allowed, the submit form.

import { call, haveToken, Refused, useToken } from "./api.js";
import { $ } from "./dom.js";
import * as submit from "./submit.js";
import * as view from "./view.js";

const names = ["plugin.state", "plugin.fault", "job.submitted", "job.leased", "job.progress", "job.requeued", "job.expired",
  "job.retry", "job.completed", "job.failed", "job.cancelled", "worker.registered", "worker.gone", "worker.changed",
  "scale.decided", "fleet.instance", "fleet.launch_failed", "config.reloaded", "core.state", "loop.slow"];

let workflows = "";
let due = null;
let operator = false;

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function refresh() {
  due = null;
  try {
    const state = await call("GET", "/api/admin/state");
    notice("");
    view.draw(state);
    const now = JSON.stringify(state.workflows.map((w) => [w.slug, w.generation, w.draining]));
    if (now !== workflows && haveToken()) {
      await submit.refreshChoices();
      workflows = now;
    }
  } catch (e) {
    $("health").textContent = "unreachable";
    $("health").dataset.state = "failed";
    notice(e instanceof Refused ? e.message : "bpd does not answer; trying again.");
  }
}

/** Many events, one refresh. */
function soon(ms) {
  if (due === null) due = setTimeout(refresh, ms);
}

function listen() {
  const source = new EventSource("/api/admin/events?recent=100");
  for (const name of names) {
    source.addEventListener(name, (e) => {
      view.event(JSON.parse(e.data));
      if (name !== "job.progress") soon(150);
    });
  }
  source.onopen = () => soon(0);
  source.onerror = () => soon(1000);
}

async function openSession() {
  try {
    const session = await call("GET", "/api/admin/session");
    operator = true;
    if (session.token) useToken(session.token);
  } catch (e) {
    if (!(e instanceof Refused) || e.status !== 403) throw e;
    for (const node of document.querySelectorAll(".operator")) node.hidden = true;
    $("health").hidden = true;
    notice(`${e.message} Jobs can be submitted here with a tenant's token.`);
  }
}

function askToken() {
  $("token-form").hidden = false;
  $("job-form").hidden = true;
  $("token-form").addEventListener("submit", async (e) => {
    e.preventDefault();
    useToken($("token").value.trim());
    await useForm();
  });
}

async function useForm() {
  try {
    await submit.refreshChoices();
    $("token-form").hidden = true;
    $("job-form").hidden = false;
  } catch (e) {
    if (!(e instanceof Refused) || e.status !== 401) throw e;
    notice("This token is not known.");
    askToken();
  }
}

async function main() {
  submit.start();
  view.start();
  await openSession();
  if (haveToken()) await useForm();
  else askToken();
  if (!operator) return;
  listen();
  await refresh();
  setInterval(() => soon(0), 5000);
}

main().catch((e) => {
  console.error(e);
  notice("bpd does not answer. Reload the page once it runs.");
});
