/* SPDX-License-Identifier: Apache-2.0 */
/* Fleets under several controllers: only the leader changes them, and nothing it began reaches them after its term. */
#include "fleet/fixture.h"

#include <string.h>

/* A term as the test gives and takes it. */
struct seat {
    int leads;
    struct lead_term term;
};

static int now(void *arg, struct lead_term *term)
{
    const struct seat *s = arg;
    *term = s->term;
    return s->leads;
}

static void seat_give(struct fixture *f, struct seat *s)
{
    *s = (struct seat){1, {s->term.epoch + 1, INT64_MAX}};
    bus_publish(f->rig->bus, EVENT_LEADER_GAINED, "here", s->term.epoch);
}

static void seat_take(struct fixture *f, struct seat *s)
{
    s->leads = 0;
    bus_publish(f->rig->bus, EVENT_LEADER_LOST, "here", s->term.epoch, "the test took it");
}

static int is_known(struct rig *r, const void *arg)
{
    struct fleet_counts c;
    (void)r;
    return fleet_counts((struct fleets *)(uintptr_t)arg, "photo", &c) == 0;
}

static void begin_under(struct fixture *f, struct seat *s, int machines)
{
    char id[16];
    memset(f, 0, sizeof *f);
    f->rig = rig_new((const char *const[]){"scale.tickMilliseconds=50", NULL});
    for (int i = 1; i <= machines; i++) {
        snprintf(id, sizeof id, "i-%d", i);
        rig_machine(f->rig, id, 8000);
    }
    f->fleets = fleets_new(f->rig->bus, NULL, f->rig->config);
    fleets_set_leads(f->fleets, &(struct leads){now, s});
    fleets_start(f->fleets);
    rig_until(f->rig, is_known, f->fleets);
}

static void one_that_does_not_lead_looks_and_changes_nothing(void **state)
{
    struct fixture f;
    struct seat s = {0};
    (void)state;
    begin_under(&f, &s, 2);
    rig_lease(f.rig, "i-1", 1);
    until_counts(&f, 2, 0, 1);
    assert_int_equal(resize(&f, 4), BP_STALE);
    assert_int_equal(resize(&f, 0), BP_STALE);
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "ensure"), 0);
    assert_int_equal(rig_calls(f.rig, "protect"), 0);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    assert_int_equal(rig_calls(f.rig, "grow"), 0);
    seat_give(&f, &s);
    rig_until_call(f.rig, "ensure photo 10");
    rig_until_call(f.rig, "protect photo i-1 1");
    end(&f);
}

static void what_was_seen_before_the_term_decides_nothing(void **state)
{
    struct fixture f;
    struct seat s = {0};
    struct fleet_counts c;
    (void)state;
    begin_under(&f, &s, 1);
    seat_give(&f, &s);
    assert_int_equal(fleet_counts(f.fleets, "photo", &c), BP_NOTFOUND);
    rig_until(f.rig, is_known, f.fleets);
    assert_int_equal(resize(&f, 2), 0);
    rig_until_call(f.rig, "grow photo 2");
    end(&f);
}

static void a_call_that_waited_for_longer_than_the_term_is_not_made(void **state)
{
    struct fixture f;
    struct seat s = {0};
    (void)state;
    begin_under(&f, &s, 1);
    seat_give(&f, &s);
    rig_until_call(f.rig, "ensure photo 10");
    rig_until(f.rig, is_known, f.fleets);
    atomic_store(&f.rig->cloud_closed, 1);
    rig_turn(f.rig, 100); /* the provider is in a look, and does not come back */
    rig_forget_calls(f.rig);
    s.term.until_ms = lead_clock_ms() + 50;
    assert_int_equal(resize(&f, 5), 0); /* in its term; the call waits behind */
    rig_turn(f.rig, 100);
    atomic_store(&f.rig->cloud_closed, 0);
    s.leads = 0;
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "grow"), 0);
    seat_give(&f, &s);
    rig_until(f.rig, is_known, f.fleets);
    assert_int_equal(resize(&f, 2), 0); /* nothing of it is left behind */
    rig_until_call(f.rig, "grow photo 2");
    end(&f);
}

static void a_new_leader_ends_what_the_old_one_drained(void **state)
{
    struct fixture f;
    struct seat s = {0};
    (void)state;
    begin_under(&f, &s, 2);
    rig_drain(f.rig, "i-2", 1);
    until_counts(&f, 2, 1, 0);
    rig_turn(f.rig, 100);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    seat_give(&f, &s);
    rig_until_call(f.rig, "terminate photo i-2");
    assert_int_equal(rig_calls(f.rig, "terminate photo i-1"), 0);
    end(&f);
}

/* It goes on with what the store says, not with what it had in mind. */
static void one_that_leads_again_begins_anew(void **state)
{
    struct fixture f;
    struct seat s = {0};
    (void)state;
    begin_under(&f, &s, 1);
    seat_give(&f, &s);
    rig_until(f.rig, is_known, f.fleets);
    atomic_store(&f.rig->lease_on_mark, 1);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "drain i-1");
    seat_take(&f, &s);
    rig_drain(f.rig, "i-1", 0); /* the one that led in between needed it again */
    rig_lease(f.rig, "i-1", 0);
    until_counts(&f, 1, 0, 0);
    rig_forget_calls(f.rig);
    seat_give(&f, &s);
    rig_until_call(f.rig, "ensure photo 10");
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "drain"), 0);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    end(&f);
}

struct told {
    int quiet, left;
};

static void is_quiet(void *arg)
{
    ((struct told *)arg)->quiet++;
}

static void has_left(void *arg)
{
    ((struct told *)arg)->left++;
}

static int was_quiet(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct told *)arg)->quiet;
}

static int did_leave(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct told *)arg)->left;
}

static void leadership_is_given_up_only_when_no_change_is_under_way(void **state)
{
    struct fixture f;
    struct seat s = {0};
    struct told told = {0};
    (void)state;
    begin_under(&f, &s, 1);
    seat_give(&f, &s);
    rig_until_call(f.rig, "ensure photo 10");
    rig_until(f.rig, is_known, f.fleets);
    atomic_store(&f.rig->cloud_closed, 1);
    rig_turn(f.rig, 100);
    assert_int_equal(resize(&f, 3), 0);
    fleets_stop(f.fleets, &(struct fleets_ending){is_quiet, has_left, &told});
    rig_turn(f.rig, 100);
    assert_int_equal(told.quiet, 0);
    atomic_store(&f.rig->cloud_closed, 0);
    rig_until(f.rig, was_quiet, &told);
    rig_until(f.rig, did_leave, &told);
    assert_int_equal(told.quiet, 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_does_not_lead_looks_and_changes_nothing),
        cmocka_unit_test(what_was_seen_before_the_term_decides_nothing),
        cmocka_unit_test(a_call_that_waited_for_longer_than_the_term_is_not_made),
        cmocka_unit_test(a_new_leader_ends_what_the_old_one_drained),
        cmocka_unit_test(one_that_leads_again_begins_anew),
        cmocka_unit_test(leadership_is_given_up_only_when_no_change_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
