/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

#define NAMES_MAX 65536

struct name {
    int64_t id;
    char *text;
};

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

static struct name *cached_text(const struct names *t, const char *text)
{
    for (size_t i = hash_text(text) & (t->slots - 1); t->slots && t->by_text[i]; i = (i + 1) & (t->slots - 1)) {
        struct name *e = &t->entries[t->by_text[i] - 1];
        if (strcmp(e->text, text) == 0)
            return e;
    }
    return NULL;
}

static struct name *cached_id(const struct names *t, int64_t id)
{
    for (size_t i = hash_id(id) & (t->slots - 1); t->slots && t->by_id[i]; i = (i + 1) & (t->slots - 1)) {
        struct name *e = &t->entries[t->by_id[i] - 1];
        if (e->id == id)
            return e;
    }
    return NULL;
}

/* Doubles the tables; the entries are placed anew. */
static bool grow(struct names *t)
{
    size_t slots = t->slots ? t->slots * 2 : 64;
    struct name *entries = realloc(t->entries, slots / 2 * sizeof *entries);
    if (!entries)
        return false;
    t->entries = entries;
    uint32_t *by_text = calloc(slots, sizeof *by_text), *by_id = calloc(slots, sizeof *by_id);
    if (!by_text || !by_id) {
        free(by_text);
        free(by_id);
        return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        place(by_text, slots, hash_text(entries[i].text), i);
        place(by_id, slots, hash_id(entries[i].id), i);
    }
    free(t->by_text);
    free(t->by_id);
    t->by_text = by_text;
    t->by_id = by_id;
    t->slots = slots;
    return true;
}

int32_t names_add(struct store *s, struct names *t, int64_t id, const char *name)
{
    char *copy = strdup(name);
    if (!copy || (t->n + 1 > t->slots / 2 && !grow(t))) {
        free(copy);
        return store_fail(s, BP_NOMEM, "out of memory while remembering the name '%s'", name);
    }
    t->entries[t->n] = (struct name){id, copy};
    place(t->by_text, t->slots, hash_text(copy), (uint32_t)t->n);
    place(t->by_id, t->slots, hash_id(id), (uint32_t)t->n);
    t->n++;
    return BP_OK;
}

int32_t names_find(struct store *s, struct names *t, const char *name, int64_t *id)
{
    const struct name *e = cached_text(t, name);
    *id = e ? e->id : 0;
    if (e)
        return BP_OK;
    struct sqlite3_stmt *q = statement_query(s, t->find, "s", name);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        *id = sqlite3_column_int64(q, 0);
    statement_done(q);
    if (rc <= 0)
        return rc;
    return names_add(s, t, *id, name);
}

int32_t names_get(struct store *s, struct names *t, const char *name, int64_t *id)
{
    int32_t rc = names_find(s, t, name, id);
    if (rc || *id)
        return rc;
    rc = statement_run(s, t->insert, "s", name);
    if (rc)
        return rc;
    *id = sqlite3_last_insert_rowid(s->db);
    return names_add(s, t, *id, name);
}

int32_t names_text(struct store *s, struct names *t, int64_t id, const char **name)
{
    const struct name *e = cached_id(t, id);
    *name = e ? e->text : NULL;
    if (e || id == 0)
        return BP_OK;
    struct sqlite3_stmt *q = statement_query(s, t->text, "l", id);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        rc = names_add(s, t, id, (const char *)sqlite3_column_text(q, 0));
    statement_done(q);
    e = cached_id(t, id);
    *name = e ? e->text : NULL;
    return rc < 0 ? rc : BP_OK;
}

void names_clear(struct names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->entries[i].text);
    free(t->entries);
    free(t->by_text);
    free(t->by_id);
    t->entries = NULL;
    t->by_text = t->by_id = NULL;
    t->n = t->slots = 0;
}

void names_trim(struct names *t)
{
    if (t->n > NAMES_MAX)
        names_clear(t);
}
