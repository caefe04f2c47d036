/* SPDX-License-Identifier: Apache-2.0 */
/* extend.c - heartbeat and progress: a worker says that it lives and how far it is, and hears what it should know. */
#include "dispatch/auth.h"
#include "dispatch/held.h"
#include "dispatch/input.h"
#include "dispatch/job_json.h"
#include "dispatch/lease.h"
#include "dispatch/output.h"
#include "dispatch/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_EVERY_MS 1000 /* a job's progress is stored at most so often; events go out each time */

struct extend {
    struct ask ask;
    const char *message;
    int64_t id;
    double progress; /* < 0: not said */
    char *token, *worker, *text, *checkpoint_key;
    int refresh, is_heartbeat;
    struct json_object *data;
};

static void drop(struct ask *a)
{
    struct extend *x = (struct extend *)a;
    free(x->token);
    free(x->worker);
    free(x->text);
    free(x->checkpoint_key);
    json_object_put(x->data);
}

static char *copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

static struct json_object *lease_json(int64_t expires_ms, int cancel, int draining)
{
    char text[TIME_SIZE];
    struct json_object *data = json_object_new_object();
    time_iso(expires_ms, text);
    put_text(data, "lease_expires_at", text);
    put_new(data, "cancel", json_object_new_boolean(cancel != 0));
    put_new(data, "draining", json_object_new_boolean(draining != 0));
    return data;
}

static void publish(struct extend *x, const char *tenant, const char *workflow)
{
    if (x->progress >= 0)
        bus_publish(x->ask.d->bus, EVENT_JOB_PROGRESS, x->id, tenant ? tenant : "", workflow ? workflow : "",
                    x->progress, x->text ? x->text : "");
}

static void urls_signed(const struct bp_err *err, void *arg)
{
    struct extend *x = arg;
    struct json_object *data = x->data;
    x->ask.on_loop = 1;
    if (err->rc != BP_OK) {
        ask_fail(&x->ask, err);
        return;
    }
    x->data = NULL;
    ask_ok(&x->ask, x->message, data);
}

/* What later calls are answered from without asking the store. */
static void remember(struct extend *x, const struct bp_op_extend *e)
{
    struct held *h = held_match(x->ask.d, x->id, x->token, x->worker);
    if (!h && e->tenant && e->workflow) {
        struct bp_job_row row = {.size = sizeof row,
                                 .id = x->id,
                                 .lease_expires_ms = e->lease_expires_ms,
                                 .tenant = e->tenant,
                                 .workflow = e->workflow,
                                 .output_key = e->output_key,
                                 .worker = x->worker,
                                 .lease_token = x->token};
        h = held_put(x->ask.d, &row);
    }
    if (!h)
        return;
    h->expires_ms = e->lease_expires_ms;
    h->cancel = e->cancel_requested;
    h->draining = e->worker_draining;
    if (x->progress >= 0)
        h->written_mono_ms = mono_ms();
}

static void extended(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct extend *x = (struct extend *)a;
    if (err->rc == BP_STALE || err->rc == BP_NOTFOUND) {
        a->d->counters.stale++;
        ask_say(a, BP_NOTFOUND, "Lease not found.");
        return;
    }
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    const struct bp_op_extend *e = &op->u.extend;
    remember(x, e);
    publish(x, e->tenant, e->workflow);
    x->data = lease_json(e->lease_expires_ms, e->cancel_requested, e->worker_draining);
    struct url_set *urls = url_set_new(a->d);
    if (x->refresh)
        lease_fresh_urls(a->d, e, x->data, urls);
    if (url_set_count(urls) > 0) {
        url_set_sign(urls, urls_signed, x);
        return;
    }
    url_set_free(urls);
    struct bp_err ok = {0};
    urls_signed(&ok, x);
}

/* Progress that says nothing the store must know at once is answered from memory, while the lease has time. A heartbeat
 * always asks: a cancel or a drain made at another controller is known to the store alone. */
