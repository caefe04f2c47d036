/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_notify.c - a message to the operators by hand: does the way to them work? */
#include "admin_priv.h"

#include "log/json.h"
#include <bp/cloud.h>
#include <stdio.h>
#include <stdlib.h>

#define SEND_TIMEOUT_MS 30000

struct notice {
    char subject[101], text[2048];
};

/* On the provider's thread. */
static int run_send(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_notify *t = table;
    const struct notice *n = args;
    return t->send(inst, n->subject, n->text, NULL, err);
}

static void was_sent(void *args, const struct bp_err *err, void *arg)
{
    struct admin_call *c = arg;
    if (err->rc < 0) {
        call_fail(c, err->rc, err->text, NULL);
        return;
    }
    const struct notice *n = args;
    struct json_object *o = json_object_new_object();
    json_put_bool(o, "sent", 1);
    json_put_str(o, "subject", n->subject);
    json_put_str(o, "text", n->text);
    call_ok(c, o);
}

void cmd_notify_test(struct admin_call *c)
{
    struct bp_err err = {0};
    struct notice *n = calloc(1, sizeof *n);
    if (!n) {
        call_fail(c, BP_NOMEM, "no memory for a message", NULL);
        return;
    }
    snprintf(n->subject, sizeof n->subject, "bpd %s: test", config_str(c->app->config, CONFIG_STAGE));
    snprintf(n->text, sizeof n->text, "%s",
             json_str(c->params, "text", "A test, asked for by an operator. Alerts of this bpd come this way."));
    struct request_spec spec = {.service = "notify",
                                .name = "notify.send",
                                .run = run_send,
                                .args = n,
                                .args_free = free,
                                .reply = was_sent,
                                .arg = c,
                                .timeout_ms = SEND_TIMEOUT_MS};
    if (bus_request(c->app->bus, &spec, &err) < 0)
        call_fail(c, err.rc, err.text, NULL);
}
