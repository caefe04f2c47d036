/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_view.h"
#include "main.h"

#include <stdio.h>
#include <string.h>

#define T fleet_facet

static struct fake *ready(void **state, const char *settings)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, settings), 0);
    return f;
}

/* ---- ensure and describe ---- */

static void ensure_tells_the_difference_and_then_there_is_none(void **state)
{
    struct fake *f = ready(state, QUICK);
    const char *slug = "toy";
    struct bp_fleet_state s = {.size = sizeof s};
    struct bp_fleet_spec spec = {.size = sizeof spec, .max_size = 3, .slug = "toy", .stage = "local"};
    char *diff = NULL;
    assert_int_equal(T.ensure(f->inst, &spec, 1, &diff, &f->err), 0);
    assert_non_null(strstr(diff, "create fleet toy"));
    free(diff);
    assert_int_equal(T.describe(f->inst, &slug, 1, &s, &f->err), 0);
    assert_int_equal(s.exists, 0); /* it was a dry run */
    assert_int_equal(T.ensure(f->inst, &spec, 0, &diff, &f->err), 0);
    free(diff);
    assert_int_equal(T.ensure(f->inst, &spec, 0, &diff, &f->err), 0);
    assert_string_equal(diff, "[]");
    free(diff);
    spec.max_size = 5;
    assert_int_equal(T.ensure(f->inst, &spec, 0, &diff, &f->err), 0);
    assert_non_null(strstr(diff, "max_size 3 becomes 5"));
    free(diff);
    assert_int_equal(T.describe(f->inst, &slug, 1, &s, &f->err), 0);
    assert_int_equal(s.exists, 1);
    assert_int_equal(s.max_size, 5);
    assert_int_equal(s.desired, 0);
    assert_int_equal(s.n_instances, 0);
    free(s.memory);
}

static void a_slug_that_is_no_file_name_is_refused(void **state)
{
    static const char *const bad[] = {"", "../x", ".x", "a/b", "a b"};
    struct fake *f = ready(state, QUICK);
    char *diff = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bp_fleet_spec spec = {.size = sizeof spec, .max_size = 3, .slug = bad[i]};
        assert_int_equal(T.ensure(f->inst, &spec, 0, &diff, &f->err), BP_INVALID);
        assert_null(diff);
    }
}

static void an_unknown_fleet_is_not_found(void **state)
{
    struct fake *f = ready(state, QUICK);
    struct bp_activity a;
    uint32_t n = 1;
    assert_int_equal(T.grow(f->inst, "toy", 1, &f->err), BP_NOTFOUND);
    assert_int_equal(T.terminate(f->inst, "toy", "i-1", &f->err), BP_NOTFOUND);
    assert_int_equal(T.protect(f->inst, "toy", "i-1", 1, &f->err), BP_NOTFOUND);
    assert_int_equal(T.inject(f->inst, "toy", "kill", "i-1", &f->err), BP_NOTFOUND);
    assert_int_equal(T.activities(f->inst, "toy", 0, &a, &n, &f->err), BP_NOTFOUND);
    assert_int_equal(n, 0);
}

static void several_fleets_are_described_at_once(void **state)
{
    struct fake *f = ready(state, QUICK);
    const char *slugs[] = {"none", "toy"};
    struct bp_fleet_state s[2] = {{.size = sizeof s[0]}, {.size = sizeof s[0]}};
    toy_make(f, 3, 2);
    WAIT_FOR(toy_up(f, 2));
    assert_int_equal(T.describe(f->inst, slugs, 2, s, &f->err), 0);
    assert_int_equal(s[0].exists, 0);
    assert_null(s[0].memory);
    assert_int_equal(s[1].exists, 1);
    assert_int_equal(s[1].n_instances, 2);
    free(s[1].memory);
}

/* ---- growing ---- */

