/* SPDX-License-Identifier: Apache-2.0 */
/* Every order of everything: no busy instance is ended, and each of the safeguards is needed for that. */
#include "cm.h"

#include "fleet/drain_model.h"
#include <bp/plugin.h>
#include <stdio.h>
#include <string.h>

static void no_order_of_events_ends_a_busy_instance(void **state)
{
    (void)state;
    struct found f = explore(drain_next);
    printf("[ states   ] %zu, %zu ways between them\n", f.states, f.ways);
    assert_string_equal(f.wrong, "");
    /* the world is not one in which nothing happens */
    assert_true(f.ended > 0);
    assert_true(f.took_back > 0);
    assert_true(f.relaunched > 0);
    assert_true(f.finished > 0);
}

/* ---- the same without one of the safeguards ---- */

static struct drain_next without_second_look(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    struct drain_next next = drain_next(at, what, v);
    if (what == DRAIN_TOLD && at == DRAIN_MARKING)
        next = (struct drain_next){DRAIN_ENDING, DRAIN_DO_TERMINATE};
    return next;
}

static struct drain_next with_old_looks(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    struct drain_view fresh = v ? *v : (struct drain_view){0};
    fresh.fresh = 1;
    return drain_next(at, what, v ? &fresh : NULL);
}

static struct drain_next blind_to_leases(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    struct drain_view idle = v ? *v : (struct drain_view){0};
    idle.leases = 0;
    return drain_next(at, what, v ? &idle : NULL);
}

static struct drain_next without_marking_again(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    struct drain_view marked = v ? *v : (struct drain_view){0};
    marked.worker_draining = 1;
    return drain_next(at, what, v ? &marked : NULL);
}

static struct drain_next deaf_to_registrations(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    return drain_next(at, what == DRAIN_WORKER_UP ? 0 : what, v);
}

static struct drain_next without_doubt(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    return drain_next(at, what == DRAIN_LOST ? DRAIN_REFUSED : what, v);
}

static struct drain_next cancelling_too_late(enum drain_step at, enum drain_event what, const struct drain_view *v)
{
    return drain_next(what == DRAIN_REFUSED && at == DRAIN_ENDING_AGAIN ? DRAIN_ENDING : at, what, v);
}

static void without_any_of_the_safeguards_one_is_ended(void **state)
{
    static const struct {
        const char *what;
        drain_fn next;
    } rows[] = {{"no look after the mark", without_second_look},
                {"looks from before the mark decide", with_old_looks},
                {"leases are not looked at", blind_to_leases},
                {"a worker that is not marked is not marked again", without_marking_again},
                {"a worker that registers is not marked", deaf_to_registrations},
                {"a lost terminate is taken for refused", without_doubt},
                {"doubt ends with the next refusal", cancelling_too_late}};
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct found f = explore(rows[k].next);
        if (!strstr(f.wrong, "a busy instance was ended"))
            fail_msg("%s: %zu states, and no busy instance was ended (%s)", rows[k].what, f.states, f.wrong);
    }
}

static void only_a_clear_refusal_is_one(void **state)
{
    (void)state;
    assert_int_equal(drain_end_event(BP_OK), DRAIN_ENDED);
    assert_int_equal(drain_end_event(BP_NOTFOUND), DRAIN_ENDED);
    assert_int_equal(drain_end_event(BP_DENIED), DRAIN_REFUSED);
    assert_int_equal(drain_end_event(BP_STALE), DRAIN_REFUSED);
    assert_int_equal(drain_end_event(BP_TIMEOUT), DRAIN_LOST);
    assert_int_equal(drain_end_event(BP_FAIL), DRAIN_LOST);
    assert_int_equal(drain_end_event(-1000), DRAIN_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_order_of_events_ends_a_busy_instance),
        cmocka_unit_test(without_any_of_the_safeguards_one_is_ended),
        cmocka_unit_test(only_a_clear_refusal_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
