/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/trial.h"

#include "log/err.h"
#include "log/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define START_LIMIT_MS   60000
#define RUN_GRACE_MS     10000 /* beside a multiple of what the version in place took */
#define COMPARE_LIMIT_MS 600000
#define LOOK_FOR_MS      2000 /* a candidate that has just been shown may still be coming up */
#define LOOK_MS          100
#define VERDICT_MAX      65536 /* bytes of what bp-compare.so writes */
#define TOLD_MAX         32    /* outcomes that wait for a poll */
#define CANARY_DIR       "canary"

static struct json_object *mark_of(const struct attempt *a)
{
    return json_member(a->job, "canary");
}

int trial_is_wanted(const struct attempt *a)
{
    return mark_of(a) != NULL && !worker_is_stopping(a->w) && a->w->token[0];
}

/* ---- what came of it ---- */

static void end(struct attempt *a, struct json_object *outcome)
{
    struct worker *w = a->w;
    json_put_str(outcome, "workflow", a->slug);
    json_put_str(outcome, "sha256", json_str(mark_of(a), "sha256", ""));
    json_put_int(outcome, "job", a->id);
    json_put_int(outcome, "old_ms", a->run_ms);
    json_put_int(outcome, "new_ms", a->trial_ms);
    log_info(LOG_WORKER, "job %lld, tried on version %s: %s", (long long)a->id, json_str(mark_of(a), "version", ""),
             json_text(outcome));
    if (!w->told)
        w->told = json_object_new_array();
    if (json_object_array_length(w->told) < TOLD_MAX)
        json_object_array_add(w->told, outcome);
    else
        json_object_put(outcome);
    attempt_enter(a, ATTEMPT_TRYING); /* no timer of it may fire any more */
    worker_runner_drop(w, 1);
    worker_runner_warm_up(w);
    attempt_over(a);
}

static struct json_object *outcome_new(const char *what)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "outcome", what);
    return o;
}

static void ended(struct attempt *a, const char *what, const char *fmt, ...) BP_PRINTF(3, 4);
static void ended(struct attempt *a, const char *what, const char *fmt, ...)
{
    char words[400];
    struct json_object *o = outcome_new(what);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    json_put_str(o, "text", words);
    end(a, o);
}

void trial_drop(struct attempt *a)
{
    worker_runner_drop(a->w, 0);
    attempt_over(a);
}

/* ---- the comparison ---- */

static void compare_path(const struct attempt *a, char *out, size_t n)
{
    const char *runner = a->w->runner_path, *slash = strrchr(runner, '/');
    snprintf(out, n, "%.*sbp-compare.so", slash ? (int)(slash - runner) + 1 : 0, runner);
}

static struct json_object *read_verdict(struct attempt *a)
{
    char path[4200];
    struct stat st;
    attempt_path(a, CANARY_DIR "/comparison", path);
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > VERDICT_MAX)
        return NULL;
    return json_object_from_file(path);
}

static void compared(struct attempt *a)
{
    struct json_object *v = read_verdict(a), *o = outcome_new("ran");
    const char *why = json_str(v, "why", NULL);
    if (!v || (!why && !json_member(v, "difference"))) {
        json_put_str(o, "text", "the comparison left no result");
    } else if (why) {
        json_put_str(o, "text", why);
    } else {
        json_put_bool(o, "equal", json_truth(v, "equal", 0));
        json_put_num(o, "difference", json_num(v, "difference", 255));
        if (json_member(v, "psnr"))
            json_put_num(o, "psnr", json_num(v, "psnr", 0));
        if (json_member(v, "sound"))
            json_put_num(o, "sound", json_num(v, "sound", 1));
    }
    json_object_put(v);
    end(a, o);
}

static struct json_object *file_json(const char *path)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "path", path);
    return o;
}

static void not_compared(struct attempt *a)
{
    ended(a, "dropped", "the outputs were not compared within %d s", COMPARE_LIMIT_MS / 1000);
}

static void compare(struct attempt *a)
{
    char path[4200];
    struct bp_err err = {0};
    struct json_object *frame = attempt_frame(a, COMPARE_LIMIT_MS), *inputs = json_object_new_array();
    json_object_array_add(inputs, file_json(attempt_path(a, "output", path)));
    json_object_array_add(inputs, file_json(attempt_path(a, CANARY_DIR "/output", path)));
    json_object_object_add(frame, "inputs", inputs);
    json_object_object_add(frame, "params", json_object_new_object());
    json_put_str(frame, "output", attempt_path(a, CANARY_DIR "/comparison", path));
    json_put_str(frame, "temp_dir", attempt_path(a, CANARY_DIR, path));
    json_put_str(frame, "checkpoint_out", "");
    int rc = runner_child_run(a->w->runner, frame, &err);
    json_object_put(frame);
    a->trying = TRIAL_COMPARES;
    a->on_limit = not_compared;
    loop_timer_after(a->limit, COMPARE_LIMIT_MS);
    if (rc < 0)
        ended(a, "dropped", "%s", err.text);
}

static void get_compare(struct attempt *a)
{
    char path[4200];
    struct bp_err err = {0};
    const struct workflow *flow = host_workflow(a->w->host, a->slug);
    compare_path(a, path, sizeof(path));
    if (!flow) {
        ended(a, "dropped", "the workflow went away meanwhile");
        return;
    }
    struct workflow with = *flow;
    with.file = path;
    with.plugin = with.listed = "bp-compare";
    with.sandbox = NULL;
    a->trying = TRIAL_WAITS_TO_COMPARE;
    a->on_limit = not_compared;
    loop_timer_after(a->limit, START_LIMIT_MS);
    int rc = worker_runner_get(a->w, &with, &err);
    if (rc == BP_OK)
        compare(a);
    else if (rc != BP_LATER)
        ended(a, "dropped", "%s", err.text);
}

