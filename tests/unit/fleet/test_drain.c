/* SPDX-License-Identifier: Apache-2.0 */
/* Scale-in of one instance: marked, looked at again, and only then ended; never while its worker holds a lease. */
#include "fleet/fixture.h"

#include <string.h>

static void an_instance_is_marked_looked_at_again_and_then_ended(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    rig_forget_calls(f.rig);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "terminate photo i-1");
    rig_assert_order(f.rig, "drain i-1", "workers", "terminate photo i-1");
    rig_assert_order(f.rig, "workers", "describe", "terminate photo i-1");
    until_counts(&f, 0, 0, 0);
    end(&f);
}

/* The look that was under way when the mark was set knows nothing of what came in between. */
static void a_look_that_began_before_the_mark_ends_nothing(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    atomic_store(&f.rig->cloud_closed, 1);
    rig_forget_calls(f.rig);
    rig_completed(f.rig);
    rig_until_call(f.rig, "workers"); /* said idle */
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "drain i-1");
    rig_turn(f.rig, 20);
    atomic_store(&f.rig->cloud_closed, 0);
    rig_until_call(f.rig, "terminate photo i-1");
    rig_assert_order(f.rig, "drain i-1", "workers", "terminate photo i-1");
    end(&f);
}

static void one_that_got_a_lease_before_the_mark_ends_when_it_is_idle(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    atomic_store(&f.rig->lease_on_mark, 1);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "drain i-1");
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    assert_int_equal(counts(&f).draining, 1);
    rig_lease(f.rig, "i-1", 0);
    rig_until_call(f.rig, "terminate photo i-1");
    end(&f);
}

static void growth_cancels_a_drain_before_it_asks_for_more(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, NEVER);
    atomic_store(&f.rig->lease_on_mark, 1);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "drain");
    look(&f);
    assert_int_equal(counts(&f).draining, 1);
    assert_int_equal(resize(&f, 2), 0);
    rig_until_call(f.rig, "undrain");
    until_counts(&f, 2, 0, 1);
    assert_int_equal(rig_drains(f.rig, "i-1") + rig_drains(f.rig, "i-2"), 0);
    assert_int_equal(rig_calls(f.rig, "grow"), 0);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    end(&f);
}

static void a_terminate_that_fails_is_tried_again_at_the_next_tick(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, OFTEN);
    atomic_store(&f.rig->terminate_fails, 2);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_calls(f.rig, "terminate photo i-1", 3);
    until_counts(&f, 0, 0, 0);
    end(&f);
}

static void a_terminate_that_fails_is_not_hammered(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    atomic_store(&f.rig->terminate_fails, 1000);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "terminate photo i-1");
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "terminate photo i-1"), 1);
    end(&f);
}

static void a_mark_that_failed_is_set_again_before_anything_ends(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, OFTEN);
    atomic_store(&f.rig->mark_fails, 2);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "terminate photo i-1");
    assert_int_equal(rig_calls(f.rig, "drain i-1"), 3);
    end(&f);
}

/* It was marked while it had no worker to mark; the one that comes up must not take a job and be ended with it. */
static void a_worker_that_comes_up_on_a_marked_instance_is_marked_first(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "grow photo 1");
    look(&f);
    atomic_store(&f.rig->terminate_fails, 1);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "terminate photo n-1"); /* fails, and then its worker comes up */
    rig_turn(f.rig, 20);
    rig_machine(f.rig, "n-1", 8000);
    rig_forget_calls(f.rig);
    rig_completed(f.rig);
    rig_until_call(f.rig, "terminate photo n-1");
    rig_assert_order(f.rig, "drain n-1", "workers", "terminate photo n-1");
    end(&f);
}

static void protection_follows_leases(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    rig_lease(f.rig, "i-1", 1);
    rig_until_call(f.rig, "protect photo i-1 1");
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "protect"), 1);
    rig_lease(f.rig, "i-1", 0);
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "protect"), 1); /* the next job may come at once */
    f.rig->clock_ahead_ms += 60000;
    look(&f);
    rig_until_call(f.rig, "protect photo i-1 0");
    end(&f);
}

static void a_fleet_is_protected_by_one_call(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3, NEVER);
    for (int k = 0; k < 3; k++)
        f.rig->machines[k].leases = 1;
    look(&f);
    rig_until_call(f.rig, "protect photo i-1,i-2,i-3 1");
    look(&f);
    assert_int_equal(rig_calls(f.rig, "protect"), 1);
    end(&f);
}

/* The engine that marked it was killed before it could end it. */
static void a_drain_that_outlived_its_controller_goes_on(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    look(&f);
    fleets_free(f.fleets);
    pthread_mutex_lock(&f.rig->lock);
    f.rig->machines[0].draining = 1;
    f.rig->machines[0].leases = 1;
    pthread_mutex_unlock(&f.rig->lock);
    f.fleets = fleets_new(f.rig->bus, NULL, f.rig->config);
    fleets_start(f.fleets);
    until_counts(&f, 1, 1, 0);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    rig_lease(f.rig, "i-1", 0);
    rig_until_call(f.rig, "terminate photo i-1");
    end(&f);
}

/* Nobody knows whether the first terminate still comes true: the instance is not given back to work. */
static void one_whose_end_is_in_doubt_is_not_called_back(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, NEVER);
    atomic_store(&f.rig->terminate_fails, 1); /* with an error that says nothing */
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "terminate");
    rig_turn(f.rig, 20);
    assert_int_equal(resize(&f, 2), 0);
    rig_until_call(f.rig, "grow photo 3");
    assert_int_equal(rig_calls(f.rig, "undrain"), 0);
    look(&f);
    rig_until_calls(f.rig, "terminate", 2);
    end(&f);
}

/* Told before it can ask for its first job, and not by the next look. */
static void a_worker_that_registers_on_a_leaving_instance_is_told_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    atomic_store(&f.rig->lease_on_mark, 1);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "drain i-1");
    look(&f);
    atomic_store(&f.rig->cloud_closed, 1); /* looks come no further than to the store */
    rig_forget_calls(f.rig);
    bus_publish(f.rig->bus, EVENT_WORKER_REGISTERED, "i-1", "photo", "[\"photo\"]", (int64_t)1);
    rig_until_call(f.rig, "drain i-1");
    assert_int_equal(rig_calls(f.rig, "workers"), 0);
    atomic_store(&f.rig->cloud_closed, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drain_that_outlived_its_controller_goes_on),
        cmocka_unit_test(an_instance_is_marked_looked_at_again_and_then_ended),
        cmocka_unit_test(a_look_that_began_before_the_mark_ends_nothing),
        cmocka_unit_test(one_that_got_a_lease_before_the_mark_ends_when_it_is_idle),
        cmocka_unit_test(growth_cancels_a_drain_before_it_asks_for_more),
        cmocka_unit_test(a_terminate_that_fails_is_tried_again_at_the_next_tick),
        cmocka_unit_test(a_terminate_that_fails_is_not_hammered),
        cmocka_unit_test(a_mark_that_failed_is_set_again_before_anything_ends),
        cmocka_unit_test(a_worker_that_comes_up_on_a_marked_instance_is_marked_first),
        cmocka_unit_test(one_whose_end_is_in_doubt_is_not_called_back),
        cmocka_unit_test(a_worker_that_registers_on_a_leaving_instance_is_told_at_once),
        cmocka_unit_test(protection_follows_leases),
        cmocka_unit_test(a_fleet_is_protected_by_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
