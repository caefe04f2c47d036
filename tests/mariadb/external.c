/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that other applications put into ai_job_dispatches with an INSERT of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"
#include "database.h"

#define NOW INT64_C(1700000000000) /* as queue_run has it */

static struct fake_host *h;

/* A queue that knows tenant acme and workflow a, with a worker. */
static int fresh(void **state)
{
    struct bp_err err;
    (void)state;
    database_fresh();
    h = queue_start(NULL, "", &err);
    if (!h)
        fail_msg("start: %s", err.text);
    queue_worker(h, "w");
    database_run("INSERT INTO DB.tenants (name) VALUES ('acme')");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_host_stop(h);
    return 0;
}

/* Inserts a row of tenant acme and workflow a with these columns more. */
static void insert(const char *columns, const char *values)
{
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id, %s) SELECT t.id, w.id, %s FROM DB.tenants t JOIN "
        "DB.workflows w WHERE t.name = 'acme' AND w.name = 'a'",
        columns, values);
    database_run(sql);
}

static int64_t last_id(void)
{
    return database_int("SELECT MAX(id) FROM DB.ai_job_dispatches");
}

static const struct bp_op_sweep *swept(struct bp_op *op)
{
    struct bp_err err = {0};
    *op = (struct bp_op){.kind = BP_OP_SWEEP};
    op->u.sweep.limit = 100;
    if (queue_run(h, op, &err) != BP_OK || op->err.rc != BP_OK)
        fail_msg("sweep: %s %s", err.text, op->err.text);
    return &op->u.sweep;
}

/* One sweep, that changes one job, into failed with these words. */
static void refused(const char *words)
{
    struct bp_op op;
    const struct bp_op_sweep *w = swept(&op);
    assert_int_equal(w->count, 1);
    assert_int_equal(w->jobs[0].status, BP_JOB_FAILED);
    if (!strstr(w->jobs[0].error, words))
        fail_msg("'%s' does not say '%s'", w->jobs[0].error, words);
    fake_host_free(op.u.sweep.memory);
    assert_int_equal(swept(&op)->count, 0);
    assert_int_equal(
        database_int(
            "SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='failed' AND last_error LIKE 'inserted with%'"),
        1);
    assert_int_equal(queue_lease(h, "w", "t"), 0);
}

static void a_sweep_takes_a_row_in_as_if_it_had_been_submitted(void **state)
{
    struct bp_op op, get = {.kind = BP_OP_GET};
    struct bp_err err;
    (void)state;
    insert("input_key, input_mime, priority", "'tenants/acme/uploads/1/a \"b\".jpg', 'image/jpeg', 7");
    const struct bp_op_sweep *w = swept(&op);
    assert_int_equal(w->count, 1);
    assert_int_equal(w->jobs[0].id, last_id());
    assert_int_equal(w->jobs[0].status, BP_JOB_QUEUED);
    assert_int_equal(w->jobs[0].priority, 7);
    assert_int_equal(w->jobs[0].max_attempts, 3);
    assert_int_equal(w->jobs[0].created_ms, NOW);
    assert_string_equal(w->jobs[0].tenant, "acme");
    assert_string_equal(w->jobs[0].workflow, "a");
    fake_host_free(op.u.sweep.memory);
    get.u.get.id = last_id();
    get.u.get.with_events = 1;
    assert_int_equal(queue_run(h, &get, &err), BP_OK);
    assert_int_equal(get.err.rc, BP_OK);
    assert_string_equal(get.u.get.job->inputs,
                        "[{\"key\":\"tenants/acme/uploads/1/a \\\"b\\\".jpg\",\"mime\":\"image/jpeg\","
                        "\"name\":\"a \\\"b\\\".jpg\"}]");
    assert_string_equal(get.u.get.job->params, "{}");
    assert_int_equal(get.u.get.n_events, 1);
    assert_string_equal(get.u.get.events[0].what, "submitted");
    assert_string_equal(get.u.get.events[0].who, "external");
    fake_host_free(get.u.get.memory);
    assert_int_equal(swept(&op)->count, 0);
    assert_int_equal(database_int("SELECT SUM(queued) FROM DB.dispatch_counters WHERE owner=1"), 1);
    assert_int_equal(database_int("SELECT SUM(submitted) FROM DB.workflow_seconds"), 1);
}

/* Where workflow a's queue stands. */
static struct bp_watch_row watched(void)
{
    struct bp_err err = {0};
    struct bp_op op = {.kind = BP_OP_WATCH};
    struct bp_watch_row row = {0};
    if (queue_run(h, &op, &err) != BP_OK || op.err.rc != BP_OK)
        fail_msg("watch: %s %s", err.text, op.err.text);
    assert_true(op.u.watch.count <= 1);
    if (op.u.watch.count)
        row = op.u.watch.rows[0];
    fake_host_free(op.u.watch.memory);
    return row;
}

