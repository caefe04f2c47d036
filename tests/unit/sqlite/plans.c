/* SPDX-License-Identifier: Apache-2.0 */
/* No statement may pass over the queue: how each reaches its rows, as the query planner tells it. */
#include "queue_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *sql;
} STATEMENTS[] = {
#define STATEMENT(id, sql) {#id, sql},
#include "statements.def"
#undef STATEMENT
};
#define N_STATEMENTS (sizeof STATEMENTS / sizeof STATEMENTS[0])

/* Lists of what is running or scheduled sort those rows: few, and found by an index that holds only them. */
static int may_sort(const char *name)
{
    static const char *const names[] = {"LIST_LEASED", "LIST_SCHEDULED", "WORKER_LIST", "WORKER_LIST_WORKFLOW",
                                        "STATS_INTERRUPTED"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return 1;
    return 0;
}

static int begins(const char *step, const char *words)
{
    size_t n = strlen(words);
    return strncmp(step, words, n) == 0 && (step[n] == ' ' || step[n] == 0);
}

/* A scan of an index that holds only what is asked for is no scan of the queue. */
static int is_queue_scan(const char *step)
{
    if (!begins(step, "SCAN ai_job_dispatches") && !begins(step, "SCAN ai_jobs") && !begins(step, "SCAN d") &&
        !begins(step, "SCAN j"))
        return 0;
    return !strstr(step, "INDEX dispatches_expiry") && !strstr(step, "INDEX dispatches_due");
}

static void check_plan(sqlite3 *db, const char *name, const char *sql)
{
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(db, explain, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s: %s", name, sqlite3_errmsg(db));
    while (sqlite3_step(q) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(q, 3);
        if (is_queue_scan(step) || (strstr(step, "TEMP B-TREE") && !may_sort(name)))
            fail_msg("%s: %s", name, step);
    }
    sqlite3_finalize(q);
    sqlite3_free(explain);
}

static void no_statement_scans_the_queue_or_sorts_it(void **state)
{
    (void)state;
    directory_fresh();
    fake_host_stop(queue_start(NULL));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open("queue.db", &db), SQLITE_OK);
    for (size_t i = 0; i < N_STATEMENTS; i++)
        check_plan(db, STATEMENTS[i].name, STATEMENTS[i].sql);
    sqlite3_close(db);
}

static void the_lease_order_is_its_index(void **state)
{
    (void)state;
    directory_fresh();
    fake_host_stop(queue_start(NULL));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open("queue.db", &db), SQLITE_OK);
    int met = 0;
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        if (strcmp(STATEMENTS[i].name, "QUEUE_FRONT") != 0)
            continue;
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", STATEMENTS[i].sql);
        sqlite3_stmt *q = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &q, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(q, 3),
                            "SEARCH ai_job_dispatches USING COVERING INDEX dispatches_queue (workflow_id=?)");
        assert_int_equal(sqlite3_step(q), SQLITE_DONE);
        sqlite3_finalize(q);
        sqlite3_free(explain);
        met++;
    }
    assert_int_equal(met, 1);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_statement_scans_the_queue_or_sorts_it),
        cmocka_unit_test(the_lease_order_is_its_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
