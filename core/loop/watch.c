/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, file descriptors and signals. A callback may free the very thing it was called for. */
#include "loop/loop_private.h"

#include "log/log.h"
#include <stdlib.h>

#define TIMER_MAGIC 0x74696d65U
#define FD_MAGIC    0x6c706664U

struct loop_timer {
    uint32_t magic;
    struct loop *loop;
    struct event *ev;
    const char *name;
    void (*fn)(void *arg);
    void *arg;
    int64_t period_ms; /* 0: fires once */
};

struct loop_fd {
    uint32_t magic;
    struct loop *loop;
    struct event *ev;
    const char *name;
    void (*fn)(int fd, short what, void *arg);
    void *arg;
};

static void arm(struct loop_timer *t, int64_t delay_ms)
{
    struct timeval tv = {.tv_sec = (time_t)(delay_ms / 1000), .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
    event_add(t->ev, &tv);
}

static void on_timer(int fd, short what, void *arg)
{
    struct loop_timer *t = arg;
    struct loop *l = t->loop;
    const char *name = t->name;
    int64_t entered = mono_us();
    (void)fd;
    (void)what;
    if (t->period_ms > 0)
        arm(t, t->period_ms);
    t->fn(t->arg);
    loop_lap(l, name, entered);
}

struct loop_timer *loop_timer_new(struct loop *l, const char *name, void (*fn)(void *arg), void *arg)
{
    ASSERT_LOOP(l);
    struct loop_timer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    *t = (struct loop_timer){.magic = TIMER_MAGIC, .loop = l, .name = name, .fn = fn, .arg = arg};
    t->ev = event_new(l->base, -1, 0, on_timer, t);
    if (!t->ev) {
        free(t);
        return NULL;
    }
    return t;
}

void loop_timer_after(struct loop_timer *t, int64_t delay_ms)
{
    assert(t->magic == TIMER_MAGIC);
    ASSERT_LOOP(t->loop);
    t->period_ms = 0;
    arm(t, delay_ms > 0 ? delay_ms : 0);
}

void loop_timer_every(struct loop_timer *t, int64_t period_ms)
{
    assert(t->magic == TIMER_MAGIC);
    ASSERT_LOOP(t->loop);
    t->period_ms = period_ms > 0 ? period_ms : 1;
    arm(t, t->period_ms);
}

void loop_timer_cancel(struct loop_timer *t)
{
    assert(t->magic == TIMER_MAGIC);
    ASSERT_LOOP(t->loop);
    t->period_ms = 0;
    event_del(t->ev);
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    loop_timer_cancel(t);
    event_free(t->ev);
    t->magic = 0;
    free(t);
}

static void on_fd(int fd, short what, void *arg)
{
    struct loop_fd *f = arg;
    struct loop *l = f->loop;
    const char *name = f->name;
    int64_t entered = mono_us();
    f->fn(fd, what, f->arg);
    loop_lap(l, name, entered);
}

struct loop_fd *loop_fd_new(struct loop *l, const char *name, int fd, short what,
                            void (*fn)(int fd, short what, void *arg), void *arg)
{
    ASSERT_LOOP(l);
    struct loop_fd *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    *f = (struct loop_fd){.magic = FD_MAGIC, .loop = l, .name = name, .fn = fn, .arg = arg};
    f->ev = event_new(l->base, fd, (short)(what | EV_PERSIST), on_fd, f);
    if (!f->ev || event_add(f->ev, NULL) < 0) {
        if (f->ev)
            event_free(f->ev);
        free(f);
        return NULL;
    }
    return f;
}

void loop_fd_free(struct loop_fd *f)
{
    if (!f)
        return;
    assert(f->magic == FD_MAGIC);
    ASSERT_LOOP(f->loop);
    event_free(f->ev);
    f->magic = 0;
    free(f);
}

static void on_signal(int signo, short what, void *arg)
{
    struct loop_signal *s = arg;
    int64_t entered = mono_us();
    (void)what;
    s->fn(signo, s->arg);
    loop_lap(s->loop, "signal", entered);
}

void loop_on_signal(struct loop *l, int signo, void (*fn)(int signo, void *arg), void *arg)
{
    ASSERT_LOOP(l);
    struct loop_signal *s = calloc(1, sizeof *s);
    if (!s)
        abort(); /* at start, before anything was accepted */
    *s = (struct loop_signal){.next = l->signals, .loop = l, .fn = fn, .arg = arg};
    s->ev = evsignal_new(l->base, signo, on_signal, s);
    if (!s->ev || event_add(s->ev, NULL) < 0)
        abort();
    l->signals = s;
}
