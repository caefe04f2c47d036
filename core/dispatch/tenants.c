/* SPDX-License-Identifier: Apache-2.0 */
/* tenants.c - tenants and their tokens as operators keep them in the store. */
#include "dispatch/tenants.h"

#include "dispatch/job_json.h"
#include "dispatch/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 200 /* it is a segment of object keys */
#define URL_MAX_BYTES  2048
#define LABEL_MAX      255

struct tenant_ask {
    struct ask ask;
    struct dispatch_tenant to; /* its texts are ours */
    int how;
    char name[NAME_MAX_BYTES + 1], who[300];
    char *webhook;
    char token[TOKEN_SIZE];
    const char *said;
};

static void drop(struct ask *a)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    free(t->webhook);
    memset(t->token, 0, sizeof t->token);
}

/* An ask about a tenant; NULL when the name cannot be one: then it is answered. */
static struct tenant_ask *tenant_ask_new(struct dispatch *d, const char *name, const char *who, dispatch_reply fn,
                                         void *arg)
{
    struct tenant_ask *t = ask_new(d, sizeof *t, fn, arg);
    t->ask.drop = drop;
    snprintf(t->who, sizeof t->who, "%s", who ? who : "operator");
    if (strlen(name) > NAME_MAX_BYTES || !key_segment_ok(name, strlen(name))) {
        ask_say(&t->ask, BP_INVALID,
                "A tenant's name has 1 to 200 bytes, no slash or control character, and is not \".\" or \"..\".");
        return NULL;
    }
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static void refuse(struct tenant_ask *t, const struct bp_err *err)
{
    char text[320];
    if (err->rc == BP_UNSUPPORTED) {
        ask_say(&t->ask, BP_UNSUPPORTED, "This queue plugin keeps no tenants; name them in the setting tenants.");
        return;
    }
    if (err->rc != BP_NOTFOUND) {
        ask_fail(&t->ask, err);
        return;
    }
    snprintf(text, sizeof text, "There is no tenant %s; bpctl tenant add makes one.", t->name);
    text_repair(text);
    ask_say(&t->ask, BP_NOTFOUND, text);
}

/* ---- list ---- */

static struct json_object *tenant_json(const struct bp_tenant_row *t)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "tenant", t->name);
    put_int(o, "weight", t->weight);
    put_int(o, "max_pending", t->max_pending);
    put_int(o, "max_running", t->max_running);
    put_new(o, "disabled", json_object_new_boolean(t->disabled != 0));
    put_text(o, "webhook", t->webhook_url);
    put_int(o, "webhook_version", t->webhook_version);
    put_text(o, "pool", t->pool);
    put_int(o, "scheduled", t->scheduled);
    put_int(o, "queued", t->queued);
    put_int(o, "leased", t->leased);
    put_time(o, "created_at", t->created_ms);
    return o;
}

static void listed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    if (err->rc != BP_OK) {
        refuse((struct tenant_ask *)a, err);
        return;
    }
    const struct bp_op_tenant_list *l = &op->u.tenant_list;
    struct json_object *data = json_object_new_object(), *list = json_object_new_array_ext((int)l->count + 1);
    for (uint32_t i = 0; i < l->count; i++)
        json_object_array_add(list, tenant_json(&l->tenants[i]));
    put_new(data, "tenants", list);
    ask_ok(a, NULL, data);
}

/* One tenant, with what was said about it. */
static void shown(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    if (err->rc != BP_OK)
        refuse(t, err);
    else if (op->u.tenant_list.count == 0)
        refuse(t, &(struct bp_err){.rc = BP_NOTFOUND});
    else
        ask_ok(a, t->said, tenant_json(&op->u.tenant_list.tenants[0]));
}

static void ask_list(struct tenant_ask *t, const char *name, ask_step step)
{
    struct queue_call *q = queue_call_new(BP_OP_TENANT_LIST, dispatch_now(t->ask.d));
    queue_call_op(q)->u.tenant_list.name = queue_call_str(q, name);
    ask_queue(&t->ask, q, step);
}

void dispatch_tenant_list(struct dispatch *d, dispatch_reply fn, void *arg)
{
    ask_list(tenant_ask_new(d, "all", NULL, fn, arg), NULL, listed);
}

