/* SPDX-License-Identifier: Apache-2.0 */
/* Coming to a usable connection, and what became of a commit that was cut off. */
#include "open.h"

#include <mysqld_error.h>
#include <string.h>
#include <time.h>

#include "counters.h"
#include "schema.h"
#include "server.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000
#define WRITER_KEEP_MS INT64_C(86400000)

int64_t store_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int32_t writer_put(struct store *s)
{
    int64_t now = s->host->now_ms(s->self);
    sql_clear(&s->q);
    sql_add(&s->q,
            "DELETE FROM writers WHERE seen_ms < %l;INSERT INTO writers (id, batch, seen_ms) VALUES (%l,%l,%l) "
            "ON DUPLICATE KEY UPDATE seen_ms=VALUES(seen_ms)",
            now - WRITER_KEEP_MS, s->writer_id, s->batch_no, now);
    return query_run(s, &s->q);
}

/* On a connection of its own that no timeout ends: a step may take long. */
static int32_t migrate_now(struct store *s, const struct schema_steps *steps)
{
    conn_close(s);
    s->patient = true;
    int32_t rc = conn_open(s);
    if (!rc) {
        struct schema c = store_schema(s, steps);
        rc = schema_migrate(&c, NULL, &s->failure);
    }
    s->patient = false;
    conn_close(s);
    return rc ? rc : conn_open(s);
}

int32_t store_schema_ready(struct store *s, const struct schema_steps *steps)
{
    struct schema c = store_schema(s, steps);
    int32_t rc = schema_check(&c, &s->failure);
    if (rc)
        s->fault = FAULT_OTHER;
    return rc == BP_CONFLICT && s->settings.auto_migrate ? migrate_now(s, steps) : rc;
}

static int32_t connect_and_check(struct store *s)
{
    int32_t rc = conn_open(s);
    rc = rc ? rc : server_check(s);
    rc = rc ? rc : store_schema_ready(s, &schema_central);
    rc = rc ? rc : privileges_check(s);
    rc = rc ? rc : pools_check_near(s);
    counters_forget(s);
    return rc ? rc : writer_put(s);
}

struct schema store_schema(struct store *s, const struct schema_steps *steps)
{
    return (struct schema){s->db, s->settings.where, steps, s->host, s->self};
}

int32_t store_connect(struct store *s)
{
    if (store_clock_ms() < s->next_try_ms) {
        s->fault = FAULT_OTHER; /* not worth repeating at once; s->unreachable keeps the reason */
        return s->unreachable.rc;
    }
    int32_t rc = connect_and_check(s);
    if (rc == BP_OK) {
        s->backoff_ms = 0;
        s->next_try_ms = 0;
        return BP_OK;
    }
    conn_close(s);
    rc = s->failure.rc = rc == BP_NOMEM ? BP_NOMEM : BP_LATER;
    s->unreachable = s->failure;
    int32_t next = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_MIN_MS;
    s->backoff_ms = next < BACKOFF_MAX_MS ? next : BACKOFF_MAX_MS;
    s->next_try_ms = store_clock_ms() + s->backoff_ms;
    return rc;
}

/* The row the batch wrote first is locked until its transaction ended: reading it under a lock waits for that end. */
static int32_t batch_of_row(struct store *s, int64_t *batch)
{
    query_text(s, "START TRANSACTION");
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT batch FROM writers WHERE id=%l FOR UPDATE", s->writer_id);
    int32_t rc = query_int(s, &s->q, batch);
    if (rc == BP_OK)
        rc = query_text(s, "COMMIT");
    return rc;
}

static void kill_old(struct store *s, unsigned long thread_id)
{
    sql_clear(&s->q);
    sql_add(&s->q, "KILL %l", (int64_t)thread_id);
    query_run(s, &s->q); /* most often it is gone already */
}

int32_t store_outcome(struct store *s, int64_t until_ms, bool *committed)
{
    unsigned long old = s->thread_id;
    int64_t batch = 0;
    int32_t rc;
    do {
        if (!s->db) {
            struct timespec rest = {0, 100 * 1000000L};
            s->next_try_ms = 0;
            rc = store_connect(s);
            if (rc == BP_OK)
                kill_old(s, old);
            else
                nanosleep(&rest, NULL);
        }
        rc = s->db ? batch_of_row(s, &batch) : BP_LATER;
        if (rc && s->db && s->fault == FAULT_LOST)
            conn_close(s);
    } while (rc && store_clock_ms() < until_ms);
    *committed = rc == BP_OK && batch == s->batch_no;
    return rc;
}
