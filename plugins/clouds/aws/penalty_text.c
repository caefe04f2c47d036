/* SPDX-License-Identifier: Apache-2.0 */
/* penalty_text.c - the penalty box as text that outlives the process: {"v":1,"as_of_ms":...,"pools":[[group, type,
 * zone, market, reason, failures, strikes, last_ms, until_ms], ...]}. */
#include "penalty.h"

#include <bp/fleet.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1
#define ROOM    (BP_FLEET_LEARNED_MAX - 128) /* of the pools */

static void add_text(struct json_object *list, const char *text)
{
    json_object_array_add(list, json_object_new_string(text));
}

static void add_int(struct json_object *list, int64_t n)
{
    json_object_array_add(list, json_object_new_int64(n));
}

static struct json_object *pool_row(const struct penalty *p)
{
    struct json_object *row = json_object_new_array();
    add_text(row, p->group);
    add_text(row, p->type);
    add_text(row, p->zone);
    add_text(row, market_name(p->market));
    add_text(row, failure_name(p->cls));
    add_int(row, p->count);
    add_int(row, p->strikes);
    add_int(row, p->last_ms);
    add_int(row, p->until_ms);
    return row;
}

/* Those that are out the longest first: they are worth most. */
static int by_until(const void *a, const void *b)
{
    const struct penalty *x = a, *y = b;
    if (x->until_ms != y->until_ms)
        return x->until_ms < y->until_ms ? 1 : -1;
    return (x->last_ms < y->last_ms) - (x->last_ms > y->last_ms);
}

struct json_object *penalty_text(const struct penalty_box *b)
{
    struct penalty *sorted = b->n ? malloc(b->n * sizeof *sorted) : NULL;
    struct json_object *o = sorted ? json_object_new_object() : NULL, *pools = o ? json_object_new_array() : NULL;
    size_t bytes = 0;
    if (o) {
        memcpy(sorted, b->list, b->n * sizeof *sorted);
        qsort(sorted, b->n, sizeof *sorted, by_until);
        for (uint32_t i = 0; i < b->n; i++) {
            struct json_object *row = pool_row(&sorted[i]);
            bytes += strlen(json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN)) + 1;
            if (bytes <= ROOM)
                json_object_array_add(pools, row);
            else
                json_object_put(row);
        }
        json_object_object_add(o, "v", json_object_new_int(VERSION));
        json_object_object_add(o, "as_of_ms", json_object_new_int64(b->as_of_ms));
        json_object_object_add(o, "pools", pools);
    }
    free(sorted);
    return o;
}

/* ---- and back ---- */

static struct json_object *member(struct json_object *o, const char *name, enum json_type type)
{
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, type) ? v : NULL;
}

static void text_at(struct json_object *row, size_t k, char *out, size_t n)
{
    struct json_object *v = json_object_array_get_idx(row, k);
    snprintf(out, n, "%s", json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "");
}

static int64_t int_at(struct json_object *row, size_t k, int64_t most)
{
    struct json_object *v = json_object_array_get_idx(row, k);
    int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
    return n < 0 ? 0 : n < most ? n : most;
}

/* 0: it makes no sense. No time lies so far ahead that it could not be one of ours. */
static int row_read(struct json_object *row, int64_t now_ms, struct penalty *p)
{
    char market[16], reason[16];
    if (!json_object_is_type(row, json_type_array) || json_object_array_length(row) < 9)
        return 0;
    memset(p, 0, sizeof *p);
    text_at(row, 0, p->group, sizeof p->group);
    text_at(row, 1, p->type, sizeof p->type);
    text_at(row, 2, p->zone, sizeof p->zone);
    text_at(row, 3, market, sizeof market);
    text_at(row, 4, reason, sizeof reason);
    for (int m = MARKET_ANY; m <= MARKET_ON_DEMAND; m++)
        if (strcmp(market, market_name((enum market)m)) == 0)
            p->market = (enum market)m;
    for (int c = FAILURE_CAPACITY; c <= FAILURE_OTHER; c++)
        if (strcmp(reason, failure_name((enum failure_class)c)) == 0)
            p->cls = (enum failure_class)c;
    p->count = (uint32_t)int_at(row, 5, UINT32_MAX);
    p->strikes = (uint32_t)int_at(row, 6, 64);
    p->last_ms = int_at(row, 7, now_ms);
    p->until_ms = int_at(row, 8, now_ms + PENALTY_CAP_MS);
    return p->market && p->cls && p->count > 0;
}

void penalty_recall(struct penalty_box *b, struct json_object *text, int64_t now_ms)
{
    struct json_object *v = member(text, "v", json_type_int), *pools = member(text, "pools", json_type_array);
    struct json_object *as_of = member(text, "as_of_ms", json_type_int);
    if (!v || json_object_get_int64(v) != VERSION || !pools)
        return;
    for (size_t i = 0; i < json_object_array_length(pools) && i < PENALTY_POOLS; i++) {
        struct penalty p;
        if (row_read(json_object_array_get_idx(pools, i), now_ms, &p))
            penalty_add(b, &p, now_ms);
    }
    int64_t known_ms = as_of ? json_object_get_int64(as_of) : 0;
    known_ms = known_ms < now_ms ? known_ms : now_ms;
    b->recalled_ms = known_ms > b->recalled_ms ? known_ms : b->recalled_ms;
    b->as_of_ms = known_ms > b->as_of_ms ? known_ms : b->as_of_ms;
}
