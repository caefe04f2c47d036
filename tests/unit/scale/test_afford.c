/* SPDX-License-Identifier: Apache-2.0 */
/* From the queue's wait and the fleet's trouble to what the fleets are told of on-demand instances. */
#include "scale/rig.h"

#include "scale/scale.h"
#include <stdio.h>
#include <string.h>

/* The fleet as the engine sees it, on the loop's thread: one instance is wanted and never comes. */
struct fake_fleet {
    struct rig *rig;
    int64_t age_ms;
    int afforded, told;
    struct scale_trouble trouble;
};

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    const struct fake_fleet *f = fleets;
    (void)slug;
    v->desired = 1;
    *described_ms = loop_now_ms(f->rig->loop) - f->age_ms;
    return 0;
}

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets, (void)slug, (void)to, (void)reason, (void)err;
    return 0;
}

static void detail(void *fleets, const char *slug, struct policy_fleet *out)
{
    (void)fleets, (void)slug;
    memset(out, 0, sizeof *out);
}

static int trouble(void *fleets, const char *slug, struct scale_trouble *out)
{
    const struct fake_fleet *f = fleets;
    (void)slug;
    *out = f->trouble;
    return 0;
}

static void afford(void *fleets, const char *slug, int32_t on_demand, const char *reason)
{
    struct fake_fleet *f = fleets;
    assert_string_equal(slug, "photo");
    assert_true(on_demand == 0 || reason[0]);
    f->afforded = on_demand;
    f->told++;
}

struct fixture {
    struct rig *rig;
    struct fake_fleet fleet;
    struct scale *scale;
};

/* A job waits for `waited_ms`, and a launch has failed. */
static void begin(struct fixture *f, const char *const *sets, const char *manifest, int64_t waited_ms)
{
    struct bp_err err = {0};
    memset(f, 0, sizeof *f);
    f->rig = f->fleet.rig = rig_new(sets);
    int64_t now = loop_now_ms(f->rig->loop);
    f->fleet.trouble = (struct scale_trouble){.failures = 1, .last_failure_ms = now - 1000};
    if (manifest) {
        json_object_put(f->rig->workflows[0].manifest);
        f->rig->workflows[0].manifest = json_parse(manifest, strlen(manifest), &err);
    }
    rig_depth(f->rig, 1, 0);
    f->rig->stats[0].oldest_queued_ms = now - waited_ms;
    struct scale_fleet fleet = {.counts = counts,
                                .resize = resize,
                                .detail = detail,
                                .fleets = &f->fleet,
                                .trouble = trouble,
                                .afford = afford};
    f->scale = scale_new(f->rig->bus, NULL, f->rig->config, &fleet);
    assert_non_null(f->scale);
    scale_start(f->scale);
    rig_until_calls(f->rig, "stats", 3);
    rig_turn(f->rig, 20);
}

static void end(struct fixture *f)
{
    scale_stop(f->scale);
    rig_quiet(f->rig);
    scale_free(f->scale);
    rig_free(f->rig);
}

#define SETS(...)                                                                                                      \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        "scale.tickMilliseconds=50", __VA_ARGS__, NULL                                                                 \
    }

static void a_job_that_waits_too_long_gets_one_and_everybody_is_told(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS("spot.onDemandMax=2", "spot.waitSeconds=60"), NULL, 61000);
    assert_int_equal(f.fleet.afforded, 1);
    rig_until_event(f.rig, EVENT_FLEET_ON_DEMAND, 1);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_ON_DEMAND], "\"to\":1"));
    struct json_object *list = scale_describe(f.scale, "photo");
    struct json_object *o = json_object_array_get_idx(list, 0);
    assert_int_equal(json_int(o, "on_demand", 0), 1);
    assert_non_null(strstr(json_str(o, "on_demand_reason", ""), "waited"));
    json_object_put(list);
    assert_int_equal(f.rig->events[EVENT_FLEET_ON_DEMAND], 1);
    end(&f);
}

static void one_that_waits_less_gets_none(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS("spot.onDemandMax=2", "spot.waitSeconds=60"), NULL, 30000);
    assert_true(f.fleet.told > 0);
    assert_int_equal(f.fleet.afforded, 0);
    end(&f);
}

static void the_workflows_own_numbers_go_first(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS("spot.onDemandMax=0", "spot.waitSeconds=600"), "{\"onDemandMax\":1,\"targetP95WaitSeconds\":20}",
          30000);
    assert_int_equal(f.fleet.afforded, 1);
    end(&f);
    begin(&f, SETS("spot.onDemandMax=5", "spot.waitSeconds=1"), "{\"onDemandMax\":0}", 30000);
    assert_int_equal(f.fleet.afforded, 0);
    end(&f);
}

static void go_on(struct fixture *f, int64_t ms)
{
    f->rig->clock_ahead_ms += ms; /* less than a clock that was set */
    f->fleet.trouble.last_failure_ms = loop_now_ms(f->rig->loop);
    rig_until_calls(f->rig, "stats", rig_calls(f->rig, "stats") + 3);
    rig_turn(f->rig, 20);
}

/* 0.05 hours are 180 s of the one that lives. */
static void the_days_hours_are_those_of_the_settings(void **state)
{
    struct fixture f;
    int steps = 0;
    (void)state;
    begin(&f, SETS("spot.onDemandMax=2", "spot.waitSeconds=60", "spot.onDemandHoursPerDay=0.05"), NULL, 61000);
    assert_int_equal(f.fleet.afforded, 1);
    f.fleet.trouble.on_demand = 1;
    for (; f.fleet.afforded; steps++) {
        assert_in_range(steps, 0, 10); /* midnight may come in between */
        go_on(&f, 50000);
    }
    assert_true(steps >= 3);
    struct json_object *list = scale_describe(f.scale, "photo");
    assert_non_null(strstr(json_str(json_object_array_get_idx(list, 0), "on_demand_reason", ""), "used up"));
    json_object_put(list);
    end(&f);
}

static void it_is_given_back_when_a_spot_instance_comes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS("spot.onDemandMax=2", "spot.waitSeconds=60"), NULL, 61000);
    assert_int_equal(f.fleet.afforded, 1);
    f.fleet.trouble.last_spot_ms = f.fleet.trouble.last_failure_ms + 1;
    rig_until_calls(f.rig, "stats", rig_calls(f.rig, "stats") + 3);
    rig_turn(f.rig, 20);
    assert_int_equal(f.fleet.afforded, 0);
    end(&f);
}

static void a_dry_run_tells_no_fleet(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS("spot.onDemandMax=2", "spot.waitSeconds=1", "scale.dryRun=true"), NULL, 30000);
    assert_int_equal(f.fleet.told, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_waits_too_long_gets_one_and_everybody_is_told),
        cmocka_unit_test(one_that_waits_less_gets_none),
        cmocka_unit_test(the_workflows_own_numbers_go_first),
        cmocka_unit_test(the_days_hours_are_those_of_the_settings),
        cmocka_unit_test(it_is_given_back_when_a_spot_instance_comes),
        cmocka_unit_test(a_dry_run_tells_no_fleet),
    };
    return cmocka_run_group_tests_name("scale_afford", tests, NULL, NULL);
}
