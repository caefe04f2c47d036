/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered is read before anything is decided, and anew with each term of the lead. */
#include "scale/memo_fixture.h"

#include <unistd.h>

static void assert_only_decided(const struct scale_item *i, int32_t to)
{
    assert_true(i->n_decisions > 0);
    for (uint32_t k = 0; k < i->n_decisions && k < SCALE_DECISIONS; k++)
        assert_int_equal(i->decisions[k].to, to);
}

static int has_decided(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items && s->items->n_decisions > 0;
}

/* It has looked, and left it to another controller. */
static int has_followed(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items && s->items->planned_ms;
}

static void nothing_is_decided_before_it_is_read(void **state)
{
    (void)state;
    struct rig *r = remembering();
    rig_depth(r, 5, 0);
    leading = 0;
    struct scale *s = begin(r);
    rig_until(r, has_followed, s);
    rig_until_calls(r, "stats", rig_calls(r, "stats") + 2);
    assert_int_equal(resized, -1);
    remember(r, 0, "scale.rules", "photo", "{\"v\":1,\"rules\":[{\"rule\":\"max\",\"value\":1,\"by\":\"bob\"}]}");
    leading = 1;
    bus_publish(r->bus, EVENT_LEADER_GAINED, "me", (int64_t)2);
    rig_until(r, has_decided, s);
    assert_only_decided(s->items, 1);
    quit(r, s);
}

/* It lost the lead and has it again while the answer was on its way: another one may have been told something since. */
static void what_was_asked_for_in_a_former_term_counts_for_nothing(void **state)
{
    (void)state;
    struct rig *r = remembering();
    rig_depth(r, 5, 0);
    struct scale *s = begin(r);
    assert_non_null(scale_item_get(s, "photo"));
    memos_follow(s);
    while (!rig_calls(r, "memos fleet.lives")) /* the queue has answered, and the loop has not heard */
        usleep(1000);
    remember(r, 0, "scale.rules", "photo", "{\"v\":1,\"rules\":[{\"rule\":\"max\",\"value\":1,\"by\":\"bob\"}]}");
    bus_publish(r->bus, EVENT_LEADER_LOST, "me", (int64_t)1, "the test says so");
    bus_publish(r->bus, EVENT_LEADER_GAINED, "me", (int64_t)2);
    rig_until(r, has_decided, s);
    assert_only_decided(s->items, 1);
    quit(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_decided_before_it_is_read),
        cmocka_unit_test(what_was_asked_for_in_a_former_term_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
