/* SPDX-License-Identifier: Apache-2.0 */
#include "log/err.h"
#include "rig.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void drain_serves_what_was_accepted_and_refuses_the_rest(void **state)
{
    struct rig *r = *state;
    struct call calls[5];
    struct bp_err err;
    memset(calls, 0, sizeof calls);
    rig_shut(r);
    rig_actor(r, 1, 2, 8, NULL);
    for (int i = 0; i < 5; i++)
        calls[i].rig = r;
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    actor_drain(r->actor, rig_on_drained, r);
    assert_int_equal(rig_send(&calls[4], LONG_MS, &err), BP_STOPPED);
    rig_run_ms(r, 10);
    assert_int_equal(r->drained, 0);
    rig_open(r);
    loop_run(r->loop);
    assert_int_equal(r->drained, 1);
    assert_int_equal(r->replied, 4); /* all of them before drained was told */
    actor_free(r->actor);
    assert_false(bus_has_service(r->bus, "test"));
}

static void an_idle_actor_drains_at_once_but_not_inside_the_call(void **state)
{
    struct rig *r = *state;
    rig_actor(r, 3, 2, 8, NULL);
    actor_drain(r->actor, rig_on_drained, r);
    assert_int_equal(r->drained, 0);
    loop_run(r->loop);
    assert_int_equal(r->drained, 1);
    actor_free(r->actor);
    actor_free(NULL);
}

static void drain_waits_for_a_call_whose_deadline_passed_long_ago(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 2, 8, NULL);
    assert_int_equal(rig_send(&c, 10, &err), 0);
    rig_wait_inside(r, 1);
    rig_run_until(r, 1);
    assert_int_equal(c.err.rc, BP_TIMEOUT);
    actor_drain(r->actor, rig_on_drained, r);
    rig_run_ms(r, 20);
    assert_int_equal(r->drained, 0);
    rig_open(r);
    loop_run(r->loop);
    assert_int_equal(r->drained, 1);
    assert_int_equal(c.lates, 1);
    assert_int_equal(c.freed, 1);
    actor_free(r->actor);
}

static void free_actor(void *args, const struct bp_err *err, void *arg)
{
    struct rig *r = ((struct call *)arg)->rig;
    (void)args;
    assert_int_equal(err->rc, 0);
    actor_free(r->actor);
    r->actor = NULL;
    loop_stop(r->loop);
}

static void the_last_call_of_a_drained_actor_may_free_it(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r};
    struct bp_err err;
    rig_actor(r, 2, 2, 8, rig_batch);
    actor_drain(r->actor, rig_on_drained, r);
    loop_run(r->loop);
    struct request_spec spec = rig_spec(&c, LONG_MS);
    spec.service = NULL;
    spec.reply = free_actor;
    assert_int_equal(actor_call(r->actor, &spec, &err), 0);
    loop_run(r->loop);
    assert_null(r->actor);
    assert_int_equal(atomic_load(&c.ran), 1);
    assert_int_equal(c.freed, 1);
    assert_int_equal(r->n_batches, 0); /* not handed to the batch function */
    assert_int_equal(r->drained, 1);
}

static void a_last_call_that_hangs_leaves_the_actor_until_it_returns(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 2, 8, NULL);
    actor_drain(r->actor, rig_on_drained, r);
    loop_run(r->loop);
    struct request_spec spec = rig_spec(&c, 20);
    assert_int_equal(actor_call(r->actor, &spec, &err), 0);
    rig_wait_inside(r, 1);
    rig_run_until(r, 1);
    assert_int_equal(c.err.rc, BP_TIMEOUT);
    actor_free(r->actor);
    rig_open(r);
    while (!c.freed)
        rig_run_ms(r, 2);
    assert_int_equal(c.lates, 1);
}