static void a_row_is_seen_by_those_who_watch_before_it_is_taken_in(void **state)
{
    struct bp_op op;
    (void)state;
    assert_int_equal(watched().arrivals, 0);
    insert("input_key", "'tenants/acme/uploads/1/a.jpg'");
    insert("input_key", "'tenants/zenith/uploads/1/a.jpg'");
    struct bp_watch_row before = watched();
    assert_string_equal(before.workflow, "a");
    assert_int_equal(before.queued, 2);
    assert_int_equal(before.arrivals, 2);
    assert_int_equal(swept(&op)->count, 2);
    fake_host_free(op.u.sweep.memory);
    assert_int_equal(watched().queued, 1);
    assert_int_equal(watched().arrivals, before.arrivals); /* or an arrival at the same time would not be noticed */
    insert("priority", "1");
    assert_int_equal(watched().queued, 2);
    assert_int_equal(watched().arrivals, before.arrivals + 1);
}

static void a_lease_takes_the_row_before_any_sweep(void **state)
{
    (void)state;
    insert("input_key", "'tenants/acme/uploads/1/a.jpg'");
    assert_int_equal(queue_lease(h, "w", "t"), last_id());
    assert_int_equal(database_int("SELECT leased FROM DB.dispatch_counters WHERE owner=1"), 1);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.job_events"), 2);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE created_at IS NOT NULL AND "
                                  "lease_expires_at > leased_at"),
                     1);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE inputs LIKE '%tenants/acme/uploads/1/a.jpg%'"),
                     1);
}

static void rows_of_others_keep_their_place_in_the_order(void **state)
{
    struct bp_err err;
    int64_t ours;
    (void)state;
    assert_int_equal(queue_submit(h, NULL, &ours, &err), BP_OK);
    insert("priority", "0");
    insert("priority", "5");
    assert_int_equal(queue_lease(h, "w", "t1"), ours + 2);
    assert_int_equal(queue_lease(h, "w", "t2"), ours);
    assert_int_equal(queue_lease(h, "w", "t3"), ours + 1);
}

static void a_row_with_a_time_ahead_waits_for_it(void **state)
{
    struct bp_op op;
    (void)state;
    insert("not_before_ms", "1700000005000");
    const struct bp_op_sweep *w = swept(&op);
    assert_int_equal(w->count, 1);
    assert_int_equal(w->jobs[0].status, BP_JOB_SCHEDULED);
    assert_int_equal(w->next_due_ms, NOW + 5000);
    fake_host_free(op.u.sweep.memory);
    assert_int_equal(queue_lease(h, "w", "t"), 0);
}

static void a_row_can_be_cancelled_before_it_was_taken_in(void **state)
{
    struct bp_err err;
    struct bp_op op = {.kind = BP_OP_CANCEL};
    (void)state;
    insert("priority", "0");
    op.u.cancel.id = last_id();
    op.u.cancel.tenant = "acme";
    assert_int_equal(queue_run(h, &op, &err), BP_OK);
    assert_int_equal(op.u.cancel.status, BP_JOB_CANCELLED);
    assert_int_equal(database_int("SELECT queued FROM DB.dispatch_counters WHERE owner=1"), 0);
    assert_int_equal(database_int("SELECT cancelled FROM DB.dispatch_counters WHERE owner=1"), 1);
}

static void an_unknown_tenant_is_refused(void **state)
{
    (void)state;
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT 99, id FROM DB.workflows");
    refused("tenant_id 99");
}

static void an_unknown_workflow_is_refused(void **state)
{
    (void)state;
    database_run("INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT id, 98 FROM DB.tenants");
    refused("workflow_id 98");
}

static void a_priority_out_of_range_is_refused(void **state)
{
    (void)state;
    insert("priority", "1001");
    refused("priority 1001");
}

/* Not strict: the server puts the nearest value it has into the row. */
static void insert_loosely(const char *columns, const char *values)
{
    char sql[4096];
    snprintf(sql, sizeof sql,
             "SET STATEMENT sql_mode='' FOR INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id, %s) SELECT t.id, "
             "w.id, %s FROM "
             "DB.tenants t JOIN DB.workflows w WHERE t.name = 'acme' AND w.name = 'a'",
             columns, values);
    database_run(sql);
}

static void a_priority_that_is_absurd_is_refused(void **state)
{
    (void)state;
    insert_loosely("priority", "-123456789012");
    refused("priority -32768");
}

static void no_tenant_is_refused(void **state)
{
    (void)state;
    database_run(
        "SET STATEMENT sql_mode='' FOR INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id) SELECT NULL, id FROM "
        "DB.workflows UNION ALL SELECT NULL, id FROM DB.workflows LIMIT 1");
    refused("tenant_id 0");
}

