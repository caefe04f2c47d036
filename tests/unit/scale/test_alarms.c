/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms follow the workflows: asked for once each, again when one changes, and taken away only when one retires. */
#include "scale/rig.h"

#include "scale/scale.h"

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    struct rig *r = fleets;
    (void)slug, (void)v;
    *described_ms = loop_now_ms(r->loop);
    return 0;
}

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets, (void)slug, (void)to, (void)reason, (void)err;
    return 0;
}

static struct scale *begin(struct rig **r)
{
    *r = rig_new((const char *const[]){"scale.tickMilliseconds=50", "scale.dryRun=true", NULL});
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = *r};
    struct scale *s = scale_new((*r)->bus, NULL, (*r)->config, &fleet);
    scale_start(s);
    return s;
}

static void end(struct rig *r, struct scale *s)
{
    scale_stop(s);
    rig_quiet(r);
    scale_free(s);
    rig_free(r);
}

/* So many rounds of statistics more. */
static void rounds(struct rig *r, unsigned n)
{
    rig_until_calls(r, "stats", rig_calls(r, "stats") + n);
}

static void each_workflow_is_watched_once(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    r->n_workflows = 2;
    rig_until_call(r, "watch photo local 2 10 900");
    rig_until_call(r, "watch video local 2 10 900");
    rounds(r, 4);
    assert_int_equal(rig_calls(r, "watch"), 2);
    assert_int_equal(rig_calls(r, "unwatch"), 0);
    end(r, s);
}

static void a_changed_workflow_is_watched_anew(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    rig_until_call(r, "watch photo local 2 10 900");
    r->workflows[0].backlog_target = 4;
    rig_until_call(r, "watch photo local 4 10 900");
    rounds(r, 3);
    assert_int_equal(rig_calls(r, "watch"), 2);
    end(r, s);
}

static void a_provider_that_fails_is_not_asked_at_every_tick(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    atomic_store(&r->watch_rc, BP_LATER);
    rig_until_call(r, "watch photo");
    rounds(r, 5);
    assert_int_equal(rig_calls(r, "watch"), 1);
    end(r, s);
}

static void retire(struct rig *r, const char *to)
{
    bus_publish(r->bus, EVENT_PLUGIN_STATE, "photo", "workflow", (int64_t)1, "draining", to, "");
    r->n_workflows = 0;
    rounds(r, 3);
}

static void a_retired_workflow_loses_its_alarms(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    rig_until_call(r, "watch photo");
    rounds(r, 2);
    retire(r, "retired");
    rig_until_call(r, "unwatch photo local");
    end(r, s);
}

static void a_quarantined_workflow_keeps_them(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    rig_until_call(r, "watch photo");
    rounds(r, 2);
    retire(r, "quarantined");
    rounds(r, 3);
    assert_int_equal(rig_calls(r, "unwatch"), 0);
    end(r, s);
}

static void a_replaced_generation_keeps_them(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    rig_until_call(r, "watch photo");
    rounds(r, 2);
    r->workflows[0].generation = 2;
    bus_publish(r->bus, EVENT_PLUGIN_STATE, "photo", "workflow", (int64_t)1, "draining", "retired", "");
    rounds(r, 3);
    r->n_workflows = 0; /* gone without a word */
    rounds(r, 3);
    assert_int_equal(rig_calls(r, "unwatch"), 0);
    end(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_workflow_is_watched_once),
        cmocka_unit_test(a_changed_workflow_is_watched_anew),
        cmocka_unit_test(a_provider_that_fails_is_not_asked_at_every_tick),
        cmocka_unit_test(a_retired_workflow_loses_its_alarms),
        cmocka_unit_test(a_quarantined_workflow_keeps_them),
        cmocka_unit_test(a_replaced_generation_keeps_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
