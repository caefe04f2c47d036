/* SPDX-License-Identifier: Apache-2.0 */
/* Several controllers on one queue, as one of them sees it: the test says who leads and what arrived. */
#include "dispatch/rig.h"

#include <string.h>

static const char *const quick[] = {"cluster.leaseSeconds=0.6", "cluster.watchMilliseconds=20",
                                    "dispatch.sweepMilliseconds=50", NULL};
static const char *const slow[] = {"cluster.leaseSeconds=60", "cluster.watchMilliseconds=20",
                                   "dispatch.sweepMilliseconds=50", NULL};
static const char *const rare[] = {"cluster.leaseSeconds=60", "cluster.watchMilliseconds=60000",
                                   "dispatch.sweepMilliseconds=50", NULL};

static int leads(struct rig *r)
{
    struct lead_term term;
    return dispatch_leads(r->d, &term);
}

static void until_event(struct rig *r, enum event_id id, unsigned n)
{
    rig_until(r, &r->events[id], n);
}

/* Begins anew under the test's word. */
static struct rig *told_rig(const char *const *sets, int leads_, long epoch, int others)
{
    struct rig *r = rig_new(sets);
    atomic_store(&r->leads, leads_);
    atomic_store(&r->epoch, epoch);
    atomic_store(&r->others, others);
    atomic_store(&r->told, 1);
    dispatch_free(r->d);
    memset(r->events, 0, sizeof r->events);
    r->d = dispatch_new(r->bus, NULL, r->config);
    dispatch_start(r->d);
    while (atomic_load(&r->asks) == 0)
        rig_turn(r, 1);
    rig_turn(r, 5);
    return r;
}

static void a_store_that_knows_no_leaders_has_one_controller_which_leads(void **state)
{
    (void)state;
    struct rig *r = rig_new(slow);
    atomic_store(&r->told, 1);
    atomic_store(&r->lead_rc, BP_UNSUPPORTED);
    dispatch_free(r->d);
    r->d = dispatch_new(r->bus, NULL, r->config);
    assert_int_equal(leads(r), 0);
    dispatch_start(r->d);
    while (!leads(r))
        rig_turn(r, 1);
    struct leadership l;
    dispatch_leadership(r->d, &l);
    assert_int_equal(l.epoch, 0);
    assert_int_equal(l.controllers, 1);
    struct json_object *list = dispatch_controllers(r->d);
    assert_int_equal(json_object_array_length(list), 1);
    assert_int_equal(json_truth(json_object_array_get_idx(list, 0), "leader", 0), 1);
    json_object_put(list);
    rig_free(r);
}

static void only_the_leader_sweeps_and_says_its_epoch(void **state)
{
    (void)state;
    struct rig *r = told_rig(quick, 0, 6, 1);
    atomic_store(&r->sweep_epoch, -1);
    rig_turn(r, 300);
    assert_int_equal(atomic_load(&r->sweep_epoch), -1);
    assert_int_equal(leads(r), 0);
    struct leadership l;
    dispatch_leadership(r->d, &l);
    assert_string_equal(l.who, "elsewhere at http://elsewhere");
    atomic_store(&r->epoch, 7);
    atomic_store(&r->leads, 1);
    until_event(r, EVENT_LEADER_GAINED, 1);
    while (atomic_load(&r->sweep_epoch) != 7)
        rig_turn(r, 1);
    assert_int_equal(leads(r), 1);
    rig_free(r);
}

static void a_leader_that_cannot_ask_in_time_leads_no_more(void **state)
{
    (void)state;
    struct rig *r = told_rig(quick, 1, 3, 1);
    assert_int_equal(leads(r), 1);
    atomic_store(&r->queue_fail, BP_IO);
    until_event(r, EVENT_LEADER_LOST, 1);
    assert_int_equal(leads(r), 0);
    assert_non_null(strstr(r->last_event, "could not ask"));
    atomic_store(&r->sweep_epoch, -1);
    atomic_store(&r->queue_fail, 0);
    until_event(r, EVENT_LEADER_GAINED, 2); /* the store still says so */
    rig_free(r);
}

/* Its process may have been stopped, and go on with what it was about to do. */
static void a_term_ends_by_the_clock_alone(void **state)
{
    (void)state;
    struct rig *r = told_rig(quick, 1, 3, 1);
    struct lead_term term;
    assert_int_equal(dispatch_leads(r->d, &term), 1);
    assert_int_equal(term.epoch, 3);
    while (lead_term_holds(&term)) /* the loop stands still */
        ;
    assert_int_equal(leads(r), 0);
    assert_int_equal(r->events[EVENT_LEADER_LOST], 0);
    rig_free(r);
}

