/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include <string.h>

/* Leases n jobs of a workflow; the entries of a batch that completes them, with room for more. */
static void lease(struct rig *r, const struct worker_auth *w, int n, char body[4096])
{
    struct answer a = {0};
    strcpy(body, "{'results':[");
    for (int i = 0; i < n; i++) {
        struct json_object *job = poll_job(r, w, &a);
        if (i)
            strcat(body, ",");
        strcat(body, lease_body(job, "'output':{'size':3}"));
    }
    answer_reset(&a);
}

static struct json_object *result_of(const struct answer *a, size_t i)
{
    return json_object_array_get_idx(json_member(a->data, "results"), i);
}

static const char *outcome(const struct answer *a, size_t i)
{
    return json_str(result_of(a, i), "outcome", "");
}

static void results_are_stored_in_one_transaction(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[4096];
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id[3];
    for (int i = 0; i < 3; i++)
        id[i] = submit_ok(r, "{'workflow':'noop'}");
    lease(r, w, 3, body);
    strcat(body, "]}");
    do_worker(r, dispatch_worker_complete, w, body, &a);
    assert_int_equal(a.rc, BP_OK);
    assert_int_equal(atomic_load(&r->together[BP_OP_COMPLETE]), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_int(result_of(&a, i), "dispatch_id", 0), id[i]);
        assert_true(json_truth(result_of(&a, i), "success", 0));
        assert_string_equal(outcome(&a, i), "completed");
        assert_string_equal(status_of(r, id[i]), "completed");
    }
    assert_int_equal(r->events[EVENT_JOB_COMPLETED], 3);
    do_worker(r, dispatch_worker_complete, w, body, &a); /* and again: no second effect */
    assert_string_equal(outcome(&a, 2), "completed");
    assert_int_equal(r->events[EVENT_JOB_COMPLETED], 3);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void each_result_is_answered_by_itself(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[4096];
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    lease(r, w, 1, body);
    strcat(body, ",{'dispatch_id':999,'lease_token':'x'},{'dispatch_id':1,'output':3},7]}");
    do_worker(r, dispatch_worker_complete, w, body, &a);
    assert_int_equal(a.rc, BP_OK);
    assert_string_equal(outcome(&a, 0), "completed");
    assert_string_equal(outcome(&a, 1), "not_found");
    assert_string_equal(json_str(result_of(&a, 1), "message", ""), "Lease not found.");
    assert_string_equal(outcome(&a, 2), "invalid");
    assert_non_null(json_member(json_member(result_of(&a, 2), "data"), "lease_token"));
    assert_non_null(json_member(json_member(result_of(&a, 2), "data"), "output"));
    assert_string_equal(outcome(&a, 3), "invalid");
    assert_string_equal(status_of(r, id), "completed");
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void result_without_its_object_does_not_hold_the_others(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[4096];
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id[2];
    for (int i = 0; i < 2; i++)
        id[i] = submit_ok(r, "{'workflow':'photo','input':{'key':'tenants/acme/a','mime':'image/jpeg'}}");
    lease(r, w, 2, body);
    strcat(body, "]}");
    atomic_store(&r->head_missing, 1);
    do_worker(r, dispatch_worker_complete, w, body, &a);
    assert_string_equal(outcome(&a, 0), "invalid");
    assert_string_equal(outcome(&a, 1), "invalid");
    assert_string_equal(status_of(r, id[0]), "leased");
    atomic_store(&r->head_missing, 0);
    do_worker(r, dispatch_worker_complete, w, body, &a);
    assert_string_equal(outcome(&a, 1), "completed");
    assert_int_equal(atomic_load(&r->together[BP_OP_COMPLETE]), 2); /* though each was looked for by itself */
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void queue_that_fails_says_later_for_each(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[4096];
    struct worker_auth *w = worker_in(r, "w", "noop");
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    lease(r, w, 1, body);
    strcat(body, "]}");
    atomic_store(&r->queue_fail, BP_LATER);
    do_worker(r, dispatch_worker_complete, w, body, &a);
    assert_string_equal(outcome(&a, 0), "later");
    atomic_store(&r->queue_fail, 0);
    assert_string_equal(status_of(r, id), "leased");
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void number_of_results_is_bounded(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[4096] = "{'results':[{}";
    struct worker_auth *w = worker_in(r, "w", "noop");
    do_worker(r, dispatch_worker_complete, w, "{'results':[]}", &a);
    assert_non_null(strstr(field_message(&a, "results"), "1 to 64"));
    do_worker(r, dispatch_worker_complete, w, "{'results':5}", &a);
    assert_int_equal(a.rc, BP_INVALID);
    for (int i = 0; i < 64; i++)
        strcat(body, ",{}");
    strcat(body, "]}");
    do_worker(r, dispatch_worker_complete, w, body, &a);
    assert_int_equal(a.rc, BP_INVALID);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void engine_that_ends_first_leaves_nothing_behind(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct answer a = {0};
    char body[4096];
    struct worker_auth *w = worker_in(r, "w", "photo");
    for (int i = 0; i < 2; i++)
        submit_ok(r, "{'workflow':'photo','input':{'key':'tenants/acme/a','mime':'image/jpeg'}}");
    lease(r, w, 2, body);
    strcat(body, ",{'dispatch_id':999,'lease_token':'x'}]}");
    rig_hold_queue(r);
    begin_worker(r, dispatch_worker_complete, w, body, &a);
    rig_turn(r, 20); /* the objects are there, the third is still asked for */
    dispatch_free(r->d);
    rig_release_queue(r);
    rig_turn(r, 20);
    assert_int_equal(a.done, 0);
    r->d = dispatch_new(r->bus, NULL, r->config);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_stored_in_one_transaction),
        cmocka_unit_test(each_result_is_answered_by_itself),
        cmocka_unit_test(result_without_its_object_does_not_hold_the_others),
        cmocka_unit_test(queue_that_fails_says_later_for_each),
        cmocka_unit_test(number_of_results_is_bounded),
        cmocka_unit_test(engine_that_ends_first_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
