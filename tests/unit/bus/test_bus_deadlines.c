/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines up to a minute and a hundred revolutions of the wheel, in no time: clock and timer are the test's. */
#include "bus/deadline.h"
#include "cm.h"
#include <stdlib.h>
#include <string.h>

#define MANY 2000

struct loop_timer {
    void (*fn)(void *arg);
    void *arg;
    int64_t due_ms; /* -1: not armed */
    int fired;
};

static struct loop_timer timer;
static int64_t now_ms;

int64_t mono_ms(void)
{
    return now_ms;
}

struct loop_timer *loop_timer_new(struct loop *l, const char *name, void (*fn)(void *arg), void *arg)
{
    (void)l;
    (void)name;
    timer = (struct loop_timer){fn, arg, -1, 0};
    return &timer;
}

void loop_timer_after(struct loop_timer *t, int64_t delay_ms)
{
    t->due_ms = now_ms + (delay_ms > 0 ? delay_ms : 0);
}

void loop_timer_free(struct loop_timer *t)
{
    (void)t;
}

struct item {
    struct deadline d;
    int64_t due_ms;
    int called, cleared;
};

static struct item items[MANY];
static struct deadlines wheel;
static int64_t lateness_allowed;

static void due(struct deadline *d)
{
    struct item *i = (struct item *)(void *)d;
    assert_true(now_ms >= i->due_ms);
    assert_true(now_ms - i->due_ms <= lateness_allowed);
    assert_false(i->cleared);
    i->called++;
}

static int setup(void **state)
{
    (void)state;
    memset(items, 0, sizeof items);
    memset(&wheel, 0, sizeof wheel);
    now_ms = 1234567;
    lateness_allowed = DEADLINE_TICK_MS;
    srand(11);
    return deadlines_open(&wheel, NULL, due);
}

/* Time passes to `until`; the timer fires when it is due, or late_ms later. */
static void pass(int64_t until, int64_t late_ms)
{
    while (timer.due_ms >= 0 && timer.due_ms + late_ms <= until) {
        now_ms = timer.due_ms + late_ms;
        timer.due_ms = -1;
        timer.fired++;
        timer.fn(timer.arg);
    }
    now_ms = until;
}

static void set(struct item *i, int64_t after_ms)
{
    i->due_ms = now_ms + after_ms;
    deadline_set(&wheel, &i->d, after_ms);
}

static void each_is_called_once_never_early_and_at_most_a_tick_late(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        pass(now_ms + rand() % 40, 0);
        set(&items[i], 1 + rand() % 60000);
    }
    pass(now_ms + 61000, 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].called, 1);
    assert_int_equal(wheel.count, 0);
    assert_int_equal(timer.due_ms, -1); /* nothing left: the loop sleeps */
}

static void a_cleared_one_is_never_called(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++)
        set(&items[i], 1 + rand() % 30000);
    for (int i = 0; i < MANY; i += 2) {
        items[i].cleared = 1;
        deadline_clear(&wheel, &items[i].d);
        deadline_clear(&wheel, &items[i].d); /* twice is harmless */
    }
    pass(now_ms + 31000, 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].called, i % 2);
}

static void a_loop_that_was_held_calls_all_that_passed_meanwhile(void **state)
{
    (void)state;
    lateness_allowed = 25000 + DEADLINE_TICK_MS;
    for (int i = 0; i < MANY; i++)
        set(&items[i], 1 + rand() % 60000);
    pass(now_ms + 90000, 25000); /* more than two revolutions late each time */
    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].called, 1);
}

static void one_long_deadline_costs_a_wake_a_revolution_and_no_more(void **state)
{
    (void)state;
    set(&items[0], 600000);
    pass(now_ms + 601000, 0);
    assert_int_equal(items[0].called, 1);
    assert_true(timer.fired <= 600000 / (DEADLINE_SLOTS * DEADLINE_TICK_MS) + 2);
}

static void an_earlier_one_set_later_is_not_missed(void **state)
{
    (void)state;
    set(&items[0], 5000);
    set(&items[1], 20);
    pass(now_ms + 40, 0);
    assert_int_equal(items[1].called, 1);
    assert_int_equal(items[0].called, 0);
    pass(now_ms + 5000, 0);
    assert_int_equal(items[0].called, 1);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_is_called_once_never_early_and_at_most_a_tick_late),
        T(a_cleared_one_is_never_called),
        T(a_loop_that_was_held_calls_all_that_passed_meanwhile),
        T(one_long_deadline_costs_a_wake_a_revolution_and_no_more),
        T(an_earlier_one_set_later_is_not_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