static void grow_never_lowers_and_stays_below_the_maximum(void **state)
{
    struct fake *f = ready(state, QUICK);
    toy_make(f, 3, 2);
    assert_int_equal(toy_desired(f), 2);
    assert_int_equal(T.grow(f->inst, "toy", 1, &f->err), 0);
    assert_int_equal(toy_desired(f), 2);
    assert_int_equal(T.grow(f->inst, "toy", 99, &f->err), 0);
    assert_int_equal(toy_desired(f), 3);
    WAIT_FOR(toy_up(f, 3));
    assert_int_equal(toy_count(f, 0), 3);
}

static void an_instance_is_pending_for_its_boot_delay(void **state)
{
    struct fake *f = ready(state, QUICK);
    toy_make(f, 2, 0);
    assert_int_equal(T.inject(f->inst, "toy", "boot-delay", "3600000", &f->err), 0);
    assert_int_equal(T.grow(f->inst, "toy", 1, &f->err), 0);
    WAIT_FOR(toy_count(f, BP_INSTANCE_PENDING) == 1);
    struct bp_instance i = toy_instance(f, BP_INSTANCE_PENDING, 0);
    assert_int_equal(strlen(i.id), 19);
    assert_memory_equal(i.id, "i-", 2);
    assert_string_equal(i.type, "small");
    assert_true(i.launched_ms > 0 && i.running_ms == 0);
    assert_int_equal(i.spot, 1);
    assert_int_equal(toy_pid(f, i.id), 0);
    assert_int_equal(T.terminate(f->inst, "toy", i.id, &f->err), 0);
    assert_int_equal(toy_count(f, BP_INSTANCE_TERMINATED), 1);
    assert_int_equal(toy_desired(f), 0);
}

/* ---- failing ---- */

static void failed_launches_are_recorded_and_tried_again_with_the_next_type(void **state)
{
    struct fake *f = ready(state, QUICK);
    toy_make(f, 2, 0);
    assert_int_equal(T.inject(f->inst, "toy", "fail-launches", "3", &f->err), 0);
    assert_int_equal(T.grow(f->inst, "toy", 1, &f->err), 0);
    WAIT_FOR(toy_up(f, 1));
    assert_int_equal(toy_activities(f, "capacity", 1), 3);
    assert_int_equal(toy_activities(f, "launch", 0), 1);
    assert_string_equal(toy_instance(f, BP_INSTANCE_RUNNING, 0).type, "large");
}

static void without_capacity_every_launch_fails_until_it_is_there_again(void **state)
{
    struct fake *f = ready(state, QUICK);
    toy_make(f, 2, 0);
    assert_int_equal(T.inject(f->inst, "toy", "no-capacity", "3600000", &f->err), 0);
    assert_int_equal(T.grow(f->inst, "toy", 1, &f->err), 0);
    WAIT_FOR(toy_activities(f, "capacity", 1) >= 2);
    assert_int_equal(toy_count(f, 0), 0);
    assert_int_equal(T.inject(f->inst, "toy", "no-capacity", "0", &f->err), 0);
    WAIT_FOR(toy_up(f, 1));
}

static void a_storm_gives_a_notice_to_all_that_have_none(void **state)
{
    struct fake *f = ready(state, QUICK);
    toy_make(f, 3, 3);
    WAIT_FOR(toy_up(f, 3));
    assert_int_equal(T.inject(f->inst, "toy", "storm", "", &f->err), 0);
    assert_int_equal(toy_activities(f, "interruption", 0), 3);
    assert_int_equal(T.inject(f->inst, "toy", "storm", "", &f->err), BP_NOTFOUND);
}

static void more_instances_than_the_quota_fail_with_that_reason(void **state)
{
    struct fake *f = ready(state, QUICK ",\"maxInstances\":1");
    toy_make(f, 5, 3);
    WAIT_FOR(toy_activities(f, "quota", 1) > 0);
    WAIT_FOR(toy_up(f, 1));
    assert_int_equal(toy_count(f, 0), 1);
    assert_int_equal(toy_desired(f), 3);
}

