/* SPDX-License-Identifier: Apache-2.0 */
/* payload.c - a leased job as the worker gets it: keys of the field protocol first, ours behind (docs/protocol.md). */
#include "dispatch/effects.h"
#include "dispatch/job_json.h"
#include "dispatch/lease.h"
#include "dispatch/mime.h"
#include "dispatch/text.h"
#include "schema/schema.h"

#include <stdio.h>
#include <string.h>

static void want_get(struct url_set *urls, const char *key, struct json_object *into, const char *name)
{
    url_set_add(urls, &(struct url_want){.method = "GET", .key = key, .into = into, .name = name});
}

static void want_checkpoint(struct url_set *urls, const char *key, struct json_object *into)
{
    url_set_add(urls, &(struct url_want){.method = "PUT", .key = key, .into = into, .name = "checkpoint_upload_url"});
}

static void want_output(struct dispatch *d, struct url_set *urls, const char *key, const char *mime,
                        struct json_object *into)
{
    url_set_add(urls, &(struct url_want){.method = "PUT",
                                         .key = key,
                                         .mime = mime,
                                         .max_bytes = d->set.max_upload,
                                         .into = into,
                                         .name = "output_url"});
}

/* What one job's payload is made from. */
struct payload {
    struct dispatch *d;
    const struct bp_job_row *job;
    const struct workflow *workflow; /* NULL: its plugin is gone */
    const char *produces;            /* MIME type or NULL */
    struct json_object *out, *input, *inputs;
    struct url_set *urls;
};

/* Where an attempt keeps its checkpoint, from its output key; out has room for 1,025 bytes. */
static void lease_checkpoint_key(const char *output_key, char out[1025])
{
    const char *slash = strrchr(output_key, '/');
    int n = slash ? (int)(slash - output_key) + 1 : 0;
    snprintf(out, 1025, "%.*scheckpoint", n < 1000 ? n : 1000, output_key);
}

static struct json_object *file_json(const struct bp_job_row *job, const char *path)
{
    struct json_object *o = json_object_new_object();
    put_int(o, "id", job->id);
    put_text(o, "path", path);
    put_text(o, "disk", "objects");
    return o;
}

/* A member our side adds to input_payload, unless the tenant's params carry one of that name. */
static void put_default(struct json_object *o, const char *key, const char *value)
{
    if (value && !json_object_object_get_ex(o, key, NULL))
        json_object_object_add(o, key, json_object_new_string(value));
}

/* A job that another application put into the store has no params of its own: the effect's, and the defaults, are laid
 * in here, as a submit does. */
static struct json_object *params_of(const struct payload *p)
{
    struct json_object *params = object_of(p->job->params);
    if (json_object_object_length(params) > 0)
        return params;
    struct json_object *fields = json_object_new_object();
    json_object_put(params);
    params = effect_merge(p->job->effect ? effect_find(p->d, p->job->effect) : NULL, NULL, fields);
    if (p->workflow && p->workflow->params)
        schema_check(p->workflow->params, params, "params", fields);
    json_object_put(fields);
    return params;
}

/* The params stand in input_payload twice: by themselves, where field workers look ("workflow", "assets", ...), and
 * under "params". */
static void spread_params(struct payload *p)
{
    struct json_object *params = params_of(p);
    struct json_object_iterator it = json_object_iter_begin(params), end = json_object_iter_end(params);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
        json_object_object_add(p->input, json_object_iter_peek_name(&it),
                               json_object_get(json_object_iter_peek_value(&it)));
    json_object_object_add(p->input, "params", params);
}

static void put_inputs(struct payload *p)
{
    size_t n = json_object_array_length(p->inputs);
    for (size_t i = 0; i < n; i++) {
        struct json_object *input = json_object_array_get_idx(p->inputs, i);
        const char *key = json_str(input, "key", NULL);
        if (!key)
            continue;
        want_get(p->urls, key, input, "url");
        if (i > 0)
            continue;
        url_set_also(p->urls, p->out, "input_url");
        put_default(p->input, "input_path_placeholder", "__INPUT_PATH__");
        put_default(p->input, "input_name", json_str(input, "name", NULL));
        put_default(p->input, "input_mime_type", json_str(input, "mime", NULL));
    }
    json_object_object_add(p->input, "inputs", json_object_get(p->inputs));
}

static void put_output(struct payload *p)
{
    const char *ext = mime_extension(p->produces);
    struct json_object *headers = json_object_new_object();
    put_default(p->input, "output_extension", *ext ? ext + 1 : NULL);
    put_default(p->input, "output_mime_type", p->produces);
    want_output(p->d, p->urls, p->job->output_key, p->produces, p->out);
    if (p->produces) {
        struct json_object *list = json_object_new_array_ext(1);
        json_object_array_add(list, json_object_new_string(p->produces));
        put_new(headers, "Content-Type", list);
    }
    put_new(p->out, "output_headers", headers);
}

