/* SPDX-License-Identifier: Apache-2.0 */
/* The scaling engine over a queue and a fleet that are doubles: when it decides, when it holds, and what it tells. */
#include "scale/rig.h"

#include "log/err.h"
#include "scale/scale_priv.h"
#include <stdio.h>
#include <string.h>

/* The fleet as the engine sees it, on the loop's thread. */
struct fake_fleet {
    struct rig *rig;
    int32_t desired, running, busy;
    int64_t age_ms;
    int unknown, resize_rc;
    char resized[512]; /* "photo 1; " a resize */
    unsigned resizes;
};

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    struct fake_fleet *f = fleets;
    if (f->unknown || strcmp(slug, "photo") != 0)
        return BP_NOTFOUND;
    v->desired = f->desired;
    v->running = f->running;
    v->busy = f->busy;
    *described_ms = loop_now_ms(f->rig->loop) - f->age_ms;
    return 0;
}

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    struct fake_fleet *f = fleets;
    size_t n = strlen(f->resized);
    assert_true(reason[0]);
    f->resizes++;
    if (f->resize_rc)
        return err_set(err, f->resize_rc, "the test said so");
    snprintf(f->resized + n, sizeof f->resized - n, "%s %d; ", slug, to);
    f->desired = f->running = to;
    return 0;
}

struct fixture {
    struct rig *rig;
    struct fake_fleet fleet;
    struct scale *scale;
};

static void begin(struct fixture *f, const char *const *sets)
{
    memset(f, 0, sizeof *f);
    f->rig = f->fleet.rig = rig_new(sets);
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = &f->fleet};
    f->scale = scale_new(f->rig->bus, NULL, f->rig->config, &fleet);
    assert_non_null(f->scale);
    scale_start(f->scale);
    rig_until_call(f->rig, "stats");
    rig_turn(f->rig, 20);
}

static void end(struct fixture *f)
{
    scale_stop(f->scale);
    rig_quiet(f->rig);
    scale_free(f->scale);
    rig_free(f->rig);
}

static int has_resized(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct fake_fleet *)arg)->resizes > 0;
}

/* Only the event can bring a decision here: a tick is ten minutes. */
#define SLOW "scale.tickMilliseconds=600000"
#define FAST "scale.tickMilliseconds=50"
#define SETS(...)                                                                                                      \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }

static void a_submit_to_an_empty_fleet_is_acted_on_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(SLOW));
    rig_depth(f.rig, 1, 0);
    rig_submitted(f.rig);
    rig_until(f.rig, has_resized, &f.fleet);
    assert_string_equal(f.fleet.resized, "photo 1; ");
    rig_until_event(f.rig, EVENT_SCALE_DECIDED, 1);
    assert_int_equal(f.rig->events[EVENT_SCALE_DECIDED], 1);
    assert_non_null(strstr(f.rig->last_event[EVENT_SCALE_DECIDED], "\"from\":0"));
    assert_non_null(strstr(f.rig->last_event[EVENT_SCALE_DECIDED], "start the first"));
    end(&f);
}

static void a_burst_of_submits_is_few_questions(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(SLOW));
    unsigned before = rig_calls(f.rig, "stats");
    for (int i = 0; i < 500; i++)
        rig_submitted(f.rig);
    rig_until_calls(f.rig, "stats", before + 1);
    rig_turn(f.rig, 150);
    assert_in_range(rig_calls(f.rig, "stats") - before, 1, 2);
    end(&f);
}

static void without_statistics_every_fleet_is_held(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(FAST, "scale.cooldownSeconds=0"));
    f.fleet.desired = f.fleet.running = 3;
    atomic_store(&f.rig->queue_rc, BP_IO);
    rig_turn(f.rig, 20);
    f.rig->clock_ahead_ms += 3600000; /* long past scaleToZeroSeconds */
    rig_turn(f.rig, 300);
    assert_int_equal(f.fleet.resizes, 0);
    atomic_store(&f.rig->queue_rc, 0);
    rig_until(f.rig, has_resized, &f.fleet); /* now it is known that there are no jobs */
    assert_string_equal(f.fleet.resized, "photo 0; ");
    end(&f);
}

