/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant is told for each way a store can take or refuse a submit. The store's answers are scripted. */
#include "dispatch/rig.h"

#include "log/err.h"

#include <string.h>

static int32_t outcome, outcome_rc;
static struct bp_op_submit seen;
static int64_t seen_after[BP_AFTER_MAX];
static char seen_key[256];

/* Refuses the submit as the test wants; 0 lets it through. */
static int refuse(struct rig *r, struct bp_op *op)
{
    (void)r;
    if (op->kind != BP_OP_SUBMIT)
        return 0;
    seen = op->u.submit;
    for (uint32_t i = 0; i < seen.n_after; i++)
        seen_after[i] = seen.after[i];
    snprintf(seen_key, sizeof seen_key, "%s", seen.unique_key ? seen.unique_key : "");
    if (!outcome)
        return 0;
    op->u.submit.outcome = outcome;
    op->u.submit.id = 41;
    op->u.submit.after_id = 17;
    if (outcome_rc == BP_OK) {
        op->u.submit.existed = 1;
        op->err.rc = BP_OK;
    } else {
        err_set(&op->err, outcome_rc, "the store's own words");
    }
    return 1;
}

static struct rig *rig_that(int32_t says, int32_t rc)
{
    outcome = says;
    outcome_rc = rc;
    memset(&seen, 0, sizeof seen);
    struct rig *r = rig_new(NULL);
    r->script = refuse;
    return r;
}

static void what_is_asked_reaches_the_store(void **state)
{
    (void)state;
    struct rig *r = rig_that(0, 0);
    struct answer a = {0};
    do_submit(r, "{'workflow':'noop','unique_key':'nightly','priority':7,'not_before':4102444800000}", &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(seen_key, "nightly");
    assert_int_equal(seen.priority, 7);
    assert_int_equal(seen.not_before_ms, 4102444800000);
    assert_int_equal(seen.fair, 0);
    do_submit(r, "{'workflow':'noop','after':[3,9,4]}", &a);
    assert_int_equal(seen.n_after, 3);
    assert_int_equal(seen_after[0], 3);
    assert_int_equal(seen_after[2], 4);
    answer_reset(&a);
    rig_free(r);
}

static void fair_share_is_asked_for_when_it_is_set(void **state)
{
    (void)state;
    const char *sets[] = {"dispatch.fairShare=true", NULL};
    outcome = 0;
    struct rig *r = rig_new(sets);
    r->script = refuse;
    submit_ok(r, "{'workflow':'noop'}");
    assert_int_equal(seen.fair, 1);
    rig_free(r);
}

static void each_new_member_is_checked_by_name(void **state)
{
    static const struct {
        const char *body, *field, *part;
    } rows[] = {
        {"{'workflow':'noop','after':'5'}", "after", "array"},
        {"{'workflow':'noop','after':[5,'x']}", "after.1", "id of a job"},
        {"{'workflow':'noop','after':[5,0]}", "after.1", "id of a job"},
        {"{'workflow':'noop','after':[5,6,5]}", "after.2", "named twice"},
        {"{'workflow':'noop','after':[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,"
         "31,32,33]}",
         "after", "32 items"},
        {"{'workflow':'noop','unique_key':7}", "unique_key", "string"},
        {"{'workflow':'noop','priority':1001}", "priority", "1000"},
        {"{'workflow':'noop','not_before':'soon'}", "not_before", "a time"},
        {"{'workflow':'noop','not_before':4102444800000000}", "not_before", "greater than 253402300799999"},
        {"{'workflow':'noop','unique':'x'}", "unique", "unique_key"},
    };
    (void)state;
    struct rig *r = rig_that(0, 0);
    struct answer a = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        do_submit(r, rows[i].body, &a);
        assert_int_equal(a.rc, BP_INVALID);
        if (!strstr(field_message(&a, rows[i].field), rows[i].part))
            fail_msg("%s: %s", rows[i].body, json_text(a.fields));
    }
    char long_key[700] = "{'workflow':'noop','unique_key':'";
    for (int i = 0; i < 130; i++)
        strcat(long_key, "\xc3\xa4"); /* 130 characters, 260 bytes */
    strcat(long_key, "'}");
    do_submit(r, long_key, &a);
    assert_non_null(strstr(field_message(&a, "unique_key"), "255 bytes"));
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 0);
    answer_reset(&a);
    rig_free(r);
}