static void put_checkpoint(struct payload *p)
{
    char key[1025];
    lease_checkpoint_key(p->job->output_key, key);
    json_object_object_add(p->input, "checkpoint_key", json_object_new_string(key));
    want_checkpoint(p->urls, key, p->input);
    if (p->job->checkpoint_key)
        want_get(p->urls, p->job->checkpoint_key, p->input, "checkpoint_url");
}

/* The members field workers read, in the order the field backend gives them. */
static void put_lease(struct payload *p, const char *provider)
{
    const struct bp_job_row *job = p->job;
    char expires[TIME_SIZE];
    time_iso(job->lease_expires_ms, expires);
    put_int(p->out, "dispatch_id", job->id);
    put_text(p->out, "lease_token", job->lease_token);
    put_text(p->out, "lease_expires_at", expires);
    put_text(p->out, "provider", provider);
    put_text(p->out, "tenant_id", job->tenant);
    put_int(p->out, "job_id", job->id);
    int64_t effect = effect_number(p->d, job->effect);
    put_new(p->out, "effect_id", effect > 0 ? json_object_new_int64(effect) : NULL);
}

static void put_ours(struct payload *p)
{
    const struct bp_job_row *job = p->job;
    put_text(p->out, "workflow", job->workflow);
    put_text(p->out, "effect", job->effect);
    put_int(p->out, "attempt", job->attempts);
    put_num(p->out, "heartbeat_seconds", lease_heartbeat_s(p->d));
    put_num(p->out, "lease_seconds", (double)p->d->set.ttl_ms / 1000.0);
    put_text(p->out, "plugin_version", p->workflow ? p->workflow->version : NULL);
}

struct json_object *lease_payload(struct dispatch *d, const struct bp_job_row *job, const char *provider,
                                  struct url_set *urls)
{
    struct payload p = {.d = d, .job = job, .urls = urls, .workflow = host_workflow(d->host, job->workflow)};
    p.produces = p.workflow ? json_str(p.workflow->manifest, "produces", NULL) : NULL;
    p.out = json_object_new_object();
    p.input = json_object_new_object();
    p.inputs = list_of(job->inputs);
    const char *first = json_str(json_object_array_get_idx(p.inputs, 0), "key", NULL);
    /* A job without files on either side needs no URL, hence no hop to the object store. */
    int files = p.produces || first || !p.workflow;
    put_lease(&p, provider);
    put_new(p.out, "input_payload", p.input);
    put_new(p.out, "input_file", first ? file_json(job, first) : NULL);
    put_new(p.out, "output_file", files ? file_json(job, job->output_key) : NULL);
    put_new(p.out, "input_url", NULL);
    put_new(p.out, "output_url", NULL);
    spread_params(&p);
    json_object_object_add(p.input, "workflow_slug", json_object_new_string(job->workflow));
    json_object_object_add(p.input, "timeout_seconds", json_object_new_int(p.workflow ? p.workflow->timeout_s : 3600));
    json_object_object_add(p.input, "checkpoint_url", NULL);
    json_object_object_add(p.input, "checkpoint_upload_url", NULL);
    put_inputs(&p);
    if (files) {
        put_output(&p);
        put_checkpoint(&p);
    } else {
        put_new(p.out, "output_headers", json_object_new_object());
    }
    put_ours(&p);
    json_object_put(p.inputs);
    return p.out;
}

void lease_fresh_urls(struct dispatch *d, const struct bp_op_extend *e, struct json_object *into, struct url_set *urls)
{
    const struct workflow *w = e->workflow ? host_workflow(d->host, e->workflow) : NULL;
    struct json_object *inputs = list_of(e->inputs);
    put_new(into, "input_url", NULL);
    for (size_t i = 0; i < json_object_array_length(inputs); i++) {
        struct json_object *input = json_object_array_get_idx(inputs, i);
        if (!json_str(input, "key", NULL))
            continue;
        want_get(urls, json_str(input, "key", NULL), input, "url");
        if (i == 0)
            url_set_also(urls, into, "input_url");
    }
    put_new(into, "inputs", inputs);
    if (e->output_key) {
        char key[1025];
        lease_checkpoint_key(e->output_key, key);
        want_output(d, urls, e->output_key, w ? json_str(w->manifest, "produces", NULL) : NULL, into);
        want_checkpoint(urls, key, into);
    }
}