static void a_fleet_that_is_not_known_is_asked_for_again_while_a_job_waits(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(SLOW));
    f.fleet.unknown = 1;
    rig_depth(f.rig, 1, 0);
    rig_submitted(f.rig);
    rig_until_calls(f.rig, "stats", 3);
    assert_int_equal(f.fleet.resizes, 0);
    f.fleet.unknown = 0;
    rig_until(f.rig, has_resized, &f.fleet);
    end(&f);
}

static void counts_that_are_too_old_hold(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(SLOW));
    f.fleet.age_ms = 1800001; /* three ticks */
    rig_depth(f.rig, 50, 0);
    unsigned before = rig_calls(f.rig, "stats");
    rig_submitted(f.rig);
    rig_until_calls(f.rig, "stats", before + 1);
    rig_turn(f.rig, 50);
    assert_int_equal(f.fleet.resizes, 0);
    struct json_object *list = scale_describe(f.scale, "photo");
    assert_non_null(strstr(json_str(json_object_array_get_idx(list, 0), "reason", ""), "not been described"));
    json_object_put(list);
    end(&f);
}

static void a_dry_run_tells_once_and_changes_nothing(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(FAST, "scale.dryRun=true"));
    rig_depth(f.rig, 1, 0);
    rig_until_event(f.rig, EVENT_SCALE_DECIDED, 1);
    rig_until_calls(f.rig, "stats", rig_calls(f.rig, "stats") + 4);
    assert_int_equal(f.rig->events[EVENT_SCALE_DECIDED], 1);
    assert_int_equal(f.fleet.resizes, 0);
    end(&f);
}

static void a_resize_that_must_wait_is_no_decision_yet(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(FAST));
    f.fleet.resize_rc = BP_LATER;
    rig_depth(f.rig, 1, 0);
    rig_until(f.rig, has_resized, &f.fleet);
    rig_turn(f.rig, 120);
    assert_int_equal(f.rig->events[EVENT_SCALE_DECIDED], 0);
    f.fleet.resize_rc = 0;
    rig_until_event(f.rig, EVENT_SCALE_DECIDED, 1);
    end(&f);
}

static void an_operators_hold_acts_at_once_and_says_who(void **state)
{
    struct fixture f;
    struct bp_err err = {0};
    (void)state;
    begin(&f, SETS(SLOW));
    assert_int_equal(scale_hold(f.scale, "nothing", 1, 0, "uid 0", &err), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "photo"));
    assert_int_equal(scale_hold(f.scale, "photo", 3, 0, "uid 7", &err), 0);
    rig_until(f.rig, has_resized, &f.fleet);
    assert_string_equal(f.fleet.resized, "photo 3; ");
    rig_until_event(f.rig, EVENT_SCALE_DECIDED, 1);
    assert_non_null(strstr(f.rig->last_event[EVENT_SCALE_DECIDED], "\"policy\":\"hold\""));
    assert_non_null(strstr(f.rig->last_event[EVENT_SCALE_DECIDED], "held at 3 by uid 7"));
    f.rig->clock_ahead_ms += 1000000; /* past scaleToZeroSeconds */
    assert_int_equal(scale_hold(f.scale, "photo", -1, 0, "uid 7", &err), 0);
    rig_until_event(f.rig, EVENT_SCALE_DECIDED, 2);
    assert_string_equal(f.fleet.resized, "photo 3; photo 0; ");
    end(&f);
}

/* One instance runs one of many jobs. */
static void one_of_many(void *fleets, const char *slug, struct policy_fleet *out)
{
    (void)fleets;
    (void)slug;
    memset(out, 0, sizeof *out);
    out->n_busy = 1;
}

static int32_t foreseen(struct fixture *f, const char *slug)
{
    struct growth growth;
    scale_foresee(f->scale, slug, &growth);
    return growth.n;
}

