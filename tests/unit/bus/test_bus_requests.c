/* SPDX-License-Identifier: Apache-2.0 */
#include "log/err.h"
#include "rig.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void the_call_runs_elsewhere_and_its_reply_comes_to_the_loop(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r};
    struct bp_err err;
    rig_actor(r, 1, 8, 8, NULL);
    assert_int_equal(rig_send(&c, LONG_MS, &err), 0);
    rig_run_until(r, 1);
    assert_int_equal(atomic_load(&c.ran), 1);
    assert_false(pthread_equal(c.ran_on, pthread_self()));
    assert_int_equal(c.err.rc, 0);
    assert_int_equal(c.freed, 1);
}

static int check_provider(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    return strcmp(table, "table") == 0 && inst == c->rig ? 0 : err_set(err, BP_FAIL, "another provider");
}

static void the_call_gets_the_table_and_instance_of_its_route(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r};
    struct bp_err err;
    rig_actor(r, 1, 8, 8, NULL);
    struct request_spec spec = rig_spec(&c, LONG_MS);
    spec.run = check_provider;
    assert_int_equal(bus_request(r->bus, &spec, &err), 0);
    bus_route(r->bus, "test", NULL, NULL, NULL); /* what is sent keeps its provider */
    assert_int_equal(rig_send(&c, LONG_MS, &err), BP_NOTFOUND);
    c.freed = 0;
    rig_run_until(r, 1);
    assert_int_equal(c.err.rc, 0);
}

/* The actor sleeps: without the cork its thread would often take the first before the second is there. */
static void what_is_sent_corked_stands_in_one_batch(void **state)
{
    struct rig *r = *state;
    struct bp_err err;
    rig_actor(r, 1, 8, 3, rig_batch);
    for (int round = 0; round < 50; round++) {
        struct call c[4] = {{.rig = r}, {.rig = r}, {.rig = r}, {.rig = r}};
        bus_cork(r->bus);
        bus_cork(r->bus);
        for (int i = 0; i < 3; i++)
            assert_int_equal(rig_send(&c[i], LONG_MS, &err), 0);
        assert_int_equal(rig_send(&c[3], LONG_MS, &err), BP_LATER); /* what is kept back counts */
        bus_uncork(r->bus);
        usleep(200);
        for (int i = 0; i < 3; i++)
            assert_int_equal(atomic_load(&c[i].ran), 0);
        bus_uncork(r->bus);
        rig_run_until(r, 3 * (round + 1));
        assert_int_equal(r->n_batches, round + 1);
        assert_int_equal(r->batch_sizes[round], 3);
    }
}

