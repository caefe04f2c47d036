/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.c - the life of one lease, from the poll's answer to its end. */
#include "log/err.h"
#include "log/log.h"
#include "spawn/scratch.h"
#include "worker/attempt_priv.h"
#include "worker/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CANCEL_STOP_MS 5000 /* a cancelled job has so long to notice */

static void run_again(void *arg)
{
    struct attempt *a = arg;
    a->on_again(a);
}

void attempt_later(struct attempt *a, int64_t delay_ms, void (*fn)(struct attempt *a))
{
    a->on_again = fn;
    loop_timer_after(a->again, delay_ms);
}

const char *attempt_path(const struct attempt *a, const char *name, char out[4200])
{
    snprintf(out, 4200, "%s/%s", a->dir, name);
    return out;
}

const char *attempt_file(const struct attempt *a, const char *name, char out[64])
{
    snprintf(out, 64, "/proc/self/fd/%d/%s", a->dir_fd, name);
    return out;
}

/* The directory of the job's files; what earlier ones left beside it goes. */
static int make_dir(struct attempt *a, struct bp_err *err)
{
    scratch_empty(a->w->jobs_dir);
    int rc = scratch_make(a->w->jobs_dir, "job", a->dir, sizeof(a->dir), err);
    if (rc == BP_OK)
        a->dir_fd = open(a->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (rc == BP_OK && a->dir_fd < 0)
        rc = err_set(err, BP_IO, "open %s: %s", a->dir, strerror(errno));
    return rc;
}

struct json_object *attempt_body(const struct attempt *a)
{
    struct json_object *o = json_object_new_object();
    json_put_int(o, "dispatch_id", a->id);
    json_put_str(o, "lease_token", a->token);
    json_put_str(o, "worker_id", a->w->id);
    return o;
}

void attempt_enter(struct attempt *a, enum attempt_stage stage)
{
    a->stage = stage;
    a->refreshed = NULL;
    a->refusals = 0;
    a->backoff.tries = 0;
    http_client_cancel(&a->transfer);
    loop_timer_cancel(a->again);
    loop_timer_cancel(a->limit);
}

/* Field controllers name the workflow in the payload's own way; a worker with one plugin knows what is meant. */
static void read_slug(struct attempt *a)
{
    const char *slug = json_str(a->job, "workflow", json_str(a->input, "workflow_slug", a->w->fleet));
    snprintf(a->slug, sizeof(a->slug), "%s", slug);
}

static int read_lease(struct attempt *a, struct json_object *job)
{
    const char *token = json_str(job, "lease_token", "");
    a->id = json_int(job, "dispatch_id", 0);
    if (a->id <= 0 || !*token || strlen(token) >= sizeof(a->token)) {
        log_error(LOG_WORKER, "the controller sent a job without dispatch_id or lease_token");
        return BP_INVALID;
    }
    snprintf(a->token, sizeof(a->token), "%s", token);
    a->job = json_object_get(job);
    a->input = json_member(job, "input_payload");
    a->number = (int32_t)json_int(job, "attempt", 1);
    struct json_object *inputs = json_member(a->input, "inputs");
    if (inputs && json_object_is_type(inputs, json_type_array))
        a->n_inputs = json_object_array_length(inputs);
    else if (json_str(job, "input_url", NULL))
        a->n_inputs = 1;
    read_slug(a);
    return BP_OK;
}

static void on_limit(void *arg)
{
    struct attempt *a = arg;
    a->on_limit(a);
}

static int make_timers(struct attempt *a)
{
    a->again = loop_timer_new(a->w->loop, "worker.attempt", run_again, a);
    a->limit = loop_timer_new(a->w->loop, "worker.limit", on_limit, a);
    return a->again && a->limit ? BP_OK : BP_NOMEM;
}

static void no_room(struct attempt *a)
{
    attempt_report(a, VERDICT_RETRY, "this worker has no room for the job's files: %s", a->words);
}

struct attempt *attempt_begin(struct worker *w, struct json_object *job)
{
    struct attempt *a = calloc(1, sizeof(*a));
    struct bp_err err = {0};
    if (!a)
        return NULL;
    a->w = w;
    a->verdict = VERDICT_NONE;
    a->dir_fd = -1;
    if (read_lease(a, job) < 0 || make_timers(a) < 0) {
        attempt_free(a);
        return NULL;
    }
    log_info(LOG_WORKER, "job %lld (%s, attempt %d) leased", (long long)a->id, a->slug, a->number);
    attempt_start_beating(a);
    attempt_enter(a, ATTEMPT_FETCHING);
    /* From the loop: the worker must know its attempt before that can end. */
    if (make_dir(a, &err) < 0) {
        snprintf(a->words, sizeof(a->words), "%s", err.text);
        attempt_later(a, 0, no_room);
    } else {
        attempt_later(a, 0, attempt_fetch);
    }
    return a;
}

int64_t attempt_job(const struct attempt *a)
{
    return a->id;
}

int attempt_is_trying(const struct attempt *a)
{
    return a->stage == ATTEMPT_TRYING;
}

void attempt_free(struct attempt *a)
{
    if (!a)
        return;
    attempt_stop_beating(a);
    http_client_cancel(&a->transfer);
    http_client_cancel(&a->saving);
    api_cancel(&a->report);
    loop_timer_free(a->again);
    loop_timer_free(a->limit);
    loop_timer_free(a->save);
    json_object_put(a->job);
    if (a->dir_fd >= 0)
        close(a->dir_fd);
    scratch_empty(a->w->jobs_dir);
    free(a);
}

void attempt_over(struct attempt *a)
{
    a->stage = ATTEMPT_OVER;
    worker_attempt_ended(a->w);
}

void attempt_lost(struct attempt *a, const char *why)
{
    log_warn(LOG_WORKER, "job %lld: the lease is over (%s); what was done for it is dropped", (long long)a->id, why);
    if (a->stage == ATTEMPT_RUNNING)
        worker_runner_drop(a->w, 0);
    attempt_over(a);
}

void attempt_cancel(struct attempt *a)
{
    if (a->cancelled || a->stage >= ATTEMPT_SAVING)
        return;
    log_info(LOG_WORKER, "job %lld was cancelled", (long long)a->id);
    a->cancelled = 1;
    if (a->stage == ATTEMPT_RUNNING)
        attempt_stop_run(a, CANCEL_STOP_MS);
    else
        attempt_report(a, VERDICT_FAIL, "cancelled");
}

/* While the runner stops, half of the time; then the checkpoint and the requeue have the rest. */
void attempt_interrupt(struct attempt *a, const char *reason, int64_t grace_ms)
{
    if (a->stage == ATTEMPT_TRYING) {
        trial_drop(a);
        return;
    }
    if (a->interrupted[0] || a->stage >= ATTEMPT_REPORTING)
        return;
    snprintf(a->interrupted, sizeof(a->interrupted), "%s", reason);
    a->hand_back_ms = mono_ms() + grace_ms * 3 / 4;
    if (a->cancelled)
        return; /* being stopped already */
    if (a->stage == ATTEMPT_RUNNING)
        attempt_stop_run(a, grace_ms / 2);
    else if (a->stage == ATTEMPT_UPLOADING)
        attempt_limit_upload(a, grace_ms / 2);
    else
        attempt_hand_back(a);
}