static void what_its_policy_is_going_to_launch_is_foreseen_unless_somebody_holds_it(void **state)
{
    struct fixture f;
    struct bp_err err = {0};
    (void)state;
    begin(&f, SETS(SLOW, "scale.policy=step"));
    f.scale->fleet.detail = one_of_many;
    rig_depth(f.rig, 40, 1);
    rig_submitted(f.rig);
    rig_until(f.rig, has_resized, &f.fleet);
    f.fleet.desired = f.fleet.running = f.fleet.busy = 1;
    assert_int_equal(foreseen(&f, "photo"), 0); /* how long a run takes is not known */
    history_finished(scale_item_find(f.scale, "photo")->history, loop_now_ms(f.rig->loop), 600);
    int32_t all = f.rig->workflows[0].max_size - 1;
    assert_true(all > 1);
    assert_int_equal(foreseen(&f, "photo"), all);
    assert_int_equal(foreseen(&f, "nobody"), 0);
    f.fleet.unknown = 1;
    assert_int_equal(foreseen(&f, "photo"), 0);
    f.fleet.unknown = 0;
    f.fleet.age_ms = 3600000;
    assert_int_equal(foreseen(&f, "photo"), 0);
    f.fleet.age_ms = 0;
    const struct scale_wish most = {SCALE_MAX, 2, 0, "ada"}, rest = {SCALE_PAUSE_OUT, 1, 0, "ada"};
    assert_int_equal(scale_rule(f.scale, "photo", &most, &err), 0);
    assert_int_equal(foreseen(&f, "photo"), 1);
    assert_int_equal(scale_rule(f.scale, "photo", &rest, &err), 0);
    assert_int_equal(foreseen(&f, "photo"), 0);
    end(&f);
}

static void a_stopped_engine_decides_no_more(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(FAST));
    scale_stop(f.scale);
    rig_depth(f.rig, 5, 0);
    rig_submitted(f.rig);
    rig_turn(f.rig, 200);
    assert_int_equal(f.fleet.resizes, 0);
    end(&f);
}

static void a_workflow_that_went_away_is_forgotten(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(SLOW));
    f.rig->n_workflows = 0;
    f.rig->n_stats = 0;
    unsigned before = rig_calls(f.rig, "stats");
    rig_submitted(f.rig);
    rig_until_calls(f.rig, "stats", before + 1);
    rig_turn(f.rig, 50);
    struct json_object *list = scale_describe(f.scale, NULL);
    assert_int_equal(json_object_array_length(list), 0);
    json_object_put(list);
    end(&f);
}

/* Set forward by an hour between two rounds: nothing has been idle for so long. */
static void a_clock_that_was_set_holds_and_is_no_idle_time(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(FAST, "scale.cooldownSeconds=0"));
    f.fleet.desired = f.fleet.running = 3;
    rig_until_calls(f.rig, "stats", rig_calls(f.rig, "stats") + 2);
    struct scale_item *i = f.scale->items;
    int64_t empty_since = i->empty_since_ms;
    f.scale->wall_ms -= 3600000; /* what was noted before is of the old clock */
    i->empty_since_ms -= 3600000;
    promise_make(&i->promises, (struct promise){.job = 1, .by_ms = 1});
    unsigned stats = rig_calls(f.rig, "stats");
    for (int turns = 0; turns < 400 && !strstr(i->reason, "the clock was set by +3"); turns++)
        rig_turn(f.rig, 5);
    assert_non_null(strstr(i->reason, "holding: the clock was set by +3"));
    assert_in_range(i->empty_since_ms, empty_since - 1000, empty_since + 1000);
    assert_int_equal(i->promises.n_open, 0); /* what was promised by the old clock is nobody's any more */
    rig_until_calls(f.rig, "stats", stats + 3);
    rig_turn(f.rig, 20);
    assert_null(strstr(i->reason, "the clock was set")); /* for one decision */
    assert_int_equal(f.fleet.resizes, 0);
    end(&f);
}

static void a_clock_set_back_does_not_make_the_cooldown_longer(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(FAST, "scale.cooldownSeconds=60"));
    rig_depth(f.rig, 50, 0);
    rig_until(f.rig, has_resized, &f.fleet);
    f.rig->clock_ahead_ms = -3600000;
    rig_until_calls(f.rig, "stats", rig_calls(f.rig, "stats") + 2);
    f.fleet.resizes = 0;
    f.rig->clock_ahead_ms = -3600000 + 61000;
    rig_until(f.rig, has_resized, &f.fleet);
    end(&f);
}

/* ---- several controllers ---- */

static int not_now(void *arg, struct lead_term *term)
{
    *term = (struct lead_term){3, INT64_MAX};
    return *(const int *)arg;
}