static void an_answer_that_comes_too_late_begins_no_term(void **state)
{
    (void)state;
    struct rig *r = told_rig(quick, 0, 3, 1);
    atomic_store(&r->leads, 1);
    rig_hold_queue(r);
    rig_turn(r, 700); /* it asks meanwhile, and more than a lease passes */
    assert_int_equal(leads(r), 0);
    assert_int_equal(r->events[EVENT_LEADER_GAINED], 0);
    rig_release_queue(r);
    until_event(r, EVENT_LEADER_GAINED, 1); /* by an answer to a later question */
    rig_free(r);
}

static void a_refused_sweep_is_the_end_of_the_term(void **state)
{
    (void)state;
    struct rig *r = told_rig(slow, 1, 3, 1);
    assert_int_equal(leads(r), 1);
    atomic_store(&r->sweep_rc, BP_STALE);
    until_event(r, EVENT_LEADER_LOST, 1);
    assert_int_equal(leads(r), 0);
    rig_free(r);
}

static void another_epoch_is_another_term(void **state)
{
    (void)state;
    struct rig *r = told_rig(quick, 1, 3, 1);
    atomic_store(&r->epoch, 5); /* somebody led in between */
    until_event(r, EVENT_LEADER_LOST, 1);
    until_event(r, EVENT_LEADER_GAINED, 2);
    struct leadership l;
    dispatch_leadership(r->d, &l);
    assert_int_equal(l.epoch, 5);
    assert_int_equal(l.gained, 2);
    assert_int_equal(l.lost, 1);
    rig_free(r);
}

static void who_resigns_leads_no_more_and_asks_no_more(void **state)
{
    (void)state;
    struct rig *r = told_rig(quick, 1, 3, 1);
    dispatch_resign(r->d);
    assert_int_equal(leads(r), 0);
    while (!atomic_load(&r->resigned))
        rig_turn(r, 1);
    assert_string_equal(r->resigned_id, dispatch_run(r->d));
    unsigned asks = atomic_load(&r->asks);
    rig_turn(r, 500);
    assert_int_equal(atomic_load(&r->asks), asks);
    assert_int_equal(leads(r), 0);
    rig_free(r);
}

static void what_the_run_before_led_is_free_at_once(void **state)
{
    (void)state;
    struct rig *r = told_rig(slow, 0, 3, 0);
    struct dispatch *next = dispatch_new(r->bus, NULL, r->config);
    dispatch_former_run(next, dispatch_run(r->d));
    dispatch_start(next);
    while (!atomic_load(&r->resigned))
        rig_turn(r, 1);
    assert_string_equal(r->resigned_id, dispatch_run(r->d));
    dispatch_free(next);
    rig_free(r);
}

/* ---- what came in elsewhere ---- */

#define WAIT "{'worker_id':'w','wait_seconds':30}"

static void nobody_waits_and_nothing_is_looked_at(void **state)
{
    (void)state;
    struct rig *r = told_rig(slow, 0, 3, 1);
    rig_turn(r, 700);
    assert_int_equal(atomic_load(&r->looks), 0);
    rig_free(r);
}

static void a_job_that_came_in_elsewhere_wakes_a_waiting_poll(void **state)
{
    (void)state;
    struct rig *r = told_rig(slow, 0, 3, 1);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    struct dispatch *other = dispatch_new(r->bus, NULL, r->config); /* it wakes only those that wait at itself */
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    while (atomic_load(&r->looks) < 2)
        rig_turn(r, 1);
    struct dispatch *mine = r->d;
    r->d = other;
    submit_ok(r, "{'workflow':'noop'}");
    r->d = mine;
    rig_turn(r, 50);
    assert_int_equal(a.done, 0); /* nobody said so yet */
    atomic_store(&r->queued, 1);
    atomic_store(&r->arrivals, 1);
    rig_wait(r, &a);
    assert_string_equal(a.message, "Job leased");
    assert_true(r->events[EVENT_QUEUE_ARRIVED] >= 1);
    answer_reset(&a);
    worker_auth_free(w);
    dispatch_free(other);
    rig_free(r);
}

/* The first two leases find only jobs that the other controller holds. */
static int holds_two(struct rig *r, struct bp_op *op)
{
    if (op->kind != BP_OP_LEASE || atomic_load(&r->asked[BP_OP_LEASE]) > 2)
        return 0;
    op->u.lease.emptied = -1;
    return 1;
}

