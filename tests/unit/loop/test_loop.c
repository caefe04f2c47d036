/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "loop/loop.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POSTERS    4
#define POSTS_EACH 20000
#define GIVE_UP_MS 60000

struct fixture {
    struct loop *loop;
    uint32_t count;
    uint32_t last[POSTERS];
    int in_order, ended;
    struct loop_timer *timer;
    const char *slow_name;
    int64_t slow_ms;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->loop = loop_new();
    f->in_order = 1;
    *state = f;
    return f->loop ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    loop_free(f->loop);
    free(f);
    return 0;
}

/* ---- the door ---- */

struct numbered {
    struct fixture *f;
    uint32_t poster, number;
};

static void run_numbered(void *arg)
{
    struct numbered *n = arg;
    struct fixture *f = n->f;
    if (n->number != f->last[n->poster] + 1)
        f->in_order = 0;
    f->last[n->poster] = n->number;
    if (++f->count == POSTERS * POSTS_EACH)
        loop_stop(f->loop);
    free(n);
}

struct poster {
    struct fixture *f;
    uint32_t id;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (uint32_t i = 1; i <= POSTS_EACH; i++) {
        struct numbered *n = malloc(sizeof *n);
        *n = (struct numbered){p->f, p->id, i};
        loop_post(p->f->loop, "test", run_numbered, n);
    }
    return NULL;
}

static void posts_of_many_threads_run_once_each_in_the_order_of_their_thread(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    for (uint32_t i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){f, i};
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    loop_run(f->loop);
    for (uint32_t i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(f->count, POSTERS * POSTS_EACH);
    assert_true(f->in_order);
}

static void post_again(void *arg)
{
    struct fixture *f = arg;
    f->count++;
    if (!f->ended)
        loop_post(f->loop, "test", post_again, f);
}

static void stop_now(void *arg)
{
    loop_stop(((struct fixture *)arg)->loop);
}

static void read_and_stop(int fd, short what, void *arg)
{
    char c;
    (void)what;
    assert_int_equal(read(fd, &c, 1), 1);
    loop_stop(((struct fixture *)arg)->loop);
}

static void a_flood_of_posts_does_not_starve_a_socket(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct loop_fd *w = loop_fd_new(f->loop, "test", fds[0], EV_READ, read_and_stop, f);
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_post(f->loop, "test", post_again, f);
    loop_run(f->loop); /* would never end */
    assert_true(f->count > 0);
    loop_fd_free(w);
    close(fds[0]);
    close(fds[1]);
    f->ended = 1;
}

static void a_flood_of_posts_does_not_starve_a_timer(void **state)
{
    struct fixture *f = *state;
    f->timer = loop_timer_new(f->loop, "test", stop_now, f);
    loop_timer_after(f->timer, 5);
    loop_post(f->loop, "test", post_again, f);
    loop_run(f->loop);
    assert_true(f->count > 0);
    f->ended = 1;
    loop_timer_free(f->timer);
}

static void count_one(void *arg)
{
    (*(uint32_t *)arg)++;
}

static void post_count(void *arg)
{
    struct fixture *f = arg;
    f->count++;
    loop_post(f->loop, "test", count_one, &f->count);
}

static void what_is_posted_after_stop_runs_once_when_the_loop_is_freed(void **state)
{
    struct fixture *f = *state;
    struct fixture other = {.loop = loop_new()};
    (void)f;
    loop_stop(other.loop);
    loop_run(other.loop); /* returns at once */
    loop_post(other.loop, "test", post_count, &other);
    assert_int_equal(other.count, 0);
    loop_free(other.loop);
    assert_int_equal(other.count, 2);
}

static void the_loop_can_be_run_again_after_a_stop(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        loop_post(f->loop, "test", count_one, &f->count);
        loop_post(f->loop, "test", stop_now, f);
        loop_run(f->loop);
    }
    assert_int_equal(f->count, 3);
}

/* ---- timers ---- */

static void third_time_free(void *arg)
{
    struct fixture *f = arg;
    if (++f->count < 3)
        return;
    loop_timer_free(f->timer); /* from inside its own callback */
    loop_stop(f->loop);
}