void dispatch_tenant_show(struct dispatch *d, const char *name, dispatch_reply fn, void *arg)
{
    struct tenant_ask *t = tenant_ask_new(d, name, NULL, fn, arg);
    if (t)
        ask_list(t, t->name, shown);
}

/* ---- add and set ---- */

static int url_ok(const char *url)
{
    size_t n = strlen(url);
    if (n == 0) /* removes it */
        return 1;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] == 127)
            return 0;
    }
    return n <= URL_MAX_BYTES &&
           ((strncmp(url, "https://", 8) == 0 && n > 8) || (strncmp(url, "http://", 7) == 0 && n > 7));
}

/* What is wrong with these settings of a tenant, in a sentence; NULL: nothing. */
static const char *tenant_wrong(const struct dispatch_tenant *t)
{
    if (t->weight != -1 && (t->weight < 1 || t->weight > 1000))
        return "The weight must be 1 to 1000.";
    if (t->max_pending < -1 || t->max_running < -1)
        return "The most pending and running jobs must be 0 (unlimited) or more.";
    if (t->webhook && !url_ok(t->webhook))
        return "The webhook must be an http or https URL of at most 2048 bytes, or empty for none.";
    return NULL;
}

struct queue_call *tenant_put_call(struct dispatch *d, const struct dispatch_tenant *t)
{
    struct queue_call *q = queue_call_new(BP_OP_TENANT_PUT, dispatch_now(d));
    struct bp_op_tenant_put *put = &queue_call_op(q)->u.tenant_put;
    put->name = queue_call_str(q, t->name);
    put->weight = t->weight;
    put->max_pending = t->max_pending;
    put->max_running = t->max_running;
    put->disabled = t->disabled;
    put->webhook_version = -1;
    put->webhook_url = queue_call_str(q, t->webhook);
    return q;
}

static const char *what_of(const struct tenant_ask *t)
{
    if (t->how == TENANT_ADD)
        return "added";
    return t->to.disabled == 1 ? "disabled" : t->to.disabled == 0 ? "enabled" : "changed";
}

static void put(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    (void)op;
    if (err->rc != BP_OK) {
        refuse(t, err);
        return;
    }
    tenant_auth_forget(a->d, t->name);
    a->d->running_limits |= t->to.max_running > 0;
    bus_publish(a->d->bus, EVENT_TENANT_CHANGED, t->name, what_of(t), t->who);
    ask_list(t, t->name, shown);
}

/* What is there decides whether it may be added or changed. */
static void looked_up(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    int there = err->rc == BP_OK && op->u.tenant_list.count > 0;
    if (err->rc != BP_OK && err->rc != BP_NOTFOUND) {
        refuse(t, err);
    } else if (there && t->how == TENANT_ADD) {
        ask_say(a, BP_CONFLICT, "The tenant is there already; bpctl tenant set changes it.");
    } else if (!there && t->how == TENANT_SET) {
        refuse(t, &(struct bp_err){.rc = BP_NOTFOUND});
    } else {
        ask_queue(a, tenant_put_call(a->d, &t->to), put);
    }
}

void dispatch_tenant_put(struct dispatch *d, const struct dispatch_tenant *to, int how, const char *who,
                         dispatch_reply fn, void *arg)
{
    struct tenant_ask *t = tenant_ask_new(d, to->name, who, fn, arg);
    const char *wrong = t ? tenant_wrong(to) : NULL;
    if (!t)
        return;
    if (wrong) {
        ask_say(&t->ask, BP_INVALID, wrong);
        return;
    }
    t->how = how;
    t->to = *to;
    t->to.name = t->name;
    t->webhook = to->webhook ? strdup(to->webhook) : NULL;
    t->to.webhook = t->webhook;
    t->said = how == TENANT_ADD ? "Tenant added; bpctl tenant token add gives it a token" : "Tenant changed";
    ask_list(t, t->name, looked_up);
}

/* ---- tokens ---- */

