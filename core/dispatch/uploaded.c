/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/uploaded.h"

#include "dispatch/input.h"

#include <bp/cloud.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the actor's thread reads and fills in. */
struct heads {
    size_t n;
    int one;           /* the field is "input", not "inputs.N" */
    int64_t max_bytes; /* of an upload: not every store can hold a tenant to it while it sends */
    struct head_of {
        char *key;
        int missing;
        int64_t bytes;
    } of[];
};

struct head_wait {
    struct dispatch *d;
    uploaded_fn fn;
    void *arg;
    struct bp_err err;
    struct json_object *fields;
};

static void heads_free(void *args)
{
    struct heads *h = args;
    for (size_t i = 0; i < h->n; i++)
        free(h->of[i].key);
    free(h);
}

/* [actor] */
static int heads_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *objects = table;
    struct heads *h = args;
    if (!BP_HAS(objects, head))
        return BP_OK;
    for (size_t i = 0; i < h->n; i++) {
        struct bp_object_info info = {0};
        int rc = objects->head(inst, h->of[i].key, &info, err);
        if (rc == BP_UNSUPPORTED)
            return BP_OK;
        if (rc != BP_OK && rc != BP_NOTFOUND)
            return rc;
        h->of[i].missing = rc == BP_NOTFOUND;
        h->of[i].bytes = info.bytes;
    }
    return BP_OK;
}

static struct json_object *missing_fields(const struct heads *h)
{
    struct json_object *fields = NULL;
    for (size_t i = 0; i < h->n; i++) {
        char field[32] = "input.key", large[160];
        int too_large = h->of[i].bytes > h->max_bytes;
        if (!h->of[i].missing && !too_large)
            continue;
        snprintf(large, sizeof large, "The file under this key has %lld bytes; at most %lld are taken.",
                 (long long)h->of[i].bytes, (long long)h->max_bytes);
        if (!h->one)
            snprintf(field, sizeof field, "inputs.%zu.key", i);
        if (!fields)
            fields = json_object_new_object();
        fields_add(fields, field,
                   too_large ? large
                             : "Nothing was uploaded under this key: PUT the file to the upload_url that POST "
                               "/api/uploads gave, then submit.");
    }
    return fields;
}

static void wait_end(void *arg)
{
    struct head_wait *w = arg;
    w->fn(&w->err, w->fields, w->arg);
    dispatch_unref(w->d);
    free(w);
}

/* Whatever keeps the store from answering, the tenant can only try again. */
static void say_later(struct bp_err *err)
{
    char why[sizeof err->text];
    snprintf(why, sizeof why, "%s", err->text);
    err_set(err, BP_LATER, "the object store cannot say whether the inputs are there (%s)", why);
}

static void heads_replied(void *args, const struct bp_err *err, void *arg)
{
    struct head_wait *w = arg;
    if (err->rc == BP_OK) {
        w->fields = missing_fields(args);
    } else {
        w->err = *err;
        say_later(&w->err);
    }
    wait_end(w);
}

static struct heads *heads_of(struct dispatch *d, struct json_object *inputs, const char *at)
{
    size_t n = json_object_array_length(inputs);
    struct heads *h = calloc(1, sizeof *h + n * sizeof h->of[0]);
    assert(h);
    h->n = n;
    h->max_bytes = d->set.max_upload;
    h->one = strcmp(at, "input") == 0;
    for (size_t i = 0; i < n; i++) {
        h->of[i].key = strdup(json_str(json_object_array_get_idx(inputs, i), "key", ""));
        assert(h->of[i].key);
    }
    return h;
}

void uploaded_check(struct dispatch *d, struct json_object *inputs, const char *at, uploaded_fn fn, void *arg)
{
    struct head_wait *w = calloc(1, sizeof *w);
    assert(w);
    *w = (struct head_wait){.d = d, .fn = fn, .arg = arg};
    dispatch_ref(d);
    struct request_spec spec = {.service = "objects",
                                .name = "objects.head",
                                .run = heads_run,
                                .args = heads_of(d, inputs, at),
                                .args_free = heads_free,
                                .reply = heads_replied,
                                .arg = w,
                                .timeout_ms = OBJECTS_TIMEOUT_MS};
    if (bus_request(d->bus, &spec, &w->err) == BP_OK)
        return;
    send_error(&w->err, "objects");
    say_later(&w->err);
    loop_post(d->loop, "dispatch.uploaded", wait_end, w);
}
