/* SPDX-License-Identifier: Apache-2.0 */
/* assets.c - the files that workflows need (pluginfile/asset.h): URLs for workers to fetch them by, URLs for operators
 * to put them, and whether they are where manifests say. */
#include "dispatch/auth.h"
#include "dispatch/input.h"
#include "dispatch/job_json.h"
#include "dispatch/urls.h"
#include "pluginfile/asset.h"

#include <bp/cloud.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asset_ask {
    struct ask ask;
    struct json_object *data;
};

static void drop(struct ask *a)
{
    json_object_put(((struct asset_ask *)a)->data);
}

static struct asset_ask *asset_ask_new(struct dispatch *d, dispatch_reply fn, void *arg)
{
    struct asset_ask *a = ask_new(d, sizeof *a, fn, arg);
    a->ask.drop = drop;
    return a;
}

static void signed_all(const struct bp_err *err, void *arg)
{
    struct asset_ask *a = arg;
    struct json_object *data = a->data;
    a->ask.on_loop = 1;
    if (err->rc != BP_OK) {
        ask_fail(&a->ask, err);
        return;
    }
    a->data = NULL;
    ask_ok(&a->ask, NULL, data);
}

static struct json_object *asset_json(const struct asset *a)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "name", a->name);
    put_text(o, "object", a->object);
    put_text(o, "sha256", a->sha256);
    put_int(o, "bytes", a->bytes);
    return o;
}

/* ---- for a worker ---- */

enum { W_WORKER, W_WORKFLOW, N_WANTS };
static const struct input_rule wants[N_WANTS] = {
    [W_WORKER] = {"worker_id", INPUT_TEXT, INPUT_REQUIRED, 0, 255},
    [W_WORKFLOW] = {"workflow", INPUT_TEXT, INPUT_REQUIRED, 1, 128},
};

static int serves(const struct worker_auth *w, const char *slug)
{
    for (uint32_t i = 0; i < w->n_workflows; i++) {
        if (strcmp(w->workflows[i], slug) == 0)
            return 1;
    }
    return 0;
}

static void sign_assets(struct asset_ask *a, const struct workflow *flow)
{
    struct json_object *list = json_object_new_array();
    struct url_set *urls = url_set_new(a->ask.d);
    for (uint32_t i = 0; i < assets_count(flow->manifest); i++) {
        struct asset one = asset_at(flow->manifest, i);
        struct json_object *o = asset_json(&one);
        json_object_array_add(list, o);
        url_set_add(urls, &(struct url_want){.method = "GET", .key = one.object, .into = o, .name = "url"});
    }
    a->data = json_object_new_object();
    put_text(a->data, "workflow", flow->slug);
    put_new(a->data, "assets", list);
    url_set_sign(urls, signed_all, a);
}

void dispatch_worker_assets(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct asset_ask *a = asset_ask_new(d, fn, arg);
    struct input in;
    input_read(&in, wants, N_WANTS, c->body);
    const char *slug = input_text(&in, W_WORKFLOW, "");
    const struct workflow *flow = in.fields ? NULL : host_workflow(d->host, slug);
    if (in.fields)
        ask_invalid(&a->ask, input_fields(&in));
    else if (!serves(c->worker, slug))
        ask_say(&a->ask, BP_CONFLICT, "Workflow not served by this worker.");
    else if (!flow)
        ask_say(&a->ask, BP_NOTFOUND, "Workflow not found.");
    else
        sign_assets(a, flow);
    input_close(&in);
}

/* ---- for an operator who puts one ---- */

enum { P_SHA, P_BYTES, N_PUTS };
static const struct input_rule upload_rules[N_PUTS] = {
    [P_SHA] = {"sha256", INPUT_TEXT, INPUT_REQUIRED | INPUT_STRICT, 64, 64},
    [P_BYTES] = {"bytes", INPUT_INTEGER, INPUT_REQUIRED, 1, (double)ASSET_BYTES_MAX},
};

