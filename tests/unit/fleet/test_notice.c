/* SPDX-License-Identifier: Apache-2.0 */
/* Instances under an interruption notice: replaced on the notice and not on the loss, and ended once. */
#include "fleet/fixture.h"

#include <string.h>

static void notice(struct fixture *f, uint32_t k)
{
    pthread_mutex_lock(&f->rig->lock);
    f->rig->machines[k].instance.spot = 1;
    f->rig->machines[k].instance.interrupting = 1;
    pthread_mutex_unlock(&f->rig->lock);
}

static void another_is_launched_while_it_still_runs_its_job(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, OFTEN);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 2, 0, 1);
    notice(&f, 0);
    until_counts(&f, 2, 1, 0);
    assert_int_equal(counts(&f).returning, 1); /* its job is as good as queued */
    rig_until_call(f.rig, "drain i-1");
    while (resize(&f, 2) == BP_LATER) /* as the policy wants it still, until the mark is made */
        rig_turn(f.rig, 5);
    rig_until_call(f.rig, "grow photo 3");
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    rig_lease(f.rig, "i-1", 0); /* handed back */
    rig_until_call(f.rig, "terminate photo i-1");
    rig_assert_order(f.rig, "drain i-1", "grow photo 3", "terminate photo i-1");
    assert_int_equal(counts(&f).returning, 0);
    rig_turn(f.rig, 200);
    assert_int_equal(counts(&f).desired, 2); /* once up, once down */
    assert_int_equal(resize(&f, 2), 0);
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "grow"), 1);
    assert_int_equal(rig_calls(f.rig, "terminate"), 1);
    end(&f);
}

static void it_is_not_called_back_by_growth(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, OFTEN);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 2, 0, 1);
    notice(&f, 0);
    rig_until_call(f.rig, "drain i-1");
    while (resize(&f, 4) == BP_LATER)
        rig_turn(f.rig, 5);
    rig_until_call(f.rig, "grow photo 5");
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "undrain"), 0);
    end(&f);
}

/* One that scale-in has marked already, too. */
static void a_drain_under_way_becomes_final(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, OFTEN);
    atomic_store(&f.rig->lease_on_mark, 1); /* its last job keeps it here */
    assert_int_equal(resize(&f, 0), 0);
    until_counts(&f, 1, 1, 0);
    notice(&f, 0);
    unsigned looks = rig_calls(f.rig, "describe");
    rig_until_calls(f.rig, "describe", looks + 3);
    while (resize(&f, 1) == BP_LATER)
        rig_turn(f.rig, 5);
    rig_until_call(f.rig, "grow photo 2");
    assert_int_equal(rig_calls(f.rig, "undrain"), 0);
    end(&f);
}

static void at_the_maximum_its_place_is_filled_when_it_has_ended(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 10, OFTEN); /* of 10 */
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 10, 0, 1);
    notice(&f, 0);
    until_counts(&f, 10, 1, 0);
    rig_turn(f.rig, 200);
    assert_int_equal(resize(&f, 10), BP_LATER);
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "grow"), 0);
    rig_lease(f.rig, "i-1", 0);
    rig_until_call(f.rig, "terminate photo i-1");
    while (resize(&f, 10) == BP_LATER)
        rig_turn(f.rig, 5);
    rig_until_call(f.rig, "grow photo 10");
    end(&f);
}

/* The provider may tell of it twenty seconds later, or never. */
static void the_word_of_its_worker_is_enough(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, OFTEN);
    pthread_mutex_lock(&f.rig->lock);
    f.rig->machines[0].instance.spot = 1;
    f.rig->machines[0].has_worker = f.rig->machines[1].has_worker = 0;
    pthread_mutex_unlock(&f.rig->lock);
    unsigned looks = rig_calls(f.rig, "describe");
    rig_until_calls(f.rig, "describe", looks + 2);
    bus_publish(f.rig->bus, EVENT_WORKER_GONE, "i-1", "spot_interruption", (int64_t)0);
    bus_publish(f.rig->bus, EVENT_WORKER_GONE, "i-2", "spot_interruption", (int64_t)0); /* on demand: it is mistaken */
    rig_until_call(f.rig, "terminate photo i-1");
    assert_int_equal(rig_calls(f.rig, "terminate photo i-2"), 0);
    end(&f);
}

static void in_dry_run_nothing_is_done(void **state)
{
    struct fixture f;
    (void)state;
    f.rig = rig_new((const char *const[]){"scale.tickMilliseconds=50", "scale.dryRun=true", NULL});
    rig_machine(f.rig, "i-1", 8000);
    notice(&f, 0);
    f.fleets = fleets_new(f.rig->bus, NULL, f.rig->config);
    fleets_start(f.fleets);
    rig_until_calls(f.rig, "describe", 4);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_is_launched_while_it_still_runs_its_job),
        cmocka_unit_test(it_is_not_called_back_by_growth),
        cmocka_unit_test(a_drain_under_way_becomes_final),
        cmocka_unit_test(at_the_maximum_its_place_is_filled_when_it_has_ended),
        cmocka_unit_test(the_word_of_its_worker_is_enough),
        cmocka_unit_test(in_dry_run_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