static void used_key_is_a_conflict_that_names_the_job(void **state)
{
    (void)state;
    struct rig *r = rig_that(BP_SUBMIT_KEY, BP_CONFLICT);
    struct answer a = {0};
    do_submit(r, "{'workflow':'noop','idempotency_key':'k'}", &a);
    assert_int_equal(a.rc, BP_CONFLICT);
    assert_non_null(strstr(a.message, "job 41"));
    answer_reset(&a);
    rig_free(r);
}

static void job_that_cannot_be_waited_for_is_named_on_its_field(void **state)
{
    (void)state;
    struct rig *r = rig_that(BP_SUBMIT_AFTER, BP_NOTFOUND);
    struct answer a = {0};
    do_submit(r, "{'workflow':'noop','after':[17]}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_string_equal(field_message(&a, "after"), "Job 17 cannot be waited for: you have no such job.");
    outcome_rc = BP_CONFLICT;
    do_submit(r, "{'workflow':'noop','after':[17]}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    assert_string_equal(field_message(&a, "after"), "Job 17 cannot be waited for: the store's own words.");
    answer_reset(&a);
    rig_free(r);
}

static void tenant_at_its_limit_is_told_so_and_when_to_come_back(void **state)
{
    (void)state;
    struct rig *r = rig_that(BP_SUBMIT_LIMIT, BP_LATER);
    struct answer a = {0};
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_LATER);
    assert_int_equal(a.over_limit, 1);
    assert_true(a.retry_after_s > 0);
    assert_non_null(strstr(a.message, "the store's own words"));
    struct dispatch_counters n;
    dispatch_counters(r->d, &n);
    assert_int_equal(n.refused_later, 0); /* not our want of room */
    answer_reset(&a);
    rig_free(r);
}

static void disabled_tenant_is_denied_by_name(void **state)
{
    (void)state;
    struct rig *r = rig_that(BP_SUBMIT_DISABLED, BP_DENIED);
    struct answer a = {0};
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_DENIED);
    assert_non_null(strstr(a.message, "acme is disabled"));
    answer_reset(&a);
    rig_free(r);
}

/* The plugin may have noted an outcome before its transaction failed. */
static void outcome_of_a_batch_that_failed_means_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_that(BP_SUBMIT_DISABLED, BP_IO);
    struct answer a = {0};
    do_submit(r, "{'workflow':'noop'}", &a);
    assert_int_equal(a.rc, BP_IO);
    answer_reset(&a);
    rig_free(r);
}

static int64_t pending;

static int pending_is(struct rig *r, struct bp_op *op)
{
    (void)r;
    if (op->kind != BP_OP_SUBMIT || !pending)
        return 0;
    op->u.submit.id = pending;
    op->u.submit.existed = 1;
    op->u.submit.outcome = BP_SUBMIT_PENDING;
    op->u.submit.status = BP_JOB_QUEUED;
    return 1;
}

static void pending_job_of_the_unique_key_is_the_answer(void **state)
{
    (void)state;
    pending = 0;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    r->script = pending_is;
    pending = submit_ok(r, "{'workflow':'noop'}");
    do_submit(r, "{'workflow':'noop','unique_key':'u'}", &a);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(json_int(a.data, "id", 0), pending);
    assert_true(json_truth(a.data, "duplicate", 0));
    assert_false(json_truth(a.data, "replayed", 0));
    assert_int_equal(r->events[EVENT_JOB_SUBMITTED], 1);
    answer_reset(&a);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_reaches_the_store),
        cmocka_unit_test(fair_share_is_asked_for_when_it_is_set),
        cmocka_unit_test(each_new_member_is_checked_by_name),
        cmocka_unit_test(used_key_is_a_conflict_that_names_the_job),
        cmocka_unit_test(job_that_cannot_be_waited_for_is_named_on_its_field),
        cmocka_unit_test(tenant_at_its_limit_is_told_so_and_when_to_come_back),
        cmocka_unit_test(disabled_tenant_is_denied_by_name),
        cmocka_unit_test(outcome_of_a_batch_that_failed_means_nothing),
        cmocka_unit_test(pending_job_of_the_unique_key_is_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
