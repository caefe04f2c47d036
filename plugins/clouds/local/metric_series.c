/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_series.h"

#include "err.h"
#include <stdlib.h>
#include <string.h>

struct sample {
    int64_t at_ms;
    double value;
};

struct series {
    char name[48], workflow[128], stage[32], unit[16];
    struct sample *ring; /* grows to SERIES_SAMPLES, then wraps */
    uint32_t first, n, room;
};

struct series_set {
    struct series *all[SERIES_MAX];
    uint32_t n;
};

struct series_set *series_set_new(void)
{
    return calloc(1, sizeof(struct series_set));
}

void series_set_free(struct series_set *s)
{
    for (uint32_t i = 0; s && i < s->n; i++) {
        free(s->all[i]->ring);
        free(s->all[i]);
    }
    free(s);
}

static struct series *find(const struct series_set *s, const struct bp_metric *m)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (strcmp(s->all[i]->name, m->name) == 0 && strcmp(s->all[i]->workflow, m->workflow) == 0 &&
            strcmp(s->all[i]->stage, m->stage) == 0)
            return s->all[i];
    return NULL;
}

static struct series *make(struct series_set *s, const struct bp_metric *m, struct bp_err *err)
{
    if (s->n == SERIES_MAX) {
        err_set(err, BP_NOSPACE, "there are %d series of metrics already; %s of %s is not kept", SERIES_MAX, m->name,
                m->workflow);
        return NULL;
    }
    struct series *x = calloc(1, sizeof *x);
    if (!x) {
        err_set(err, BP_NOMEM, "no memory for another series of metrics");
        return NULL;
    }
    memcpy(x->name, m->name, sizeof x->name);
    memcpy(x->workflow, m->workflow, sizeof x->workflow);
    memcpy(x->stage, m->stage, sizeof x->stage);
    memcpy(x->unit, m->unit, sizeof x->unit);
    s->all[s->n++] = x;
    return x;
}

static int make_room(struct series *x, struct bp_err *err)
{
    uint32_t room = x->room ? x->room * 2 : 16;
    if (x->n < x->room || x->room == SERIES_SAMPLES)
        return 0;
    if (room > SERIES_SAMPLES)
        room = SERIES_SAMPLES;
    struct sample *ring = realloc(x->ring, room * sizeof *ring); /* not wrapped yet: it starts at 0 */
    if (!ring)
        return err_set(err, BP_NOMEM, "no memory for another sample of %s", x->name);
    x->ring = ring;
    x->room = room;
    return 0;
}

static const struct sample *sample_at(const struct series *x, uint32_t i)
{
    return &x->ring[(x->first + i) % x->room];
}

int series_add(struct series_set *s, const struct bp_metric *m, struct bp_err *err)
{
    struct series *x = find(s, m);
    if (!x && !(x = make(s, m, err)))
        return s->n == SERIES_MAX ? BP_NOSPACE : BP_NOMEM;
    int rc = make_room(x, err);
    if (rc < 0)
        return rc;
    if (x->n == x->room) {
        x->first = (x->first + 1) % x->room;
        x->n--;
    }
    x->ring[(x->first + x->n) % x->room] = (struct sample){m->at_ms, m->value};
    x->n++;
    return 0;
}

static void fill(const struct series *x, const struct sample *p, struct bp_metric *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->name, x->name, sizeof out->name);
    memcpy(out->workflow, x->workflow, sizeof out->workflow);
    memcpy(out->stage, x->stage, sizeof out->stage);
    memcpy(out->unit, x->unit, sizeof out->unit);
    out->at_ms = p->at_ms;
    out->value = p->value;
}

void series_merge(struct series_set *into, const struct series_set *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        struct bp_metric m;
        const struct series *x = from->all[i];
        for (uint32_t j = 0; j < x->n; j++) {
            fill(x, sample_at(x, j), &m);
            const struct series *y = find(into, &m);
            if (!y || !y->n || sample_at(y, y->n - 1)->at_ms < m.at_ms)
                series_add(into, &m, NULL);
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct bp_metric *x = a, *y = b;
    return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

uint32_t series_read(const struct series_set *s, const char *name, const char *workflow, int64_t since_ms,
                     struct bp_metric *out, uint32_t room)
{
    uint32_t n = 0, stages = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct series *x = s->all[i];
        if (strcmp(x->name, name) != 0 || strcmp(x->workflow, workflow) != 0)
            continue;
        stages++;
        for (uint32_t j = 0; j < x->n && n < room; j++)
            if (sample_at(x, j)->at_ms >= since_ms)
                fill(x, sample_at(x, j), &out[n++]);
    }
    if (stages > 1)
        qsort(out, n, sizeof *out, by_time);
    return n;
}
