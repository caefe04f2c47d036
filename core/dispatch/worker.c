/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - workers come and go: register (both forms of the field, and with what came later) and deregister. */
#include "dispatch/auth.h"
#include "dispatch/health.h"
#include "dispatch/held.h"
#include "dispatch/input.h"
#include "dispatch/job_json.h"
#include "dispatch/poll.h"
#include "dispatch/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { F_WORKER, F_NAME, F_CAPABILITIES, F_CONCURRENCY, F_FLEET, F_STAGE, F_SLUGS, F_CAPACITY, F_INSTANCE, N_FIELDS };
#define REGISTER_RULES                                                                                                 \
    [F_WORKER] = {"worker_id", INPUT_TEXT, INPUT_REQUIRED, 0, 255},                                                    \
    [F_NAME] = {"display_name", INPUT_TEXT, 0, 0, 255}, [F_CAPABILITIES] = {"capabilities", INPUT_TREE, 0, 0, 0},      \
    [F_CONCURRENCY] = {"max_concurrency", INPUT_INTEGER, 0, 1, 1000000}, [F_STAGE] = {"stage", INPUT_TEXT, 0, 0, 32},  \
    [F_CAPACITY] = {"capacity_type", INPUT_TEXT, 0, 0, 64}, [F_INSTANCE] = {"instance_type", INPUT_TEXT, 0, 0, 64}

/* By fleet; and the older form, by workflow. */
static const struct input_rule fleet_rules[N_FIELDS] = {
    REGISTER_RULES,
    [F_FLEET] = {"fleet_slug", INPUT_TEXT, INPUT_REQUIRED, 0, 128},
    [F_SLUGS] = {"workflow_slugs", INPUT_LIST, 0, 0, 0},
};
static const struct input_rule slugs_rules[N_FIELDS] = {
    REGISTER_RULES,
    [F_FLEET] = {"fleet_slug", INPUT_TEXT, 0, 0, 128},
    [F_SLUGS] = {"workflow_slugs", INPUT_LIST, INPUT_REQUIRED, 0, 0},
};

struct reg {
    struct ask ask;
    char token[TOKEN_SIZE];
    char worker_id[1024], fleet[520], stage[64];
    struct json_object *slugs;
    int by_fleet;
};

static void drop(struct ask *a)
{
    json_object_put(((struct reg *)a)->slugs);
}

/* ---- what it may run ---- */

static int has_slug(struct json_object *list, const char *slug)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), slug) == 0)
            return 1;
    }
    return 0;
}

static void add_serving(struct reg *r, const char *slug)
{
    const struct workflow *w = slug ? host_workflow(r->ask.d->host, slug) : NULL;
    if (w && !w->draining && !has_slug(r->slugs, slug))
        json_object_array_add(r->slugs, json_object_new_string(slug));
}

/* The workflows of a fleet from the config, else the one of the same slug. BP_NOTFOUND: no such fleet. */
static int slugs_of_fleet(struct reg *r)
{
    struct json_object *list = json_member(config_map(r->ask.d->config, CONFIG_FLEETS), r->fleet);
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (!list && !host_workflow(r->ask.d->host, r->fleet))
        return BP_NOTFOUND;
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        add_serving(r, json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL);
    }
    if (!list)
        add_serving(r, r->fleet);
    return BP_OK;
}

static void slugs_of_request(struct reg *r, struct input *in)
{
    struct json_object *list = in->value[F_SLUGS].given ? in->value[F_SLUGS].json : NULL;
    size_t n = list ? json_object_array_length(list) : 0;
    if (list && n == 0)
        input_wrong(in, "workflow_slugs", "The workflow slugs field is required.");
    for (size_t i = 0; i < n && i < 256; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
        char field[48];
        snprintf(field, sizeof field, "workflow_slugs.%zu", i);
        if (!v || (s && !*s))
            input_wrong(in, field, "The %s field is required.", field);
        else if (!s)
            input_wrong(in, field, "The %s field must be a string.", field);
        else if (!host_workflow(r->ask.d->host, s))
            input_wrong(in, field, "The selected %s is invalid.", field);
        else
            add_serving(r, s);
    }
}