static void a_time_that_never_comes_is_refused(void **state)
{
    (void)state;
    insert("not_before_ms", "9223372036854775807");
    refused("not_before_ms 9223372036854775807");
    database_run("DELETE FROM DB.ai_job_dispatches");
    insert("not_before_ms", "4611686018427387904"); /* which stands for never in due_ms */
    refused("not_before_ms 4611686018427387904");
}

static void an_unknown_effect_is_refused(void **state)
{
    (void)state;
    insert("effect_id", "77");
    refused("effect_id 77");
}

static void no_attempts_are_refused(void **state)
{
    (void)state;
    insert("max_attempts", "0");
    refused("max_attempts 0");
}

static void an_unknown_status_is_refused(void **state)
{
    (void)state;
    insert_loosely("status", "'waiting'");
    assert_int_equal(database_int("SELECT status+0 FROM DB.ai_job_dispatches"), 0);
    refused("status");
}

static void a_key_as_long_as_the_column_is_refused_in_whole_characters(void **state)
{
    (void)state;
    insert_loosely("input_key", "CONCAT('x', REPEAT(_utf8mb4 x'e4b8ad', 1023))");
    assert_int_equal(database_int("SELECT LENGTH(input_key) FROM DB.ai_job_dispatches"), 1 + 3 * 1023);
    refused("below tenants/acme/");
}

static void a_key_that_no_upload_has_is_refused(void **state)
{
    static const char *const KEYS[] = {
        "CONCAT('tenants/acme/', REPEAT('x', 256))", "'tenants/acme/a\\nb'", "'tenants/acme/a\\\\b'",
        "CONCAT('tenants/acme/', REPEAT(CONCAT(REPEAT(_utf8mb4 x'e4b8ad', 80), '/'), 5), 'a')"};
    (void)state;
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        database_run("DELETE FROM DB.ai_job_dispatches");
        insert_loosely("input_key", KEYS[i]);
        refused("below tenants/acme/");
    }
}

static void the_key_of_another_tenant_is_refused_for_good(void **state)
{
    (void)state;
    insert("input_key", "'tenants/acme-2/uploads/1/a.jpg'");
    refused("below tenants/acme/");
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_jobs WHERE inputs <> '[]'"), 0);
}

static void a_key_that_climbs_out_is_refused(void **state)
{
    (void)state;
    insert("input_key", "'tenants/acme/../other/a.jpg'");
    refused("below tenants/acme/");
}

/* Columns that are the queue's own: with a value of another's in it the row could not be written any more (attempts +
 * 1), would be taken for one of ours (created_ms), or would hand out what belongs to another tenant (checkpoint_key).
 */
static void a_column_that_is_to_be_left_out_is_refused(void **state)
{
    static const char *const COLUMNS[][2] = {
        {"attempts", "2147483647"},
        {"requeues", "2147483647"},
        {"attempts", "-2147483648"},
        {"created_ms", "1700000000000"},
        {"queued_ms", "9223372036854775807"},
        {"leased_ms", "-9223372036854775808"},
        {"first_leased_ms", "1"},
        {"wait_ms", "-1"},
        {"share_tag", "1e308"},
        {"sort_key", "-128"},
        {"flags", "15"},
        {"waits_for", "32767"},
        {"worker_id", "1"},
        {"ended_by", "1"},
        {"cancel_requested", "1"},
        {"lease_token", "'t'"},
        {"output_suffix", "'../../../b'"},
        {"checkpoint_key", "'tenants/zenith/jobs/1/checkpoint'"},
        {"progress", "-1e308"},
        {"last_error", "''"},
    };
    struct bp_err err;
    (void)state;
    for (size_t i = 0; i < sizeof COLUMNS / sizeof *COLUMNS; i++) {
        int64_t ours;
        database_run("DELETE FROM DB.ai_job_dispatches");
        insert(COLUMNS[i][0], COLUMNS[i][1]);
        refused(COLUMNS[i][0]);
        struct bp_op again = {.kind = BP_OP_RETRY, .u.retry = {.id = last_id()}};
        assert_int_equal(queue_run(h, &again, &err), BP_OK);
        assert_int_equal(queue_submit(h, NULL, &ours, &err), BP_OK);
        assert_int_equal(queue_lease(h, "w", "t1"), again.u.retry.id);
        assert_int_equal(queue_lease(h, "w", "t2"), ours);
        assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE attempts<>1 OR share_tag<>0 OR "
                                      "flags<>0 OR waits_for<>0 OR checkpoint_key IS NOT NULL OR requeues<>0"),
                         0);
    }
}

