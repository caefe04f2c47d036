/* SPDX-License-Identifier: Apache-2.0 */
/* Instances whose worker does not register: ended after the limit, told, and ever more rarely. */
#include "fleet/fixture.h"

#include <stdio.h>
#include <string.h>

static int is_known(struct rig *r, const void *arg)
{
    struct fleet_counts c;
    (void)r;
    return fleet_counts((struct fleets *)(uintptr_t)arg, "photo", &c) == 0;
}

/* One instance that runs and has no worker. */
static void begin_silent(struct fixture *f, const char *limit, int32_t warmup_s)
{
    f->rig = rig_new((const char *const[]){"scale.tickMilliseconds=50", limit, NULL});
    f->rig->workflows[0].warmup_s = warmup_s;
    rig_machine(f->rig, "i-1", 8000);
    f->rig->machines[0].has_worker = 0;
    f->fleets = fleets_new(f->rig->bus, NULL, f->rig->config);
    fleets_start(f->fleets);
    rig_until(f->rig, is_known, f->fleets);
}

static void one_without_a_worker_is_ended_and_told(void **state)
{
    struct fixture f;
    (void)state;
    begin_silent(&f, "scale.registerSeconds=0.2", 0);
    rig_until_call(f.rig, "terminate photo i-1");
    rig_assert_order(f.rig, "drain i-1", "workers", "terminate photo i-1");
    rig_until_event(f.rig, EVENT_FLEET_LAUNCH_FAILED, 1);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_LAUNCH_FAILED], "\"silent\""));
    assert_non_null(strstr(shown(&f, "activities"), "scale.registerSeconds"));
    assert_string_equal(shown(&f, "launch_failures"), "1");
    end(&f);
}

static int64_t gap_to_the_end(struct fixture *f, const char *id)
{
    char call[64];
    int64_t began = mono_ms();
    snprintf(call, sizeof call, "terminate photo %s", id);
    rig_machine(f->rig, id, 8000);
    pthread_mutex_lock(&f->rig->lock);
    f->rig->machines[f->rig->n_machines - 1].has_worker = 0;
    pthread_mutex_unlock(&f->rig->lock);
    rig_until_call(f->rig, call);
    return mono_ms() - began;
}

/* An image that cannot work shall not launch machines without end. */
static void the_limit_doubles_with_each_in_a_row(void **state)
{
    struct fixture f;
    (void)state;
    begin_silent(&f, "scale.registerSeconds=0.2", 0);
    rig_until_call(f.rig, "terminate photo i-1");
    assert_true(gap_to_the_end(&f, "i-2") >= 400);
    assert_true(gap_to_the_end(&f, "i-3") >= 800);
    end(&f);
}

static void one_that_may_still_boot_is_let_be(void **state)
{
    struct fixture f;
    (void)state;
    begin_silent(&f, "scale.registerSeconds=0.05", 300);
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    end(&f);
}

static void without_a_limit_it_is_kept(void **state)
{
    struct fixture f;
    (void)state;
    begin_silent(&f, "scale.registerSeconds=0", 0);
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    end(&f);
}

/* Looks that do not learn who has registered count for nothing. */
static void while_the_queue_is_silent_nothing_is_concluded(void **state)
{
    struct fixture f;
    (void)state;
    begin_silent(&f, "scale.registerSeconds=0.1", 0);
    atomic_store(&f.rig->queue_rc, BP_IO);
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    assert_int_equal(f.rig->events[EVENT_FLEET_LAUNCH_FAILED], 0);
    end(&f);
}

static void growth_calls_none_back_that_is_silent(void **state)
{
    struct fixture f;
    (void)state;
    begin_silent(&f, "scale.registerSeconds=0.2", 0);
    atomic_store(&f.rig->mark_fails, 1000); /* it stays where a drain could be cancelled */
    rig_until_event(f.rig, EVENT_FLEET_LAUNCH_FAILED, 1);
    rig_until_call(f.rig, "drain i-1");
    rig_turn(f.rig, 30);
    (void)resize(&f, 2);
    rig_turn(f.rig, 100);
    assert_int_equal(rig_calls(f.rig, "undrain"), 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_without_a_worker_is_ended_and_told),
        cmocka_unit_test(the_limit_doubles_with_each_in_a_row),
        cmocka_unit_test(one_that_may_still_boot_is_let_be),
        cmocka_unit_test(without_a_limit_it_is_kept),
        cmocka_unit_test(while_the_queue_is_silent_nothing_is_concluded),
        cmocka_unit_test(growth_calls_none_back_that_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
