/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_run.c - the job in its runner: begun, watched, stopped, and how its result reads. */
#include "log/log.h"
#include "worker/attempt_priv.h"
#include "worker/trial.h"

#include <stdio.h>
#include <string.h>

#define PLUGIN_WAIT_MS 5000 /* a plugin that has just been dropped in may still be coming up */
#define PLUGIN_LOOK_MS 200
#define START_LIMIT_MS 60000

/* ---- beginning ---- */

static struct json_object *input_frame(struct attempt *a, size_t i)
{
    char name[32], path[4200];
    struct json_object *inputs = json_member(a->input, "inputs");
    struct json_object *from = inputs ? json_object_array_get_idx(inputs, i) : NULL, *o = json_object_new_object();
    snprintf(name, sizeof(name), "input-%zu", i);
    json_put_str(o, "path", attempt_path(a, name, path));
    json_put_str(o, "mime", json_str(from, "mime", json_str(a->input, "input_mime_type", "")));
    json_put_str(o, "name", json_str(from, "name", json_str(a->input, "input_name", "")));
    return o;
}

int64_t attempt_timeout_ms(const struct attempt *a)
{
    double s = json_num(a->input, "timeout_seconds", 0);
    const struct workflow *flow = s > 0 ? NULL : host_workflow(a->w->host, a->slug);
    return s > 0 ? (int64_t)(s * 1000) : flow ? (int64_t)flow->timeout_s * 1000 : 3600000;
}

/* Which of its plugin's workflows this is. */
static void put_workflow(const struct attempt *a, struct json_object *o)
{
    const struct workflow *flow = host_workflow(a->w->host, a->slug);
    struct json_object *settings = flow ? json_member(flow->manifest, "settings") : NULL;
    json_put_str(o, "slug", a->slug);
    json_put_str(o, "settings_dir", flow && flow->settings_dir ? flow->settings_dir : "");
    json_put_str(o, "assets_dir", assets_dir(a->w->assets, a->slug));
    json_object_object_add(o, "settings", settings ? json_object_get(settings) : json_object_new_object());
}

struct json_object *attempt_frame(struct attempt *a, int64_t limit_ms)
{
    char path[4200];
    struct json_object *o = json_object_new_object(), *inputs = json_object_new_array();
    struct json_object *params = json_member(a->input, "params");
    for (size_t i = 0; i < a->n_inputs; i++)
        json_object_array_add(inputs, input_frame(a, i));
    json_put_int(o, "id", a->id);
    json_put_int(o, "attempt", a->number);
    json_put_int(o, "deadline_ms", loop_now_ms(a->w->loop) + limit_ms);
    json_object_object_add(o, "params", params ? json_object_get(params) : json_object_new_object());
    json_object_object_add(o, "inputs", inputs);
    put_workflow(a, o);
    json_put_str(o, "output", attempt_path(a, "output", path));
    json_put_str(o, "temp_dir", a->dir);
    json_put_str(o, "checkpoint_out", attempt_path(a, "checkpoint", path));
    if (a->has_checkpoint)
        json_put_str(o, "checkpoint_in", attempt_path(a, "checkpoint-in", path));
    return o;
}

static void too_long(struct attempt *a)
{
    worker_runner_drop(a->w, 0);
    attempt_report(a, VERDICT_RETRY, "the job ran longer than its limit of %.1f s and was ended",
                   (double)attempt_timeout_ms(a) / 1000);
}

static void begin(struct attempt *a)
{
    struct bp_err err = {0};
    int64_t limit = attempt_timeout_ms(a);
    attempt_enter(a, ATTEMPT_RUNNING);
    struct json_object *frame = attempt_frame(a, limit);
    int rc = runner_child_run(a->w->runner, frame, &err);
    json_object_put(frame);
    a->w->runner_jobs++;
    if (rc < 0) {
        attempt_report(a, rc == BP_INVALID ? VERDICT_FAIL : VERDICT_RETRY, "%s", err.text);
        return;
    }
    a->w->unable_backoff.tries = 0;
    a->began_ms = mono_ms();
    a->on_limit = too_long;
    loop_timer_after(a->limit, limit);
}

static void not_ready(struct attempt *a)
{
    worker_runner_drop(a->w, 0);
    attempt_report(a, VERDICT_RETRY, "the runner of %s was not ready within %d s", a->slug, START_LIMIT_MS / 1000);
}

/* The controller has another version already: a file that was replaced on this machine too comes up in a moment. Where
 * it does not, each version is waited for once. */
static int awaits_version(struct attempt *a, const struct workflow *flow)
{
    char wanted[sizeof a->w->version_missed];
    const char *version = json_str(a->job, "plugin_version", flow->version);
    snprintf(wanted, sizeof wanted, "%s %s", a->slug, version);
    if (strcmp(version, flow->version) == 0 || strcmp(wanted, a->w->version_missed) == 0)
        return 0;
    if (mono_ms() - a->looked_ms < PLUGIN_WAIT_MS)
        return 1;
    snprintf(a->w->version_missed, sizeof a->w->version_missed, "%s", wanted);
    log_warn(LOG_WORKER, "the controller has version %s of %s, this machine %s, with which the job is run", version,
             a->slug, flow->version);
    return 0;
}