void dispatch_asset_upload(struct dispatch *d, struct json_object *body, dispatch_reply fn, void *arg)
{
    struct asset_ask *a = asset_ask_new(d, fn, arg);
    struct input in;
    char key[128];
    input_read(&in, upload_rules, N_PUTS, body);
    const char *sha = input_text(&in, P_SHA, "");
    if (strspn(sha, "0123456789abcdef") != 64)
        input_wrong(&in, "sha256", "The sha256 field must be 64 digits 0-9a-f.");
    if (in.fields) {
        ask_invalid(&a->ask, input_fields(&in));
    } else {
        struct url_set *urls = url_set_new(d);
        snprintf(key, sizeof key, ASSET_PREFIX "%.64s", sha);
        a->data = json_object_new_object();
        put_text(a->data, "object", key);
        put_new(a->data, "upload_url", NULL);
        url_set_add(urls, &(struct url_want){.method = "PUT",
                                             .key = key,
                                             .max_bytes = input_integer(&in, P_BYTES, 0),
                                             .into = a->data,
                                             .name = "upload_url"});
        url_set_sign(urls, signed_all, a);
    }
    input_close(&in);
}

/* ---- whether they are there ---- */

/* What the actor's thread reads and fills in; texts are ours. */
struct heads {
    uint32_t n;
    struct {
        char *key;
        int rc;
        int64_t bytes;
    } of[ASSETS_MAX];
};

static void heads_free(void *args)
{
    struct heads *h = args;
    for (uint32_t i = 0; i < h->n; i++)
        free(h->of[i].key);
    free(h);
}

/* [actor] */
static int heads_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *objects = table;
    struct heads *h = args;
    if (!BP_HAS(objects, head))
        return err_set(err, BP_UNSUPPORTED, "the objects service cannot tell what is there");
    for (uint32_t i = 0; i < h->n; i++) {
        struct bp_object_info info = {0};
        h->of[i].rc = objects->head(inst, h->of[i].key, &info, err);
        h->of[i].bytes = info.bytes;
        if (h->of[i].rc != BP_OK && h->of[i].rc != BP_NOTFOUND)
            return h->of[i].rc;
    }
    return BP_OK;
}

/* Who of those that polled here cannot have them. */
static void put_lacking(struct asset_ask *a)
{
    const char *worker = NULL, *why = NULL;
    int n = dispatch_lacking(a->ask.d, json_str(a->data, "workflow", ""), &worker, &why);
    put_int(a->data, "workers_lacking", n);
    put_text(a->data, "worker", worker);
    put_text(a->data, "why", why);
}

static void heads_replied(void *args, const struct bp_err *err, void *arg)
{
    struct asset_ask *a = arg;
    struct heads *h = args;
    struct json_object *list = json_member(a->data, "assets");
    a->ask.on_loop = 1;
    if (err->rc != BP_OK) {
        ask_fail(&a->ask, err);
        return;
    }
    for (uint32_t i = 0; i < h->n; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        char state[96] = "there";
        if (h->of[i].rc == BP_NOTFOUND)
            snprintf(state, sizeof state, "missing: bpctl asset put FILE");
        else if (h->of[i].bytes != json_int(one, "bytes", 0))
            snprintf(state, sizeof state, "wrong: the object has %lld bytes", (long long)h->of[i].bytes);
        put_text(one, "state", state);
    }
    put_lacking(a);
    struct json_object *data = a->data;
    a->data = NULL;
    ask_ok(&a->ask, NULL, data);
}

static struct heads *heads_of(const struct workflow *flow, struct json_object *list)
{
    struct heads *h = calloc(1, sizeof *h);
    assert(h);
    h->n = assets_count(flow->manifest);
    for (uint32_t i = 0; i < h->n; i++) {
        struct asset one = asset_at(flow->manifest, i);
        h->of[i].key = strdup(one.object);
        assert(h->of[i].key);
        json_object_array_add(list, asset_json(&one));
    }
    return h;
}

void dispatch_assets_check(struct dispatch *d, const char *slug, dispatch_reply fn, void *arg)
{
    struct asset_ask *a = asset_ask_new(d, fn, arg);
    const struct workflow *flow = host_workflow(d->host, slug);
    struct bp_err err = {0};
    if (!flow) {
        ask_say(&a->ask, BP_NOTFOUND, "Workflow not found.");
        return;
    }
    struct json_object *list = json_object_new_array();
    a->data = json_object_new_object();
    put_text(a->data, "workflow", flow->slug);
    put_new(a->data, "assets", list);
    struct request_spec spec = {.service = "objects",
                                .name = "objects.head",
                                .run = heads_run,
                                .args = heads_of(flow, list),
                                .args_free = heads_free,
                                .reply = heads_replied,
                                .arg = a,
                                .timeout_ms = OBJECTS_TIMEOUT_MS};
    if (bus_request(d->bus, &spec, &err) == BP_OK)
        return;
    send_error(&err, "objects");
    ask_fail(&a->ask, &err);
}
