/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_read.c - past samples of one metric, from whoever keeps them. */
#include "scale_priv.h"

#include "log/err.h"
#include "log/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_TIMEOUT_MS 30000

struct reading {
    char name[48], workflow[128];
    int64_t since_ms;
    uint32_t n;
    struct bp_metric *samples; /* SCALE_SAMPLES_MAX */
    scale_samples_fn reply;    /* [loop] */
    void *arg;
};

static void reading_free(void *args)
{
    struct reading *r = args;
    free(r->samples);
    free(r);
}

/* On the provider's thread. */
static int run_get(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_metrics *t = table;
    struct reading *r = args;
    r->n = SCALE_SAMPLES_MAX;
    return t->get(inst, r->name, r->workflow, r->since_ms, r->samples, &r->n, err);
}

static void was_read(void *args, const struct bp_err *err, void *arg)
{
    const struct reading *r = args;
    struct json_object *list = err->rc < 0 ? NULL : json_object_new_array();
    (void)arg;
    for (uint32_t i = 0; list && i < r->n; i++) {
        struct json_object *o = json_object_new_object();
        json_put_int(o, "at_ms", r->samples[i].at_ms);
        json_put_num(o, "value", r->samples[i].value);
        json_object_array_add(list, o);
    }
    r->reply(list, err, r->arg);
    json_object_put(list);
}

int scale_metrics_read(struct scale *s, const struct scale_samples *q, scale_samples_fn reply, void *arg,
                       struct bp_err *err)
{
    if (!scale_item_find(s, q->workflow))
        return err_set(err, BP_NOTFOUND, "there is no workflow %.100s", q->workflow);
    if (!metric_is_published(q->name))
        return err_set(err, BP_NOTFOUND, "%.47s is no metric that is published; see bpctl metrics", q->name);
    struct reading *r = calloc(1, sizeof *r);
    if (r)
        r->samples = calloc(SCALE_SAMPLES_MAX, sizeof *r->samples);
    if (!r || !r->samples) {
        free(r);
        return err_set(err, BP_NOMEM, "no memory to read %.47s", q->name);
    }
    snprintf(r->name, sizeof r->name, "%s", q->name);
    snprintf(r->workflow, sizeof r->workflow, "%s", q->workflow);
    r->since_ms = q->since_ms;
    r->reply = reply;
    r->arg = arg;
    struct request_spec spec = {.service = "metrics",
                                .name = "metrics.get",
                                .run = run_get,
                                .args = r,
                                .args_free = reading_free,
                                .reply = was_read,
                                .timeout_ms = READ_TIMEOUT_MS};
    return bus_request(s->bus, &spec, err);
}
