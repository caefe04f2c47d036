/* SPDX-License-Identifier: Apache-2.0 */
/* An actor's threads: take what waits, serve it, hand it back to the loop with as few wakes as possible. */
#include "bus/bus_private.h"

#include "log/err.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HAND_BACK_US 200 /* answers of slow calls do not wait for the rest of their batch */

/* How many requests one thread takes. Single calls are shared out between the threads. A batch function wants all, but
 * not right behind a smaller batch (`before`) that was quick: all who ask would then soon be answered by the same one,
 * and there would be nothing to do until the first of them asks again. So the next two are made equal. */
static uint32_t share(const struct actor *a, uint32_t before)
{
    uint32_t waiting = atomic_load_explicit(&a->waiting, memory_order_relaxed);
    if (!a->batch)
        waiting = (waiting + a->n_threads - 1) / a->n_threads;
    else if (before > 0 && waiting > before)
        waiting = (waiting + before + 1) / 2;
    return waiting < a->batch_max ? waiting : a->batch_max;
}

/* Not behind those n: a direct call stands alone in its batch, and a group is not torn apart. */
static int waits_for_the_next(const struct actor *a, uint32_t n)
{
    const struct request *r = TAILQ_FIRST(&a->mailbox);
    return n > 0 && (r->direct || r->group > a->batch_max - n);
}

/* With the lock held; before: as many were in the batch that ended just now. */
static uint32_t take(struct actor *a, struct request **batch, uint32_t before)
{
    uint32_t n = 0, limit = share(a, before);
    while (n < limit && !waits_for_the_next(a, n)) {
        struct request *r = list_pop(&a->mailbox);
        if (n + r->group > limit)
            limit = n + r->group;
        r->taken = 1;
        batch[n++] = r;
        if (r->direct)
            break;
    }
    atomic_fetch_sub_explicit(&a->waiting, n, memory_order_relaxed);
    a->running += n;
    return n;
}

/* Gives answered requests to the loop; one post serves all that come before it runs. */
static void hand_back(struct actor *a, struct request_list *done, uint32_t n, int64_t busy_us)
{
    pthread_mutex_lock(&a->lock);
    a->running -= n;
    a->n_done += n;
    a->busy_us += busy_us;
    TAILQ_CONCAT(&a->finished, done, in_list);
    actor_post_replies(a);
    pthread_mutex_unlock(&a->lock);
}

/* A request nobody waits for any more is not begun. */
static void run_one(struct request *r)
{
    struct bp_err err = {0};
    if (atomic_load_explicit(&r->answered, memory_order_relaxed)) {
        r->done = 1;
        return;
    }
    int rc = r->run(r->table, r->inst, r->args, &err);
    request_done(r, rc, &err);
}

static void run_each(struct actor *a, struct request **batch, uint32_t n)
{
    struct request_list done = TAILQ_HEAD_INITIALIZER(done);
    int64_t since = mono_us();
    uint32_t unsent = 0;
    for (uint32_t i = 0; i < n; i++) {
        run_one(batch[i]);
        TAILQ_INSERT_TAIL(&done, batch[i], in_list);
        unsent++;
        int64_t now = mono_us();
        if (now - since >= HAND_BACK_US || i + 1 == n) {
            hand_back(a, &done, unsent, now - since);
            unsent = 0;
            since = now;
        }
    }
}

/* Returns n when it was quick, else 0. */
static uint32_t run_batch(struct actor *a, struct request **batch, uint32_t n)
{
    struct request_list done = TAILQ_HEAD_INITIALIZER(done);
    int64_t since = mono_us();
    a->batch(batch, n, a->batch_arg);
    for (uint32_t i = 0; i < n; i++) {
        if (!batch[i]->done)
            request_done(batch[i], BP_FAIL, NULL);
        TAILQ_INSERT_TAIL(&done, batch[i], in_list);
    }
    int64_t took = mono_us() - since;
    hand_back(a, &done, n, took);
    return took < a->even_us ? n : 0;
}

/* With the lock held; 0: the thread ends. */
static int wait_for_work(struct actor *a, uint32_t *before)
{
    while (TAILQ_EMPTY(&a->mailbox) && !a->stop) {
        *before = 0;
        a->sleeping++;
        pthread_cond_wait(&a->has_work, &a->lock);
        a->sleeping--;
        if (a->woken > 0)
            a->woken--;
    }
    return !a->stop;
}

static void *thread_main(void *arg)
{
    struct actor *a = arg;
    pthread_mutex_lock(&a->lock);
    struct request **batch = a->batch_room + (size_t)a->batch_max * a->n_rooms_taken++;
    uint32_t n = 0;
    while (wait_for_work(a, &n)) {
        n = take(a, batch, n);
        a->batches++;
        pthread_mutex_unlock(&a->lock);
        if (a->batch && !batch[0]->direct)
            n = run_batch(a, batch, n);
        else
            run_each(a, batch, n);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static int start_one(struct actor *a, pthread_t *thread)
{
    char name[16];
    int rc = pthread_create(thread, NULL, thread_main, a);
    if (rc == 0) {
        snprintf(name, sizeof name, "%s", a->name);
        pthread_setname_np(*thread, name);
    }
    return rc;
}

int actor_threads_start(struct actor *a, struct bp_err *err)
{
    for (; a->n_started < a->n_threads; a->n_started++) {
        int rc = start_one(a, &a->threads[a->n_started]);
        if (rc != 0) {
            actor_threads_join(a);
            return err_set(err, BP_NOMEM, "%s: cannot start a thread: %s", a->name, strerror(rc));
        }
    }
    return 0;
}

void actor_threads_join(struct actor *a)
{
    pthread_mutex_lock(&a->lock);
    a->stop = 1;
    pthread_cond_broadcast(&a->has_work);
    pthread_mutex_unlock(&a->lock);
    while (a->n_started > 0)
        pthread_join(a->threads[--a->n_started], NULL);
}
