/* SPDX-License-Identifier: Apache-2.0 */
/* loop_private.h - the loop's inside, for the files of this folder alone. */
#ifndef LOOP_LOOP_PRIVATE_H
#define LOOP_LOOP_PRIVATE_H

#include "loop/loop.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOOP_MAGIC     0x6c6f6f70U
#define LOOP_SLOW_MS   50
#define LOOP_LAG_BEATS 100 /* of 100 ms: the last 10 s */

struct post {
    const char *name;
    void (*fn)(void *arg);
    void *arg;
};

/* A queue of posts in one growing array; it never shrinks, so that a steady load allocates nothing. */
struct post_queue {
    struct post *at;
    size_t head, tail, room;
};

struct loop_signal {
    struct loop_signal *next;
    struct loop *loop;
    struct event *ev;
    void (*fn)(int signo, void *arg);
    void *arg;
};

struct loop {
    uint32_t magic;
    pthread_t thread;
    struct event_base *base;
    /* The door: `posted` and `woken` are guarded by `lock`; `taken` is the loop's own. */
    pthread_mutex_t lock;
    struct post_queue posted, taken;
    int woken; /* wake_fd was written for what is in `posted` */
    int wake_fd;
    struct event *wake;
    atomic_int stopping;
    int64_t (*_Atomic now_ms)(void *arg);
    void *clock_arg;
    void (*slow)(const char *name, int64_t ms, void *arg);
    void *slow_arg;
    struct loop_timer *beat;
    int64_t beat_due_us, lag_us[LOOP_LAG_BEATS];
    uint32_t beats;
    struct loop_signal *signals;
};

/* libevent's callback of wake_fd. */
void loop_on_wake(int fd, short what, void *arg);
/* Runs what is still posted, also what that posts. */
void loop_run_posts_left(struct loop *l);

#endif