static int answer_from_memory(struct extend *x)
{
    struct dispatch *d = x->ask.d;
    struct held *h = held_match(d, x->id, x->token, x->worker);
    if (!h || x->is_heartbeat || x->progress < 0 || x->progress >= 1 || x->refresh || x->checkpoint_key)
        return 0;
    if (!h->written_mono_ms || mono_ms() - h->written_mono_ms >= WRITE_EVERY_MS)
        return 0;
    if (h->expires_ms - dispatch_now(d) <= d->set.ttl_ms / 2)
        return 0;
    publish(x, h->tenant, h->lane->slug);
    ask_ok(&x->ask, x->message, lease_json(h->expires_ms, h->cancel, h->draining));
    return 1;
}

static void extend_send(struct extend *x)
{
    struct queue_call *q = queue_call_new(BP_OP_EXTEND, dispatch_now(x->ask.d));
    struct bp_op_extend *e = &queue_call_op(q)->u.extend;
    e->id = x->id;
    e->token = queue_call_str(q, x->token);
    e->worker_id = queue_call_str(q, x->worker);
    e->ttl_ms = x->ask.d->set.ttl_ms;
    e->progress = x->progress;
    e->progress_text = queue_call_str(q, x->text);
    e->checkpoint_key = queue_call_str(q, x->checkpoint_key);
    ask_queue(&x->ask, q, extended);
}

enum { F_ID, F_TOKEN, F_WORKER, F_PROGRESS, F_TEXT, F_CHECKPOINT, F_REFRESH, N_FIELDS };
#define LEASE_RULES                                                                                                    \
    [F_ID] = {"dispatch_id", INPUT_INTEGER, INPUT_REQUIRED, 0, 0},                                                     \
    [F_TOKEN] = {"lease_token", INPUT_TEXT, INPUT_REQUIRED, 0, 64}, [F_WORKER] = {"worker_id", INPUT_TEXT, 0, 0, 255}, \
    [F_TEXT] = {"text", INPUT_TEXT, 0, 0, 255}, [F_CHECKPOINT] = {"checkpoint_key", INPUT_TEXT, 0, 0, 1024},           \
    [F_REFRESH] = {"refresh_urls", INPUT_TRUTH, 0, 0, 0}

static const struct input_rule heartbeat_rules[N_FIELDS] = {
    LEASE_RULES,
    [F_PROGRESS] = {"progress", INPUT_NUMBER, 0, 0, 1},
};
static const struct input_rule progress_rules[N_FIELDS] = {
    LEASE_RULES,
    [F_PROGRESS] = {"progress", INPUT_NUMBER, INPUT_REQUIRED, 0, 1},
};

static void extend_begin(struct extend *x, struct input *in)
{
    const char *key = input_text(in, F_CHECKPOINT, NULL);
    if (key && !checkpoint_key_ok(key, input_integer(in, F_ID, 0)))
        input_wrong(in, "checkpoint_key", "The selected checkpoint key is invalid.");
    if (in->fields) {
        ask_invalid(&x->ask, input_fields(in));
        return;
    }
    x->id = in->value[F_ID].integer;
    x->token = copy(in->value[F_TOKEN].text);
    x->progress = in->value[F_PROGRESS].given ? in->value[F_PROGRESS].number : -1;
    x->text = copy(input_text(in, F_TEXT, NULL));
    x->checkpoint_key = copy(key);
    x->refresh = input_integer(in, F_REFRESH, 0) != 0;
    if (!answer_from_memory(x))
        extend_send(x);
}

static struct extend *extend_new(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct extend *x = ask_new(d, sizeof *x, fn, arg);
    x->ask.drop = drop;
    x->worker = copy(worker_auth_id(c->worker));
    return x;
}

void dispatch_worker_heartbeat(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct extend *x = extend_new(d, c, fn, arg);
    struct input in;
    input_read(&in, heartbeat_rules, N_FIELDS, c->body);
    x->message = "Lease extended";
    x->is_heartbeat = 1;
    extend_begin(x, &in);
    input_close(&in);
}

void dispatch_worker_progress(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct extend *x = extend_new(d, c, fn, arg);
    struct input in;
    input_read(&in, progress_rules, N_FIELDS, c->body);
    x->message = "Progress noted";
    extend_begin(x, &in);
    input_close(&in);
}
