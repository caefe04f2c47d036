/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/output.h"

#include "dispatch/order.h"

#include <bp/cloud.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the actor fills in. */
struct head {
    struct bp_object_info info;
    char key[1025];
};

struct head_wait {
    struct dispatch *d;
    output_checked_fn fn;
    void *arg;
    struct output_check check;
};

/* [actor] */
static int head_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_objects *objects = table;
    struct head *h = args;
    if (!BP_HAS(objects, head))
        return err_set(err, BP_UNSUPPORTED, "the objects service offers no head");
    return objects->head(inst, h->key, &h->info, err);
}

static void wait_end(void *arg)
{
    struct head_wait *w = arg;
    w->fn(&w->check, w->arg);
    dispatch_unref(w->d);
    free(w);
}

static void head_replied(void *args, const struct bp_err *err, void *arg)
{
    struct head_wait *w = arg;
    struct head *h = args;
    if (err->rc == BP_OK)
        w->check.bytes = h->info.bytes;
    else if (err->rc == BP_NOTFOUND)
        w->check.missing = 1;
    else if (err->rc != BP_UNSUPPORTED)
        log_warn(LOG_DISPATCH, "an output is accepted unchecked: %s", err->text);
    wait_end(w);
}

void output_check(struct dispatch *d, const char *key, output_checked_fn fn, void *arg)
{
    struct head_wait *w = calloc(1, sizeof *w);
    struct head *h = calloc(1, sizeof *h);
    assert(w && h);
    *w = (struct head_wait){d, fn, arg, {0, -1}};
    snprintf(h->key, sizeof h->key, "%s", key);
    dispatch_ref(d);
    struct request_spec spec = {.service = "objects",
                                .name = "objects.head",
                                .run = head_run,
                                .args = h,
                                .args_free = free,
                                .reply = head_replied,
                                .arg = w,
                                .timeout_ms = OBJECTS_TIMEOUT_MS};
    struct bp_err err = {0};
    if (bus_request(d->bus, &spec, &err) == BP_OK)
        return;
    log_warn(LOG_DISPATCH, "an output is accepted unchecked: %s", err.text);
    loop_post(d->loop, "dispatch.output", wait_end, w);
}

int checkpoint_key_ok(const char *key, int64_t id)
{
    /* tenants / name / jobs / id / attempt / checkpoint */
    const char *part[6];
    size_t len[6], n = 0;
    char number[24];
    for (const char *p = key; n < 6; p++) {
        part[n] = p;
        len[n] = strcspn(p, "/");
        if (!key_segment_ok(p, len[n]))
            return 0;
        p += len[n++];
        if (*p == '\0')
            break;
        if (n == 6)
            return 0;
    }
    if (n != 6)
        return 0;
    int digits = snprintf(number, sizeof number, "%lld", (long long)id);
    return len[0] == 7 && memcmp(part[0], "tenants", 7) == 0 && len[2] == 4 && memcmp(part[2], "jobs", 4) == 0 &&
           len[3] == (size_t)digits && memcmp(part[3], number, len[3]) == 0 && strcmp(part[5], "checkpoint") == 0;
}
