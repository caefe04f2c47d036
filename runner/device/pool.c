/* SPDX-License-Identifier: Apache-2.0 */
#include "device/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    /* under lock */
    uint64_t round;  /* counts pieces of work; a thread runs each round once */
    int32_t working; /* threads that have not finished this round */
    int32_t ending;
    /* of the current round */
    void (*work)(void *arg, uint32_t i);
    void *arg;
    uint32_t n;
    atomic_uint next;
    int32_t threads;
    int32_t n_started;
    pthread_t started[];
};

static void work_off(struct pool *p)
{
    for (;;) {
        uint32_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->n)
            return;
        p->work(p->arg, i);
    }
}

static void *helper_main(void *arg)
{
    struct pool *p = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->round == seen && !p->ending)
            pthread_cond_wait(&p->start, &p->lock);
        if (p->ending)
            break;
        seen = p->round;
        pthread_mutex_unlock(&p->lock);
        work_off(p);
        pthread_mutex_lock(&p->lock);
        if (--p->working == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct pool *pool_new(int32_t threads)
{
    assert(threads >= 1 && threads <= 256);
    struct pool *p = calloc(1, sizeof *p + (size_t)threads * sizeof p->started[0]);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = threads;
    for (int32_t i = 0; i < threads - 1; i++) {
        if (pthread_create(&p->started[i], NULL, helper_main, p) != 0) {
            pool_free(p);
            return NULL;
        }
        p->n_started++;
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = 1;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
    for (int32_t i = 0; i < p->n_started; i++)
        pthread_join(p->started[i], NULL);
    pthread_cond_destroy(&p->start);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int32_t pool_threads(const struct pool *p)
{
    return p->threads;
}

void pool_run(struct pool *p, uint32_t n, void (*work)(void *arg, uint32_t i), void *arg)
{
    pthread_mutex_lock(&p->lock);
    assert(p->working == 0);
    p->work = work;
    p->arg = arg;
    p->n = n;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    p->working = p->n_started;
    p->round++;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
    work_off(p);
    pthread_mutex_lock(&p->lock);
    while (p->working > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