static void look_for_plugin(struct attempt *a)
{
    struct bp_err err = {0};
    const struct workflow *flow = host_workflow(a->w->host, a->slug);
    if (flow ? awaits_version(a, flow) : mono_ms() - a->looked_ms < PLUGIN_WAIT_MS) {
        attempt_later(a, PLUGIN_LOOK_MS, look_for_plugin);
        return;
    }
    if (!flow) {
        /* Not the job's fault: it keeps its attempts, and this worker asks for less until it has the plugin. */
        a->w->unable = 1;
        attempt_report(a, VERDICT_REQUEUE, "worker %s has no plugin for the workflow %s", a->w->id, a->slug);
        return;
    }
    if (flow->quarantine) { /* nor is this */
        a->w->unable = 1;
        attempt_report(a, VERDICT_REQUEUE, "worker %s: %s is in quarantine there: %s", a->w->id, a->slug,
                       flow->quarantine);
        return;
    }
    if (!assets_are_ready(a->w->assets, flow)) {
        a->w->unable = 1;
        attempt_report(a, VERDICT_REQUEUE, "worker %s: the assets of %s are not there yet", a->w->id, a->slug);
        return;
    }
    int rc = worker_runner_get(a->w, flow, &err);
    if (rc == BP_OK)
        begin(a);
    else if (rc == BP_LATER)
        a->awaits_runner = 1;
    else
        attempt_report(a, VERDICT_RETRY, "%s", err.text);
}

void attempt_run(struct attempt *a)
{
    attempt_enter(a, ATTEMPT_STARTING);
    a->looked_ms = mono_ms();
    a->on_limit = not_ready;
    loop_timer_after(a->limit, START_LIMIT_MS);
    look_for_plugin(a);
}

void attempt_runner_ready(struct attempt *a)
{
    if (a->stage == ATTEMPT_TRYING)
        trial_runner_ready(a);
    else if (a->stage == ATTEMPT_STARTING && a->awaits_runner)
        begin(a);
}

/* ---- meanwhile ---- */

void attempt_progress(struct attempt *a, double fraction, const char *text)
{
    if (a->stage == ATTEMPT_TRYING)
        return;
    a->news |= fraction != a->fraction || strncmp(a->text, text, sizeof(a->text) - 1) != 0;
    a->fraction = fraction;
    a->untold = 1;
    snprintf(a->text, sizeof(a->text), "%s", text);
    attempt_tell(a);
}

/* ---- the end ---- */

/* A job that was told to stop has: what for decides what comes next. */
static void stopped(struct attempt *a)
{
    if (a->cancelled)
        attempt_report(a, VERDICT_FAIL, "cancelled");
    else if (a->interrupted[0])
        attempt_hand_back(a);
    else
        attempt_report(a, VERDICT_RETRY, "the workflow %s stopped without being asked to", a->slug);
}

static void has_not_stopped(struct attempt *a)
{
    log_warn(LOG_WORKER, "job %lld did not stop in time: its runner is killed", (long long)a->id);
    worker_runner_drop(a->w, 0);
    stopped(a);
}

void attempt_stop_run(struct attempt *a, int64_t ms)
{
    runner_child_stop_job(a->w->runner);
    a->on_limit = has_not_stopped;
    loop_timer_after(a->limit, ms);
}

void attempt_result(struct attempt *a, int rc, const char *text)
{
    if (a->stage == ATTEMPT_TRYING) {
        trial_result(a, rc, text);
        return;
    }
    if (a->stage != ATTEMPT_RUNNING)
        return;
    loop_timer_cancel(a->limit);
    a->run_ms = mono_ms() - a->began_ms;
    int terminal = rc == BP_BADINPUT || rc == BP_INVALID;
    if (rc != BP_OK && rc != BP_STOPPED && !terminal)
        worker_runner_drop(a->w, 1); /* after an error of the device, say: the next job gets a fresh one */
    if (rc == BP_OK && !a->cancelled) {
        a->fraction = 1;
        attempt_upload(a);
        if (a->interrupted[0] && a->stage == ATTEMPT_UPLOADING)
            attempt_limit_upload(a, a->hand_back_ms - mono_ms());
    } else if (terminal && !a->cancelled) {
        attempt_report(a, VERDICT_FAIL, "%s", text);
    } else if (rc == BP_STOPPED || a->cancelled || a->interrupted[0]) {
        stopped(a);
    } else {
        attempt_report(a, VERDICT_RETRY, "%s", *text ? text : "the workflow gave no reason");
    }
}

void attempt_is_fault(struct attempt *a, const char *sha)
{
    a->fault = 1;
    snprintf(a->fault_sha, sizeof(a->fault_sha), "%s", sha);
}

static void gone_for_good(struct attempt *a, const char *why, const char *fault_sha)
{
    if (fault_sha)
        attempt_is_fault(a, fault_sha);
    attempt_report(a, VERDICT_RETRY, "%s", why);
}

/* What an earlier job left in it (a heap that was written over, memory that was lost) may be what ended it: this job
 * does not pay for that. It keeps its lease. */
static void begin_anew(struct attempt *a)
{
    log_warn(LOG_WORKER, "job %lld begins anew in a fresh runner: the one that ended had served others before",
             (long long)a->id);
    a->began_anew = 1;
    a->fraction = 0;
    attempt_run(a);
}

void attempt_runner_gone(struct attempt *a, const char *why, const char *fault_sha, int served_others)
{
    if (a->stage == ATTEMPT_TRYING) {
        trial_runner_gone(a, why);
        return;
    }
    if (a->stage != ATTEMPT_RUNNING && !(a->stage == ATTEMPT_STARTING && a->awaits_runner))
        return; /* it was not this job's */
    if (a->cancelled || a->interrupted[0])
        stopped(a);
    else if (served_others && !a->began_anew)
        begin_anew(a);
    else
        gone_for_good(a, why, fault_sha);
}