/* What is held elsewhere for a moment is asked for again at once, not with the probe of every two seconds. */
static void held_and_tried_again(const char *const *sets)
{
    struct rig *r = told_rig(sets, 0, 3, 1);
    struct answer a = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    submit_ok(r, "{'workflow':'noop'}");
    atomic_store(&r->queued, 1);
    atomic_store(&r->script, holds_two);
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    while (atomic_load(&r->asked[BP_OP_LEASE]) < 1)
        rig_turn(r, 1);
    unsigned looks = atomic_load(&r->looks);
    rig_wait(r, &a);
    assert_string_equal(a.message, "Job leased");
    assert_true(atomic_load(&r->looks) - looks < 10);
    answer_reset(&a);
    worker_auth_free(w);
    rig_free(r);
}

static void a_lease_past_what_another_holds_is_soon_tried_again(void **state)
{
    (void)state;
    held_and_tried_again(slow);
}

/* It waited for the next look, a minute. */
static void what_is_held_is_soon_tried_again_however_rarely_the_store_is_watched(void **state)
{
    (void)state;
    held_and_tried_again(rare);
}

static void what_an_operator_changed_elsewhere_reaches_a_waiting_poll(void **state)
{
    (void)state;
    struct rig *r = told_rig(slow, 0, 3, 1);
    struct answer a = {0}, change = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    struct dispatch *other = dispatch_new(r->bus, NULL, r->config);
    begin_worker(r, dispatch_worker_poll, w, WAIT, &a);
    dispatch_worker_change(other, "w", "drain", "operator:0", answer_keep, &change);
    rig_wait(r, &change);
    assert_int_equal(change.rc, BP_OK);
    rig_wait(r, &a);
    assert_string_equal(a.message, "Worker draining");
    answer_reset(&a);
    answer_reset(&change);
    worker_auth_free(w);
    dispatch_free(other);
    rig_free(r);
}

static void a_lease_that_ended_elsewhere_frees_its_worker_for_a_waiting_poll(void **state)
{
    (void)state;
    struct rig *r = told_rig(slow, 0, 3, 1);
    struct answer a = {0}, b = {0};
    struct worker_auth *w = worker_in(r, "w", "noop");
    struct dispatch *other = dispatch_new(r->bus, NULL, r->config), *mine = r->d;
    submit_ok(r, "{'workflow':'noop'}");
    submit_ok(r, "{'workflow':'noop'}");
    do_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_concurrency':1}", &a);
    char body[2048];
    snprintf(body, sizeof body, "%s", lease_body(json_member(a.data, "job"), ""));
    begin_worker(r, dispatch_worker_poll, w, "{'worker_id':'w','max_concurrency':1,'wait_seconds':30}", &b);
    rig_waits(r, 1);
    assert_int_equal(b.done, 0); /* at capacity */
    atomic_store(&r->queued, 1);
    r->d = other;
    do_worker(r, dispatch_worker_complete, w, body, &a);
    r->d = mine;
    assert_int_equal(a.rc, BP_OK);
    rig_wait(r, &b);
    assert_string_equal(b.message, "Job leased");
    answer_reset(&a);
    answer_reset(&b);
    worker_auth_free(w);
    dispatch_free(other);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_knows_no_leaders_has_one_controller_which_leads),
        cmocka_unit_test(only_the_leader_sweeps_and_says_its_epoch),
        cmocka_unit_test(a_leader_that_cannot_ask_in_time_leads_no_more),
        cmocka_unit_test(a_term_ends_by_the_clock_alone),
        cmocka_unit_test(an_answer_that_comes_too_late_begins_no_term),
        cmocka_unit_test(a_refused_sweep_is_the_end_of_the_term),
        cmocka_unit_test(another_epoch_is_another_term),
        cmocka_unit_test(who_resigns_leads_no_more_and_asks_no_more),
        cmocka_unit_test(what_the_run_before_led_is_free_at_once),
        cmocka_unit_test(nobody_waits_and_nothing_is_looked_at),
        cmocka_unit_test(a_job_that_came_in_elsewhere_wakes_a_waiting_poll),
        cmocka_unit_test(a_lease_past_what_another_holds_is_soon_tried_again),
        cmocka_unit_test(what_is_held_is_soon_tried_again_however_rarely_the_store_is_watched),
        cmocka_unit_test(what_an_operator_changed_elsewhere_reaches_a_waiting_poll),
        cmocka_unit_test(a_lease_that_ended_elsewhere_frees_its_worker_for_a_waiting_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
