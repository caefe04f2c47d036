/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_private.h"

#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS 100

static int64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t mono_ms(void)
{
    return mono_us() / 1000;
}

int64_t loop_now_ms(const struct loop *l)
{
    int64_t (*now_ms)(void *) = atomic_load_explicit(&l->now_ms, memory_order_acquire);
    return now_ms ? now_ms(l->clock_arg) : clock_us(CLOCK_REALTIME) / 1000;
}

int64_t loop_steady_ms(const struct loop *l)
{
    return l->now_ms ? loop_now_ms(l) : mono_ms();
}

void loop_set_clock(struct loop *l, int64_t (*now_ms)(void *arg), void *arg)
{
    l->clock_arg = arg;
    atomic_store_explicit(&l->now_ms, now_ms, memory_order_release);
}

int loop_is_mine(const struct loop *l)
{
    return l->magic == LOOP_MAGIC && pthread_equal(l->thread, pthread_self());
}

struct event_base *loop_base(struct loop *l)
{
    ASSERT_LOOP(l);
    return l->base;
}

int64_t loop_enter(struct loop *l)
{
    ASSERT_LOOP(l);
    return mono_us();
}

int64_t loop_lap(struct loop *l, const char *name, int64_t entered)
{
    int64_t now = mono_us();
    int64_t ms = (now - entered) / 1000;
    if (ms < LOOP_SLOW_MS)
        return now;
    log_warn(LOG_LOOP, "%s held the loop for %lld ms", name, (long long)ms);
    if (l->slow)
        l->slow(name, ms, l->slow_arg);
    return mono_us();
}

void loop_leave(struct loop *l, const char *name, int64_t entered)
{
    ASSERT_LOOP(l);
    loop_lap(l, name, entered);
}

void loop_on_slow(struct loop *l, void (*fn)(const char *name, int64_t ms, void *arg), void *arg)
{
    ASSERT_LOOP(l);
    l->slow = fn;
    l->slow_arg = arg;
}

/* How late this beat is tells how long anything else would have waited for its turn. */
static void beat(void *arg)
{
    struct loop *l = arg;
    int64_t now = mono_us();
    int64_t late = now - l->beat_due_us;
    l->lag_us[l->beats++ % LOOP_LAG_BEATS] = late > 0 ? late : 0;
    l->beat_due_us = now + BEAT_MS * 1000;
    loop_timer_after(l->beat, BEAT_MS);
}

int64_t loop_lag_us(const struct loop *l)
{
    int64_t worst = 0;
    ASSERT_LOOP(l);
    for (int i = 0; i < LOOP_LAG_BEATS; i++)
        worst = l->lag_us[i] > worst ? l->lag_us[i] : worst;
    return worst;
}

static struct event_base *new_base(void)
{
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return NULL;
    /* The coarse clock libevent takes otherwise is up to 4 ms off, which would read as lag. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
    /* evhttp turns reading off and on again for every request; most of that cancels out before the next wait. Not for
     * descriptors that are duplicates of each other: there are none here. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

static int open_door(struct loop *l)
{
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0)
        return -1;
    l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, loop_on_wake, l);
    return l->wake ? event_add(l->wake, NULL) : -1;
}

static int start_beat(struct loop *l)
{
    l->beat = loop_timer_new(l, "loop.beat", beat, l);
    if (!l->beat)
        return -1;
    l->beat_due_us = mono_us() + BEAT_MS * 1000;
    loop_timer_after(l->beat, BEAT_MS);
    return 0;
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->magic = LOOP_MAGIC;
    l->thread = pthread_self();
    l->wake_fd = -1;
    pthread_mutex_init(&l->lock, NULL);
    l->base = new_base();
    if (!l->base || open_door(l) < 0 || start_beat(l) < 0) {
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_run(struct loop *l)
{
    ASSERT_LOOP(l);
    l->beat_due_us = mono_us() + BEAT_MS * 1000;
    while (!atomic_load(&l->stopping)) {
        if (event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
            break;
    }
    atomic_store(&l->stopping, 0);
}

void loop_stop(struct loop *l)
{
    uint64_t one = 1;
    atomic_store(&l->stopping, 1);
    /* A full counter means that a wake is under way already. */
    if (write(l->wake_fd, &one, sizeof one) < 0)
        return;
}

static void free_signals(struct loop *l)
{
    while (l->signals) {
        struct loop_signal *s = l->signals;
        l->signals = s->next;
        event_free(s->ev);
        free(s);
    }
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    ASSERT_LOOP(l);
    loop_run_posts_left(l);
    loop_timer_free(l->beat);
    free_signals(l);
    if (l->wake)
        event_free(l->wake);
    if (l->base)
        event_base_free(l->base);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->posted.at);
    free(l->taken.at);
    memset(l, 0, sizeof *l);
    free(l);
}
