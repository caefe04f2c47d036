/* SPDX-License-Identifier: Apache-2.0 */
/* The minute's metrics: exactly ten a workflow, zeros included, by the formulas operators' alarms rely on. */
#include "scale/rig.h"

#include "scale/scale.h"
#include <assert.h>
#include <string.h>

static int32_t launch_failures;

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    struct rig *r = fleets;
    (void)slug;
    v->launch_failures = launch_failures;
    *described_ms = loop_now_ms(r->loop);
    return 0;
}

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets, (void)slug, (void)to, (void)reason, (void)err;
    return 0;
}

static struct scale *begin(struct rig **r, const char *period)
{
    *r =
        rig_new((const char *const[]){period, "scale.tickMilliseconds=50", "scale.dryRun=true", "stage=staging", NULL});
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = *r};
    return scale_new((*r)->bus, NULL, (*r)->config, &fleet);
}

static void end(struct rig *r, struct scale *s)
{
    scale_stop(s);
    rig_quiet(r);
    scale_free(s);
    rig_free(r);
}

static const struct bp_metric *sample(const struct rig *r, const char *workflow, const char *name)
{
    const struct bp_metric *found = NULL;
    for (uint32_t i = 0; i < r->n_samples; i++)
        if (strcmp(r->samples[i].workflow, workflow) == 0 && strcmp(r->samples[i].name, name) == 0) {
            assert_null(found);
            found = &r->samples[i];
        }
    if (!found)
        fail_msg("no metric %s of %s", name, workflow);
    assert(found); /* the analyzer does not know that fail_msg() does not return */
    assert_string_equal(found->stage, "staging");
    assert_true(found->at_ms > 0);
    return found;
}

static const char *const names[] = {
    "QueueDepth", "BacklogPerInstance", "ActiveWorkers",         "AvailableCapacity", "JobProcessingP50",
    "ErrorRate",  "LeaseExpiredCount",  "SpotInterruptionCount", "QueueWaitP95",      "LaunchFailures"};
#define NAMES (sizeof names / sizeof names[0])

static void zeros_go_out_for_a_workflow_without_jobs(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r, "metrics.periodSeconds=0.2");
    r->n_workflows = 2; /* of which the queue knows nothing */
    r->n_stats = 0;
    launch_failures = 0;
    scale_start(s);
    rig_until_calls(r, "put", 2); /* and again each period */
    assert_int_equal(r->n_samples, 2 * NAMES);
    for (size_t i = 0; i < NAMES; i++) {
        assert_true(sample(r, "photo", names[i])->value == 0);
        assert_true(sample(r, "video", names[i])->value == 0);
    }
    rig_until_event(r, EVENT_METRICS_PUBLISHED, 1);
    assert_non_null(strstr(r->last_event[EVENT_METRICS_PUBLISHED], "\"workflows\":2,\"samples\":20"));
    end(r, s);
}

/* Runs one round over a row of statistics and returns when its metrics are out. */
static void publish(struct rig *r, struct scale *s)
{
    scale_start(s);
    rig_until_call(r, "put");
    (void)s;
}

static void each_metric_has_its_formula(void **state)
{
    static const struct {
        const char *name, *unit;
        double value;
    } expected[] = {
        {"QueueDepth", "Count", 10},           {"BacklogPerInstance", "Count", 3.33}, /* 10 / 3, two decimals */
        {"ActiveWorkers", "Count", 3},         {"AvailableCapacity", "Count", 0},     /* never negative */
        {"JobProcessingP50", "Seconds", 12.5}, {"ErrorRate", "Percent", 14.29},       /* 1 of 7 finished */
        {"LeaseExpiredCount", "Count", 4},     {"SpotInterruptionCount", "Count", 5},
        {"QueueWaitP95", "Seconds", 2.25},     {"LaunchFailures", "Count", 6}};
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r, "metrics.periodSeconds=0.2");
    struct bp_queue_stats_row *q = &r->stats[0];
    q->queued = 7;
    q->leased = 3;
    q->scheduled = 100; /* not due: no depth */
    q->active_workers = 3;
    q->available_capacity = -2;
    q->run_p50_s = 12.5;
    q->completed_recent = 6;
    q->failed_recent = 1;
    q->lease_expired_recent = 4;
    q->interrupted_recent = 5;
    q->wait_p95_s = 2.25;
    launch_failures = 6;
    publish(r, s);
    assert_int_equal(r->n_samples, NAMES);
    for (size_t i = 0; i < NAMES; i++) {
        const struct bp_metric *m = sample(r, "photo", expected[i].name);
        assert_string_equal(m->unit, expected[i].unit);
        assert_true(m->value > expected[i].value - 1e-9 && m->value < expected[i].value + 1e-9);
    }
    struct json_object *shown = scale_metrics(s);
    assert_int_equal(json_object_array_length(shown), NAMES);
    json_object_put(shown);
    end(r, s);
}

static void backlog_is_the_depth_when_there_is_no_worker(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r, "metrics.periodSeconds=0.2");
    r->stats[0].queued = 9;
    publish(r, s);
    assert_true(sample(r, "photo", "BacklogPerInstance")->value == 9);
    end(r, s);
}

static void without_statistics_nothing_is_claimed(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r, "metrics.periodSeconds=0.2");
    atomic_store(&r->queue_rc, BP_IO);
    scale_start(s);
    rig_turn(r, 700);
    assert_int_equal(rig_calls(r, "put"), 0); /* no zeros that are none */
    atomic_store(&r->queue_rc, 0);
    rig_until_call(r, "put");
    end(r, s);
}

static void a_sink_that_fails_loses_one_period_only(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r, "metrics.periodSeconds=0.2");
    atomic_store(&r->put_rc, BP_IO);
    scale_start(s);
    rig_until_call(r, "put");
    rig_turn(r, 20);
    assert_int_equal(r->events[EVENT_METRICS_PUBLISHED], 0);
    atomic_store(&r->put_rc, 0);
    rig_until_event(r, EVENT_METRICS_PUBLISHED, 1);
    end(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_go_out_for_a_workflow_without_jobs),
        cmocka_unit_test(each_metric_has_its_formula),
        cmocka_unit_test(backlog_is_the_depth_when_there_is_no_worker),
        cmocka_unit_test(without_statistics_nothing_is_claimed),
        cmocka_unit_test(a_sink_that_fails_loses_one_period_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
