/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "text.h"

#define NAMES_MAX 65536

struct name {
    int64_t id;
    char *text;
    bool there;
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

static bool grow(struct names *t)
{
    size_t slots = t->slots ? t->slots * 2 : 64;
    struct name *entries = realloc(t->entries, slots / 2 * sizeof *entries);
    if (entries)
        t->entries = entries;
    uint32_t *by_text = calloc(slots, sizeof *by_text), *by_id = calloc(slots, sizeof *by_id);
    if (!entries || !by_text || !by_id) {
        free(by_text);
        free(by_id);
        return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        place(by_text, slots, hash_text(t->entries[i].text), i);
        place(by_id, slots, hash_id(t->entries[i].id), i);
    }
    free(t->by_text);
    free(t->by_id);
    t->by_text = by_text;
    t->by_id = by_id;
    t->slots = slots;
    return true;
}

static int32_t add(struct store *s, struct names *t, int64_t id, const char *text, bool there)
{
    if (cached_text(t, text))
        return BP_OK;
    char *copy = t->n < t->slots / 2 || grow(t) ? strdup(text) : NULL;
    if (!copy)
        return store_fail(s, BP_NOMEM, "out of memory for the name '%.100s'", text);
    t->entries[t->n] = (struct name){id, copy, there};
    place(t->by_text, t->slots, hash_text(text), (uint32_t)t->n);
    place(t->by_id, t->slots, hash_id(id), (uint32_t)t->n);
    t->n++;
    return BP_OK;
}

static const char *there_column(const struct names *t)
{
    return t->marked ? "there" : "1";
}

static int32_t read_into(struct store *s, struct names *t, const struct sql *q)
{
    struct reply r;
    int32_t rc = query_one(s, q, &r);
    while (!rc && reply_next(&r))
        rc = add(s, t, column_int(&r, 0), r.row[1], column_int(&r, 2) != 0);
    reply_done(&r);
    return rc;
}

int32_t names_want(struct store *s, struct names *t, const char *name)
{
    if (!name || !text_fits(name, NAME_MAX_BYTES) || cached_text(t, name))
        return BP_OK;
    for (size_t i = 0; i < t->n_missing; i++)
        if (strcmp(t->wanted[i], name) == 0)
            return BP_OK;
    const char **wanted = realloc(t->wanted, (t->n_missing + 1) * sizeof *wanted);
    if (!wanted)
        return store_fail(s, BP_NOMEM, "out of memory for the name '%.100s'", name);
    t->wanted = wanted;
    t->wanted[t->n_missing++] = name;
    return BP_OK;
}

static void list_missing(struct names *t, const char *before, const char *after)
{
    sql_clear(&t->missing);
    for (size_t i = 0; i < t->n_missing; i++)
        if (!cached_text(t, t->wanted[i]))
            sql_add(&t->missing, t->missing.n ? ",%r%s%r" : "%r%s%r", before, t->wanted[i], after);
}

static int32_t read_missing(struct store *s, struct names *t)
{
    list_missing(t, "", "");
    if (t->missing.n == 0)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, name, %r FROM %r WHERE name IN (", there_column(t), t->table);
    sql_join(&s->q, &t->missing);
    sql_add(&s->q, ")");
    return read_into(s, t, &s->q);
}

int32_t names_resolve(struct store *s, struct names *t, bool create)
{
    int32_t rc = t->n_missing ? read_missing(s, t) : BP_OK;
    list_missing(t, "(", t->marked ? ",0)" : ")");
    if (!rc && create && t->missing.n) {
        sql_clear(&s->q);
        sql_add(&s->q, "INSERT IGNORE INTO %r (name%r) VALUES ", t->table, t->marked ? ", there" : "");
        sql_join(&s->q, &t->missing);
        rc = query_run(s, &s->q);
        rc = rc ? rc : read_missing(s, t);
    }
    t->n_missing = 0;
    return rc;
}

int32_t names_find(struct store *s, struct names *t, const char *name, int64_t *id)
{
    struct name *e = cached_text(t, name);
    *id = e ? e->id : 0;
    if (e || !text_fits(name, NAME_MAX_BYTES))
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, name, %r FROM %r WHERE name = %s", there_column(t), t->table, name);
    int32_t rc = read_into(s, t, &s->q);
    e = cached_text(t, name);
    *id = e ? e->id : 0;
    return rc;
}

int32_t names_text(struct store *s, struct names *t, int64_t id, const char **name)
{
    struct name *e = id ? cached_id(t, id) : NULL;
    *name = e ? e->text : NULL;
    if (e || !id)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, name, %r FROM %r WHERE id = %l", there_column(t), t->table, id);
    int32_t rc = read_into(s, t, &s->q);
    e = cached_id(t, id);
    *name = e ? e->text : NULL;
    return rc;
}

bool names_there(const struct names *t, int64_t id)
{
    const struct name *e = cached_id(t, id);
    return !e || e->there;
}

void names_make(struct names *t, int64_t id)
{
    struct name *e = cached_id(t, id);
    if (e)
        e->there = true;
}

void names_clear(struct names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->entries[i].text);
    free(t->entries);
    free(t->by_text);
    free(t->by_id);
    free(t->wanted);
    sql_free(&t->missing);
    *t = (struct names){.table = t->table, .marked = t->marked};
}

void names_trim(struct names *t)
{
    if (t->stale || t->n > NAMES_MAX)
        names_clear(t);
}
