/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_settings.c - weight, limits and webhook of the setting `tenants`, kept in the store; and what is there. */
#include "dispatch/tenants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_trip {
    struct dispatch *d;
    char tenant[];
};

static void stored(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct store_trip *t = arg;
    struct dispatch *d = t->d;
    if (!d->dead && op && err->rc == BP_OK) {
        tenant_auth_forget(d, t->tenant);
        d->running_limits |= op->u.tenant_put.max_running > 0;
    } else if (!d->dead && (err->rc == BP_INVALID || err->rc == BP_UNSUPPORTED))
        log_error(LOG_DISPATCH, "tenants.%s: the queue does not take its settings: %s", t->tenant, err->text);
    else if (!d->dead) {
        d->tenants_unstored = 1;
        log_warn(LOG_DISPATCH, "tenants.%s: its settings are not in the queue yet: %s; trying again", t->tenant,
                 err->text);
    }
    free(t);
    dispatch_unref(d);
}

static void store_one(struct dispatch *d, const struct dispatch_tenant *to)
{
    struct bp_err err = {0};
    size_t n = strlen(to->name) + 1;
    struct store_trip *t = malloc(sizeof *t + n);
    if (!t)
        return;
    t->d = d;
    memcpy(t->tenant, to->name, n);
    dispatch_ref(d);
    if (queue_call_send(d->bus, tenant_put_call(d, to), QUEUE_TIMEOUT_MS, stored, t, &err) == BP_OK)
        return;
    stored(NULL, &err, t);
}

static int32_t number(struct json_object *o, const char *key)
{
    int64_t v = json_int(o, key, -1);
    return v < -1 || v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

void tenant_settings_store(struct dispatch *d)
{
    struct json_object *map = config_map(d->config, CONFIG_TENANTS);
    d->tenants_unstored = 0;
    if (!map)
        return;
    struct json_object_iterator it = json_object_iter_begin(map), end = json_object_iter_end(map);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        struct json_object *o = json_object_iter_peek_value(&it);
        struct dispatch_tenant t = {.name = json_object_iter_peek_name(&it),
                                    .weight = number(o, "weight"),
                                    .max_pending = number(o, "maxPending"),
                                    .max_running = number(o, "maxRunning"),
                                    .disabled = -1,
                                    .webhook = json_str(o, "webhook", NULL)};
        if (t.weight >= 0 || t.max_pending >= 0 || t.max_running >= 0 || t.webhook)
            store_one(d, &t);
    }
}

void tenant_settings_again(struct dispatch *d)
{
    if (d->tenants_unstored)
        tenant_settings_store(d);
}

static void limits_listed(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    uint32_t n = op && err->rc == BP_OK && !d->dead ? op->u.tenant_list.count : 0;
    for (uint32_t i = 0; i < n; i++)
        d->running_limits |= op->u.tenant_list.tenants[i].max_running > 0;
    dispatch_unref(d);
}

void tenant_limits_look(struct dispatch *d)
{
    struct bp_err err = {0};
    dispatch_ref(d);
    if (queue_call_send(d->bus, queue_call_new(BP_OP_TENANT_LIST, dispatch_now(d)), QUEUE_TIMEOUT_MS, limits_listed, d,
                        &err) != BP_OK)
        dispatch_unref(d);
}
