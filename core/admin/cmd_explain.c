/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_explain.c - commands that say why. */
#include "admin_priv.h"

#include "explain/explain.h"
#include "log/json.h"

static void explained(const struct dispatch_answer *a, void *arg)
{
    struct admin_call *c = arg;
    struct explain_engines e = app_engines(c->app);
    if (a->rc == BP_OK)
        call_ok(c, explain_job(&e, 0, a->data));
    else
        call_answer(a, c);
}

void cmd_explain_job(struct admin_call *c)
{
    dispatch_job_facts(c->app->dispatch, NULL, json_int(c->params, "id", 0), explained, c);
}

void cmd_explain_fleet(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", "");
    struct explain_engines e = app_engines(c->app);
    struct json_object *known = scale_describe(c->app->scale, slug);
    if (json_object_array_length(known) == 0 && !host_workflow(c->app->host, slug))
        unknown_workflow(c, slug);
    else
        call_ok(c, explain_fleet(&e, slug));
    json_object_put(known);
}