/* ---- the candidate's run ---- */

static int size_of(const struct attempt *a, const char *name)
{
    char path[4200];
    struct stat st;
    return lstat(attempt_path(a, name, path), &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static void ran(struct attempt *a)
{
    struct json_object *o;
    int old = size_of(a, "output"), new = size_of(a, CANARY_DIR "/output");
    if (old && new) {
        get_compare(a);
        return;
    }
    if (old) {
        ended(a, "failed", "it said it was done, but left no output");
        return;
    }
    o = outcome_new("ran");
    if (new)
        json_put_str(o, "text", "it wrote an output, and the version in place none");
    else
        json_put_num(o, "difference", 0);
    end(a, o);
}

static int64_t limit_of(const struct attempt *a)
{
    double slowest = json_num(mark_of(a), "slowest", 1);
    int64_t ms = (int64_t)(4 * (slowest > 1 ? slowest : 1) * (double)a->run_ms) + RUN_GRACE_MS,
            most = attempt_timeout_ms(a);
    return ms < most ? ms : most;
}

static void too_long(struct attempt *a)
{
    a->trial_ms = mono_ms() - a->began_ms;
    worker_runner_drop(a->w, 0);
    ended(a, "failed", "it ran for more than %.1f s, where the version in place took %.1f s",
          (double)limit_of(a) / 1000, (double)a->run_ms / 1000);
}

static void run(struct attempt *a)
{
    char path[4200];
    struct bp_err err = {0};
    int64_t limit = limit_of(a);
    struct json_object *frame = attempt_frame(a, limit);
    json_put_str(frame, "output", attempt_path(a, CANARY_DIR "/output", path));
    json_put_str(frame, "temp_dir", attempt_path(a, CANARY_DIR, path));
    json_put_str(frame, "checkpoint_out", attempt_path(a, CANARY_DIR "/checkpoint", path));
    int rc = runner_child_run(a->w->runner, frame, &err);
    json_object_put(frame);
    a->trying = TRIAL_RUNS;
    a->began_ms = mono_ms();
    a->on_limit = too_long;
    loop_timer_after(a->limit, limit);
    if (rc < 0)
        ended(a, "dropped", "%s", err.text);
}

static void not_ready(struct attempt *a)
{
    worker_runner_drop(a->w, 0);
    ended(a, "failed", "its runner was not ready within %d s", START_LIMIT_MS / 1000);
}

static void get_candidate(struct attempt *a, const struct workflow *flow, const struct candidate *k)
{
    struct bp_err err = {0};
    struct workflow with = *flow;
    with.file = k->file;
    with.version = k->version;
    a->trying = TRIAL_WAITS_TO_RUN;
    a->on_limit = not_ready;
    loop_timer_after(a->limit, START_LIMIT_MS);
    int rc = worker_runner_get(a->w, &with, &err);
    if (rc == BP_OK)
        run(a);
    else if (rc != BP_LATER)
        ended(a, "dropped", "%s", err.text);
}

/* On the loop, after what reported the job has returned. */
static void begin(struct attempt *a)
{
    char path[4200];
    struct stat st;
    const struct workflow *flow = host_workflow(a->w->host, a->slug);
    const struct candidate *k = flow ? host_candidate(a->w->host, flow->plugin) : NULL;
    int there = k && strcmp(k->sha, json_str(mark_of(a), "sha256", "")) == 0;
    compare_path(a, path, sizeof(path));
    if (!there && mono_ms() - a->looked_ms < LOOK_FOR_MS)
        attempt_later(a, LOOK_MS, begin);
    else if (!there)
        ended(a, "absent", "there is no such candidate on worker %s", a->w->id);
    else if (a->has_checkpoint)
        ended(a, "dropped", "the job went on from a checkpoint, so its run says nothing of speed");
    else if (stat(path, &st) < 0)
        ended(a, "dropped", "there is no %s to compare outputs with", path);
    else if (mkdir(attempt_path(a, CANARY_DIR, path), 0700) < 0)
        ended(a, "dropped", "this worker has no room for the trial's files");
    else
        get_candidate(a, flow, k);
}

void trial_begin(struct attempt *a)
{
    attempt_stop_beating(a); /* the lease is over */
    attempt_enter(a, ATTEMPT_TRYING);
    a->looked_ms = mono_ms();
    attempt_later(a, 0, begin);
}

/* ---- from the runner ---- */

void trial_runner_ready(struct attempt *a)
{
    if (a->trying == TRIAL_WAITS_TO_RUN)
        run(a);
    else if (a->trying == TRIAL_WAITS_TO_COMPARE)
        compare(a);
}

void trial_result(struct attempt *a, int rc, const char *text)
{
    if (a->trying == TRIAL_COMPARES && rc == BP_OK) {
        compared(a);
    } else if (a->trying == TRIAL_COMPARES) {
        struct json_object *o = outcome_new("ran");
        json_put_str(o, "text", text);
        end(a, o);
    } else if (a->trying == TRIAL_RUNS) {
        a->trial_ms = mono_ms() - a->began_ms;
        loop_timer_cancel(a->limit);
        if (rc == BP_OK)
            ran(a);
        else
            ended(a, "failed", "%s", *text ? text : "it gave no reason");
    }
}

void trial_runner_gone(struct attempt *a, const char *why)
{
    if (a->trying == TRIAL_RUNS || a->trying == TRIAL_WAITS_TO_RUN) {
        ended(a, "failed", "%s", why);
        return;
    }
    struct json_object *o = outcome_new("ran"); /* what cannot even be looked at is another output */
    json_put_str(o, "text", why);
    end(a, o);
}