/* Two stand in the mailbox already: the three of the group would not all fit behind them. */
static void a_group_is_never_torn_apart(void **state)
{
    struct rig *r = *state;
    struct bp_err err;
    struct call c[6] = {{.rig = r}, {.rig = r}, {.rig = r}, {.rig = r}, {.rig = r}, {.rig = r}};
    rig_shut(r);
    rig_actor(r, 1, 4, 16, rig_batch);
    assert_int_equal(rig_send(&c[0], LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    for (int i = 1; i < 3; i++)
        assert_int_equal(rig_send(&c[i], LONG_MS, &err), 0);
    bus_cork(r->bus);
    assert_int_equal(bus_group(r->bus, "test", 3, &err), 0);
    for (int i = 3; i < 6; i++)
        assert_int_equal(rig_send(&c[i], LONG_MS, &err), 0);
    bus_uncork(r->bus);
    rig_open(r);
    rig_run_until(r, 6);
    assert_int_equal(r->n_batches, 3);
    assert_int_equal(r->batch_sizes[1], 2);
    assert_int_equal(r->batch_sizes[2], 3);
}

static void a_group_that_cannot_stand_in_one_batch_is_refused_whole(void **state)
{
    struct rig *r = *state;
    struct bp_err err;
    bus_cork(r->bus);
    assert_int_equal(bus_group(r->bus, "test", 1, &err), BP_NOTFOUND);
    rig_actor(r, 1, 4, 3, rig_batch);
    assert_int_equal(bus_group(r->bus, "test", 5, &err), BP_INVALID); /* than batch_max */
    assert_int_equal(bus_group(r->bus, "test", 4, &err), BP_LATER);   /* than the mailbox */
    assert_int_equal(bus_group(r->bus, "test", 3, &err), 0);
    bus_uncork(r->bus);
    actor_drain(r->actor, NULL, NULL);
    bus_cork(r->bus);
    assert_int_equal(bus_group(r->bus, "test", 1, &err), BP_STOPPED);
    bus_uncork(r->bus);
}

static void an_error_keeps_its_words_and_a_bare_code_gets_some(void **state)
{
    struct rig *r = *state;
    struct call calls[3] = {{.rig = r, .rc = BP_CONFLICT}, {.rig = r, .rc = BP_STALE}, {.rig = r, .rc = 7}};
    struct bp_err err;
    rig_actor(r, 1, 8, 8, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    rig_run_until(r, 3);
    assert_int_equal(calls[0].err.rc, BP_CONFLICT);
    assert_string_equal(calls[0].err.text, "refused for the test");
    assert_int_equal(calls[1].err.rc, BP_STALE);
    assert_string_equal(calls[1].err.text, "test.call by tester: stale");
    assert_int_equal(calls[2].err.rc, BP_FAIL); /* a positive number is nobody's success */
}

static void a_request_nobody_can_take_frees_its_args_and_gets_no_reply(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r};
    struct bp_err err;
    assert_false(bus_has_service(r->bus, "test"));
    assert_int_equal(rig_send(&c, LONG_MS, &err), BP_NOTFOUND);
    assert_string_equal(err.text, "test.call: no running plugin offers the service \"test\"");
    assert_int_equal(c.freed, 1);
    rig_actor(r, 1, 8, 8, NULL);
    assert_true(bus_has_service(r->bus, "test"));
    actor_drain(r->actor, NULL, NULL);
    assert_int_equal(rig_send(&c, LONG_MS, &err), BP_STOPPED);
    assert_non_null(strstr(err.text, "tester is draining"));
    assert_int_equal(c.freed, 2);
    rig_run_ms(r, 5);
    assert_int_equal(c.replies, 0);
}

static void a_full_mailbox_answers_later_at_once_and_serves_what_it_took(void **state)
{
    struct rig *r = *state;
    struct call calls[8];
    struct bp_err err;
    memset(calls, 0, sizeof calls);
    rig_shut(r);
    rig_actor(r, 1, 1, 3, NULL);
    for (int i = 0; i < 8; i++)
        calls[i].rig = r;
    assert_int_equal(rig_send(&calls[0], LONG_MS, &err), 0);
    rig_wait_inside(r, 1); /* taken: it is not in the mailbox any more */
    for (int i = 1; i < 4; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    for (int i = 4; i < 8; i++) {
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), BP_LATER);
        assert_non_null(strstr(err.text, "tester is busy, 3 requests wait already"));
        assert_int_equal(calls[i].freed, 1);
    }
    rig_open(r);
    rig_run_until(r, 4);
    rig_run_ms(r, 5);
    for (int i = 0; i < 8; i++)
        assert_int_equal(calls[i].replies, i < 4);
    struct actor_stats s;
    actor_stats(r->actor, &s);
    assert_int_equal(s.refused, 4);
    assert_int_equal(s.served, 4);
}

static void a_waiting_request_past_its_deadline_is_answered_and_never_run(void **state)
{
    struct rig *r = *state;
    struct call first = {.rig = r}, second = {.rig = r};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 1, 1, NULL);
    assert_int_equal(rig_send(&first, LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    int64_t sent = mono_ms();
    assert_int_equal(rig_send(&second, 30, &err), 0);
    rig_run_until(r, 1);
    assert_true(mono_ms() - sent >= 30);
    assert_int_equal(second.err.rc, BP_TIMEOUT);
    assert_string_equal(second.err.text, "test.call: no answer from tester within 30 ms");
    assert_int_equal(second.freed, 1);
    assert_int_equal(rig_send(&second, LONG_MS, &err), 0); /* its place in the mailbox is free again */
    second.freed = 0;
    rig_open(r);
    rig_run_until(r, 3);
    assert_int_equal(atomic_load(&second.ran), 1);
    assert_int_equal(second.lates, 0);
}

static void an_answer_after_the_deadline_goes_to_late_and_frees_the_args_then(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r, .rc = BP_CONFLICT};
    struct actor_stats s;
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 8, 8, NULL);
    assert_int_equal(rig_send(&c, 20, &err), 0);
    rig_wait_inside(r, 1);
    rig_run_until(r, 1);
    assert_int_equal(c.err.rc, BP_TIMEOUT);
    assert_int_equal(c.freed, 0); /* the actor still works with them */
    rig_open(r);
    while (!c.freed)
        rig_run_ms(r, 2);
    assert_int_equal(c.replies, 1);
    assert_int_equal(c.lates, 1);
    actor_stats(r->actor, &s);
    assert_int_equal(s.timed_out, 1);
    assert_true(s.last_error_ms > 0);
}