static void token_stored(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    if (err->rc != BP_OK) {
        refuse(t, err);
        return;
    }
    const struct bp_op_token_put *p = &op->u.token_put;
    struct json_object *data = json_object_new_object();
    put_text(data, "tenant", t->name);
    put_int(data, "id", p->id);
    put_text(data, "token", t->token);
    put_text(data, "label", p->label);
    put_time(data, "expires_at", p->expires_ms);
    put_text(data, "note", TOKEN_SHOWN_ONCE);
    bus_publish(a->d->bus, EVENT_TENANT_CHANGED, t->name, "token added", t->who);
    ask_ok(a, TOKEN_SHOWN_ONCE, data);
}

void dispatch_token_add(struct dispatch *d, const struct dispatch_token *token, const char *who, dispatch_reply fn,
                        void *arg)
{
    struct tenant_ask *t = tenant_ask_new(d, token->tenant, who, fn, arg);
    char digest[DIGEST_SIZE];
    if (!t)
        return;
    if (token->days < 0 || token->days > 36500 || (token->label && strlen(token->label) > LABEL_MAX)) {
        ask_say(&t->ask, BP_INVALID, "A token lives 1 to 36500 days (0: for ever); its label has at most 255 bytes.");
        return;
    }
    token_make(t->token);
    digest_make(t->token, strlen(t->token), digest);
    struct queue_call *q = queue_call_new(BP_OP_TOKEN_PUT, dispatch_now(d));
    struct bp_op_token_put *p = &queue_call_op(q)->u.token_put;
    p->tenant = queue_call_str(q, t->name);
    p->token_hash = queue_call_str(q, digest);
    p->label = queue_call_str(q, token->label);
    p->expires_ms = token->days > 0 ? dispatch_now(d) + token->days * 86400000 : 0;
    ask_queue(&t->ask, q, token_stored);
}

static struct json_object *token_json(const struct bp_token_row *k)
{
    struct json_object *o = json_object_new_object();
    put_int(o, "id", k->id);
    put_text(o, "label", k->label);
    put_time(o, "created_at", k->created_ms);
    put_time(o, "last_used_at", k->last_used_ms);
    put_time(o, "expires_at", k->expires_ms);
    return o;
}

static void tokens_listed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    if (err->rc != BP_OK) {
        refuse(t, err);
        return;
    }
    const struct bp_op_token_list *l = &op->u.token_list;
    struct json_object *data = json_object_new_object(), *list = json_object_new_array_ext((int)l->count + 1);
    for (uint32_t i = 0; i < l->count; i++)
        json_object_array_add(list, token_json(&l->tokens[i]));
    put_text(data, "tenant", t->name);
    put_new(data, "tokens", list);
    ask_ok(a, NULL, data);
}

void dispatch_token_list(struct dispatch *d, const char *tenant, dispatch_reply fn, void *arg)
{
    struct tenant_ask *t = tenant_ask_new(d, tenant, NULL, fn, arg);
    if (!t)
        return;
    struct queue_call *q = queue_call_new(BP_OP_TOKEN_LIST, dispatch_now(d));
    queue_call_op(q)->u.token_list.tenant = queue_call_str(q, t->name);
    ask_queue(&t->ask, q, tokens_listed);
}

static void token_removed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct tenant_ask *t = (struct tenant_ask *)a;
    (void)op;
    if (err->rc == BP_NOTFOUND) {
        ask_say(a, BP_NOTFOUND, "The tenant has no such token; bpctl tenant token list shows those it has.");
        return;
    }
    if (err->rc != BP_OK) {
        refuse(t, err);
        return;
    }
    tenant_auth_forget(a->d, t->name);
    bus_publish(a->d->bus, EVENT_TENANT_CHANGED, t->name, "token removed", t->who);
    ask_ok(a, "Token removed; other controllers take it for a few seconds more", NULL);
}

void dispatch_token_remove(struct dispatch *d, const char *tenant, int64_t id, const char *who, dispatch_reply fn,
                           void *arg)
{
    struct tenant_ask *t = tenant_ask_new(d, tenant, who, fn, arg);
    if (!t)
        return;
    struct queue_call *q = queue_call_new(BP_OP_TOKEN_DEL, dispatch_now(d));
    queue_call_op(q)->u.token_del.tenant = queue_call_str(q, t->name);
    queue_call_op(q)->u.token_del.id = id;
    ask_queue(&t->ask, q, token_removed);
}
