/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include "store.h"

int32_t names_add(struct store *s, struct names *t, int64_t id, const char *name)
{
    return pairs_add(&t->known, id, name)
               ? BP_OK
               : store_fail(s, BP_NOMEM, "out of memory while remembering the name '%s'", name);
}

int32_t names_find(struct store *s, struct names *t, const char *name, int64_t *id)
{
    const struct pair *e = pairs_by_text(&t->known, name);
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
    const struct pair *e = pairs_by_id(&t->known, id);
    *name = e ? e->text : NULL;
    if (e || id == 0)
        return BP_OK;
    struct sqlite3_stmt *q = statement_query(s, t->text, "l", id);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        rc = names_add(s, t, id, (const char *)sqlite3_column_text(q, 0));
    statement_done(q);
    e = pairs_by_id(&t->known, id);
    *name = e ? e->text : NULL;
    return rc < 0 ? rc : BP_OK;
}

void names_clear(struct names *t)
{
    pairs_clear(&t->known);
}

void names_trim(struct names *t)
{
    pairs_trim(&t->known);
}
