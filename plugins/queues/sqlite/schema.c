/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "timeline.h"

/* In migrations.S. */
extern const char sqlite_migration_0001[];

static const struct migration {
    const char *name, *sql;
} MIGRATIONS[] = {
    {"0001_queue", sqlite_migration_0001},
};
#define N_MIGRATIONS ((int)(sizeof MIGRATIONS / sizeof MIGRATIONS[0]))

/* FNV-1a, 64 bits: it is to notice an edited step, not an attacker. */
static void checksum(const char *text, char out[17])
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    snprintf(out, 17, "%016llx", (unsigned long long)h);
}

static int32_t single_int(struct store *s, const char *sql, int64_t *value)
{
    sqlite3_stmt *q = NULL;
    int ok = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;
    *value = ok ? sqlite3_column_int64(q, 0) : 0;
    int32_t rc = ok ? BP_OK : store_fail_sql(s, "read the file's header");
    sqlite3_finalize(q);
    return rc;
}

int32_t schema_check_owner(struct store *s)
{
    int64_t id, tables;
    int32_t rc = single_int(s, "PRAGMA application_id", &id);
    rc = rc ? rc : single_int(s, "SELECT count(*) FROM sqlite_master", &tables);
    if (rc || id == SCHEMA_APPLICATION_ID)
        return rc;
    if (id != 0 || tables != 0)
        return store_fail(s, BP_INVALID, "%.150s is a database of another program; name another path",
                          s->settings.path);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d", SCHEMA_APPLICATION_ID);
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? BP_OK : store_fail_sql(s, "mark the file");
}

/* Compares a recorded migration with ours. */
static int32_t compare(struct store *s, int version, const char *recorded)
{
    char ours[17];
    if (version > N_MIGRATIONS)
        return store_fail(s, BP_INVALID,
                          "the queue %.100s has schema %d, this plugin knows %d; install the newer version",
                          s->settings.path, version, N_MIGRATIONS);
    if (version < 1)
        return BP_OK;
    checksum(MIGRATIONS[version - 1].sql, ours);
    if (!recorded || strcmp(recorded, ours) != 0)
        return store_fail(s, BP_INVALID,
                          "migration %s of the queue %.100s differs from this plugin's; restore the "
                          "plugin that made it",
                          MIGRATIONS[version - 1].name, s->settings.path);
    return BP_OK;
}

/* *version = the newest applied migration. */
static int32_t applied(struct store *s, int *version)
{
    int64_t tables;
    *version = 0;
    int32_t rc = single_int(s, "SELECT count(*) FROM sqlite_master WHERE name = 'schema_migrations'", &tables);
    if (rc || !tables)
        return rc;
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, "SELECT version, checksum FROM schema_migrations ORDER BY version", -1, &q, NULL))
        return store_fail_sql(s, "read the schema's version");
    while (!rc && sqlite3_step(q) == SQLITE_ROW) {
        *version = sqlite3_column_int(q, 0);
        rc = compare(s, *version, (const char *)sqlite3_column_text(q, 1));
    }
    sqlite3_finalize(q);
    return rc;
}

static int32_t run(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? BP_OK : store_fail_sql(s, "migrate the schema");
}

static int32_t record(struct store *s, int version)
{
    char sum[17];
    checksum(MIGRATIONS[version - 1].sql, sum);
    char *sql = sqlite3_mprintf("INSERT INTO schema_migrations VALUES (%d, %Q, %Q, %lld)", version,
                                MIGRATIONS[version - 1].name, sum, (long long)s->host->now_ms(s->self));
    int32_t rc = sql ? run(s, sql) : store_fail(s, BP_NOMEM, "out of memory migrating the schema");
    sqlite3_free(sql);
    return rc;
}

static int32_t apply_missing(struct store *s)
{
    int version;
    int32_t rc = applied(s, &version);
    if (!rc && version == 0)
        rc = run(s, "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                    "checksum TEXT NOT NULL, applied_ms INTEGER NOT NULL)");
    while (!rc && version < N_MIGRATIONS) {
        rc = run(s, MIGRATIONS[version].sql);
        rc = rc ? rc : record(s, ++version);
    }
    return rc ? rc : timeline_words(s);
}

int32_t schema_migrate(struct store *s)
{
    int32_t rc = run(s, "BEGIN IMMEDIATE");
    if (rc)
        return rc;
    rc = apply_missing(s);
    rc = rc ? rc : run(s, "COMMIT");
    if (rc && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int32_t schema_plan(struct store *s, char **plan)
{
    int version;
    size_t room = 3 + N_MIGRATIONS * 64;
    int32_t rc = applied(s, &version);
    *plan = rc ? NULL : s->host->alloc(room);
    if (rc)
        return rc;
    if (!*plan)
        return store_fail(s, BP_NOMEM, "out of memory for the plan");
    strcpy(*plan, "[");
    for (int i = version; i < N_MIGRATIONS; i++) {
        strcat(*plan, i > version ? ",\"" : "\"");
        strcat(*plan, MIGRATIONS[i].name);
        strcat(*plan, "\"");
    }
    strcat(*plan, "]");
    return BP_OK;
}