static void a_direct_call_ignores_capacity_and_stands_alone_in_its_batch(void **state)
{
    struct rig *r = *state;
    struct call calls[4] = {{.rig = r}, {.rig = r}, {.rig = r}, {.rig = r}};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 8, 2, rig_batch);
    assert_int_equal(rig_send(&calls[0], LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    assert_int_equal(rig_send(&calls[1], LONG_MS, &err), 0);
    struct request_spec spec = rig_spec(&calls[2], LONG_MS);
    assert_int_equal(actor_call(r->actor, &spec, &err), 0);
    spec = rig_spec(&calls[3], LONG_MS);
    assert_int_equal(actor_call(r->actor, &spec, &err), 0);
    rig_open(r);
    rig_run_until(r, 4);
    assert_int_equal(r->n_batches, 2);
    assert_int_equal(r->batch_sizes[0] + r->batch_sizes[1], 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(calls[i].replies, 1);
}

static int second_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    (void)args;
    (void)inst;
    return strcmp(table, "second") == 0 ? 0 : err_set(err, BP_FAIL, "came to the first");
}

static void a_flipped_route_leads_new_requests_to_the_new_provider_while_the_old_one_drains(void **state)
{
    struct rig *r = *state;
    struct call old = {.rig = r}, new = {.rig = r};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 1, 8, NULL);
    struct actor_spec spec = {.name = "second", .threads = 1, .batch_max = 1, .capacity = 1};
    struct actor *second = actor_new(r->bus, &spec, &err);
    assert_int_equal(rig_send(&old, LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    bus_route(r->bus, "test", second, "second", NULL);
    actor_drain(r->actor, rig_on_drained, r);
    struct request_spec s = rig_spec(&new, LONG_MS);
    s.run = second_run;
    assert_int_equal(bus_request(r->bus, &s, &err), 0);
    rig_run_until(r, 1);
    assert_int_equal(new.replies, 1); /* though the old one is stuck */
    assert_int_equal(new.err.rc, 0);
    rig_open(r);
    rig_run_until(r, 2);
    while (!r->drained)
        rig_run_ms(r, 2);
    actor_free(r->actor);
    assert_true(bus_has_service(r->bus, "test")); /* the old one's end does not touch the new route */
}

static void stats_tell_what_waits_runs_and_was_served(void **state)
{
    struct rig *r = *state;
    struct call calls[3] = {{.rig = r, .sleep_us = 2000}, {.rig = r}, {.rig = r, .rc = BP_NOTFOUND}};
    struct actor_stats s;
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 1, 8, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    actor_stats(r->actor, &s);
    assert_int_equal(s.waiting, 2);
    assert_int_equal(s.running, 1);
    rig_open(r);
    rig_run_until(r, 3);
    actor_stats(r->actor, &s);
    assert_int_equal(s.waiting + s.running, 0);
    assert_int_equal(s.served, 3);
    assert_int_equal(s.batches, 3);
    assert_true(s.busy_us >= 2000);
    assert_int_equal(s.last_error_ms, 0); /* "not found" is an answer, not a fault */
}

static void a_freed_bus_drops_what_waits_without_a_reply_and_releases_it(void **state)
{
    struct rig *r = *state;
    struct call calls[4] = {{.rig = r}, {.rig = r}, {.rig = r}, {.rig = r}};
    struct actor_stats s;
    struct bp_err err;
    rig_actor(r, 2, 1, 8, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    do { /* until all are answered; the loop has not been told */
        usleep(1000);
        actor_stats(r->actor, &s);
    } while (s.waiting + s.running > 0);
    bus_free(r->bus);
    r->bus = NULL;
    assert_int_equal(r->replied, 0);
    assert_int_equal(r->freed, 4);
}

static void a_freed_bus_leaves_a_stuck_call_alone(void **state)
{
    struct rig *r = *state;
    static struct rig stuck;
    static struct call calls[2] = {{.rig = &stuck}, {.rig = &stuck}};
    struct bp_err err;
    /* A gate of its own that never opens: the thread stays inside until the process ends. */
    pthread_mutex_init(&stuck.lock, NULL);
    pthread_cond_init(&stuck.changed, NULL);
    stuck.shut = 1;
    stuck.loop = r->loop;
    stuck.bus = r->bus;
    rig_actor(r, 1, 1, 8, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    rig_wait_inside(&stuck, 1);
    bus_free(r->bus);
    r->bus = NULL;
    assert_int_equal(calls[0].freed, 0);
    assert_int_equal(calls[1].freed, 1);
    assert_int_equal(calls[0].replies + calls[1].replies, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(drain_serves_what_was_accepted_and_refuses_the_rest),
        T(an_idle_actor_drains_at_once_but_not_inside_the_call),
        T(drain_waits_for_a_call_whose_deadline_passed_long_ago),
        T(the_last_call_of_a_drained_actor_may_free_it),
        T(a_last_call_that_hangs_leaves_the_actor_until_it_returns),
        T(a_direct_call_ignores_capacity_and_stands_alone_in_its_batch),
        T(a_flipped_route_leads_new_requests_to_the_new_provider_while_the_old_one_drains),
        T(stats_tell_what_waits_runs_and_was_served),
        T(a_freed_bus_drops_what_waits_without_a_reply_and_releases_it),
        T(a_freed_bus_leaves_a_stuck_call_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
