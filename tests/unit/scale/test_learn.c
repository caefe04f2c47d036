/* SPDX-License-Identifier: Apache-2.0 */
/* What events and rounds of decisions tell of a workflow is in its history, which policies go by. */
#include "scale/rig.h"

#include "log/err.h"
#include "policy/slo.h"
#include "scale/scale_priv.h"
#include <math.h>
#include <string.h>

static int32_t running; /* instances, as the fleet counts them */

static int counts(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    (void)slug;
    v->desired = v->running = running;
    *described_ms = loop_now_ms(((struct rig *)fleets)->loop);
    return 0;
}

static int resize(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    (void)fleets;
    (void)slug;
    (void)to;
    (void)reason;
    return err_set(err, BP_LATER, "the test said so");
}

static int is_planned(struct rig *r, const void *arg)
{
    const struct scale *s = arg;
    (void)r;
    return s->items && s->items->planned_ms && s->items->recalled && !s->recall;
}

static struct scale *begin_with(struct rig **r, const char *tick)
{
    const char *const sets[] = {tick, "scale.policy=slo", NULL};
    *r = rig_new(sets);
    running = 0;
    struct scale_fleet fleet = {.counts = counts, .resize = resize, .fleets = *r};
    struct scale *s = scale_new((*r)->bus, NULL, (*r)->config, &fleet);
    assert_non_null(s);
    scale_start(s);
    rig_until(*r, is_planned, s);
    rig_turn(*r, 100);
    return s;
}

static struct scale *begin(struct rig **r)
{
    return begin_with(r, "scale.tickMilliseconds=600000");
}

static void end(struct rig *r, struct scale *s)
{
    rig_quiet(r);
    scale_free(s);
    rig_free(r);
}

static int has_heard_of_five(struct rig *r, const void *arg)
{
    const struct scale *s = arg;
    (void)r;
    return s->items->history->arrivals >= 5;
}

static void jobs_teach_when_they_come_and_how_long_they_run(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin_with(&r, "scale.tickMilliseconds=50");
    const struct history *h = s->items->history;
    rig_submitted(r);
    rig_turn(r, 10);
    assert_int_equal(h->arrivals, 1);
    assert_int_equal(scale_promises(s, "photo")->came, 1); /* it may be asked about */
    pthread_mutex_lock(&r->lock);
    r->stats[0].submitted_recent = 5; /* four at other controllers, leased at once maybe */
    pthread_mutex_unlock(&r->lock);
    bus_publish(r->bus, EVENT_QUEUE_ARRIVED, "photo", (int64_t)4);
    rig_until(r, has_heard_of_five, s);
    unsigned rounds = rig_calls(r, "stats");
    rig_until_calls(r, "stats", rounds + 5);
    assert_int_equal(h->arrivals, 5); /* each once */
    bus_publish(r->bus, EVENT_JOB_COMPLETED, (int64_t)1, "acme", "photo", "i-1", (int64_t)900, (int64_t)42000);
    bus_publish(r->bus, EVENT_JOB_COMPLETED, (int64_t)2, "acme", "elsewhere", "i-1", (int64_t)900, (int64_t)7000);
    rig_turn(r, 10);
    assert_true(h->runs == 1 && h->run_s[0] == 42 && h->run_mean_s == 42);
    end(r, s);
}

static int has_learned_all(struct rig *r, const void *arg)
{
    const struct scale *s = arg;
    (void)r;
    return s->items->history->runs == 4;
}

static void ended(struct rig *r, uint32_t k, int64_t id, int64_t at_ms, int64_t ran_ms)
{
    r->past[k] = (struct bp_job_row){.size = sizeof r->past[k],
                                     .id = id,
                                     .status = BP_JOB_COMPLETED,
                                     .created_ms = at_ms - ran_ms,
                                     .leased_ms = at_ms - ran_ms,
                                     .finished_ms = at_ms};
}

