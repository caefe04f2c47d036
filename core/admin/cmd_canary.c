/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_canary.c - commands about new versions that are tried on real jobs. */
#include "admin_priv.h"

#include "dispatch/dispatch.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cmd_canaries(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", NULL);
    char text[200];
    struct json_object *one = slug ? dispatch_canary(c->app->dispatch, slug) : NULL;
    if (!slug) {
        call_ok(c, dispatch_canaries(c->app->dispatch));
    } else if (one) {
        struct json_object *list = json_object_new_array();
        json_object_object_del(one, "trials");
        json_object_array_add(list, one);
        call_ok(c, list);
    } else {
        snprintf(text, sizeof text, "no version of %.64s was ever tried here", slug);
        call_fail(c, BP_NOTFOUND, text, NULL);
    }
}

static void show(struct admin_call *c, const char *slug)
{
    char text[300];
    struct json_object *o = dispatch_canary(c->app->dispatch, slug);
    if (o) {
        call_ok(c, o);
        return;
    }
    if (!host_workflow(c->app->host, slug)) {
        unknown_workflow(c, slug);
        return;
    }
    snprintf(text, sizeof text,
             "no version of %.64s was ever tried here; begin with: plugin canary %.64s 10%% --file FILE", slug, slug);
    call_fail(c, BP_NOTFOUND, text, NULL);
}

static void started(const struct bp_err *err, void *arg)
{
    struct admin_call *c = arg;
    if (err->rc == BP_OK)
        show(c, json_str(c->params, "workflow", ""));
    else
        call_fail(c, err->rc, err->text, NULL);
}

static void start(struct admin_call *c, const char *slug, double percent)
{
    struct bp_err err = {0};
    int changes = dispatch_canary_runs(c->app->dispatch, slug) && !json_str(c->params, "file", NULL);
    struct canary_wish w = {.slug = slug,
                            .who = c->who,
                            .file = json_str(c->params, "file", NULL),
                            .percent = percent,
                            .jobs = json_int(c->params, "jobs", 0)};
    if (!changes) {
        dispatch_canary_start(c->app->dispatch, &w, started, c);
        return;
    }
    dispatch_canary_share(c->app->dispatch, slug, percent, &err);
    started(&err, c);
}

/* Whoever may read sees how it does; to change anything takes more. */
void cmd_canary(struct admin_call *c)
{
    char *end;
    struct bp_err err = {0};
    const char *slug = json_str(c->params, "workflow", ""), *what = json_str(c->params, "what", NULL);
    double percent = what ? strtod(what, &end) : 0;
    if (!what) {
        show(c, slug);
        return;
    }
    if (!c->conn->may_write) {
        call_fail(c, BP_DENIED, "only root and the daemon's own user may do that", NULL);
        return;
    }
    log_info(LOG_ADMIN, "%s: %s %s", c->who, c->command->name, json_text(c->params));
    if (strcmp(what, "promote") == 0) {
        dispatch_canary_promote(c->app->dispatch, slug, c->who, started, c);
    } else if (strcmp(what, "abort") == 0) {
        dispatch_canary_abort(c->app->dispatch, slug, c->who, &err);
        started(&err, c);
    } else if (end != what && strcmp(end, "%") == 0) {
        start(c, slug, percent);
    } else {
        call_fail(c, BP_INVALID, "plugin canary: after the workflow comes a share like 10%, promote or abort", NULL);
    }
}
