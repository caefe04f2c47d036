/* SPDX-License-Identifier: Apache-2.0 */
/* worker_add.c - a worker made by an operator: it has a token from the start and never registers. */
#include "dispatch/engine.h"

#include "dispatch/job_json.h"
#include "dispatch/text.h"

#include <stdio.h>
#include <string.h>

struct add_ask {
    struct ask ask;
    char worker_id[256], display_name[256], who[300], token[TOKEN_SIZE];
    int32_t max_concurrency;
    struct json_object *workflows;
};

static void drop(struct ask *a)
{
    struct add_ask *w = (struct add_ask *)a;
    json_object_put(w->workflows);
    memset(w->token, 0, sizeof w->token);
}

static void added(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct add_ask *w = (struct add_ask *)a;
    (void)op;
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    struct json_object *data = json_object_new_object();
    put_text(data, "worker_id", w->worker_id);
    put_text(data, "token", w->token);
    put_new(data, "workflows", json_object_get(w->workflows));
    put_text(data, "note", TOKEN_SHOWN_ONCE);
    bus_publish(a->d->bus, EVENT_WORKER_CHANGED, w->worker_id, "add", w->who);
    ask_ok(a, TOKEN_SHOWN_ONCE, data);
}

static struct bp_worker_row *row_of(struct add_ask *w, struct queue_call *q)
{
    struct bp_worker_row *row = queue_call_mem(q, sizeof *row);
    char digest[DIGEST_SIZE];
    token_make(w->token);
    digest_make(w->token, strlen(w->token), digest);
    row->size = sizeof *row;
    row->approved = 1;
    row->max_concurrency = w->max_concurrency;
    row->registered_ms = row->last_seen_ms = dispatch_now(w->ask.d);
    row->worker_id = queue_call_str(q, w->worker_id);
    row->display_name = queue_call_str(q, w->display_name);
    row->token_hash = queue_call_str(q, digest);
    row->workflows = queue_call_str(q, json_text(w->workflows));
    row->stage = queue_call_str(q, w->ask.d->set.stage);
    row->source = "admin";
    return row;
}

/* A put would replace a worker of this id, and take its leases: an operator says so with rotate-token or remove. */
static void listed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct add_ask *w = (struct add_ask *)a;
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    const struct bp_op_worker_list *l = &op->u.worker_list;
    for (uint32_t i = 0; i < l->count; i++) {
        if (strcmp(l->workers[i].worker_id, w->worker_id) == 0) {
            ask_say(a, BP_CONFLICT, "The worker is there already; bpctl worker rotate-token gives it a new token.");
            return;
        }
    }
    struct queue_call *q = queue_call_new(BP_OP_WORKER_PUT, dispatch_now(a->d));
    queue_call_op(q)->u.worker_put.worker = row_of(w, q);
    ask_queue(a, q, added);
}

/* The first slug that names no workflow, or NULL. "" when it is no text. */
static const char *unknown_slug(struct dispatch *d, struct json_object *list)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *slug = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
        if (!*slug || !host_workflow(d->host, slug))
            return slug;
    }
    return NULL;
}

static int wrong(struct add_ask *w, const struct dispatch_worker *from)
{
    char text[320];
    const char *slug = unknown_slug(w->ask.d, from->workflows), *near;
    size_t n = strlen(from->worker_id);
    if (n == 0 || n >= sizeof w->worker_id) {
        ask_say(&w->ask, BP_INVALID, "A worker's id has 1 to 255 bytes.");
    } else if (from->max_concurrency < 1 || from->max_concurrency > 1000000) {
        ask_say(&w->ask, BP_INVALID, "A worker runs 1 to 1000000 jobs at once.");
    } else if (json_object_array_length(from->workflows) == 0) {
        ask_say(&w->ask, BP_INVALID, "A worker needs at least one workflow.");
    } else if (slug) {
        near = host_nearest_workflow(w->ask.d->host, slug);
        snprintf(text, sizeof text, "There is no workflow %.120s%s%s%s", slug, near ? "; did you mean " : ".",
                 near ? near : "", near ? "?" : "");
        text_repair(text);
        ask_say(&w->ask, BP_NOTFOUND, text);
    } else {
        return 0;
    }
    return 1;
}

void dispatch_worker_add(struct dispatch *d, const struct dispatch_worker *from, const char *who, dispatch_reply fn,
                         void *arg)
{
    struct add_ask *w = ask_new(d, sizeof *w, fn, arg);
    w->ask.drop = drop;
    if (wrong(w, from))
        return;
    snprintf(w->worker_id, sizeof w->worker_id, "%s", from->worker_id);
    snprintf(w->display_name, sizeof w->display_name, "%s", from->display_name ? from->display_name : from->worker_id);
    text_repair(w->display_name);
    snprintf(w->who, sizeof w->who, "%s", who ? who : "operator");
    w->max_concurrency = from->max_concurrency;
    w->workflows = json_object_get(from->workflows);
    ask_queue(&w->ask, queue_call_new(BP_OP_WORKER_LIST, dispatch_now(d)), listed);
}