/* One job ended here, three elsewhere; each counts once, however often it is looked. */
static void jobs_that_ended_at_other_controllers_teach_too(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin_with(&r, "scale.tickMilliseconds=50");
    bus_publish(r->bus, EVENT_JOB_COMPLETED, (int64_t)7, "acme", "photo", "i-1", (int64_t)0, (int64_t)10000);
    rig_turn(r, 20);
    assert_int_equal(s->items->history->runs, 1);
    pthread_mutex_lock(&r->lock);
    int64_t now = loop_now_ms(r->loop) + 1000;
    r->stats[0].completed_recent = 4;
    ended(r, 0, 9, now + 30, 20000);
    ended(r, 1, 8, now + 20, 40000);
    ended(r, 2, 7, now + 10, 10000);
    ended(r, 3, 6, now + 15, 60000);
    ended(r, 4, 5, now - 900000, 70000); /* before this controller began: recalled then */
    r->n_past = 5;
    pthread_mutex_unlock(&r->lock);
    rig_until(r, has_learned_all, s);
    unsigned lists = rig_calls(r, "list photo");
    rig_until_calls(r, "list photo", lists + 2);
    const struct history *h = s->items->history;
    assert_int_equal(h->runs, 4);
    assert_true(h->run_s[1] == 60 && h->run_s[2] == 40 && h->run_s[3] == 20); /* as they ended */
    end(r, s);
}

static void nothing_is_asked_where_all_ended_here(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin_with(&r, "scale.tickMilliseconds=50");
    unsigned lists = rig_calls(r, "list photo"), stats = rig_calls(r, "stats");
    pthread_mutex_lock(&r->lock);
    r->stats[0].completed_recent = 1;
    pthread_mutex_unlock(&r->lock);
    bus_publish(r->bus, EVENT_JOB_COMPLETED, (int64_t)7, "acme", "photo", "i-1", (int64_t)0, (int64_t)10000);
    rig_until_calls(r, "stats", stats + 20);
    assert_int_equal(rig_calls(r, "list photo"), lists);
    end(r, s);
}

static void instances_teach_of_failures_and_interruptions(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    const struct history *h = s->items->history;
    bus_publish(r->bus, EVENT_FLEET_LAUNCH_FAILED, "photo", "g5.xlarge", "capacity", "none");
    bus_publish(r->bus, EVENT_FLEET_INSTANCE, "photo", "i-1", "running", "running", "interruption notice");
    bus_publish(r->bus, EVENT_FLEET_INSTANCE, "photo", "i-1", "running", "terminated", "");
    rig_turn(r, 10);
    assert_true(h->launch_failures == 1 && h->launch_failed_ms > 0);
    assert_true(h->interruptions == 1 && h->interrupted_ms > 0);
    end(r, s);
}

static int has_seen(struct rig *r, const void *arg)
{
    const struct scale *s = arg;
    (void)r;
    return s->items->history->demand == 3 && s->items->history->instances == 2;
}

static void each_round_teaches_demand_and_instances(void **state)
{
    struct rig *r;
    (void)state;
    struct scale *s = begin(&r);
    running = 2;
    rig_depth(r, 2, 1);
    rig_submitted(r);
    rig_until(r, has_seen, s);
    const struct history *h = s->items->history;
    assert_true(h->level[3].high_since_ms > 0 && h->level[4].high_since_ms == 0);
    end(r, s);
}

/* What it learned in the shadow counts when it decides. */
static void an_adopted_policy_goes_on_with_its_memory(void **state)
{
    struct rig *r;
    struct bp_err err = {0};
    const char *name;
    (void)state;
    struct scale *s = begin(&r);
    assert_int_equal(scale_shadow(s, "photo", "slo", &err), 0);
    ((struct slo_memory *)s->items->shadow->memory)->price.late = 0.125;
    void *its = s->items->shadow->memory;
    assert_int_equal(scale_adopt(s, "photo", &name, &err), 0);
    assert_string_equal(name, "slo");
    assert_ptr_equal(s->items->memory, its);
    rig_turn(r, 100);
    assert_true(((struct slo_memory *)s->items->memory)->price.late == 0.125);
    assert_null(s->items->shadow);
    end(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_teach_when_they_come_and_how_long_they_run),
        cmocka_unit_test(jobs_that_ended_at_other_controllers_teach_too),
        cmocka_unit_test(nothing_is_asked_where_all_ended_here),
        cmocka_unit_test(instances_teach_of_failures_and_interruptions),
        cmocka_unit_test(each_round_teaches_demand_and_instances),
        cmocka_unit_test(an_adopted_policy_goes_on_with_its_memory),
    };
    return cmocka_run_group_tests_name("scale_learn", tests, NULL, NULL);
}
