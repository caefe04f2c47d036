/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remedy.h"
#include "timeline.h"

#define LOCK_WAIT_S  120
#define LOCK_SLICE_S 2 /* less than any timeout of a connection */

/* In migrations.S. */
extern const char mariadb_migration_0001[], mariadb_migration_0002[], mariadb_migration_0003[],
    mariadb_migration_0004[], mariadb_migration_0005[], mariadb_migration_0006[], mariadb_migration_pool_0001[];

static const struct schema_step CENTRAL[] = {
    {"0001_queue", mariadb_migration_0001}, {"0002_features", mariadb_migration_0002},
    {"0003_memos", mariadb_migration_0003}, {"0004_outputs", mariadb_migration_0004},
    {"0005_room", mariadb_migration_0005},  {"0006_gone_workers", mariadb_migration_0006},
};
static const struct schema_step POOL[] = {
    {"pool_0001", mariadb_migration_pool_0001},
};
const struct schema_steps schema_central = {"central", CENTRAL, sizeof CENTRAL / sizeof CENTRAL[0], timeline_words};
const struct schema_steps schema_pools = {"pools", POOL, sizeof POOL / sizeof POOL[0], NULL};

static int32_t fail(struct bp_err *err, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);

static int32_t fail(struct bp_err *err, int32_t rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err->rc = rc;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return rc;
}

/* FNV-1a, 64 bits: it is to notice an edited step, not an attacker. */
static void checksum(const char *text, char out[17])
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    snprintf(out, 17, "%016llx", (unsigned long long)h);
}

/* ---- statements ---- */

/* Runs a text of one or several statements and reads all their answers. */
static int32_t run(const struct schema *c, const char *doing, const char *sql, struct bp_err *err)
{
    int bad = mysql_real_query(c->db, sql, strlen(sql));
    while (!bad) {
        MYSQL_RES *result = mysql_store_result(c->db);
        mysql_free_result(result);
        bad = mysql_next_result(c->db);
        if (bad < 0)
            return BP_OK;
    }
    return remedy_fail(c->db, doing, c->where, err);
}

static int32_t run_text(const struct schema *c, const char *doing, struct sql *q, struct bp_err *err)
{
    int32_t rc =
        q->failed ? fail(err, BP_NOMEM, "out of memory to %s at %.100s", doing, c->where) : run(c, doing, q->text, err);
    sql_free(q);
    return rc;
}

/* The rows of one query; mysql_free_result() them. NULL with err. */
static MYSQL_RES *rows(const struct schema *c, const char *sql, struct bp_err *err)
{
    MYSQL_RES *r = mysql_real_query(c->db, sql, strlen(sql)) ? NULL : mysql_store_result(c->db);
    if (!r)
        remedy_fail(c->db, "read the schema", c->where, err);
    return r;
}

/* The number a query answers; -1 when it is NULL. */
static int32_t number(const struct schema *c, const char *sql, int64_t *value, struct bp_err *err)
{
    MYSQL_RES *r = rows(c, sql, err);
    MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
    *value = row && row[0] ? strtoll(row[0], NULL, 10) : -1;
    mysql_free_result(r);
    return r ? BP_OK : err->rc;
}

/* ---- what is there ---- */

/* Compares a recorded step with ours. */
static int32_t compare(const struct schema *c, int version, const char *recorded, struct bp_err *err)
{
    char ours[17];
    if (version > c->steps->n)
        return fail(err, BP_INVALID,
                    "the schema at %.100s is number %d, this plugin knows %d; install the newer version of bpd here",
                    c->where, version, c->steps->n);
    if (version < 1)
        return BP_OK;
    checksum(c->steps->step[version - 1].sql, ours);
    if (!recorded || strcmp(recorded, ours) != 0)
        return fail(err, BP_INVALID,
                    "step %s of the schema at %.100s has another checksum than this plugin's; install the version that "
                    "applied it",
                    c->steps->step[version - 1].name, c->where);
    return BP_OK;
}

static int32_t table_is_there(const struct schema *c, int64_t *there, struct bp_err *err)
{
    return number(c,
                  "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA=DATABASE() AND "
                  "TABLE_NAME='schema_migrations'",
                  there, err);
}

/* *version = the newest applied step. */
static int32_t applied(const struct schema *c, int *version, struct bp_err *err)
{
    MYSQL_ROW row;
    int64_t there;
    *version = 0;
    int32_t rc = c->db ? table_is_there(c, &there, err) : BP_OK;
    if (rc || !c->db || !there)
        return rc;
    MYSQL_RES *r = rows(c, "SELECT version, checksum FROM schema_migrations ORDER BY version", err);
    while (r && !rc && (row = mysql_fetch_row(r))) {
        *version = (int)strtol(row[0], NULL, 10);
        rc = compare(c, *version, row[1], err);
    }
    mysql_free_result(r);
    return r ? rc : err->rc;
}

int32_t schema_check(const struct schema *c, struct bp_err *err)
{
    int version;
    int32_t rc = applied(c, &version, err);
    if (!rc && version < c->steps->n)
        return fail(err, BP_CONFLICT, "the schema at %.100s is number %d, %d is needed; run: bpctl migrate %s",
                    c->where, version, c->steps->n, c->steps->target);
    return rc;
}

/* ---- applying ---- */

static int32_t record(const struct schema *c, int version, struct bp_err *err)
{
    char sum[17];
    struct sql q = {0};
    checksum(c->steps->step[version - 1].sql, sum);
    sql_add(&q, "INSERT INTO schema_migrations (version, name, checksum, applied_ms) VALUES (%i,%s,%s,%l)", version,
            c->steps->step[version - 1].name, sum, c->host->now_ms(c->self));
    return run_text(c, "record a step of the schema", &q, err);
}

