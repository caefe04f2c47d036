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

/* The count of tenants' jobs at the first need after a start passes over an index of what is queued, once. */
static int may_scan(const char *name)
{
    return strcmp(name, "TENANTS_QUEUED") == 0;
}

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
    static const char *const tables[] = {"SCAN ai_job_dispatches",
                                         "SCAN ai_jobs",
                                         "SCAN d",
                                         "SCAN j",
                                         "SCAN unique_keys",
                                         "SCAN job_dependencies",
                                         "SCAN tenant_tokens",
                                         "SCAN k",
                                         "SCAN tenant_shares"};
    int met = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        met |= begins(step, tables[i]);
    if (!met)
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
        if ((is_queue_scan(step) && !may_scan(name)) || (strstr(step, "TEMP B-TREE") && !may_sort(name)))
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

/* The steps of a statement's plan, one a line. */
static void plan_of(sqlite3 *db, const char *name, char *out, size_t room)
{
    out[0] = 0;
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        if (strcmp(STATEMENTS[i].name, name) != 0)
            continue;
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", STATEMENTS[i].sql);
        sqlite3_stmt *q = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &q, NULL), SQLITE_OK);
        while (sqlite3_step(q) == SQLITE_ROW)
            snprintf(out + strlen(out), room - strlen(out), "%s%s", out[0] ? "\n" : "",
                     (const char *)sqlite3_column_text(q, 3));
        sqlite3_finalize(q);
        sqlite3_free(explain);
    }
}

static void the_lease_order_is_its_index(void **state)
{
    char plan[1024];
    (void)state;
    directory_fresh();
    fake_host_stop(queue_start(NULL));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open("queue.db", &db), SQLITE_OK);
    plan_of(db, "QUEUE_FRONT", plan, sizeof plan);
    assert_string_equal(plan,
                        "SEARCH ai_job_dispatches USING COVERING INDEX dispatches_queue (workflow_id=? AND lane=? "
                        "AND status=?)");
    sqlite3_close(db);
}

static void each_statement_reaches_its_rows_as_it_should(void **state)
{
    static const struct {
        const char *name, *plan;
    } want[] = {
        {"DUE", "SEARCH ai_job_dispatches USING COVERING INDEX dispatches_due (due_ms<?)"},
        {"PRUNE_FIND", "SEARCH ai_job_dispatches USING COVERING INDEX dispatches_finished (finished_ms>? AND "
                       "finished_ms<?)"},
        {"UNIQUE_FIND", "SEARCH unique_keys USING PRIMARY KEY (tenant_id=? AND key=?)"},
        {"UNIQUE_DELETE", "SEARCH unique_keys USING PRIMARY KEY (tenant_id=? AND key=?)\nSCALAR SUBQUERY 1\nSEARCH "
                          "ai_jobs USING INTEGER PRIMARY KEY (rowid=?)"},
        {"AFTER_DONE", "SEARCH job_dependencies USING COVERING INDEX job_dependencies_after (after_id=?)"},
        {"AFTER_OF", "SEARCH job_dependencies USING PRIMARY KEY (job_id=?)"},
        {"SHARE_LOAD", "SEARCH tenant_shares USING PRIMARY KEY (workflow_id=? AND tenant_id=?)"},
        {"TOKEN_FIND", "SEARCH tenant_tokens USING INDEX sqlite_autoindex_tenant_tokens_1 (token_hash=?)"},
        {"HOOK_DUE", "SEARCH h USING INDEX webhook_deliveries_due (due_ms<?)\nSEARCH t USING INTEGER PRIMARY KEY "
                     "(rowid=?)"},
        {"HOOKS_DROP", "SEARCH webhook_deliveries USING INDEX webhook_deliveries_tenant (tenant_id=?)"},
        {"LANE_FILL", "SEARCH ai_job_dispatches USING INDEX dispatches_tenant (tenant_id=?)"},
        {"TENANTS_SCHEDULED", "SCAN ai_job_dispatches USING COVERING INDEX dispatches_due"},
        {"TENANTS_QUEUED", "SCAN ai_job_dispatches USING COVERING INDEX dispatches_oldest"},
        {"TENANTS_LEASED", "SCAN ai_job_dispatches USING COVERING INDEX dispatches_expiry"},
    };
    (void)state;
    directory_fresh();
    fake_host_stop(queue_start(NULL));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open("queue.db", &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        char plan[1024];
        plan_of(db, want[i].name, plan, sizeof plan);
        if (strcmp(plan, want[i].plan) != 0)
            fail_msg("%s: '%s', expected '%s'", want[i].name, plan, want[i].plan);
    }
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_statement_scans_the_queue_or_sorts_it),
        cmocka_unit_test(the_lease_order_is_its_index),
        cmocka_unit_test(each_statement_reaches_its_rows_as_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
