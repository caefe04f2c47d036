/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_routes.c - what a tenant may ask: uploads, jobs, workflows, effects. */
#include "explain/explain.h"
#include "http/door.h"
#include "log/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void who_of(const struct call *c, char *out, size_t cap)
{
    snprintf(out, cap, "tenant:%s", c->tenant);
}

static struct dispatch *engine(const struct call *c)
{
    return c->http->app->dispatch;
}

void tenant_upload(struct call *c)
{
    dispatch_upload(engine(c), c->tenant, c->body, answer_reply, c);
}

/* 201 for a new job, 200 when it was there before. */
static void submitted(const struct dispatch_answer *a, void *arg)
{
    int existed = json_truth(a->data, "replayed", 0) || json_truth(a->data, "duplicate", 0);

    answer_engine(arg, a, existed ? 200 : 201);
}

/* 201 when all are new, 200 when each has to be looked at. */
static void batch_submitted(const struct dispatch_answer *a, void *arg)
{
    int all_new = json_int(a->data, "existing", 0) + json_int(a->data, "refused", 0) == 0;

    answer_engine(arg, a, all_new ? 201 : 200);
}

void tenant_submit(struct call *c)
{
    char who[300];

    who_of(c, who, sizeof(who));
    if (json_object_object_get_ex(c->body, "jobs", NULL))
        dispatch_submit_batch(engine(c), c->tenant, who, c->body, batch_submitted, c);
    else
        dispatch_submit(engine(c), c->tenant, who, c->body, submitted, c);
}

void tenant_job(struct call *c)
{
    dispatch_job_get(engine(c), c->tenant, c->id, 1, answer_reply, c);
}

static void explained(const struct dispatch_answer *a, void *arg)
{
    struct call *c = arg;
    const struct app *app = c->http ? c->http->app : NULL;
    struct dispatch_answer said = *a;

    if (a->rc != BP_OK || !app) { /* no door: only frees the call */
        answer_engine(c, a, 200);
        return;
    }
    struct explain_engines engines = app_engines(app);
    said.data = explain_job(&engines, 1, a->data);
    answer_engine(c, &said, 200);
    json_object_put(said.data);
}

void tenant_explain(struct call *c)
{
    dispatch_job_facts(engine(c), c->tenant, c->id, explained, c);
}

void tenant_cancel(struct call *c)
{
    char who[300];

    who_of(c, who, sizeof(who));
    dispatch_job_cancel(engine(c), c->tenant, who, c->id, answer_reply, c);
}

void tenant_retry(struct call *c)
{
    char who[300];

    who_of(c, who, sizeof(who));
    dispatch_job_retry(engine(c), c->tenant, who, c->id, answer_reply, c);
}

void tenant_jobs(struct call *c)
{
    char workflow[256] = "", status[32] = "";
    int64_t limit = 50, before = 0;
    struct dispatch_list q = {.tenant = c->tenant};

    if (call_query_number(c, "limit", 1, 1000, &limit) || call_query_number(c, "before_id", 1, INT64_MAX, &before))
        return;
    if (query_get(call_query(c), "workflow", workflow, sizeof(workflow)) > 0)
        q.workflow = workflow;
    if (query_get(call_query(c), "status", status, sizeof(status)) > 0) {
        q.status = job_status_find(status);
        if (q.status == 0) {
            answer_field(c, "status",
                         "The status must be one of scheduled, queued, leased, completed, failed, cancelled.");
            return;
        }
    }
    q.limit = (uint32_t)limit;
    q.before_id = before;
    dispatch_job_list(engine(c), &q, answer_reply, c);
}

static void copy_member(struct json_object *to, struct json_object *from, const char *key)
{
    struct json_object *v = json_member(from, key);

    if (v)
        json_object_object_add(to, key, json_object_get(v));
}

/* What a tenant may know of a workflow: enough to draw its form. */
static void add_workflow(const struct workflow *w, void *arg)
{
    struct json_object *one = json_object_new_object();

    json_put_str(one, "slug", w->slug);
    json_put_str(one, "name", w->display_name);
    json_put_str(one, "version", w->version);
    json_put_bool(one, "draining", w->draining);
    copy_member(one, w->manifest, "summary");
    copy_member(one, w->manifest, "accepts");
    copy_member(one, w->manifest, "produces");
    json_object_object_add(one, "params", w->params ? json_object_get(w->params) : NULL);
    json_object_array_add(arg, one);
}

static void answer_list(struct call *c, const char *name, struct json_object *list)
{
    struct json_object *data = json_object_new_object();

    json_object_object_add(data, name, list);
    answer_ok(c, 200, data, NULL);
    json_object_put(data);
}

void tenant_workflows(struct call *c)
{
    struct json_object *list = json_object_new_array();

    host_each_workflow(c->http->app->host, add_workflow, list);
    answer_list(c, "workflows", list);
}

void tenant_effects(struct call *c)
{
    struct json_object *map = config_map(c->http->app->config, CONFIG_EFFECTS), *list = json_object_new_array();

    if (map) {
        json_object_object_foreach(map, slug, effect)
        {
            struct json_object *one = json_object_new_object();
            json_put_str(one, "slug", slug);
            json_put_str(one, "name", json_str(effect, "name", slug));
            copy_member(one, effect, "workflow");
            copy_member(one, effect, "params");
            json_object_array_add(list, one);
        }
    }
    answer_list(c, "effects", list);
}
