/* SPDX-License-Identifier: Apache-2.0 */
#include "statements.h"

#include <stdarg.h>

#include "store.h"

static const char *const TEXTS[] = {
#define STATEMENT(id, sql) sql,
#include "statements.def"
#undef STATEMENT
};

static sqlite3_stmt *prepared(struct store *s, int id)
{
    if (!s->statements[id] &&
        sqlite3_prepare_v3(s->db, TEXTS[id], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[id], NULL) != SQLITE_OK) {
        store_fail_sql(s, "prepare a statement");
        return NULL;
    }
    return s->statements[id];
}

static void bind_all(sqlite3_stmt *q, const char *types, va_list ap)
{
    for (int i = 1; *types; types++, i++) {
        int64_t number;
        switch (*types) {
        case 'l':
            sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
            break;
        case 'i':
            sqlite3_bind_int(q, i, va_arg(ap, int32_t));
            break;
        case 'd':
            sqlite3_bind_double(q, i, va_arg(ap, double));
            break;
        case 's':
            sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
            break;
        default:
            number = va_arg(ap, int64_t);
            if (number)
                sqlite3_bind_int64(q, i, number);
            else
                sqlite3_bind_null(q, i);
        }
    }
}

int32_t statement_run(struct store *s, int id, const char *types, ...)
{
    sqlite3_stmt *q = prepared(s, id);
    if (!q)
        return s->failure.rc;
    va_list ap;
    va_start(ap, types);
    bind_all(q, types, ap);
    va_end(ap);
    int step = sqlite3_step(q);
    int32_t rc = step == SQLITE_DONE || step == SQLITE_ROW ? BP_OK : store_fail_sql(s, "write");
    sqlite3_reset(q);
    return rc;
}

sqlite3_stmt *statement_query(struct store *s, int id, const char *types, ...)
{
    sqlite3_stmt *q = prepared(s, id);
    if (!q)
        return NULL;
    va_list ap;
    va_start(ap, types);
    bind_all(q, types, ap);
    va_end(ap);
    return q;
}

int32_t statement_next(struct store *s, sqlite3_stmt *q)
{
    if (!q)
        return s->failure.rc;
    int step = sqlite3_step(q);
    if (step == SQLITE_ROW)
        return 1;
    return step == SQLITE_DONE ? 0 : store_fail_sql(s, "read");
}

void statement_done(sqlite3_stmt *q)
{
    if (q)
        sqlite3_reset(q);
}

int32_t statement_int(struct store *s, int id, int64_t *value, int64_t fallback)
{
    sqlite3_stmt *q = statement_query(s, id, "");
    int32_t rc = statement_next(s, q);
    *value = rc > 0 && sqlite3_column_type(q, 0) != SQLITE_NULL ? sqlite3_column_int64(q, 0) : fallback;
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

void statements_free(struct store *s)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
}
