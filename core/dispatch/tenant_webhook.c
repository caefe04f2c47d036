/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_webhook.c - the key that a tenant's receiver checks signatures with, as an operator hands it on. */
#include "dispatch/job_json.h"
#include "dispatch/tenants.h"
#include "dispatch/text.h"
#include "dispatch/webhook_sign.h"

#include <stdio.h>
#include <string.h>

struct key_ask {
    struct ask ask;
    int rotate;
    int32_t version;
    char name[256], who[300], url[2049];
};

static void refuse(struct ask *a, const struct bp_err *err)
{
    char text[320];
    if (err->rc == BP_UNSUPPORTED) {
        ask_say(a, BP_UNSUPPORTED, "This queue plugin sends no webhooks.");
    } else if (err->rc == BP_NOTFOUND) {
        snprintf(text, sizeof text, "There is no tenant %.200s; bpctl tenant add makes one.",
                 ((const struct key_ask *)a)->name);
        text_repair(text);
        ask_say(a, BP_NOTFOUND, text);
    } else {
        ask_fail(a, err);
    }
}

static void put_key(struct json_object *o, const char *member, struct key_ask *k, int32_t version)
{
    char key[WEBHOOK_KEY_TEXT_SIZE];
    int there = version >= 1 && dispatch_webhook_key(k->ask.d, k->name, version, key) == BP_OK;
    put_text(o, member, there ? key : NULL);
    explicit_bzero(key, sizeof key);
}

static void answer(struct key_ask *k)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "tenant", k->name);
    put_text(o, "webhook", k->url[0] ? k->url : NULL);
    put_int(o, "version", k->version);
    put_key(o, "key", k, k->version);
    put_key(o, "key_before", k, k->version - 1);
    ask_ok(&k->ask, k->version > 1 ? "Both keys sign until the next rotation" : NULL, o);
}

static void rotated(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct key_ask *k = (struct key_ask *)a;
    if (err->rc != BP_OK) {
        refuse(a, err);
        return;
    }
    k->version = op->u.tenant_put.webhook_version;
    bus_publish(a->d->bus, EVENT_TENANT_CHANGED, k->name, "webhook key rotated", k->who);
    answer(k);
}

static void rotate(struct key_ask *k)
{
    struct dispatch_tenant same = {k->name, -1, -1, -1, -1, NULL};
    struct queue_call *q = tenant_put_call(k->ask.d, &same);
    queue_call_op(q)->u.tenant_put.webhook_version = k->version + 1;
    ask_queue(&k->ask, q, rotated);
}

static void found(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct key_ask *k = (struct key_ask *)a;
    if (err->rc != BP_OK || op->u.tenant_list.count == 0) {
        refuse(a, err->rc != BP_OK ? err : &(struct bp_err){.rc = BP_NOTFOUND});
        return;
    }
    const struct bp_tenant_row *t = &op->u.tenant_list.tenants[0];
    k->version = t->webhook_version;
    snprintf(k->url, sizeof k->url, "%s", t->webhook_url ? t->webhook_url : "");
    if (k->rotate)
        rotate(k);
    else
        answer(k);
}

void dispatch_tenant_webhook(struct dispatch *d, const struct dispatch_webhook_ask *what, dispatch_reply fn, void *arg)
{
    char key[WEBHOOK_KEY_TEXT_SIZE];
    struct key_ask *k = ask_new(d, sizeof *k, fn, arg);
    k->rotate = what->rotate;
    snprintf(k->name, sizeof k->name, "%s", what->tenant);
    snprintf(k->who, sizeof k->who, "%s", what->who);
    if (dispatch_webhook_key(d, k->name, 1, key) != BP_OK) {
        ask_say(&k->ask, BP_CONFLICT, "No webhooks are sent: set webhooks.secret first.");
        return;
    }
    explicit_bzero(key, sizeof key);
    struct queue_call *q = queue_call_new(BP_OP_TENANT_LIST, dispatch_now(d));
    queue_call_op(q)->u.tenant_list.name = queue_call_str(q, k->name);
    ask_queue(&k->ask, q, found);
}
