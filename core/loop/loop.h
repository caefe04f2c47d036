/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - the one event loop thread, which owns all state of core.
 *
 * Nothing on it blocks. A callback over 50 ms is logged with its name. There is exactly one door from
 * other threads: loop_post(). Functions marked [loop] assert that they run on the loop's thread.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <bp/plugin.h>
#include <event2/event.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_fd;

/* Creates the loop; the calling thread becomes its thread. NULL on no memory. */
struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Runs until loop_stop(). [loop] */
void loop_run(struct loop *l);
/* Any thread. */
void loop_stop(struct loop *l);
int loop_is_mine(const struct loop *l);
#define ASSERT_LOOP(l) assert(loop_is_mine(l))

/* Runs fn(arg) on the loop soon, in the order posted. Any thread, never blocks, never fails (aborts on no memory).
 * After loop_stop() posted calls are still run once by loop_free(), so that what they own is released. */
void loop_post(struct loop *l, const char *name, void (*fn)(void *arg), void *arg);

/* One-shot or repeating timer; name is static text, shown when it is slow. [loop] */
struct loop_timer *loop_timer_new(struct loop *l, const char *name, void (*fn)(void *arg), void *arg);
/* (Re)arms: fires once after delay_ms (>= 0). [loop] */
void loop_timer_after(struct loop_timer *t, int64_t delay_ms);
/* Fires every period_ms (>= 1), first after one period. [loop] */
void loop_timer_every(struct loop_timer *t, int64_t period_ms);
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine */

/* Calls fn while fd is readable (what has EV_READ) and/or writable (EV_WRITE). [loop] */
struct loop_fd *loop_fd_new(struct loop *l, const char *name, int fd, short what,
                            void (*fn)(int fd, short what, void *arg), void *arg);
void loop_fd_free(struct loop_fd *f); /* does not close fd */
/* Signal handler that runs on the loop. [loop] */
void loop_on_signal(struct loop *l, int signo, void (*fn)(int signo, void *arg), void *arg);

/* Wall clock, ms since the epoch; may be moved in tests with loop_set_clock(). Any thread. */
int64_t loop_now_ms(const struct loop *l);
/* Monotonic ms and µs, for durations. Any thread. */
int64_t mono_ms(void);
int64_t mono_us(void);
/* mono_ms(), but in the time of a clock that loop_set_clock() set: what differs from loop_now_ms() by more than a
 * constant is a wall clock that was set. Any thread. */
int64_t loop_steady_ms(const struct loop *l);
void loop_set_clock(struct loop *l, int64_t (*now_ms)(void *arg), void *arg);

/* The loop's lag: how late a 100 ms heartbeat timer fired, worst in the last 10 s. [loop] */
int64_t loop_lag_us(const struct loop *l);
/* Called (on the loop) for each callback slower than 50 ms. */
void loop_on_slow(struct loop *l, void (*fn)(const char *name, int64_t ms, void *arg), void *arg);
/* For evhttp and bufferevents; their callbacks should be wrapped in loop_enter/leave to be timed. [loop] */
struct event_base *loop_base(struct loop *l);
int64_t loop_enter(struct loop *l);
void loop_leave(struct loop *l, const char *name, int64_t entered);
/* Ends the timing of one callback and begins that of the next: for whoever calls many in a row. [loop] */
int64_t loop_lap(struct loop *l, const char *name, int64_t entered);

#endif