static void a_taken_call_is_not_begun_once_its_deadline_passed(void **state)
{
    struct rig *r = *state;
    struct call opener = {.rig = r}, first = {.rig = r, .sleep_us = 200000}, second = {.rig = r};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 8, 8, NULL);
    assert_int_equal(rig_send(&opener, LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    assert_int_equal(rig_send(&first, LONG_MS, &err), 0); /* both are taken together */
    assert_int_equal(rig_send(&second, 50, &err), 0);
    rig_open(r);
    rig_run_until(r, 3);
    while (!second.freed)
        rig_run_ms(r, 2);
    assert_int_equal(second.err.rc, BP_TIMEOUT);
    assert_int_equal(atomic_load(&second.ran), 0);
    assert_int_equal(second.lates, 0);
}

static void one_batch_takes_all_that_waits_up_to_its_limit(void **state)
{
    struct rig *r = *state;
    struct call calls[11];
    struct bp_err err;
    memset(calls, 0, sizeof calls);
    rig_shut(r);
    rig_actor(r, 1, 6, 16, rig_batch);
    for (int i = 0; i < 11; i++) {
        calls[i].rig = r;
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
        if (i == 0)
            rig_wait_inside(r, 1);
    }
    rig_open(r);
    rig_run_until(r, 11);
    assert_int_equal(r->n_batches, 3);
    assert_int_equal(r->batch_sizes[0], 1);
    assert_int_equal(r->batch_sizes[1], 6);
    assert_int_equal(r->batch_sizes[2], 4);
}

/* Behind one request nine wait: five and then four, not nine and then none. */
static void a_batch_leaves_the_next_one_as_much(void **state)
{
    struct rig *r = *state;
    struct call calls[10];
    struct bp_err err;
    memset(calls, 0, sizeof calls);
    rig_shut(r);
    rig_actor(r, 1, 16, 16, rig_batch);
    for (int i = 0; i < 10; i++) {
        calls[i].rig = r;
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
        if (i == 0)
            rig_wait_inside(r, 1);
    }
    rig_open(r);
    rig_run_until(r, 10);
    assert_int_equal(r->n_batches, 3);
    assert_int_equal(r->batch_sizes[1], 5);
    assert_int_equal(r->batch_sizes[2], 4);
}

/* Half of the six would be three and a half. */
static void it_tears_nothing_apart_for_that(void **state)
{
    struct rig *r = *state;
    struct call calls[7];
    struct bp_err err;
    memset(calls, 0, sizeof calls);
    rig_shut(r);
    rig_actor(r, 1, 16, 16, rig_batch);
    for (int i = 0; i < 7; i++)
        calls[i].rig = r;
    assert_int_equal(rig_send(&calls[0], LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    bus_cork(r->bus);
    for (int i = 1; i < 7; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    bus_uncork(r->bus);
    rig_open(r);
    rig_run_until(r, 7);
    assert_int_equal(r->n_batches, 2);
    assert_int_equal(r->batch_sizes[1], 6);
}

static void what_a_batch_leaves_unanswered_fails_and_the_rest_stands(void **state)
{
    struct rig *r = *state;
    struct call calls[3] = {{.rig = r}, {.rig = r, .mute = 1}, {.rig = r, .rc = BP_NOTFOUND}};
    struct bp_err err;
    rig_actor(r, 1, 8, 8, rig_batch);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    rig_run_until(r, 3);
    assert_int_equal(calls[0].err.rc, 0);
    assert_int_equal(calls[1].err.rc, BP_FAIL);
    assert_int_equal(calls[2].err.rc, BP_NOTFOUND);
}

static void two_threads_serve_two_slow_calls_at_once(void **state)
{
    struct rig *r = *state;
    struct call calls[2] = {{.rig = r}, {.rig = r}};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 2, 16, 16, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
    rig_wait_inside(r, 2); /* would hang if one thread had taken both */
    rig_open(r);
    rig_run_until(r, 2);
}

static void the_answer_of_a_done_call_does_not_wait_for_the_slow_one_behind_it(void **state)
{
    struct rig *r = *state;
    struct call opener = {.rig = r}, quick = {.rig = r, .sleep_us = 1000}, slow = {.rig = r};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 16, 16, NULL);
    assert_int_equal(rig_send(&opener, LONG_MS, &err), 0);
    rig_wait_inside(r, 1);
    assert_int_equal(rig_send(&quick, LONG_MS, &err), 0);
    assert_int_equal(rig_send(&slow, LONG_MS, &err), 0);
    slow.sleep_us = 300000;
    rig_open(r);
    rig_run_until(r, 2);
    assert_int_equal(quick.replies, 1);
    assert_int_equal(slow.replies, 0);
    rig_run_until(r, 3);
}

/* ---- deadlines racing answers ---- */

#define RACERS 3000

static void every_request_gets_one_reply_however_deadline_and_answer_race(void **state)
{
    struct rig *r = *state;
    struct call *calls = calloc(RACERS, sizeof *calls);
    struct bp_err err;
    int timeouts = 0, refused = 0;
    srand(7);
    rig_actor(r, 3, 4, RACERS, NULL);
    for (int i = 0; i < RACERS; i++) {
        calls[i] = (struct call){.rig = r, .sleep_us = rand() % 300, .rc = rand() % 2 ? 0 : BP_CONFLICT};
        assert_int_equal(rig_send(&calls[i], 1 + rand() % 150, &err), 0);
    }
    rig_run_until(r, RACERS);
    actor_drain(r->actor, rig_on_drained, r);
    loop_run(r->loop);
    assert_int_equal(r->drained, 1);
    for (int i = 0; i < RACERS; i++) {
        struct call *c = &calls[i];
        int timed_out = c->err.rc == BP_TIMEOUT, ran = atomic_load(&c->ran);
        assert_int_equal(c->replies, 1);
        assert_int_equal(c->freed, 1);
        assert_int_equal(c->lates, timed_out && ran); /* told late exactly when it ran for nobody */
        assert_true(timed_out || (ran == 1 && c->err.rc == c->rc));
        timeouts += timed_out;
        refused += !ran;
    }
    struct actor_stats s;
    actor_stats(r->actor, &s);
    assert_int_equal(s.timed_out, timeouts);
    assert_int_equal(s.served, RACERS - timeouts);
    assert_int_equal(s.waiting + s.running, 0);
    print_message("%d answered, %d timed out, %d of them never run\n", RACERS - timeouts, timeouts, refused);
    actor_free(r->actor);
    free(calls);
}

static void many_batched_requests_from_replies_all_come_back(void **state)
{
    struct rig *r = *state;
    static struct call calls[256];
    struct bp_err err;
    memset(calls, 0, sizeof calls);
    rig_actor(r, 2, 64, 256, rig_batch);
    for (int round = 1; round <= 40; round++) {
        for (int i = 0; i < 256; i++) {
            calls[i] = (struct call){.rig = r};
            assert_int_equal(rig_send(&calls[i], LONG_MS, &err), 0);
        }
        rig_run_until(r, round * 256);
        for (int i = 0; i < 256; i++)
            assert_int_equal(calls[i].replies, 1);
    }
    assert_int_equal(r->freed, 40 * 256);
}

/* Runs the loop until one is told early. */
static void run_until_early(struct rig *r)
{
    r->stop_early = 1;
    loop_run(r->loop);
    r->stop_early = 0;
}

static void who_is_told_early_gets_the_reply_when_the_batch_is_done(void **state)
{
    struct rig *r = *state;
    struct call c[3] = {{.rig = r, .rc = BP_STALE, .says_early = 1}, {.rig = r}, {.rig = r}};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 8, 8, rig_batch);
    bus_cork(r->bus);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_send(&c[i], LONG_MS, &err), 0);
    bus_uncork(r->bus);
    run_until_early(r);
    assert_int_equal(c[0].earlies, 1);
    assert_int_equal(r->replied, 0);
    rig_open(r);
    rig_run_until(r, 3);
    assert_int_equal(c[0].earlies, 1);
    assert_int_equal(c[0].err.rc, BP_STALE);
    assert_int_equal(c[1].earlies + c[2].earlies, 0);
}

/* Both come to the loop in one turn. */
static void who_is_told_early_is_so_before_its_own_reply_and_behind_those_before(void **state)
{
    struct rig *r = *state;
    struct call first = {.rig = r}, second = {.rig = r, .says_early = 1};
    struct bp_err err;
    rig_actor(r, 1, 8, 8, rig_batch);
    assert_int_equal(rig_send(&first, LONG_MS, &err), 0);
    while (!atomic_load(&first.ran))
        usleep(200);
    assert_int_equal(rig_send(&second, LONG_MS, &err), 0);
    while (!atomic_load(&second.ran))
        usleep(200);
    rig_run_until(r, 2);
    assert_int_equal(second.earlies, 1);
    assert_int_equal(second.replied_before, 1);
}

static void nobody_is_told_early_behind_a_timeout(void **state)
{
    struct rig *r = *state;
    struct call opener = {.rig = r}, c = {.rig = r, .says_early = 1};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 8, 8, rig_batch);
    bus_cork(r->bus);
    assert_int_equal(rig_send(&opener, LONG_MS, &err), 0);
    assert_int_equal(rig_send(&c, 20, &err), 0);
    bus_uncork(r->bus);
    rig_wait_inside(r, 1);
    rig_run_until(r, 1); /* its turn in the batch comes after that */
    assert_int_equal(c.err.rc, BP_TIMEOUT);
    rig_open(r);
    while (!c.freed)
        rig_run_ms(r, 2);
    assert_int_equal(c.earlies, 0);
    assert_int_equal(c.replies, 1);
    assert_int_equal(c.lates, 1);
}

