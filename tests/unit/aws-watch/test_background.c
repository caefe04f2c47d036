/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that takes steps: woken, rested, drained, ended. */
#include "background.h"
#include "cm.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

static struct bp_err err;
static atomic_int steps, left;
static atomic_llong says;
static sem_t taken;

static int64_t step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
    int64_t said = atomic_fetch_sub(&left, 1) > 1 ? BACKGROUND_AGAIN : atomic_load(&says);
    sem_post(&taken);
    return said;
}

static struct background *begin(int n, int64_t then)
{
    alarm(60);
    atomic_store(&steps, 0);
    atomic_store(&left, n);
    atomic_store(&says, then);
    sem_init(&taken, 0, 0);
    struct background *b = background_start(step, NULL, &err);
    assert_non_null(b);
    return b;
}

static void nothing_happens_until_it_is_woken(void **state)
{
    (void)state;
    struct background *b = begin(1, BACKGROUND_IDLE);
    background_stop(b, 1000);
    assert_int_equal(steps, 0);
}

static void one_wake_takes_steps_as_long_as_there_is_more(void **state)
{
    (void)state;
    struct background *b = begin(5, BACKGROUND_IDLE);
    background_wake(b);
    for (int i = 0; i < 5; i++)
        sem_wait(&taken);
    background_wake(b);
    sem_wait(&taken);
    background_stop(b, 0);
    assert_int_equal(steps, 6);
}

static void a_rest_is_kept_when_it_is_woken_and_ends_with_the_stop(void **state)
{
    (void)state;
    struct background *b = begin(1, 3600000);
    background_wake(b);
    sem_wait(&taken);
    for (int i = 0; i < 100; i++)
        background_wake(b);
    background_stop(b, 60000);
    assert_int_equal(steps, 1);
}

static void a_short_rest_is_over_by_itself(void **state)
{
    (void)state;
    struct background *b = begin(1, 1);
    background_wake(b);
    for (int i = 0; i < 3; i++)
        sem_wait(&taken);
    background_stop(b, 0);
}

static void the_stop_drains_what_it_was_woken_for(void **state)
{
    (void)state;
    struct background *b = begin(50, BACKGROUND_IDLE);
    background_wake(b);
    background_stop(b, 60000);
    assert_int_equal(steps, 50);
    background_stop(NULL, 0);
}

static void the_stop_drains_no_longer_than_it_may(void **state)
{
    (void)state;
    struct background *b = begin(1 << 30, BACKGROUND_IDLE);
    background_wake(b);
    background_stop(b, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_until_it_is_woken),
        cmocka_unit_test(one_wake_takes_steps_as_long_as_there_is_more),
        cmocka_unit_test(a_rest_is_kept_when_it_is_woken_and_ends_with_the_stop),
        cmocka_unit_test(a_short_rest_is_over_by_itself),
        cmocka_unit_test(the_stop_drains_what_it_was_woken_for),
        cmocka_unit_test(the_stop_drains_no_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
