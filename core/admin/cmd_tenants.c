/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_tenants.c - commands about tenants and their tokens, and workers made by hand. */
#include "admin_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

static const char *name_of(struct admin_call *c)
{
    return json_str(c->params, "tenant", "");
}

void cmd_tenants(struct admin_call *c)
{
    dispatch_tenant_list(c->app->dispatch, call_answer, c);
}

void cmd_tenant_show(struct admin_call *c)
{
    dispatch_tenant_show(c->app->dispatch, name_of(c), call_answer, c);
}

/* A number option; -1 when it is not given. What is too large for the engine is told by it. */
static int32_t number(struct admin_call *c, const char *key)
{
    int64_t v = json_int(c->params, key, -1);
    return json_member(c->params, key) && (v < 0 || v > INT32_MAX) ? -2 : (int32_t)v;
}

static void put_tenant(struct admin_call *c, int how, int32_t disabled)
{
    struct dispatch_tenant t = {.name = name_of(c),
                                .weight = number(c, "weight"),
                                .max_pending = number(c, "max-pending"),
                                .max_running = number(c, "max-running"),
                                .disabled = disabled,
                                .webhook = json_str(c->params, "webhook", NULL)};
    dispatch_tenant_put(c->app->dispatch, &t, how, c->who, call_answer, c);
}

void cmd_tenant_add(struct admin_call *c)
{
    put_tenant(c, TENANT_ADD, -1);
}

void cmd_tenant_set(struct admin_call *c)
{
    if (json_object_object_length(c->params) > 1)
        put_tenant(c, TENANT_SET, -1);
    else
        call_fail(c, BP_INVALID, "tenant set: give --weight, --max-pending, --max-running or --webhook", NULL);
}

void cmd_tenant_disable(struct admin_call *c)
{
    put_tenant(c, TENANT_SET, 1);
}

void cmd_tenant_enable(struct admin_call *c)
{
    put_tenant(c, TENANT_SET, 0);
}

void cmd_tenant_webhook(struct admin_call *c)
{
    struct dispatch_webhook_ask what = {name_of(c), c->who, json_truth(c->params, "rotate", 0)};
    dispatch_tenant_webhook(c->app->dispatch, &what, call_answer, c);
}

void cmd_token_add(struct admin_call *c)
{
    struct dispatch_token t = {name_of(c), json_str(c->params, "label", NULL), json_int(c->params, "days", 0)};
    dispatch_token_add(c->app->dispatch, &t, c->who, call_answer, c);
}

void cmd_token_list(struct admin_call *c)
{
    dispatch_token_list(c->app->dispatch, name_of(c), call_answer, c);
}

void cmd_token_remove(struct admin_call *c)
{
    dispatch_token_remove(c->app->dispatch, name_of(c), json_int(c->params, "id", 0), c->who, call_answer, c);
}

/* ---- workers made by hand ---- */

/* "a,b" as a list. */
static struct json_object *split(const char *words)
{
    struct json_object *list = json_object_new_array();
    while (*words) {
        size_t n = strcspn(words, ",");
        json_object_array_add(list, json_object_new_string_len(words, (int)n));
        words += n + (words[n] == ',');
    }
    return list;
}

void cmd_worker_add(struct admin_call *c)
{
    int64_t most = json_int(c->params, "concurrency", 1);
    struct json_object *workflows = split(json_str(c->params, "workflows", ""));
    struct dispatch_worker w = {.worker_id = json_str(c->params, "worker", ""),
                                .display_name = json_str(c->params, "name", NULL),
                                .workflows = workflows,
                                .max_concurrency = most > 1000000 || most < 1 ? 0 : (int32_t)most};
    dispatch_worker_add(c->app->dispatch, &w, c->who, call_answer, c);
    json_object_put(workflows);
}
