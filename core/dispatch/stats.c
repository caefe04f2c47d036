/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/stats.h"

#include "dispatch/job_json.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#define KEEP_MS   1000
#define WINDOW_MS 300000

struct stats_ask {
    struct ask ask;
    STAILQ_ENTRY(stats_ask) next;
};

STAILQ_HEAD(stats_asks, stats_ask);

struct stats {
    struct stats_asks waiting;
    int asked;       /* a request is on its way */
    int64_t read_ms; /* monotonic */
    struct json_object *data;
};

struct stats *stats_new(void)
{
    struct stats *s = calloc(1, sizeof *s);
    assert(s);
    STAILQ_INIT(&s->waiting);
    return s;
}

void stats_free(struct stats *s)
{
    while (!STAILQ_EMPTY(&s->waiting)) {
        struct stats_ask *a = STAILQ_FIRST(&s->waiting);
        STAILQ_REMOVE_HEAD(&s->waiting, next);
        ask_forget(&a->ask);
    }
    json_object_put(s->data);
    free(s);
}

static struct json_object *row_json(const struct bp_queue_stats_row *r)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "workflow", r->workflow);
    put_int(o, "queued", r->queued);
    put_int(o, "leased", r->leased);
    put_int(o, "scheduled", r->scheduled);
    put_int(o, "completed_recent", r->completed_recent);
    put_int(o, "failed_recent", r->failed_recent);
    put_int(o, "lease_expired_recent", r->lease_expired_recent);
    put_int(o, "interrupted_recent", r->interrupted_recent);
    put_int(o, "submitted_recent", r->submitted_recent);
    put_int(o, "oldest_queued_ms", r->oldest_queued_ms);
    put_int(o, "active_workers", r->active_workers);
    put_int(o, "available_capacity", r->available_capacity);
    put_new(o, "run_p50_s", json_object_new_double(r->run_p50_s));
    put_new(o, "wait_p95_s", json_object_new_double(r->wait_p95_s));
    put_int(o, "window_ms", WINDOW_MS);
    return o;
}

static void read_rows(struct stats *s, const struct bp_op_stats *rows)
{
    struct json_object *list = json_object_new_array_ext((int)rows->count + 1);
    for (uint32_t i = 0; i < rows->count; i++)
        json_object_array_add(list, row_json(&rows->rows[i]));
    json_object_put(s->data);
    s->data = json_object_new_object();
    put_new(s->data, "workflows", list);
    s->read_ms = mono_ms();
}

static void replied(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    if (!d->dead) {
        struct stats *s = d->stats;
        struct stats_asks waiting = STAILQ_HEAD_INITIALIZER(waiting);
        s->asked = 0;
        if (err->rc == BP_OK)
            read_rows(s, &op->u.stats);
        STAILQ_CONCAT(&waiting, &s->waiting);
        while (!STAILQ_EMPTY(&waiting)) {
            struct stats_ask *a = STAILQ_FIRST(&waiting);
            STAILQ_REMOVE_HEAD(&waiting, next);
            a->ask.on_loop = 1;
            if (err->rc == BP_OK)
                ask_ok(&a->ask, NULL, json_object_get(s->data));
            else
                ask_fail(&a->ask, err);
        }
    }
    dispatch_unref(d);
}

static void ask_store(struct dispatch *d, struct stats_ask *a)
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_STATS, dispatch_now(d));
    queue_call_op(q)->u.stats.window_ms = WINDOW_MS;
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, replied, d, &err) == BP_OK) {
        d->stats->asked = 1;
        STAILQ_INSERT_TAIL(&d->stats->waiting, a, next);
        return;
    }
    send_error(&err, "queue");
    ask_fail(&a->ask, &err);
    dispatch_unref(d);
}

void dispatch_stats(struct dispatch *d, dispatch_reply fn, void *arg)
{
    struct stats *s = d->stats;
    struct stats_ask *a = ask_new(d, sizeof *a, fn, arg);
    if (s->data && mono_ms() - s->read_ms < KEEP_MS)
        ask_ok(&a->ask, NULL, json_object_get(s->data));
    else if (s->asked)
        STAILQ_INSERT_TAIL(&s->waiting, a, next);
    else
        ask_store(d, a);
}
