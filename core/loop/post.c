/* SPDX-License-Identifier: Apache-2.0 */
/* The one door from other threads. Sockets and timers get their turn after at most POSTS_A_TURN posts or POST_TURN_US.
 */
#include "loop/loop_private.h"

#include "log/log.h"
#include <stdlib.h>
#include <unistd.h>

#define POSTS_A_TURN 256
#define POST_TURN_US 5000
#define FIRST_ROOM   64

static void push(struct post_queue *q, const struct post *p)
{
    if (q->tail == q->room) {
        size_t room = q->room ? q->room * 2 : FIRST_ROOM;
        struct post *grown = realloc(q->at, room * sizeof *grown);
        if (!grown)
            abort(); /* what was promised to run could not even be written down */
        q->at = grown;
        q->room = room;
    }
    q->at[q->tail++] = *p;
}

static void wake(struct loop *l)
{
    uint64_t one = 1;
    if (write(l->wake_fd, &one, sizeof one) < 0)
        return; /* only when the counter is full, and then the loop is awake */
}

void loop_post(struct loop *l, const char *name, void (*fn)(void *arg), void *arg)
{
    struct post p = {name, fn, arg};
    pthread_mutex_lock(&l->lock);
    push(&l->posted, &p);
    int first = !l->woken;
    l->woken = 1;
    pthread_mutex_unlock(&l->lock);
    if (first)
        wake(l);
}

/* Takes all that is posted, once what was taken before has run. Returns whether there is something to run. */
static int take(struct loop *l)
{
    uint64_t count;
    if (l->taken.head < l->taken.tail)
        return 1;
    l->taken.head = l->taken.tail = 0;
    pthread_mutex_lock(&l->lock);
    struct post_queue empty = l->taken;
    l->taken = l->posted;
    l->posted = empty;
    l->woken = 0;
    /* Read under the lock: a wake written after it is for posts that are not taken yet. */
    if (read(l->wake_fd, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_unlock(&l->lock);
    return l->taken.head < l->taken.tail;
}

/* While posts are left wake_fd stays readable, so that the loop comes back here after its other events. */
void loop_on_wake(int fd, short what, void *arg)
{
    struct loop *l = arg;
    int64_t start = mono_us(), now = start;
    (void)fd;
    (void)what;
    for (int n = 0; n < POSTS_A_TURN && now - start < POST_TURN_US && take(l); n++) {
        struct post p = l->taken.at[l->taken.head++];
        p.fn(p.arg);
        now = loop_lap(l, p.name, now);
    }
    if (l->taken.head < l->taken.tail)
        wake(l);
    if (atomic_load(&l->stopping))
        event_base_loopbreak(l->base);
}

void loop_run_posts_left(struct loop *l)
{
    while (take(l)) {
        struct post p = l->taken.at[l->taken.head++];
        p.fn(p.arg);
    }
}