static void begin_under(struct fixture *f, const int *leads, const char *const *sets)
{
    memset(f, 0, sizeof *f);
    f->rig = f->fleet.rig = rig_new(sets);
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = &f->fleet};
    f->scale = scale_new(f->rig->bus, NULL, f->rig->config, &fleet);
    scale_set_leads(f->scale, &(struct leads){not_now, (void *)(uintptr_t)leads});
    scale_start(f->scale);
    rig_until_call(f->rig, "stats");
    rig_turn(f->rig, 20);
}

static void only_the_leader_decides_and_publishes_metrics(void **state)
{
    struct fixture f;
    int leads = 0;
    (void)state;
    begin_under(&f, &leads, SETS(FAST, "metrics.periodSeconds=0.2"));
    rig_depth(f.rig, 3, 0);
    rig_submitted(f.rig);
    rig_turn(f.rig, 300);
    assert_int_equal(f.fleet.resizes, 0);
    assert_int_equal(rig_calls(f.rig, "put"), 0);
    struct json_object *list = scale_describe(f.scale, "photo");
    struct json_object *photo = json_object_array_get_idx(list, 0);
    assert_string_equal(json_str(photo, "reason", ""), "another controller leads");
    assert_int_equal(json_int(photo, "queued", 0), 3); /* its view is fresh */
    json_object_put(list);
    leads = 1;
    bus_publish(f.rig->bus, EVENT_LEADER_GAINED, "here", (int64_t)3);
    rig_until(f.rig, has_resized, &f.fleet);
    rig_until_call(f.rig, "put");
    leads = 0;
    bus_publish(f.rig->bus, EVENT_LEADER_LOST, "here", (int64_t)3, "the test took it");
    list = scale_metrics(f.scale); /* another one publishes them now */
    assert_int_equal(json_object_array_length(list), 0);
    json_object_put(list);
    end(&f);
}

static void a_new_leader_is_at_rest_after_a_change_of_the_old_one(void **state)
{
    struct fixture f;
    int leads = 0;
    (void)state;
    begin_under(&f, &leads, SETS(FAST, "scale.policy=step", "scale.cooldownSeconds=600"));
    f.fleet.desired = f.fleet.running = 1;
    rig_turn(f.rig, 200);
    f.fleet.desired = f.fleet.running = 2; /* the old leader's */
    rig_depth(f.rig, 50, 2);
    rig_turn(f.rig, 200);
    leads = 1;
    bus_publish(f.rig->bus, EVENT_LEADER_GAINED, "here", (int64_t)3);
    rig_turn(f.rig, 300);
    assert_int_equal(f.fleet.resizes, 0);
    f.rig->clock_ahead_ms += 601000;
    rig_until(f.rig, has_resized, &f.fleet);
    end(&f);
}

static void jobs_that_came_in_elsewhere_are_acted_on_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, SETS(SLOW));
    rig_depth(f.rig, 1, 0);
    bus_publish(f.rig->bus, EVENT_QUEUE_ARRIVED, "photo", (int64_t)1);
    rig_until(f.rig, has_resized, &f.fleet);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_leader_decides_and_publishes_metrics),
        cmocka_unit_test(a_new_leader_is_at_rest_after_a_change_of_the_old_one),
        cmocka_unit_test(jobs_that_came_in_elsewhere_are_acted_on_at_once),
        cmocka_unit_test(a_clock_that_was_set_holds_and_is_no_idle_time),
        cmocka_unit_test(a_clock_set_back_does_not_make_the_cooldown_longer),
        cmocka_unit_test(a_submit_to_an_empty_fleet_is_acted_on_at_once),
        cmocka_unit_test(a_burst_of_submits_is_few_questions),
        cmocka_unit_test(without_statistics_every_fleet_is_held),
        cmocka_unit_test(a_fleet_that_is_not_known_is_asked_for_again_while_a_job_waits),
        cmocka_unit_test(counts_that_are_too_old_hold),
        cmocka_unit_test(a_dry_run_tells_once_and_changes_nothing),
        cmocka_unit_test(a_resize_that_must_wait_is_no_decision_yet),
        cmocka_unit_test(an_operators_hold_acts_at_once_and_says_who),
        cmocka_unit_test(what_its_policy_is_going_to_launch_is_foreseen_unless_somebody_holds_it),
        cmocka_unit_test(a_stopped_engine_decides_no_more),
        cmocka_unit_test(a_workflow_that_went_away_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