static void who_was_told_early_may_still_time_out(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r, .says_early = 1};
    struct bp_err err;
    rig_shut(r);
    rig_actor(r, 1, 8, 8, rig_batch);
    assert_int_equal(rig_send(&c, 200, &err), 0);
    run_until_early(r);
    rig_run_until(r, 1);
    assert_int_equal(c.err.rc, BP_TIMEOUT);
    rig_open(r);
    while (!c.freed)
        rig_run_ms(r, 2);
    assert_int_equal(c.earlies, 1);
    assert_int_equal(c.replies, 1);
    assert_int_equal(c.lates, 1);
}

static void told_early_and_then_the_bus_goes(void **state)
{
    struct rig *r = *state;
    struct call c = {.rig = r, .says_early = 1};
    struct bp_err err;
    rig_actor(r, 1, 8, 8, rig_batch);
    assert_int_equal(rig_send(&c, LONG_MS, &err), 0);
    struct actor_stats s = {.batches = 0};
    while (!s.batches || s.running) {
        usleep(200);
        actor_stats(r->actor, &s);
    }
    bus_free(r->bus); /* what came was not looked at */
    r->bus = NULL;
    rig_run_ms(r, 5);
    assert_int_equal(c.earlies + c.replies, 0);
    assert_int_equal(c.freed, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_call_runs_elsewhere_and_its_reply_comes_to_the_loop),
        T(the_call_gets_the_table_and_instance_of_its_route),
        T(what_is_sent_corked_stands_in_one_batch),
        T(a_group_is_never_torn_apart),
        T(a_group_that_cannot_stand_in_one_batch_is_refused_whole),
        T(an_error_keeps_its_words_and_a_bare_code_gets_some),
        T(a_request_nobody_can_take_frees_its_args_and_gets_no_reply),
        T(a_full_mailbox_answers_later_at_once_and_serves_what_it_took),
        T(a_waiting_request_past_its_deadline_is_answered_and_never_run),
        T(an_answer_after_the_deadline_goes_to_late_and_frees_the_args_then),
        T(a_taken_call_is_not_begun_once_its_deadline_passed),
        T(one_batch_takes_all_that_waits_up_to_its_limit),
        T(a_batch_leaves_the_next_one_as_much),
        T(it_tears_nothing_apart_for_that),
        T(what_a_batch_leaves_unanswered_fails_and_the_rest_stands),
        T(two_threads_serve_two_slow_calls_at_once),
        T(the_answer_of_a_done_call_does_not_wait_for_the_slow_one_behind_it),
        T(every_request_gets_one_reply_however_deadline_and_answer_race),
        T(many_batched_requests_from_replies_all_come_back),
        T(who_is_told_early_gets_the_reply_when_the_batch_is_done),
        T(who_is_told_early_is_so_before_its_own_reply_and_behind_those_before),
        T(nobody_is_told_early_behind_a_timeout),
        T(who_was_told_early_may_still_time_out),
        T(told_early_and_then_the_bus_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
