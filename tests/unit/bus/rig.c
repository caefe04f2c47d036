/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "log/err.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rig_setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->loop = loop_new();
    r->bus = bus_new(r->loop);
    *state = r;
    return r->bus ? 0 : -1;
}

int rig_teardown(void **state)
{
    struct rig *r = *state;
    rig_open(r);
    if (r->bus)
        bus_free(r->bus);
    loop_free(r->loop);
    free(r);
    return 0;
}

void rig_actor(struct rig *r, uint32_t threads, uint32_t batch_max, uint32_t capacity, actor_batch_fn batch)
{
    struct actor_spec spec = {.name = "tester",
                              .threads = threads,
                              .batch_max = batch_max,
                              .capacity = capacity,
                              .batch = batch,
                              .arg = r,
                              .even_us = INT64_MAX};
    struct bp_err err;
    r->actor = actor_new(r->bus, &spec, &err);
    assert_non_null(r->actor);
    bus_route(r->bus, "test", r->actor, "table", r);
}

void rig_shut(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    r->shut = 1;
    pthread_mutex_unlock(&r->lock);
}

void rig_open(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    r->shut = 0;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void pass_gate(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    r->inside++;
    pthread_cond_broadcast(&r->changed);
    while (r->shut)
        pthread_cond_wait(&r->changed, &r->lock);
    r->inside--;
    pthread_mutex_unlock(&r->lock);
}

void rig_wait_inside(struct rig *r, int n)
{
    pthread_mutex_lock(&r->lock);
    while (r->inside < n)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

int call_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct call *c = args;
    (void)table;
    (void)inst;
    pass_gate(c->rig);
    if (c->sleep_us)
        usleep((useconds_t)c->sleep_us);
    c->ran_on = pthread_self();
    atomic_fetch_add(&c->ran, 1);
    return c->rc < 0 && c->rc != BP_STALE ? err_set(err, c->rc, "refused for the test") : c->rc;
}

void rig_batch(struct request **batch, uint32_t n, void *arg)
{
    struct rig *r = arg;
    pthread_mutex_lock(&r->lock);
    r->batch_sizes[r->n_batches++ % 64] = n;
    pthread_mutex_unlock(&r->lock);
    for (uint32_t i = 0; i < n; i++) {
        struct call *c = request_args(batch[i]);
        struct bp_err err = {0};
        if (c->says_early)
            request_early(batch[i]);
        int rc = call_run(request_table(batch[i]), request_inst(batch[i]), c, &err);
        if (!c->mute)
            request_done(batch[i], rc, &err);
    }
}

static void on_reply(void *args, const struct bp_err *err, void *arg)
{
    struct call *c = arg;
    assert_ptr_equal(args, c);
    assert_true(loop_is_mine(c->rig->loop));
    assert_int_equal(c->freed, 0);
    c->replies++;
    c->err = *err;
    if (++c->rig->replied >= c->rig->stop_at && c->rig->stop_at > 0)
        loop_stop(c->rig->loop);
}

static void on_late(void *args, const struct bp_err *err, void *arg)
{
    struct call *c = arg;
    assert_ptr_equal(args, c);
    assert_true(loop_is_mine(c->rig->loop));
    assert_int_equal(c->freed, 0);
    assert_int_equal(err->rc, c->rc);
    c->lates++;
    c->rig->late++;
}

static void on_early(void *args, const struct bp_err *err, void *arg)
{
    struct call *c = arg;
    assert_ptr_equal(args, c);
    assert_true(loop_is_mine(c->rig->loop));
    assert_int_equal(err->rc, BP_OK);
    assert_int_equal(c->replies + c->freed, 0);
    c->earlies++;
    c->replied_before = c->rig->replied;
    if (c->rig->stop_early)
        loop_stop(c->rig->loop);
}

static void on_free(void *args)
{
    struct call *c = args;
    c->freed++;
    c->rig->freed++;
}

struct request_spec rig_spec(struct call *c, int64_t timeout_ms)
{
    return (struct request_spec){.service = "test",
                                 .name = "test.call",
                                 .run = call_run,
                                 .args = c,
                                 .args_free = on_free,
                                 .reply = on_reply,
                                 .late = on_late,
                                 .early = on_early,
                                 .arg = c,
                                 .timeout_ms = timeout_ms};
}

int rig_send(struct call *c, int64_t timeout_ms, struct bp_err *err)
{
    struct request_spec spec = rig_spec(c, timeout_ms);
    return bus_request(c->rig->bus, &spec, err);
}

void rig_run_until(struct rig *r, int n)
{
    if (r->replied >= n)
        return;
    r->stop_at = n;
    loop_run(r->loop);
    r->stop_at = 0;
    assert_true(r->replied >= n);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

void rig_run_ms(struct rig *r, int64_t ms)
{
    struct loop_timer *t = loop_timer_new(r->loop, "test", stop, r->loop);
    loop_timer_after(t, ms);
    loop_run(r->loop);
    loop_timer_free(t);
}

void rig_on_drained(struct actor *a, void *arg)
{
    struct rig *r = arg;
    assert_ptr_equal(a, r->actor);
    r->drained++;
    loop_stop(r->loop);
}