/* ---- the answer ---- */

static void registered(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct reg *r = (struct reg *)a;
    struct dispatch *d = a->d;
    if (err->rc == BP_DENIED) {
        ask_say(a, BP_DENIED, "Fleet worker limit reached.");
        return;
    }
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    const struct bp_op_worker_put *put = &op->u.worker_put;
    if (put->replaced) { /* the process that held them is gone */
        auth_forget(d, r->worker_id);
        polls_dismiss(d, r->worker_id, "No jobs available");
        held_release_worker(d, r->worker_id, "its worker registered again");
    }
    bus_publish(d->bus, EVENT_WORKER_REGISTERED, r->worker_id, r->fleet, json_text(r->slugs), (int64_t)put->replaced);
    health_tell(d->bus, r->worker_id, NULL, put->worker->capabilities);
    for (size_t i = 0; put->released > 0 && i < json_object_array_length(r->slugs); i++)
        poll_arrived(d, lane_get(d, json_object_get_string(json_object_array_get_idx(r->slugs, i))),
                     (uint32_t)put->released);
    struct json_object *data = json_object_new_object();
    put_text(data, "worker_id", r->worker_id);
    put_text(data, "token", r->token);
    put_new(data, "workflows_assigned", json_object_get(r->slugs));
    if (r->by_fleet) {
        put_text(data, "fleet_slug", r->fleet);
        put_text(data, "stage", r->stage);
    }
    ask_ok(a, "Worker registered", data);
}

static struct bp_worker_row *row_of(struct reg *r, struct queue_call *q, const struct input *in)
{
    struct bp_worker_row *row = queue_call_mem(q, sizeof *row);
    char digest[DIGEST_SIZE];
    digest_make(r->token, strlen(r->token), digest);
    row->size = sizeof *row;
    row->approved = 1;
    row->max_concurrency = (int32_t)input_integer(in, F_CONCURRENCY, 1);
    row->registered_ms = row->last_seen_ms = dispatch_now(r->ask.d);
    row->worker_id = queue_call_str(q, r->worker_id);
    row->display_name = queue_call_str(q, input_text(in, F_NAME, r->worker_id));
    row->token_hash = queue_call_str(q, digest);
    row->workflows = queue_call_str(q, json_text(r->slugs));
    row->fleet = queue_call_str(q, r->fleet[0] ? r->fleet : NULL);
    row->stage = queue_call_str(q, r->stage);
    if (in->value[F_CAPABILITIES].given)
        row->capabilities = queue_call_str(q, json_text(in->value[F_CAPABILITIES].json));
    row->capacity_type = queue_call_str(q, input_text(in, F_CAPACITY, NULL));
    row->instance_type = queue_call_str(q, input_text(in, F_INSTANCE, NULL));
    row->source = "fleet";
    return row;
}

static void register_send(struct reg *r, const struct input *in, const char *ip)
{
    struct queue_call *q = queue_call_new(BP_OP_WORKER_PUT, dispatch_now(r->ask.d));
    struct bp_op_worker_put *put = &queue_call_op(q)->u.worker_put;
    token_make(r->token);
    struct bp_worker_row *row = row_of(r, q, in);
    row->last_ip = queue_call_str(q, ip);
    put->worker = row;
    put->max_fleet_workers = r->ask.d->set.max_fleet;
    ask_queue(&r->ask, q, registered);
}

/* ---- the checks, in the field's order ---- */

static void check_words(struct input *in)
{
    const char *type = input_text(in, F_CAPACITY, NULL);
    if (type && strcmp(type, "spot") != 0 && strcmp(type, "on-demand") != 0)
        input_wrong(in, "capacity_type", "The selected capacity type is invalid. Allowed: spot, on-demand.");
}

