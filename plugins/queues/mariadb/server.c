/* SPDX-License-Identifier: Apache-2.0 */
/* What a server must be like, each refused with its remedy. */
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PACKET_MIN   (4 << 20)
#define PACKET_SPARE (1 << 20) /* of a text, for what is not the tenant's */

struct server {
    char version[64], format[16], isolation[32], read_only[32];
    int64_t innodb_read_only, packet, log_bin, flush_log, sync_binlog;
};

static int32_t server_read(struct store *s, struct server *v)
{
    struct reply r;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT @@version, @@read_only, @@max_allowed_packet, @@log_bin, @@binlog_format, @@tx_isolation, "
                   "@@innodb_read_only, @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@auto_increment_increment");
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        strncpy(v->version, r.row[0], sizeof v->version - 1);
        strncpy(v->read_only, r.row[1], sizeof v->read_only - 1);
        v->packet = column_int(&r, 2);
        v->log_bin = column_int(&r, 3);
        strncpy(v->format, r.row[4], sizeof v->format - 1);
        strncpy(v->isolation, r.row[5], sizeof v->isolation - 1);
        v->innodb_read_only = column_int(&r, 6);
        v->flush_log = column_int(&r, 7);
        v->sync_binlog = column_int(&r, 8);
        s->ids_in_row = column_int(&r, 9) == 1;
    }
    reply_done(&r);
    return rc;
}

/* A number up to MariaDB 11, a word since 12. */
static bool is_read_only(const struct server *v)
{
    return v->innodb_read_only || (strcmp(v->read_only, "0") != 0 && strcasecmp(v->read_only, "OFF") != 0);
}

/* It works, but what it promised may be gone after a crash. */
static void durability_warn(struct store *s, const struct server *v)
{
    if (s->warned)
        return;
    s->warned = true;
    if (v->flush_log != 1)
        s->host->log(
            s->self, BP_LOG_WARN,
            "innodb_flush_log_at_trx_commit of the server at %s is %lld: a crash of the server loses jobs that "
            "were accepted and results that were delivered; set it to 1",
            s->settings.where, (long long)v->flush_log);
    if (v->log_bin && v->sync_binlog != 1)
        s->host->log(
            s->self, BP_LOG_WARN,
            "sync_binlog of the server at %s is %lld: after a crash of the server a replica may lack jobs that "
            "were accepted; set it to 1",
            s->settings.where, (long long)v->sync_binlog);
}

/* MariaDB 10.6 or newer: SKIP LOCKED since 10.6, INSERT ... RETURNING since 10.5. */
static bool version_fits(const char *version)
{
    char *end;
    long major = strtol(version, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return strstr(version, "MariaDB") && (major > 10 || (major == 10 && minor >= 6));
}

int32_t server_check(struct store *s)
{
    struct server v = {0};
    const char *where = s->settings.where;
    int32_t rc = server_read(s, &v);
    if (rc)
        return rc;
    if (!version_fits(v.version))
        return store_fail(s, BP_INVALID, "the server at %.100s is %.40s; the queue needs MariaDB 10.6 or newer", where,
                          v.version);
    if (is_read_only(&v))
        return store_fail(s, BP_INVALID, "the server at %.100s is read-only: a replica? Name the primary", where);
    if (v.packet < PACKET_MIN)
        return store_fail(s, BP_INVALID,
                          "max_allowed_packet of the server at %.100s is %lld bytes; set it to %d or more", where,
                          (long long)v.packet, PACKET_MIN);
    if (v.log_bin && strcmp(v.format, "STATEMENT") == 0)
        return store_fail(s, BP_INVALID, "binlog_format of the server at %.100s is STATEMENT; set it to MIXED or ROW",
                          where);
    if (strcmp(v.isolation, "READ-COMMITTED") != 0)
        return store_fail(s, BP_INVALID, "the server at %.100s keeps isolation %.20s; let sessions set READ COMMITTED",
                          where, v.isolation);
    durability_warn(s, &v);
    s->text_max = (size_t)v.packet - PACKET_SPARE;
    return BP_OK;
}

/* Every table but schema_migrations, whose reading is proved by reading it, and a column that may be written. */
static const struct table {
    const char *name, *column;
} TABLES[] = {
    {"ai_jobs", "id"},
    {"ai_job_outputs", "job_id"},
    {"ai_job_dispatches", "id"},
    {"controllers", "id"},
    {"dispatch_counters", "owner"},
    {"effects", "id"},
    {"idempotency_keys", "tenant_id"},
    {"job_dependencies", "job_id"},
    {"job_events", "seq"},
    {"job_event_words", "id"},
    {"leadership", "id"},
    {"memos", "kind"},
    {"pool_outbox", "seq"},
    {"shares", "workflow_id"},
    {"tenants", "id"},
    {"tenants_version", "id"},
    {"tokens", "id"},
    {"unique_keys", "dispatch_id"},
    {"webhook_deliveries", "job_id"},
    {"workers", "id"},
    {"worker_audit_logs", "id"},
    {"worker_names", "id"},
    {"worker_workflows", "workflow_id"},
    {"workflows", "id"},
    {"workflow_interruptions", "workflow_id"},
    {"workflow_samples", "workflow_id"},
    {"workflow_seconds", "workflow_id"},
    {"writers", "id"},
};

static const struct table POOL_TABLES[] = {
    {"ai_jobs", "id"},
    {"ai_job_outputs", "job_id"},
};

/* To explain a change takes the same privileges as to make it, and changes nothing. */
static int32_t tables_check(struct store *s, const struct table *tables, size_t n)
{
    sql_clear(&s->q);
    for (size_t i = 0; i < n; i++) {
        const char *t = tables[i].name, *column = tables[i].column;
        sql_add(&s->q, "EXPLAIN SELECT * FROM %r WHERE %r=0;EXPLAIN UPDATE %r SET %r=1 WHERE %r=0;", t, column, t,
                column, column);
        sql_add(&s->q, "EXPLAIN DELETE FROM %r WHERE %r=0;EXPLAIN INSERT INTO %r SELECT * FROM %r WHERE %r=0;", t,
                column, t, t, column);
    }
    int32_t rc = query_send(s, &s->q);
    return rc ? rc : query_end(s);
}

int32_t privileges_check(struct store *s)
{
    return tables_check(s, TABLES, sizeof TABLES / sizeof TABLES[0]);
}

int32_t pool_privileges_check(struct store *s)
{
    return tables_check(s, POOL_TABLES, sizeof POOL_TABLES / sizeof POOL_TABLES[0]);
}
