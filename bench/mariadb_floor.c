/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What MariaDB needs at least for a cycle of a job: bench/mariadb_floor SOCKET PID SCHEMA.sql...
 *
 * One transaction inserts k jobs, leases the k of the transaction before and completes the k of the one before that. It
 * is one prepared compound statement: one round trip, and nothing to parse but the values. What it writes grows from
 * the rows of dispatches alone to all that a queue plugin writes. PID is the server's, whose CPU time is told.
 */
#include <mysql.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../plugins/queues/mariadb/sql.h"

#define CYCLES 6000
#define NOW    INT64_C(1700000000000)

/* What a transaction does, each with all before it. */
enum { DISPATCHES, READS, TIMELINE, CONTENT, COUNTERS, N_PARTS };
static const char *const PARTS[N_PARTS] = {
    [DISPATCHES] = "rows of dispatches alone", [READS] = "and reads them under locks",
    [TIMELINE] = "and their timeline",         [CONTENT] = "and content and output",
    [COUNTERS] = "and counters and writers",
};

static MYSQL *db;
static long server;

static void run(const char *text, size_t n)
{
    int more = mysql_real_query(db, text, n);
    while (more == 0) {
        mysql_free_result(mysql_store_result(db));
        more = mysql_next_result(db);
    }
    if (mysql_errno(db)) {
        fprintf(stderr, "mariadb_floor: %s in: %.200s\n", mysql_error(db), text);
        exit(1);
    }
}

/* CPU time of all threads of the server, also those that are gone, µs. */
static double server_us(void)
{
    char path[64];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", server);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) {
        fprintf(stderr, "mariadb_floor: cannot read %s; name the server's process\n", path);
        exit(1);
    }
    fclose(f);
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static double clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- the statements, with values at k rows from each id on ---- */

struct ids {
    int64_t fresh, leased, completed;
};

static void list(struct sql *q, int64_t from, int k)
{
    for (int i = 0; i < k; i++)
        sql_add(q, i ? ",%l" : "(%l", from + i);
    sql_add(q, ")");
}

static void choice(struct sql *q, const char *column, int64_t from, int k)
{
    char text[64];
    sql_add(q, "%r=CASE id", column);
    for (int i = 0; i < k; i++) {
        snprintf(text, sizeof text, "%032lld", (long long)from + i);
        sql_add(q, " WHEN %l THEN %s", from + i, text);
    }
    sql_add(q, " END,");
}

static void reads(struct sql *q, const struct ids *at, int k)
{
    sql_add(q, "SELECT id, lease_token, status FROM ai_job_dispatches FORCE INDEX (PRIMARY) WHERE id IN ");
    list(q, at->completed, k);
    sql_add(q, " FOR UPDATE;SELECT id, tenant_id, attempts, created_ms FROM ai_job_dispatches FORCE INDEX (PRIMARY) "
               "WHERE id IN ");
    list(q, at->leased, k);
    sql_add(q, " AND status=2 FOR UPDATE SKIP LOCKED;");
}

static void dispatches(struct sql *q, const struct ids *at, int k, int64_t now)
{
    sql_add(q, "INSERT INTO ai_job_dispatches (tenant_id, workflow_id, status, max_attempts, due_ms, created_ms, "
               "queued_ms, updated_ms) VALUES ");
    for (int i = 0; i < k; i++)
        sql_add(q, i ? ",(1,1,2,3,%l,%l,%l,%l)" : "(1,1,2,3,%l,%l,%l,%l)", now, now, now, now);
    sql_add(q, " RETURNING id;UPDATE ai_job_dispatches FORCE INDEX (PRIMARY) SET status=3, attempts=attempts+1, "
               "worker_id=1,");
    choice(q, "lease_token", at->leased, k);
    choice(q, "output_suffix", at->leased, k);
    sql_add(q, "due_ms=%l, leased_ms=%l, first_leased_ms=leased_ms, updated_ms=leased_ms WHERE id IN ", now + 60000,
            now);
    list(q, at->leased, k);
    sql_add(q,
            ";UPDATE ai_job_dispatches FORCE INDEX (PRIMARY) SET due_ms=%l, status=4, ended_by=1, finished_ms=due_ms, "
            "updated_ms=due_ms, progress=1, duration_seconds=1 WHERE id IN ",
            now);
    list(q, at->completed, k);
    sql_add(q, ";");
}

static void content(struct sql *q, const struct ids *at, int k)
{
    sql_add(q, "INSERT INTO ai_jobs (id, params, inputs) VALUES ");
    for (int i = 0; i < k; i++)
        sql_add(q, i ? ",(%l,%s,%s)" : "(%l,%s,%s)", at->fresh + i, "{}", "[]");
    sql_add(q, ";INSERT INTO ai_jobs (id, output) VALUES ");
    for (int i = 0; i < k; i++)
        sql_add(q, i ? ",(%l,%s)" : "(%l,%s)", at->completed + i, "{}");
    sql_add(q, " ON DUPLICATE KEY UPDATE output=VALUES(output);");
}

