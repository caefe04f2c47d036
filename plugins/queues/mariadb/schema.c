/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "timeline.h"

#define LOCK_WAIT_S 60

/* In migrations.S. */
extern const char mariadb_migration_0001[];

static const struct migration {
    const char *name, *sql;
} MIGRATIONS[] = {
    {"0001_queue", mariadb_migration_0001},
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

/* Compares a recorded migration with ours. */
static int32_t compare(struct store *s, int version, const char *recorded)
{
    char ours[17];
    if (version > N_MIGRATIONS)
        return store_fail(s, BP_INVALID,
                          "the schema at %.100s is number %d, this plugin knows %d; install the newer "
                          "version",
                          s->settings.where, version, N_MIGRATIONS);
    if (version < 1)
        return BP_OK;
    checksum(MIGRATIONS[version - 1].sql, ours);
    if (!recorded || strcmp(recorded, ours) != 0)
        return store_fail(s, BP_INVALID,
                          "migration %s at %.100s differs from this plugin's; restore the plugin that "
                          "made it",
                          MIGRATIONS[version - 1].name, s->settings.where);
    return BP_OK;
}

/* *version = the newest applied migration. */
static int32_t applied(struct store *s, int *version)
{
    struct reply r;
    int64_t tables;
    *version = 0;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA=DATABASE() AND "
                   "TABLE_NAME='schema_migrations'");
    int32_t rc = query_int(s, &s->q, &tables);
    if (rc || !tables)
        return rc;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT version, checksum FROM schema_migrations ORDER BY version");
    rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        *version = (int)column_int(&r, 0);
        rc = compare(s, *version, r.row[1]);
    }
    reply_done(&r);
    return rc;
}

int32_t schema_check(struct store *s)
{
    int version;
    int32_t rc = applied(s, &version);
    if (!rc && version < N_MIGRATIONS)
        return store_fail(s, BP_INVALID, "the schema at %.100s is number %d, %d is needed; run: bpctl migrate central",
                          s->settings.where, version, N_MIGRATIONS);
    return rc;
}

/* Each statement of a step may be repeated: a step that was cut off is run again from its beginning. */
static int32_t step(struct store *s, int version)
{
    char sum[17];
    checksum(MIGRATIONS[version - 1].sql, sum);
    sql_clear(&s->q);
    sql_add(&s->q, "%r", MIGRATIONS[version - 1].sql);
    int32_t rc = query_run(s, &s->q);
    sql_clear(&s->q);
    sql_add(&s->q, "INSERT INTO schema_migrations (version, name, checksum, applied_ms) VALUES (%i,%s,%s,%l);", version,
            MIGRATIONS[version - 1].name, sum, s->host->now_ms(s->self));
    timeline_words(&s->q);
    return rc ? rc : query_run(s, &s->q);
}

static int32_t apply_missing(struct store *s)
{
    int version;
    int32_t rc = applied(s, &version);
    if (!rc && version == 0)
        rc = query_text(s, "CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY, name "
                           "VARCHAR(128) NOT NULL, checksum VARCHAR(64) NOT NULL, applied_ms BIGINT NOT NULL) "
                           "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin");
    while (!rc && version < N_MIGRATIONS)
        rc = step(s, ++version);
    return rc;
}

int32_t schema_migrate(struct store *s)
{
    int64_t locked;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT GET_LOCK(CONCAT('bpd.migrate.', SHA1(DATABASE())), %i)", LOCK_WAIT_S);
    int32_t rc = query_int(s, &s->q, &locked);
    if (!rc && !locked)
        return store_fail(s, BP_LATER, "another host is migrating the schema at %.100s for %d s now; try again later",
                          s->settings.where, LOCK_WAIT_S);
    rc = rc ? rc : apply_missing(s);
    struct bp_err why = s->failure;
    if (!rc || s->fault != FAULT_LOST)
        query_text(s, "DO RELEASE_LOCK(CONCAT('bpd.migrate.', SHA1(DATABASE())))");
    if (rc)
        s->failure = why;
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
        return store_nomem(s);
    strcpy(*plan, "[");
    for (int i = version; i < N_MIGRATIONS; i++) {
        strcat(*plan, i > version ? ",\"" : "\"");
        strcat(*plan, MIGRATIONS[i].name);
        strcat(*plan, "\"");
    }
    strcat(*plan, "]");
    return BP_OK;
}