static void a_repeating_timer_may_free_itself(void **state)
{
    struct fixture *f = *state;
    int64_t start = mono_ms();
    f->timer = loop_timer_new(f->loop, "test", third_time_free, f);
    loop_timer_every(f->timer, 5);
    loop_run(f->loop);
    assert_int_equal(f->count, 3);
    assert_true(mono_ms() - start >= 14);
}

static void a_cancelled_timer_stays_silent_and_a_rearmed_one_fires_once(void **state)
{
    struct fixture *f = *state;
    struct loop_timer *cancelled = loop_timer_new(f->loop, "test", count_one, &f->count);
    struct loop_timer *moved = loop_timer_new(f->loop, "test", count_one, &f->count);
    struct loop_timer *end = loop_timer_new(f->loop, "test", stop_now, f);
    loop_timer_after(cancelled, 1);
    loop_timer_cancel(cancelled);
    loop_timer_after(moved, GIVE_UP_MS);
    loop_timer_after(moved, 1);
    loop_timer_after(end, 40);
    loop_run(f->loop);
    assert_int_equal(f->count, 1);
    loop_timer_free(cancelled);
    loop_timer_free(moved);
    loop_timer_free(end);
    loop_timer_free(NULL);
}

/* ---- signals, clock, lag ---- */

static void on_signal(int signo, void *arg)
{
    struct fixture *f = arg;
    assert_int_equal(signo, SIGUSR1);
    f->count++;
    loop_stop(f->loop);
}

static void raise_it(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
}

static void signals_are_handled_on_the_loop(void **state)
{
    struct fixture *f = *state;
    loop_on_signal(f->loop, SIGUSR1, on_signal, f);
    loop_post(f->loop, "test", raise_it, NULL);
    loop_run(f->loop);
    assert_int_equal(f->count, 1);
}

static int64_t fixed_clock(void *arg)
{
    return *(int64_t *)arg;
}

static void the_wall_clock_can_be_replaced(void **state)
{
    struct fixture *f = *state;
    int64_t at = 12345;
    assert_true(loop_now_ms(f->loop) > 1600000000000);
    loop_set_clock(f->loop, fixed_clock, &at);
    assert_int_equal(loop_now_ms(f->loop), 12345);
    loop_set_clock(f->loop, NULL, NULL);
    assert_true(loop_now_ms(f->loop) > 1600000000000);
}

static void on_slow(const char *name, int64_t ms, void *arg)
{
    struct fixture *f = arg;
    f->slow_name = name;
    f->slow_ms = ms;
}

static void hold(void *arg)
{
    struct fixture *f = arg;
    usleep(250000);
    loop_timer_after(f->timer, 20); /* the heartbeat, overdue by now, comes first */
}

static void a_slow_callback_is_named_and_shows_as_lag(void **state)
{
    struct fixture *f = *state;
    loop_on_slow(f->loop, on_slow, f);
    f->timer = loop_timer_new(f->loop, "test.end", stop_now, f);
    loop_post(f->loop, "test.holds", hold, f);
    loop_run(f->loop);
    assert_non_null(f->slow_name);
    assert_string_equal(f->slow_name, "test.holds");
    assert_true(f->slow_ms >= 240);
    assert_true(loop_lag_us(f->loop) >= 100000);
    loop_timer_free(f->timer);
}

static void *ask_whose(void *arg)
{
    return loop_is_mine(arg) ? arg : NULL;
}

static void the_loop_knows_its_thread(void **state)
{
    struct fixture *f = *state;
    pthread_t t;
    void *mine = f;
    assert_true(loop_is_mine(f->loop));
    pthread_create(&t, NULL, ask_whose, f->loop);
    pthread_join(t, &mine);
    assert_null(mine);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(posts_of_many_threads_run_once_each_in_the_order_of_their_thread),
        T(a_flood_of_posts_does_not_starve_a_socket),
        T(a_flood_of_posts_does_not_starve_a_timer),
        T(what_is_posted_after_stop_runs_once_when_the_loop_is_freed),
        T(the_loop_can_be_run_again_after_a_stop),
        T(a_repeating_timer_may_free_itself),
        T(a_cancelled_timer_stays_silent_and_a_rearmed_one_fires_once),
        T(signals_are_handled_on_the_loop),
        T(the_wall_clock_can_be_replaced),
        T(a_slow_callback_is_named_and_shows_as_lag),
        T(the_loop_knows_its_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