static void timeline(struct sql *q, const struct ids *at, int k, int64_t now)
{
    const int64_t of[] = {at->fresh, at->leased, at->completed};
    sql_add(q, "INSERT INTO job_events (job_id, at_ms, what, who) VALUES ");
    for (int i = 0; i < 3 * k; i++)
        sql_add(q, i ? ",(%l,%l,%i,%s)" : "(%l,%l,%i,%s)", of[i / k] + i % k, now, i / k + 1, "worker:bench-1");
    sql_add(q, ";");
}

static void statements(struct sql *q, int parts, int64_t batch, int k)
{
    const struct ids at = {batch * k + 1, (batch - 1) * k + 1, (batch - 2) * k + 1};
    int64_t now = NOW + batch;
    sql_clear(q);
    if (parts >= COUNTERS)
        sql_add(q,
                "INSERT INTO writers (id, batch, seen_ms) VALUES (1,%l,%l) ON DUPLICATE KEY UPDATE "
                "batch=VALUES(batch), seen_ms=VALUES(seen_ms);",
                batch, now);
    if (parts >= READS)
        reads(q, &at, k);
    dispatches(q, &at, k, now);
    if (parts >= COUNTERS)
        sql_add(q,
                "INSERT INTO dispatch_counters (owner, owner_id, shard, completed) VALUES (1,1,1,%l),(2,1,1,0) ON "
                "DUPLICATE KEY UPDATE completed=completed+VALUES(completed);",
                (int64_t)k);
    if (parts >= CONTENT)
        content(q, &at, k);
    if (parts >= TIMELINE)
        timeline(q, &at, k, now);
}

static void prepare(const struct sql *q)
{
    struct sql shape = {0}, text = {0};
    size_t at = 0;
    sql_add(&shape, "BEGIN NOT ATOMIC START TRANSACTION;");
    for (size_t i = 0; i < q->n_values; i++) {
        sql_bytes(&shape, q->text + at, q->values[i].at - at);
        sql_bytes(&shape, "?", 1);
        at = q->values[i].at + q->values[i].n;
    }
    sql_bytes(&shape, q->text + at, q->n - at);
    sql_add(&shape, "COMMIT;END");
    sql_add(&text, "PREPARE cycle FROM %s", shape.text);
    run(text.text, text.n);
    sql_free(&shape);
    sql_free(&text);
}

static void execute(const struct sql *q, struct sql *text)
{
    sql_clear(text);
    sql_add(text, "EXECUTE cycle USING ");
    for (size_t i = 0; i < q->n_values; i++) {
        sql_bytes(text, ",", i > 0);
        sql_bytes(text, q->text + q->values[i].at, q->values[i].n);
    }
    run(text->text, text->n);
}

static void measure(int parts, int k)
{
    static const char CLEAR[] = "TRUNCATE job_events;TRUNCATE ai_jobs;TRUNCATE ai_job_dispatches";
    struct sql q = {0}, text = {0};
    run(CLEAR, sizeof CLEAR - 1);
    statements(&q, parts, 2, k);
    prepare(&q);
    double cpu = server_us(), begun = clock_us();
    for (int64_t batch = 0; batch < CYCLES / k; batch++) {
        statements(&q, parts, batch, k);
        execute(&q, &text);
    }
    double wall = clock_us() - begun;
    sleep(1); /* what is purged belongs to it */
    cpu = server_us() - cpu;
    printf("%4d %-28s %6.0f %6.0f\n", k, PARTS[parts], cpu / CYCLES, wall / CYCLES);
    fflush(stdout);
    sql_free(&q);
    sql_free(&text);
}

static void load(const char *path)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (!n) {
        fprintf(stderr, "mariadb_floor: cannot read %s\n", path);
        exit(1);
    }
    fclose(f);
    run(text, n);
}

int main(int argc, char **argv)
{
    static const char SESSION[] = "CREATE DATABASE floor;USE floor;SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin;"
                                  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
    static const int sizes[] = {1, 4, 8, 16};
    if (argc < 4) {
        fprintf(stderr, "usage: mariadb_floor SOCKET PID SCHEMA.sql...\n");
        return 2;
    }
    server = strtol(argv[2], NULL, 10);
    db = mysql_init(NULL);
    if (!db || !mysql_real_connect(db, NULL, "root", "", NULL, 0, argv[1], CLIENT_MULTI_STATEMENTS)) {
        fprintf(stderr, "mariadb_floor: cannot connect at %s: %s\n", argv[1], db ? mysql_error(db) : "no memory");
        return 1;
    }
    run(SESSION, sizeof SESSION - 1);
    for (int i = 3; i < argc; i++)
        load(argv[i]);
    printf("jobs a transaction of each kind, what it does, µs of the server's CPU a cycle, µs on the clock a cycle\n");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int parts = 0; parts < N_PARTS; parts++)
            measure(parts, sizes[i]);
    mysql_close(db);
    return 0;
}
