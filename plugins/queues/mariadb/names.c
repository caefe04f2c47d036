/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "text.h"

static int32_t add(struct store *s, struct names *t, int64_t id, const char *text, bool there)
{
    size_t n = t->known.n;
    struct pair *p = pairs_add(&t->known, id, text);
    if (!p)
        return store_fail(s, BP_NOMEM, "out of memory for the name '%.100s'", text);
    if (t->known.n > n) /* what is known already may have been made in this batch */
        p->there = there;
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
    if (!name || !text_fits(name, NAME_MAX_BYTES) || pairs_by_text(&t->known, name))
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
        if (!pairs_by_text(&t->known, t->wanted[i]))
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
    struct pair *e = pairs_by_text(&t->known, name);
    *id = e ? e->id : 0;
    if (e || !text_fits(name, NAME_MAX_BYTES))
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, name, %r FROM %r WHERE name = %s", there_column(t), t->table, name);
    int32_t rc = read_into(s, t, &s->q);
    e = pairs_by_text(&t->known, name);
    *id = e ? e->id : 0;
    return rc;
}

int32_t names_text(struct store *s, struct names *t, int64_t id, const char **name)
{
    struct pair *e = id ? pairs_by_id(&t->known, id) : NULL;
    *name = e ? e->text : NULL;
    if (e || !id)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, name, %r FROM %r WHERE id = %l", there_column(t), t->table, id);
    int32_t rc = read_into(s, t, &s->q);
    e = pairs_by_id(&t->known, id);
    *name = e ? e->text : NULL;
    return rc;
}

bool names_there(const struct names *t, int64_t id)
{
    const struct pair *e = pairs_by_id(&t->known, id);
    return !e || e->there;
}

void names_make(struct names *t, int64_t id)
{
    struct pair *e = pairs_by_id(&t->known, id);
    if (e)
        e->there = true;
}

void names_clear(struct names *t)
{
    pairs_clear(&t->known);
    free(t->wanted);
    sql_free(&t->missing);
    *t = (struct names){.table = t->table, .marked = t->marked};
}

void names_trim(struct names *t)
{
    if (t->stale)
        names_clear(t);
    else
        pairs_trim(&t->known);
}
