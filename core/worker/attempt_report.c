/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_report.c - the last word about a lease: complete, fail or requeue, said until it is heard or the lease is
 * over. */
#include "log/log.h"
#include "worker/attempt_priv.h"
#include "worker/trial.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(struct attempt *a);

static const char *const names[] = {
    [VERDICT_COMPLETE] = "complete", [VERDICT_FAIL] = "fail", [VERDICT_RETRY] = "fail", [VERDICT_REQUEUE] = "requeue"};

static struct json_object *output_json(struct attempt *a)
{
    struct json_object *o = json_object_new_object(), *metadata = json_object_new_object();
    const struct workflow *flow = host_workflow(a->w->host, a->slug);
    const char *mime = json_str(a->input, "output_mime_type", NULL);
    if (!mime && flow)
        mime = json_str(flow->manifest, "produces", NULL);
    json_put_int(o, "size", a->output_bytes);
    if (mime)
        json_put_str(o, "mime_type", mime);
    json_put_str(metadata, "worker", "bpd " BP_VERSION);
    json_object_object_add(o, "metadata", metadata);
    return o;
}

static struct json_object *report_body(struct attempt *a)
{
    struct json_object *o = attempt_body(a);
    if (a->verdict == VERDICT_COMPLETE) {
        json_object_object_add(o, "output", output_json(a));
        struct json_object *next = trial_is_wanted(a) ? NULL : worker_next(a->w);
        if (next)
            json_object_object_add(o, "poll", next);
    } else if (a->verdict == VERDICT_REQUEUE) {
        json_put_str(o, "reason", a->words);
        if (a->saved)
            json_put_str(o, "checkpoint_key", json_str(a->input, "checkpoint_key", NULL));
    } else {
        json_put_str(o, "error_message", a->words);
        json_put_bool(o, "retryable", a->verdict == VERDICT_RETRY);
        if (a->fault) {
            json_put_bool(o, "fault", 1);
            json_put_str(o, "plugin_sha256", a->fault_sha);
        }
    }
    return o;
}

static void try_later(struct attempt *a, const struct api_answer *answer)
{
    int64_t delay = backoff_next_ms(&a->backoff, answer->retry_after_s);
    log_warn(LOG_WORKER, "job %lld: %s: %s (status %d); trying again in %.1f s", (long long)a->id, names[a->verdict],
             answer->message, answer->status, (double)delay / 1000);
    attempt_later(a, delay, say);
}

static void said(const struct api_answer *answer, void *arg)
{
    struct attempt *a = arg;
    a->report = NULL;
    int status = answer->status;
    if (status >= 200 && status <= 299) {
        log_info(LOG_WORKER, "job %lld: %s%s%s", (long long)a->id, names[a->verdict], a->words[0] ? ": " : "",
                 a->words);
        a->w->next = json_object_get(json_member(answer->data, "poll")); /* NULL of an older controller */
        if (a->verdict == VERDICT_COMPLETE && trial_is_wanted(a))
            trial_begin(a);
        else
            attempt_over(a);
    } else if (status == 401) {
        worker_unauthorized(a->w, answer);
        try_later(a, answer);
    } else if (api_is_temporary(status)) {
        try_later(a, answer);
    } else if (status == 404 || a->verdict != VERDICT_COMPLETE) {
        attempt_lost(a, answer->message);
    } else {
        attempt_report(a, VERDICT_RETRY, "the controller did not take the result: %s", answer->message);
    }
}

static void say(struct attempt *a)
{
    a->report = api_post(a->w, names[a->verdict], report_body(a), API_TIMEOUT_MS, said, a);
}

void attempt_report(struct attempt *a, enum verdict verdict, const char *fmt, ...)
{
    char words[sizeof(a->words)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    attempt_enter(a, ATTEMPT_REPORTING);
    loop_timer_cancel(a->tell);
    http_client_cancel(&a->saving);
    a->verdict = verdict;
    if (verdict == VERDICT_RETRY)
        health_doubt(a->w->health);
    snprintf(a->words, sizeof(a->words), "%s", words);
    say(a);
}
