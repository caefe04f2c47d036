/* SPDX-License-Identifier: Apache-2.0 */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 65536

static uint64_t hash_text(const char *s)
{
    uint64_t h = 1469598103934665603u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 29;
}

static uint64_t hash_id(int64_t id)
{
    uint64_t h = (uint64_t)id * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static void place(uint32_t *table, size_t slots, uint64_t hash, uint32_t entry)
{
    size_t i = hash & (slots - 1);
    while (table[i])
        i = (i + 1) & (slots - 1);
    table[i] = entry + 1;
}

struct pair *pairs_by_text(const struct pairs *t, const char *text)
{
    for (size_t i = hash_text(text) & (t->slots - 1); t->slots && t->by_text[i]; i = (i + 1) & (t->slots - 1)) {
        struct pair *e = &t->list[t->by_text[i] - 1];
        if (strcmp(e->text, text) == 0)
            return e;
    }
    return NULL;
}

struct pair *pairs_by_id(const struct pairs *t, int64_t id)
{
    for (size_t i = hash_id(id) & (t->slots - 1); t->slots && t->by_id[i]; i = (i + 1) & (t->slots - 1)) {
        struct pair *e = &t->list[t->by_id[i] - 1];
        if (e->id == id)
            return e;
    }
    return NULL;
}

/* Doubles the tables; the list are placed anew. */
static bool grow(struct pairs *t)
{
    size_t slots = t->slots ? t->slots * 2 : 64;
    struct pair *list = realloc(t->list, slots / 2 * sizeof *list);
    if (!list)
        return false;
    t->list = list;
    uint32_t *by_text = calloc(slots, sizeof *by_text), *by_id = calloc(slots, sizeof *by_id);
    if (!by_text || !by_id) {
        free(by_text);
        free(by_id);
        return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        place(by_text, slots, hash_text(list[i].text), i);
        place(by_id, slots, hash_id(list[i].id), i);
    }
    free(t->by_text);
    free(t->by_id);
    t->by_text = by_text;
    t->by_id = by_id;
    t->slots = slots;
    return true;
}

struct pair *pairs_add(struct pairs *t, int64_t id, const char *text)
{
    struct pair *known = pairs_by_text(t, text);
    if (known)
        return known;
    char *copy = t->n < t->slots / 2 || grow(t) ? strdup(text) : NULL;
    if (!copy)
        return NULL;
    t->list[t->n] = (struct pair){.id = id, .text = copy};
    place(t->by_text, t->slots, hash_text(text), (uint32_t)t->n);
    place(t->by_id, t->slots, hash_id(id), (uint32_t)t->n);
    return &t->list[t->n++];
}

void pairs_clear(struct pairs *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->list[i].text);
    free(t->list);
    free(t->by_text);
    free(t->by_id);
    *t = (struct pairs){0};
}

void pairs_trim(struct pairs *t)
{
    if (t->n > PAIRS_MAX)
        pairs_clear(t);
}
