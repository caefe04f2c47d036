/* SPDX-License-Identifier: Apache-2.0 */
#include "metric_buffer.h"

#include <stdlib.h>
#include <string.h>

#define SERIES_KEPT 8192 /* more than these are forgotten as soon as no sample needs them */

struct sample {
    uint32_t series;
    int64_t at_ms;
    double value;
};

struct series {
    uint32_t hash;
    char name[48], workflow[128], stage[32], unit[16];
};

struct metric_buffer {
    struct sample *ring;
    uint32_t most, room, at, n; /* at: of the oldest */
    uint64_t first;
    struct series *series;
    uint32_t n_series, room_series;
    uint32_t *index; /* by hash: number of the series + 1, or 0; n_index is a power of two */
    uint32_t n_index;
};

struct metric_buffer *metric_buffer_new(uint32_t most)
{
    struct metric_buffer *b = calloc(1, sizeof *b);
    if (b)
        b->most = most < 2 ? 2 : most;
    return b;
}

void metric_buffer_free(struct metric_buffer *b)
{
    if (!b)
        return;
    free(b->ring);
    free(b->series);
    free(b->index);
    free(b);
}

/* ---- series ---- */

static uint32_t hash_text(uint32_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    return h * 16777619U;
}

static uint32_t hash_of(const struct bp_metric *s)
{
    return hash_text(hash_text(hash_text(hash_text(2166136261U, s->name), s->workflow), s->stage), s->unit);
}

static int is_of(const struct series *x, const struct bp_metric *s)
{
    return strcmp(x->name, s->name) == 0 && strcmp(x->workflow, s->workflow) == 0 && strcmp(x->stage, s->stage) == 0 &&
           strcmp(x->unit, s->unit) == 0;
}

/* Where it is, or is to be, in the index. */
static uint32_t *slot_of(const struct metric_buffer *b, uint32_t hash, const struct bp_metric *s)
{
    uint32_t i = hash & (b->n_index - 1);
    while (b->index[i] && !(b->series[b->index[i] - 1].hash == hash && is_of(&b->series[b->index[i] - 1], s)))
        i = (i + 1) & (b->n_index - 1);
    return &b->index[i];
}

/* Room for one series more, the index at most half full. */
static int grow_series(struct metric_buffer *b)
{
    if (b->n_series < b->room_series)
        return 0;
    uint32_t room = b->room_series ? b->room_series * 2 : 64;
    struct series *more = realloc(b->series, room * sizeof *more);
    if (!more)
        return BP_NOMEM;
    b->series = more;
    uint32_t *index = calloc(room * 2, sizeof *index);
    if (!index)
        return BP_NOMEM;
    free(b->index);
    b->index = index;
    b->n_index = room * 2;
    b->room_series = room;
    for (uint32_t i = 0; i < b->n_series; i++) {
        uint32_t at = b->series[i].hash & (b->n_index - 1);
        while (b->index[at])
            at = (at + 1) & (b->n_index - 1);
        b->index[at] = i + 1;
    }
    return 0;
}

static int find_series(struct metric_buffer *b, const struct bp_metric *s, uint32_t *out)
{
    uint32_t hash = hash_of(s);
    if (grow_series(b) < 0)
        return BP_NOMEM;
    uint32_t *slot = slot_of(b, hash, s);
    if (!*slot) {
        struct series *x = &b->series[b->n_series];
        x->hash = hash;
        memcpy(x->name, s->name, sizeof x->name);
        memcpy(x->workflow, s->workflow, sizeof x->workflow);
        memcpy(x->stage, s->stage, sizeof x->stage);
        memcpy(x->unit, s->unit, sizeof x->unit);
        *slot = ++b->n_series;
    }
    *out = *slot - 1;
    return 0;
}

/* Workflows come and go; an empty buffer needs no names. */
static void forget_series(struct metric_buffer *b)
{
    if (b->n || b->n_series <= SERIES_KEPT)
        return;
    memset(b->index, 0, b->n_index * sizeof *b->index);
    b->n_series = 0;
}

/* ---- samples ---- */

/* Where the i-th oldest is, i <= n. */
static uint32_t at(const struct metric_buffer *b, uint32_t i)
{
    uint32_t k = b->at + i;
    return k < b->room ? k : k - b->room;
}

static int grow_ring(struct metric_buffer *b)
{
    uint32_t room = b->room ? b->room * 2 : 256;
    if (b->n < b->room || b->room == b->most)
        return 0;
    if (room > b->most)
        room = b->most;
    struct sample *ring = malloc(room * sizeof *ring);
    if (!ring)
        return BP_NOMEM;
    for (uint32_t i = 0; i < b->n; i++)
        ring[i] = b->ring[at(b, i)];
    free(b->ring);
    b->ring = ring;
    b->room = room;
    b->at = 0;
    return 0;
}

int metric_buffer_add(struct metric_buffer *b, const struct bp_metric *s, int *pushed_out)
{
    uint32_t series;
    *pushed_out = 0;
    if (find_series(b, s, &series) < 0 || grow_ring(b) < 0)
        return BP_NOMEM;
    if (b->n == b->room) {
        metric_buffer_drop(b, b->first + 1);
        *pushed_out = 1;
    }
    b->ring[at(b, b->n++)] = (struct sample){series, s->at_ms, s->value};
    return 0;
}

uint32_t metric_buffer_count(const struct metric_buffer *b)
{
    return b->n;
}

uint64_t metric_buffer_first(const struct metric_buffer *b)
{
    return b->first;
}

int metric_buffer_read(const struct metric_buffer *b, uint64_t number, struct bp_metric *out)
{
    if (number < b->first || number - b->first >= b->n)
        return 0;
    const struct sample *s = &b->ring[at(b, (uint32_t)(number - b->first))];
    const struct series *x = &b->series[s->series];
    memcpy(out->name, x->name, sizeof out->name);
    memcpy(out->workflow, x->workflow, sizeof out->workflow);
    memcpy(out->stage, x->stage, sizeof out->stage);
    memcpy(out->unit, x->unit, sizeof out->unit);
    out->at_ms = s->at_ms;
    out->value = s->value;
    return 1;
}

void metric_buffer_drop(struct metric_buffer *b, uint64_t number)
{
    uint64_t gone = number > b->first ? number - b->first : 0;
    if (gone > b->n)
        gone = b->n;
    b->at = at(b, (uint32_t)gone);
    b->n -= (uint32_t)gone;
    b->first += gone;
    forget_series(b);
}
