/* SPDX-License-Identifier: Apache-2.0 */
/* operators.c - workers as operators see and change them. */
#include "dispatch/auth.h"
#include "dispatch/held.h"
#include "dispatch/job_json.h"
#include "dispatch/poll.h"
#include "dispatch/text.h"
#include "policy/fault.h"

#include <stdio.h>
#include <string.h>

/* What keeps a worker from jobs: its device, else the assets of some workflow. NULL: nothing. */
static const char *fault_of(const struct bp_worker_row *w, char out[FAULT_BYTES + 200])
{
    if (fault_in(w->capabilities, out, FAULT_BYTES))
        return out;
    struct json_object *lacks = lacks_in(w->capabilities);
    if (!lacks)
        return NULL;
    struct json_object_iterator it = json_object_iter_begin(lacks);
    snprintf(out, FAULT_BYTES + 200, "no job of %.128s: %s", json_object_iter_peek_name(&it),
             json_object_get_string(json_object_iter_peek_value(&it)));
    json_object_put(lacks);
    return out;
}

static struct json_object *worker_json(const struct bp_worker_row *w)
{
    struct json_object *o = json_object_new_object();
    char fault[FAULT_BYTES + 200];
    put_text(o, "worker_id", w->worker_id);
    put_text(o, "display_name", w->display_name);
    put_new(o, "approved", json_object_new_boolean(w->approved != 0));
    put_new(o, "draining", json_object_new_boolean(w->draining != 0));
    put_int(o, "max_concurrency", w->max_concurrency);
    put_int(o, "live_leases", w->live_leases);
    put_new(o, "workflows", list_of(w->workflows));
    put_text(o, "fleet", w->fleet);
    put_text(o, "stage", w->stage);
    put_new(o, "capabilities", w->capabilities ? json_parse(w->capabilities, strlen(w->capabilities), NULL) : NULL);
    put_text(o, "fault", fault_of(w, fault));
    put_text(o, "capacity_type", w->capacity_type);
    put_text(o, "instance_type", w->instance_type);
    put_text(o, "source", w->source);
    put_text(o, "last_ip", w->last_ip);
    put_time(o, "registered_at", w->registered_ms);
    put_time(o, "last_seen_at", w->last_seen_ms);
    put_int(o, "last_seen_ms", w->last_seen_ms);
    return o;
}

static void listed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    const struct bp_op_worker_list *l = &op->u.worker_list;
    struct json_object *data = json_object_new_object(), *list = json_object_new_array_ext((int)l->count + 1);
    for (uint32_t i = 0; i < l->count; i++)
        json_object_array_add(list, worker_json(&l->workers[i]));
    put_new(data, "workers", list);
    ask_ok(a, NULL, data);
}

void dispatch_worker_list(struct dispatch *d, dispatch_reply fn, void *arg)
{
    struct ask *a = ask_new(d, sizeof *a, fn, arg);
    ask_queue(a, queue_call_new(BP_OP_WORKER_LIST, dispatch_now(d)), listed);
}

/* ---- change ---- */

/* What an operator may do to a worker: members of BP_OP_WORKER_SET, -1 stays. */
static const struct change {
    const char *what, *said;
    int32_t approved, draining;
} changes[] = {
    {"approve", "Worker approved", 1, -1},  {"revoke", "Worker revoked; its token is no longer accepted", 0, -1},
    {"drain", "Worker is draining", -1, 1}, {"undrain", "Worker takes jobs again", -1, 0},
    {"remove", "Worker removed", -1, -1},   {"rotate-token", TOKEN_SHOWN_ONCE, -1, -1},
};

struct change_ask {
    struct ask ask;
    const struct change *change;
    char worker_id[1024], who[300];
    char token[TOKEN_SIZE]; /* of rotate-token, else "" */
};

static struct json_object *token_json(const char *worker_id, const char *token)
{
    struct json_object *data = json_object_new_object();
    put_text(data, "worker_id", worker_id);
    put_text(data, "token", token);
    put_text(data, "note", TOKEN_SHOWN_ONCE);
    return data;
}

static void changed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct change_ask *c = (struct change_ask *)a;
    struct dispatch *d = a->d;
    if (err->rc == BP_NOTFOUND) {
        ask_say(a, BP_NOTFOUND, "Worker not found.");
        return;
    }
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    int removed = op->kind == BP_OP_WORKER_DEL;
    auth_forget(d, c->worker_id);
    if (removed)
        bus_publish(d->bus, EVENT_WORKER_GONE, c->worker_id, "removed by an operator",
                    (int64_t)op->u.worker_del.released);
    else
        bus_publish(d->bus, EVENT_WORKER_CHANGED, c->worker_id, c->change->what, c->who);
    if (removed || c->change->approved == 0) { /* its leases are the queue's again */
        held_release_worker(d, c->worker_id, removed ? "its worker was removed" : "its worker was revoked");
        polls_probe(d);
    }
    if (c->change->draining >= 0)
        held_drain_worker(d, c->worker_id, c->change->draining);
    if (c->change->draining != 0 && c->change->approved != 1)
        polls_dismiss(d, c->worker_id, c->change->draining == 1 ? "Worker draining" : "No jobs available");
    ask_ok(a, c->change->said, c->token[0] ? token_json(c->worker_id, c->token) : NULL);
}

static void fill_token(struct queue_call *q, struct bp_op_worker_set *set, char token[TOKEN_SIZE])
{
    char digest[DIGEST_SIZE];
    token_make(token);
    digest_make(token, strlen(token), digest);
    set->token_hash = queue_call_str(q, digest);
}

static struct queue_call *change_call(struct change_ask *c)
{
    int32_t kind = strcmp(c->change->what, "remove") == 0 ? BP_OP_WORKER_DEL : BP_OP_WORKER_SET;
    struct queue_call *q = queue_call_new(kind, dispatch_now(c->ask.d));
    if (kind == BP_OP_WORKER_DEL) {
        struct bp_op_worker_del *del = &queue_call_op(q)->u.worker_del;
        del->worker_id = queue_call_str(q, c->worker_id);
        del->who = queue_call_str(q, c->who);
        del->why = "removed by an operator";
        return q;
    }
    struct bp_op_worker_set *set = &queue_call_op(q)->u.worker_set;
    set->worker_id = queue_call_str(q, c->worker_id);
    set->approved = c->change->approved;
    set->draining = c->change->draining;
    set->max_concurrency = -1;
    set->who = queue_call_str(q, c->who);
    set->why = queue_call_str(q, c->change->what);
    if (strcmp(c->change->what, "rotate-token") == 0)
        fill_token(q, set, c->token);
    return q;
}

void dispatch_worker_change(struct dispatch *d, const char *worker_id, const char *what, const char *who,
                            dispatch_reply fn, void *arg)
{
    struct change_ask *c = ask_new(d, sizeof *c, fn, arg);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (strcmp(changes[i].what, what) == 0)
            c->change = &changes[i];
    }
    if (!c->change) {
        ask_say(&c->ask, BP_INVALID,
                "What to do with a worker is one of approve, revoke, drain, undrain, remove, "
                "rotate-token.");
        return;
    }
    snprintf(c->worker_id, sizeof c->worker_id, "%s", worker_id);
    snprintf(c->who, sizeof c->who, "%s", who ? who : "operator");
    ask_queue(&c->ask, change_call(c), changed);
}
