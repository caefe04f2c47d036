/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/engine.h"
#include "dispatch/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An older failure says nothing about now: the next answer may be long in coming where nothing is asked. */
#define QUEUE_ERROR_KEEP_MS (2 * QUEUE_TIMEOUT_MS)

/* An answer that waits until the call that caused it has returned. */
struct late_answer {
    struct ask *ask;
    int rc, retry_after_s, over_limit;
    char *message;
    struct json_object *data, *fields;
};

void *ask_new(struct dispatch *d, size_t bytes, dispatch_reply fn, void *arg)
{
    struct ask *a = calloc(1, bytes);
    assert(a && bytes >= sizeof *a);
    a->d = d;
    a->fn = fn;
    a->arg = arg;
    dispatch_ref(d);
    return a;
}

void ask_forget(struct ask *a)
{
    struct dispatch *d = a->d;
    if (a->drop)
        a->drop(a);
    free(a);
    dispatch_unref(d);
}

static void call_back(struct ask *a, const struct dispatch_answer *answer)
{
    if (!a->d->dead && a->fn)
        a->fn(answer, a->arg);
    ask_forget(a);
}

static void late_run(void *arg)
{
    struct late_answer *l = arg;
    struct dispatch_answer answer = {l->rc, l->message, l->data, l->fields, l->retry_after_s, l->over_limit};
    call_back(l->ask, &answer);
    json_object_put(l->data);
    json_object_put(l->fields);
    free(l->message);
    free(l);
}

/* Answers now, or, when the call has not returned yet, on the next turn of the loop. */
void ask_answer(struct ask *a, struct dispatch_answer *answer)
{
    if (a->on_loop) {
        call_back(a, answer);
        json_object_put(answer->data);
        json_object_put(answer->fields);
        return;
    }
    struct late_answer *l = calloc(1, sizeof *l);
    assert(l);
    *l = (struct late_answer){a,    answer->rc,   answer->retry_after_s, answer->over_limit,
                              NULL, answer->data, answer->fields};
    l->message = answer->message ? strdup(answer->message) : NULL;
    loop_post(a->d->loop, "dispatch.answer", late_run, l);
}

void ask_ok(struct ask *a, const char *message, struct json_object *data)
{
    struct dispatch_answer answer = {.rc = BP_OK, .message = message, .data = data};
    ask_answer(a, &answer);
}

void ask_say(struct ask *a, int rc, const char *message)
{
    struct dispatch_answer answer = {.rc = rc,
                                     .message = message,
                                     .retry_after_s = rc == BP_LATER     ? 1
                                                      : rc == BP_NOSPACE ? 10
                                                                         : 0};
    ask_answer(a, &answer);
}

void ask_invalid(struct ask *a, struct json_object *fields)
{
    struct dispatch_answer answer = {.rc = BP_INVALID, .message = "Validation error.", .fields = fields};
    ask_answer(a, &answer);
}

void answer_from_err(struct dispatch *d, const struct bp_err *err, struct dispatch_answer *out, char text[400])
{
    memset(out, 0, sizeof *out);
    out->rc = err->rc == BP_OK ? BP_FAIL : err->rc;
    out->message = text;
    switch (err->rc) {
    case BP_LATER:
        out->retry_after_s = 1;
        snprintf(text, 400, "Busy: %s. Nothing was accepted; try again in a second.", err->text);
        break;
    case BP_NOSPACE:
        out->retry_after_s = 10;
        snprintf(text, 400, "The disk is full: %s. Nothing was accepted; try again later.", err->text);
        break;
    case BP_TIMEOUT:
        out->retry_after_s = 1;
        snprintf(text, 400, "The queue did not answer in time; whether it took effect is unknown. Ask again.");
        break;
    default:
        snprintf(text, 400, "%s", err->text[0] ? err->text : "The queue failed without a reason.");
        break;
    }
    text_repair(text);
    if (out->retry_after_s)
        d->counters.refused_later++;
}

void ask_fail(struct ask *a, const struct bp_err *err)
{
    char text[400];
    struct dispatch_answer answer;
    answer_from_err(a->d, err, &answer, text);
    ask_answer(a, &answer);
}

void send_error(struct bp_err *err, const char *service)
{
    if (err->rc == BP_NOTFOUND)
        err_set(err, BP_LATER, "the %s service is not running", service);
    else if (err->rc == BP_STOPPED)
        err_set(err, BP_LATER, "the %s service is stopping", service);
    else if (err->rc == BP_LATER && !err->text[0])
        err_set(err, BP_LATER, "the %s service has too much waiting", service);
}

static void queue_replied(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct ask *a = arg;
    if (a->d->dead) {
        ask_forget(a);
        return;
    }
    a->on_loop = 1;
    queue_heard(a->d, op, err);
    a->step(a, op, err);
}

void queue_heard(struct dispatch *d, const struct bp_op *op, const struct bp_err *err)
{
    if (err->rc == BP_OK || queue_op_taken(op)) {
        d->queue_err.rc = BP_OK;
    } else if (err->rc == BP_LATER || err->rc == BP_NOSPACE || err->rc == BP_TIMEOUT) {
        d->queue_err = *err;
        d->queue_err_ms = mono_ms();
    }
}

const char *dispatch_queue_error(const struct dispatch *d)
{
    if (d->started && !bus_has_service(d->bus, "queue"))
        return "no queue plugin is running; see bpctl plugin list";
    int fresh = mono_ms() - d->queue_err_ms < QUEUE_ERROR_KEEP_MS;
    return d->queue_err.rc != BP_OK && fresh ? d->queue_err.text : NULL;
}

int ask_queue(struct ask *a, struct queue_call *q, ask_step step)
{
    struct bp_err err = {0};
    a->step = step;
    if (queue_call_send(a->d->bus, q, QUEUE_TIMEOUT_MS, queue_replied, a, &err) == BP_OK)
        return BP_OK;
    send_error(&err, "queue");
    ask_fail(a, &err);
    return err.rc == BP_OK ? BP_FAIL : err.rc;
}

static void told(struct bp_op *op, const struct bp_err *err, void *arg)
{
    (void)op;
    (void)arg;
    if (err->rc != BP_OK && err->rc != BP_STALE && err->rc != BP_NOTFOUND)
        log_warn(LOG_DISPATCH, "the queue did not take a note: %s", err->text);
}

void queue_tell(struct dispatch *d, struct queue_call *q)
{
    struct bp_err err = {0};
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, told, NULL, &err) != BP_OK)
        log_warn(LOG_DISPATCH, "the queue did not take a note: %s", err.text);
}
