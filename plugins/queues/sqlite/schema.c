/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "timeline.h"

#define LOOK_BUSY_MS 2000

/* In migrations.S. */
extern const char sqlite_migration_0001[], sqlite_migration_0002[];

static const struct migration {
    const char *name, *sql;
} MIGRATIONS[] = {
    {"0001_queue", sqlite_migration_0001},
    {"0002_memos", sqlite_migration_0002},
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

/* ---- looking at it ---- */

/* When each step was applied, 0: not. The file may be open elsewhere, even in another process. */
static int32_t times_read(struct store *s, sqlite3 *db, int64_t *applied_ms)
{
    sqlite3_stmt *q = NULL;
    int32_t rc = BP_OK;
    sqlite3_busy_timeout(db, LOOK_BUSY_MS);
    int got = sqlite3_prepare_v2(db, "SELECT version, checksum, applied_ms FROM schema_migrations", -1, &q, NULL);
    if (got != SQLITE_OK && got != SQLITE_ERROR) /* SQLITE_ERROR: there is no such table */
        return store_fail(s, BP_IO, "cannot read the schema of %.150s: %.60s", s->settings.path, sqlite3_errmsg(db));
    while (!rc && q && sqlite3_step(q) == SQLITE_ROW) {
        int version = sqlite3_column_int(q, 0);
        rc = compare(s, version, (const char *)sqlite3_column_text(q, 1));
        if (!rc && version > 0)
            applied_ms[version - 1] = sqlite3_column_int64(q, 2);
    }
    sqlite3_finalize(q);
    return rc;
}

static int32_t times(struct store *s, int64_t applied_ms[N_MIGRATIONS])
{
    sqlite3 *db = NULL;
    memset(applied_ms, 0, N_MIGRATIONS * sizeof *applied_ms);
    if (s->db)
        return times_read(s, s->db, applied_ms);
    if (access(s->settings.path, F_OK) < 0)
        return BP_OK; /* nothing is applied to what is not there */
    int32_t rc = BP_OK;
    if (sqlite3_open_v2(s->settings.path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
        rc = times_read(s, db, applied_ms);
    else
        rc = store_fail(s, BP_IO, "cannot open the queue %.150s: %.60s", s->settings.path, sqlite3_errmsg(db));
    sqlite3_close_v2(db);
    return rc;
}

int32_t schema_version(struct store *s, int *version)
{
    int64_t applied_ms[N_MIGRATIONS];
    int32_t rc = times(s, applied_ms);
    *version = 0;
    for (int i = 0; !rc && i < N_MIGRATIONS; i++)
        if (applied_ms[i])
            *version = i + 1;
    return rc;
}

/* *text in the host's memory. */
static int32_t hand_over(struct store *s, struct json_object *report, char **text)
{
    const char *json = json_object_to_json_string_ext(report, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    if (!text)
        return BP_OK;
    *text = json ? s->host->alloc(strlen(json) + 1) : NULL;
    if (!*text)
        return store_fail(s, BP_NOMEM, "out of memory for the report");
    strcpy(*text, json);
    return BP_OK;
}

static struct json_object *step_json(int i, int64_t applied_ms, bool with_sql)
{
    char sum[17];
    struct json_object *o = json_object_new_object();
    checksum(MIGRATIONS[i].sql, sum);
    json_object_object_add(o, "version", json_object_new_int(i + 1));
    json_object_object_add(o, "name", json_object_new_string(MIGRATIONS[i].name));
    json_object_object_add(o, "checksum", json_object_new_string(sum));
    json_object_object_add(o, "state", json_object_new_string(applied_ms ? "applied" : "pending"));
    if (applied_ms)
        json_object_object_add(o, "applied_ms", json_object_new_int64(applied_ms));
    else if (with_sql)
        json_object_object_add(o, "sql", json_object_new_string(MIGRATIONS[i].sql));
    return o;
}

int32_t schema_report(struct store *s, int32_t mode, int before, char **text)
{
    int64_t applied_ms[N_MIGRATIONS];
    int32_t rc = times(s, applied_ms);
    if (rc)
        return rc;
    struct json_object *report = json_object_new_object(), *databases = json_object_new_array();
    struct json_object *database = json_object_new_object(), *list = json_object_new_array();
    for (int i = 0; i < N_MIGRATIONS; i++) {
        struct json_object *o = step_json(i, applied_ms[i], mode == BP_MIGRATE_DRY_RUN);
        if (mode == BP_MIGRATE_APPLY && i >= before)
            json_object_object_add(o, "now", json_object_new_boolean(1));
        json_object_array_add(list, o);
    }
    json_object_object_add(database, "where", json_object_new_string(s->settings.path));
    json_object_object_add(database, "steps", list);
    json_object_array_add(databases, database);
    json_object_object_add(report, "databases", databases);
    json_object_object_add(report, "message", json_object_new_string("the embedded queue migrates by itself at start"));
    rc = hand_over(s, report, text);
    json_object_put(report);
    return rc;
}

int32_t schema_other(struct store *s, const char *target, char **text, struct bp_err *err)
{
    if (!target || strcmp(target, "pools") != 0) {
        err->rc = BP_UNSUPPORTED;
        snprintf(err->text, sizeof err->text, "there is nothing called \"%.40s\" to migrate: central or pools",
                 target ? target : "");
        return err->rc;
    }
    struct json_object *report = json_object_new_object();
    json_object_object_add(report, "databases", json_object_new_array());
    json_object_object_add(report, "message", json_object_new_string("the embedded queue has no pools"));
    int32_t rc = hand_over(s, report, text);
    json_object_put(report);
    if (rc)
        *err = s->failure;
    return rc;
}