static void a_worker_that_cannot_be_started_is_a_failed_launch(void **state)
{
    struct fake *f = ready(state, QUICK ",\"bpd\":\"/no/such/bpd\"");
    toy_make(f, 2, 1);
    WAIT_FOR(toy_activities(f, "image", 1) >= 2);
    assert_int_equal(toy_count(f, BP_INSTANCE_RUNNING), 0);
    assert_true(fake_logged("/no/such/bpd"));
    assert_true(has_no_child());
}

static void unknown_faults_and_bad_numbers_are_refused(void **state)
{
    struct fake *f = ready(state, QUICK);
    toy_make(f, 2, 0);
    assert_int_equal(T.inject(f->inst, "toy", "meteor", "1", &f->err), BP_UNSUPPORTED);
    assert_int_equal(T.inject(f->inst, "toy", "fail-launches", "many", &f->err), BP_INVALID);
    assert_int_equal(T.inject(f->inst, "toy", "fail-launches", "-1", &f->err), BP_INVALID);
    assert_int_equal(T.inject(f->inst, "toy", "boot-delay", NULL, &f->err), BP_INVALID);
    assert_int_equal(T.inject(f->inst, "toy", "no-capacity", "soon", &f->err), BP_INVALID);
    assert_int_equal(T.inject(f->inst, "toy", "never-register", "", &f->err), BP_INVALID);
    assert_int_equal(T.inject(f->inst, "toy", "kill", "i-0", &f->err), BP_NOTFOUND);
    assert_int_equal(T.inject(f->inst, "toy", "interrupt", "", &f->err), BP_NOTFOUND);
}

/* ---- activities ---- */

static void activities_are_newest_first_and_each_has_a_time_of_its_own(void **state)
{
    struct fake *f = ready(state, QUICK);
    struct bp_activity all[256], some[2];
    uint32_t n = 256, m = 2;
    toy_make(f, 4, 4);
    WAIT_FOR(toy_activities(f, "launch", 0) == 4);
    assert_int_equal(T.activities(f->inst, "toy", 0, all, &n, &f->err), 0);
    assert_int_equal(n, 4);
    for (uint32_t i = 1; i < n; i++)
        assert_true(all[i].at_ms < all[i - 1].at_ms);
    assert_int_equal(T.activities(f->inst, "toy", all[2].at_ms, some, &m, &f->err), 0);
    assert_int_equal(m, 2);
    assert_true(some[0].at_ms == all[0].at_ms);
    m = 2;
    assert_int_equal(T.activities(f->inst, "toy", all[0].at_ms + 1, some, &m, &f->err), 0);
    assert_int_equal(m, 0);
}

static void a_worker_offers_no_fleets(void **state)
{
    struct fake *f = *state;
    const char *slug = "toy";
    struct bp_fleet_state s = {.size = sizeof s};
    f->role = "worker";
    assert_int_equal(fake_start(f, QUICK), 0);
    assert_int_equal(T.grow(f->inst, "toy", 1, &f->err), BP_UNSUPPORTED);
    assert_int_equal(T.describe(f->inst, &slug, 1, &s, &f->err), BP_UNSUPPORTED);
    assert_int_equal(T.leave(f->inst, &f->err), 0);
    assert_false(fake_exists(f, "fleets"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ensure_tells_the_difference_and_then_there_is_none),
        TEST(a_slug_that_is_no_file_name_is_refused),
        TEST(an_unknown_fleet_is_not_found),
        TEST(several_fleets_are_described_at_once),
        TEST(grow_never_lowers_and_stays_below_the_maximum),
        TEST(an_instance_is_pending_for_its_boot_delay),
        TEST(failed_launches_are_recorded_and_tried_again_with_the_next_type),
        TEST(without_capacity_every_launch_fails_until_it_is_there_again),
        TEST(a_storm_gives_a_notice_to_all_that_have_none),
        TEST(more_instances_than_the_quota_fail_with_that_reason),
        TEST(a_worker_that_cannot_be_started_is_a_failed_launch),
        TEST(unknown_faults_and_bad_numbers_are_refused),
        TEST(activities_are_newest_first_and_each_has_a_time_of_its_own),
        TEST(a_worker_offers_no_fleets),
    };
    return RUN(tests);
}
