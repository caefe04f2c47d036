/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "dispatch/prune.h"

#include <string.h>

static const char *const sets[] = {"dispatch.retentionDays=1", NULL};

/* More than a day later comes the minute in which the house is kept. */
static void a_day_later(struct rig *r)
{
    rig_sleep(r, 86400000 + 1000);
    pruner_kick(r->d->pruner);
}

static unsigned jobs_left(struct rig *r)
{
    struct answer a = {0};
    dispatch_job_list(r->d, &(struct dispatch_list){.limit = 1000}, answer_keep, &a);
    rig_wait(r, &a);
    unsigned n = (unsigned)json_object_array_length(json_member(a.data, "jobs"));
    answer_reset(&a);
    return n;
}

static void until_left(struct rig *r, unsigned n)
{
    for (int i = 0; jobs_left(r) > n; i++) {
        if (i > 4000)
            fail_msg("%u jobs are left, not %u", jobs_left(r), n);
        rig_turn(r, 5);
    }
}

static void finish_one(struct rig *r, const struct worker_auth *w)
{
    struct answer a = {0}, b = {0};
    do_worker(r, dispatch_worker_complete, w, lease_body(poll_job(r, w, &a), "'output':{'size':3}"), &b);
    assert_int_equal(b.rc, BP_OK);
    answer_reset(&a);
    answer_reset(&b);
}

static void cancel_all(struct rig *r, int n)
{
    struct answer a = {0};
    for (int i = 0; i < n; i++) {
        int64_t id = submit_ok(r, "{'workflow':'noop'}");
        answer_reset(&a);
        dispatch_job_cancel(r->d, NULL, "operator:0", id, answer_keep, &a);
        rig_wait(r, &a);
    }
    answer_reset(&a);
}

static void backlog_goes_in_steps_without_waiting_for_the_next_minute(void **state)
{
    (void)state;
    struct rig *r = rig_new(sets);
    struct answer a = {0};
    int64_t kept = submit_ok(r, "{'workflow':'noop'}");
    cancel_all(r, 300); /* more than two steps, however large they become */
    a_day_later(r);
    until_left(r, 1);
    assert_string_equal(status_of(r, kept), "queued"); /* what has not ended stays */
    answer_reset(&a);
    rig_free(r);
}

/* One job in and out. */
static void cycle(struct rig *r, const struct worker_auth *w)
{
    struct answer a = {0}, b = {0};
    int64_t id = submit_ok(r, "{'workflow':'noop'}");
    struct json_object *job = poll_job(r, w, &a);
    assert_int_equal(json_int(job, "dispatch_id", 0), id);
    do_worker(r, dispatch_worker_complete, w, lease_body(job, "'output':{'size':3}"), &b);
    assert_int_equal(b.rc, BP_OK);
    answer_reset(&a);
    answer_reset(&b);
}

static void leases_do_not_wait_until_a_backlog_is_removed(void **state)
{
    (void)state;
    struct rig *r = rig_new(sets);
    struct worker_auth *w = worker_in(r, "w", "noop");
    unsigned cycles = 0;
    cancel_all(r, 950);
    a_day_later(r);
    while (jobs_left(r) > cycles) { /* those of the cycles are young */
        cycle(r, w);
        cycles++;
    }
    print_message("%u jobs in and out while 950 were removed\n", cycles);
    assert_true(cycles > 1);
    worker_auth_free(w);
    rig_free(r);
}

static void output_goes_with_its_job(void **state)
{
    (void)state;
    struct rig *r = rig_new(sets);
    struct worker_auth *w = worker_in(r, "w", "photo");
    int64_t id = submit_ok(r, "{'workflow':'photo','input':{'key':'tenants/acme/uploads/u/p','mime':'image/jpeg'}}");
    finish_one(r, w);
    a_day_later(r);
    until_left(r, 0);
    for (int i = 0; atomic_load(&r->removed) == 0 && i < 4000; i++)
        rig_turn(r, 5);
    char prefix[64];
    snprintf(prefix, sizeof prefix, "tenants/acme/jobs/%lld/", (long long)id);
    assert_int_equal(atomic_load(&r->removed), 1);
    assert_int_equal(strncmp(r->removed_keys[0], prefix, strlen(prefix)), 0);
    assert_non_null(strstr(r->removed_keys[0], "/output.mp4"));
    worker_auth_free(w);
    rig_free(r);
}

static void outputs_of_all_attempts_go_with_a_job_that_had_several(void **state)
{
    (void)state;
    struct rig *r = rig_new(sets);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "photo");
    submit_ok(r, "{'workflow':'photo','input':{'key':'tenants/acme/uploads/u/p','mime':'image/jpeg'}}");
    do_worker(r, dispatch_worker_requeue, w, lease_body(poll_job(r, w, &a), "'reason':'spot'"), &b);
    finish_one(r, w);
    a_day_later(r);
    until_left(r, 0);
    for (int i = 0; atomic_load(&r->removed) < 2 && i < 4000; i++)
        rig_turn(r, 5);
    assert_int_equal(atomic_load(&r->removed), 2);
    assert_non_null(strstr(r->removed_keys[1], "/attempt-2/output.mp4"));
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    rig_free(r);
}

static void object_store_that_fails_is_asked_again(void **state)
{
    (void)state;
    struct rig *r = rig_new(sets);
    struct worker_auth *w = worker_in(r, "w", "photo");
    submit_ok(r, "{'workflow':'photo','input':{'key':'tenants/acme/uploads/u/p','mime':'image/jpeg'}}");
    finish_one(r, w);
    atomic_store(&r->remove_fail, BP_IO);
    a_day_later(r);
    until_left(r, 0);
    rig_turn(r, 50);
    assert_int_equal(atomic_load(&r->removed), 0);
    atomic_store(&r->remove_fail, 0);
    pruner_kick(r->d->pruner);
    for (int i = 0; atomic_load(&r->removed) == 0 && i < 4000; i++)
        rig_turn(r, 5);
    assert_int_equal(atomic_load(&r->removed), 1);
    worker_auth_free(w);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backlog_goes_in_steps_without_waiting_for_the_next_minute),
        cmocka_unit_test(leases_do_not_wait_until_a_backlog_is_removed),
        cmocka_unit_test(output_goes_with_its_job),
        cmocka_unit_test(outputs_of_all_attempts_go_with_a_job_that_had_several),
        cmocka_unit_test(object_store_that_fails_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
