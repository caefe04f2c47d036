/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's row with whatever numbers and texts a store may hold, as tenants, operators and workers read it: always
 * well-formed JSON. The input begins with the numbers, as they lie in memory; then come the texts, a line each.
 */
#include "dispatch/dispatch.h"
#include "dispatch/job_json.h"
#include "dispatch/lease.h"
#include "log/json.h"
#include "log/utf8.h"
#include "photo_host.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NUMBERS_FROM offsetof(struct bp_job_row, status)
#define NUMBERS      (offsetof(struct bp_job_row, tenant) - NUMBERS_FROM)
#define TEXTS_MAX    17

static struct loop *loop;
static struct dispatch *engine;

static void set_up(void)
{
    loop = loop_new();
    engine = photo_engine(bus_new(loop));
}

/* Frees it. */
static void check_json(struct json_object *o)
{
    struct bp_err err = {0};
    const char *text = json_text(o);
    struct json_object *again = json_parse(text, strlen(text), &err);
    if (!again)
        abort();
    json_object_put(again);
    json_object_put(o);
}

/* The lines of text, each in place; those that are not there are NULL. */
static void lines_of(char *text, const char *lines[TEXTS_MAX])
{
    for (int i = 0; i < TEXTS_MAX; i++) {
        char *end = text ? strchr(text, '\n') : NULL;
        if (end)
            *end = '\0';
        lines[i] = text && *text ? text : NULL;
        if (text)
            utf8_repair(text); /* stores give nothing else */
        text = end ? end + 1 : NULL;
    }
}

static const char * or (const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static void fill(struct bp_job_row *r, const uint8_t *numbers, const char *t[TEXTS_MAX])
{
    *r = (struct bp_job_row){.size = sizeof *r};
    memcpy((char *)r + NUMBERS_FROM, numbers, NUMBERS);
    r->workflow = or (t[0], "photo");
    r->tenant = or (t[1], "");
    r->effect = t[2];
    r->params = t[3];
    r->inputs = t[4];
    r->output = t[5];
    r->output_key = or (t[6], "tenants/acme/jobs/1/a");
    r->worker = t[7];
    r->lease_token = t[8];
    r->error = t[9];
    r->progress_text = t[10];
    r->checkpoint_key = t[11];
    r->idempotency_key = t[12];
    r->provider_job_id = t[13];
    r->unique_key = t[14];
    r->after = t[15];
}

static void read_row(const struct bp_job_row *row)
{
    struct bp_job_event e = {sizeof e,  0, row->id, row->id, row->created_ms, or (row->error, ""), or (row->worker, ""),
                             row->error};
    struct bp_op_extend x = {.output_key = row->output_key, .inputs = row->inputs, .workflow = row->workflow};
    struct url_set *urls = url_set_new(engine);
    struct json_object *job = job_json(row, NULL, NULL), *fresh = json_object_new_object();
    url_set_add_output(urls, job);
    check_json(job);
    check_json(timeline_json(&e, 1));
    check_json(lease_payload(engine, row, "provider", urls));
    lease_fresh_urls(engine, &x, fresh, urls);
    check_json(fresh);
    url_set_free(urls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *lines[TEXTS_MAX];
    struct bp_job_row row;
    if (!engine)
        set_up();
    if (size < NUMBERS)
        return 0;
    char *text = calloc(1, size - NUMBERS + 1);
    if (!text)
        abort();
    memcpy(text, data + NUMBERS, size - NUMBERS);
    lines_of(text, lines);
    fill(&row, data, lines);
    read_row(&row);
    free(text);
    return 0;
}