/* As above, before any sweep. */
static void such_a_row_holds_up_no_lease(void **state)
{
    struct bp_err err;
    int64_t ours;
    (void)state;
    insert("attempts, priority", "2147483647, 1000");
    insert("created_ms, priority", "1, 1000");
    assert_int_equal(queue_submit(h, NULL, &ours, &err), BP_OK);
    assert_int_equal(queue_lease(h, "w", "t"), ours);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='failed'"), 2);
}

/* A row that claims to run already ends too, and the counters know nothing of it. */
static void a_row_that_claims_to_be_leased_ends(void **state)
{
    struct bp_op op;
    (void)state;
    insert("status, attempts, worker_id", "'leased', 2147483647, 1");
    insert("status, due_ms", "'leased', -9223372036854775808");
    for (int i = 0; i < 3; i++) {
        swept(&op);
        fake_host_free(op.u.sweep.memory);
    }
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status<>'failed'"), 0);
    assert_int_equal(database_int("SELECT SUM(leased) FROM DB.dispatch_counters WHERE owner=1"), 0);
    assert_int_equal(queue_lease(h, "w", "t"), 0);
}

static void bad_rows_do_not_hold_up_the_good_ones_behind_them(void **state)
{
    (void)state;
    insert("priority", "2000");
    insert("input_key", "'elsewhere'");
    insert("input_key", "'tenants/acme/uploads/1/a.jpg'");
    assert_int_equal(queue_lease(h, "w", "t"), last_id());
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='failed'"), 2);
}

/* Whatever is wrong with them, and however many: other rows of other applications, and our own jobs, are leased. */
static void many_rows_of_every_wrong_kind_block_nobody(void **state)
{
    struct bp_op op;
    struct bp_err err;
    int64_t ours, kinds = 7, each = 40;
    (void)state;
    for (int64_t i = 0; i < each; i++) {
        database_run(
            "INSERT INTO DB.ai_job_dispatches (tenant_id, workflow_id, priority) VALUES (0, 0, 1000), (99, 1, 1000), "
            "(1, 98, 1000)");
        insert("priority", "1001");
        insert("input_key, priority", "CONCAT('x', REPEAT(_utf8mb4 x'e4b8ad', 1000)), 1000");
        insert_loosely("status, priority", "'waiting', 1000");
        insert_loosely("priority", "-32768");
    }
    insert("input_key", "'tenants/acme/uploads/1/a.jpg'");
    int64_t theirs = last_id();
    assert_int_equal(queue_submit(h, NULL, &ours, &err), BP_OK);
    assert_int_equal(queue_lease(h, "w", "t1"), theirs);
    assert_int_equal(queue_lease(h, "w", "t2"), ours);
    assert_int_equal(queue_lease(h, "w", "t3"), 0);
    for (uint32_t n = 1; n;) {
        n = swept(&op)->count;
        fake_host_free(op.u.sweep.memory);
    }
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status='failed' AND last_error LIKE "
                                  "'inserted with%'"),
                     kinds * each);
    assert_int_equal(database_int("SELECT COUNT(*) FROM DB.ai_job_dispatches WHERE status NOT IN ('failed','leased')"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sweep_takes_a_row_in_as_if_it_had_been_submitted, fresh, stop),
        cmocka_unit_test_setup_teardown(a_row_is_seen_by_those_who_watch_before_it_is_taken_in, fresh, stop),
        cmocka_unit_test_setup_teardown(a_lease_takes_the_row_before_any_sweep, fresh, stop),
        cmocka_unit_test_setup_teardown(rows_of_others_keep_their_place_in_the_order, fresh, stop),
        cmocka_unit_test_setup_teardown(a_row_with_a_time_ahead_waits_for_it, fresh, stop),
        cmocka_unit_test_setup_teardown(a_row_can_be_cancelled_before_it_was_taken_in, fresh, stop),
        cmocka_unit_test_setup_teardown(an_unknown_tenant_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(an_unknown_workflow_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(a_priority_out_of_range_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(a_priority_that_is_absurd_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(no_tenant_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(a_time_that_never_comes_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(an_unknown_effect_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(no_attempts_are_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(an_unknown_status_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(a_key_as_long_as_the_column_is_refused_in_whole_characters, fresh, stop),
        cmocka_unit_test_setup_teardown(a_key_that_no_upload_has_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(the_key_of_another_tenant_is_refused_for_good, fresh, stop),
        cmocka_unit_test_setup_teardown(a_key_that_climbs_out_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(a_column_that_is_to_be_left_out_is_refused, fresh, stop),
        cmocka_unit_test_setup_teardown(such_a_row_holds_up_no_lease, fresh, stop),
        cmocka_unit_test_setup_teardown(a_row_that_claims_to_be_leased_ends, fresh, stop),
        cmocka_unit_test_setup_teardown(bad_rows_do_not_hold_up_the_good_ones_behind_them, fresh, stop),
        cmocka_unit_test_setup_teardown(many_rows_of_every_wrong_kind_block_nobody, fresh, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