static int stage_ok(const struct reg *r)
{
    return strcmp(r->stage, "staging") == 0 || strcmp(r->stage, "production") == 0 ||
           strcmp(r->stage, r->ask.d->set.stage) == 0;
}

static void register_checked(struct reg *r, const struct input *in, const char *ip)
{
    if (r->by_fleet && !stage_ok(r)) {
        struct json_object *fields = json_object_new_object();
        fields_add(fields, "stage", "Invalid stage. Expected staging or production.");
        ask_invalid(&r->ask, fields);
    } else if (r->by_fleet && slugs_of_fleet(r) == BP_NOTFOUND) {
        ask_say(&r->ask, BP_NOTFOUND, "Fleet not found.");
    } else if (json_object_array_length(r->slugs) == 0) {
        ask_say(&r->ask, BP_INVALID,
                r->by_fleet ? "No active workflows assigned to this fleet."
                            : "No valid active workflows found for provided slugs.");
    } else {
        register_send(r, in, ip);
    }
}

void dispatch_worker_register(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct reg *r = ask_new(d, sizeof *r, fn, arg);
    struct input in;
    r->ask.drop = drop;
    r->slugs = json_object_new_array_ext(1);
    r->by_fleet = !json_member(c->body, "workflow_slugs") || json_member(c->body, "fleet_slug");
    input_read(&in, r->by_fleet ? fleet_rules : slugs_rules, N_FIELDS, c->body);
    check_words(&in);
    if (!r->by_fleet)
        slugs_of_request(r, &in);
    snprintf(r->worker_id, sizeof r->worker_id, "%s", input_text(&in, F_WORKER, ""));
    snprintf(r->fleet, sizeof r->fleet, "%s", r->by_fleet ? input_text(&in, F_FLEET, "") : "");
    snprintf(r->stage, sizeof r->stage, "%s", input_text(&in, F_STAGE, d->set.stage));
    if (in.fields)
        ask_invalid(&r->ask, input_fields(&in));
    else
        register_checked(r, &in, c->ip);
    input_close(&in);
}

/* ---- deregister ---- */

struct leave {
    struct ask ask;
    char worker_id[1024];
};

static void left(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct leave *l = (struct leave *)a;
    if (err->rc != BP_OK && err->rc != BP_NOTFOUND) {
        ask_fail(a, err);
        return;
    }
    int64_t released = err->rc == BP_OK ? op->u.worker_del.released : 0;
    const char *why = err->rc == BP_OK && op->u.worker_del.why ? op->u.worker_del.why : "deregistered";
    auth_forget(a->d, l->worker_id);
    polls_dismiss(a->d, l->worker_id, "No jobs available");
    held_release_worker(a->d, l->worker_id, why);
    bus_publish(a->d->bus, EVENT_WORKER_GONE, l->worker_id, why, released);
    if (released > 0)
        polls_probe(a->d);
    ask_ok(a, "Worker deregistered", NULL);
}

void dispatch_worker_deregister(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct leave *l = ask_new(d, sizeof *l, fn, arg);
    const char *id = worker_auth_id(c->worker);
    struct json_object *reason = json_member(c->body, "reason");
    char who[1100], why[256];
    snprintf(l->worker_id, sizeof l->worker_id, "%s", id);
    snprintf(who, sizeof who, "worker:%s", id);
    snprintf(why, sizeof why, "%s",
             json_object_is_type(reason, json_type_string) ? json_object_get_string(reason) : "deregistered");
    text_repair(why);
    struct queue_call *q = queue_call_new(BP_OP_WORKER_DEL, dispatch_now(d));
    struct bp_op_worker_del *del = &queue_call_op(q)->u.worker_del;
    del->worker_id = queue_call_str(q, id);
    del->who = queue_call_str(q, who);
    del->why = queue_call_str(q, why);
    ask_queue(&l->ask, q, left);
}