static int32_t words_put(const struct schema *c, struct bp_err *err)
{
    struct sql q = {0};
    if (!c->steps->words)
        return BP_OK;
    c->steps->words(&q);
    return run_text(c, "write the words of the schema", &q, err);
}

static int32_t step(const struct schema *c, int version, struct bp_err *err)
{
    const struct schema_step *s = &c->steps->step[version - 1];
    char doing[160];
    snprintf(doing, sizeof doing, "apply step %s", s->name);
    c->host->log(c->self, BP_LOG_INFO, "%s: applying step %s", c->where, s->name);
    int32_t rc = run(c, doing, s->sql, err);
    if (!rc && version == c->steps->n)
        rc = words_put(c, err);
    rc = rc ? rc : record(c, version, err);
    if (!rc)
        c->host->log(c->self, BP_LOG_INFO, "%s: step %s is applied", c->where, s->name);
    return rc;
}

static int32_t apply_missing(const struct schema *c, int *before, struct bp_err *err)
{
    int version;
    int32_t rc = applied(c, &version, err);
    *before = version;
    if (!rc && version == 0 && c->steps->n > 0)
        rc = run(c, "make the table schema_migrations",
                 "CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY, name VARCHAR(128) "
                 "NOT NULL, checksum VARCHAR(64) NOT NULL, applied_ms BIGINT NOT NULL) ENGINE=InnoDB DEFAULT "
                 "CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
                 err);
    while (!rc && version < c->steps->n)
        rc = step(c, ++version, err);
    return rc;
}

/* Waits in slices, so that no timeout of the connection ends the wait. */
static int32_t lock_take(const struct schema *c, struct bp_err *err)
{
    char sql[96];
    int64_t got = 0;
    int32_t rc = BP_OK;
    snprintf(sql, sizeof sql, "SELECT GET_LOCK(CONCAT('bpd.migrate.', SHA1(DATABASE())), %d)", LOCK_SLICE_S);
    for (int waited = 0; !rc && got != 1 && waited < LOCK_WAIT_S; waited += LOCK_SLICE_S) {
        if (waited == LOCK_SLICE_S)
            c->host->log(c->self, BP_LOG_INFO, "%s: another host is migrating; waiting for it", c->where);
        rc = number(c, sql, &got, err);
    }
    if (rc || got == 1)
        return rc;
    return fail(err, BP_LATER, "another host has been migrating the schema at %.100s for %d s; try again later",
                c->where, LOCK_WAIT_S);
}

int32_t schema_migrate(const struct schema *c, int *before, struct bp_err *err)
{
    int nobody_asks;
    struct bp_err unlock;
    int32_t rc = lock_take(c, err);
    if (rc)
        return rc;
    rc = apply_missing(c, before ? before : &nobody_asks, err);
    run(c, "release the lock", "DO RELEASE_LOCK(CONCAT('bpd.migrate.', SHA1(DATABASE())))", &unlock);
    return rc;
}

/* ---- reporting ---- */

/* When each of the steps was applied, 0: not. */
static int32_t times(const struct schema *c, int version, int64_t *applied_ms, struct bp_err *err)
{
    MYSQL_ROW row;
    if (version == 0)
        return BP_OK;
    MYSQL_RES *r = rows(c, "SELECT version, applied_ms FROM schema_migrations WHERE version > 0", err);
    while (r && (row = mysql_fetch_row(r))) {
        long v = strtol(row[0], NULL, 10);
        if (v <= c->steps->n)
            applied_ms[v - 1] = strtoll(row[1], NULL, 10);
    }
    mysql_free_result(r);
    return r ? BP_OK : err->rc;
}

static struct json_object *step_json(const struct schema *c, int i, int64_t applied_ms)
{
    char sum[17];
    struct json_object *o = json_object_new_object();
    checksum(c->steps->step[i].sql, sum);
    json_object_object_add(o, "version", json_object_new_int(i + 1));
    json_object_object_add(o, "name", json_object_new_string(c->steps->step[i].name));
    json_object_object_add(o, "checksum", json_object_new_string(sum));
    json_object_object_add(o, "state", json_object_new_string(applied_ms ? "applied" : "pending"));
    if (applied_ms)
        json_object_object_add(o, "applied_ms", json_object_new_int64(applied_ms));
    return o;
}

int32_t schema_report(const struct schema *c, int32_t mode, int before, struct json_object *databases,
                      struct bp_err *err)
{
    int version;
    int32_t rc = applied(c, &version, err);
    int64_t *applied_ms = calloc((size_t)c->steps->n + 1, sizeof *applied_ms);
    if (!applied_ms)
        return fail(err, BP_NOMEM, "out of memory to report the schema at %.100s", c->where);
    rc = rc ? rc : times(c, version, applied_ms, err);
    struct json_object *database = json_object_new_object(), *list = json_object_new_array();
    for (int i = 0; i < c->steps->n; i++) {
        struct json_object *o = step_json(c, i, applied_ms[i]);
        if (mode == BP_MIGRATE_APPLY && i >= before)
            json_object_object_add(o, "now", json_object_new_boolean(1));
        if (mode == BP_MIGRATE_DRY_RUN && !applied_ms[i])
            json_object_object_add(o, "sql", json_object_new_string(c->steps->step[i].sql));
        json_object_array_add(list, o);
    }
    json_object_object_add(database, "where", json_object_new_string(c->where));
    json_object_object_add(database, "steps", list);
    json_object_array_add(databases, database);
    free(applied_ms);
    return rc;
}
