/* SPDX-License-Identifier: Apache-2.0 */
/* Random sequences of operations, in random batches, against the model. The seed is in the case's name. */
#include <stdlib.h>

#include "model.h"

#define ROUNDS    500
#define BATCH_MAX 8
#define LEASES    64

static struct model *model;
static struct lease recent[LEASES]; /* leases given out, live and long over */
static uint32_t n_recent;

static struct bp_op *make_submit(void)
{
    struct bp_op *op = submit_op(model_workflows[random_below(MODEL_WORKFLOWS)]);
    op->u.submit.priority = (int32_t)random_below(5) - 2;
    op->u.submit.max_attempts = 1 + (int32_t)random_below(4);
    if (random_below(5) == 0)
        op->u.submit.not_before_ms = world.now + (int64_t)random_below(20000);
    op->u.submit.tenant = model_tenants[random_below(MODEL_TENANTS)];
    op->u.submit.fair = random_below(3) > 0;
    if (random_below(8) == 0)
        op->u.submit.unique_key = model_keys[random_below(MODEL_KEYS)];
    if (random_below(40) == 0)
        op->u.submit.idempotency_key = model_keys[random_below(MODEL_KEYS)];
    op->u.submit.request_hash = random_below(4) ? "a" : "b";
    return op;
}

/* One of the last jobs, or none that there is. */
static int64_t late_job(void)
{
    uint32_t n = model->n_jobs;
    return n && random_below(30) ? model->jobs[n - 1 - random_below(n < 12 ? n : 12)].id : 1000000;
}

static struct bp_op *make_submit_after(void)
{
    struct bp_op *op = make_submit();
    struct bp_op_submit *s = &op->u.submit;
    static int64_t ids[BATCH_MAX][MODEL_AFTER];
    static uint32_t at;
    int64_t *after = ids[at++ % BATCH_MAX];
    after[0] = late_job();
    after[1] = late_job();
    s->after = after;
    s->n_after = after[0] == after[1] ? 1 : 1 + (uint32_t)random_below(MODEL_AFTER);
    const struct model_job *j = model_job(model, after[0]);
    if (j)
        s->tenant = model_tenants[j->tenant];
    return op;
}

/* Weights are powers of two, so that tags are exact however a store keeps them. */
static struct bp_op *make_tenant(void)
{
    struct bp_op *op = tenant_op(model_tenants[random_below(MODEL_TENANTS)]);
    struct bp_op_tenant_put *p = &op->u.tenant_put;
    if (random_below(2))
        p->weight = 1 << random_below(4);
    if (random_below(2))
        p->max_pending = random_below(2) ? 0 : 10 + (int32_t)random_below(30);
    if (random_below(2))
        p->max_running = random_below(2) ? 0 : 1 + (int32_t)random_below(4);
    p->disabled = random_below(8) == 0;
    return op;
}

static struct bp_op *make_lease(void)
{
    uint32_t first = (uint32_t)random_below(MODEL_WORKFLOWS);
    struct bp_op *op = lease_op(model_workers[random_below(MODEL_WORKERS)], "a", 1 + (uint32_t)random_below(4));
    op->u.lease.workflows = model_workflows + first;
    op->u.lease.n_workflows = 1 + (uint32_t)random_below(MODEL_WORKFLOWS - first);
    op->u.lease.ttl_ms = 2000 + (int64_t)random_below(20000);
    return op;
}

static struct lease any_lease(void)
{
    struct lease none = {.id = 1, .token = "never given", .worker = "w0"};
    if (n_recent == 0)
        return none;
    return recent[(n_recent - 1 - random_below(n_recent < LEASES ? n_recent : LEASES)) % LEASES];
}

static int64_t any_job(void)
{
    return model->n_jobs && random_below(20) ? model->jobs[random_below(model->n_jobs)].id : 1000000;
}

static struct bp_op *make_end(void)
{
    struct lease l = any_lease();
    uint64_t pick = random_below(10);
    if (pick < 4)
        return complete_op(&l);
    if (pick < 6)
        return fail_op(&l, "no", random_below(3) > 0);
    if (pick < 8) {
        struct bp_op *r = requeue_op(&l, "spot");
        if (random_below(4) == 0)
            r->u.requeue.max_requeues = -1;
        return r;
    }
    struct bp_op *op = extend_op(&l);
    op->u.extend.ttl_ms = 1000 + (int64_t)random_below(20000);
    return op;
}

static struct bp_op *make_change(void)
{
    bool cancels = random_below(2);
    struct bp_op *op = op_new(cancels ? BP_OP_CANCEL : BP_OP_RETRY);
    if (cancels)
        op->u.cancel.id = any_job();
    else
        op->u.retry.id = any_job();
    return op;
}

static struct bp_op *make_worker(int32_t i)
{
    static struct bp_worker_row rows[MODEL_WORKERS];
    static char hashes[MODEL_WORKERS][16];
    struct bp_worker_row *w = &rows[i];
    snprintf(hashes[i], sizeof hashes[i], "hash-%d", i);
    *w = (struct bp_worker_row){.size = sizeof *w, .approved = 1, .max_concurrency = MODEL_ROOM};
    w->worker_id = model_workers[i];
    w->workflows = "[\"a\",\"b\",\"c\"]";
    w->token_hash = hashes[i];
    struct bp_op *op = op_new(BP_OP_WORKER_PUT);
    op->u.worker_put.worker = w;
    return op;
}

static struct bp_op *make_any(void)
{
    uint64_t pick = random_below(100);
    if (pick < 22)
        return make_submit();
    if (pick < 28)
        return make_submit_after();
    if (pick < 55)
        return make_lease();
    if (pick < 88)
        return make_end();
    if (pick < 94)
        return make_change();
    if (pick < 95)
        return random_below(2) ? make_tenant() : make_worker((int32_t)random_below(MODEL_WORKERS));
    struct bp_op *op = op_new(BP_OP_SWEEP);
    op->u.sweep.limit = 10000;
    return op;
}

static void remember(const struct bp_op *op)
{
    for (uint32_t i = 0; op->kind == BP_OP_LEASE && i < op->u.lease.count; i++) {
        struct lease *l = &recent[n_recent++ % LEASES];
        l->id = op->u.lease.jobs[i].id;
        snprintf(l->token, sizeof l->token, "%s", op->u.lease.jobs[i].lease_token);
        snprintf(l->worker, sizeof l->worker, "%s", op->u.lease.worker_id);
    }
}

static void play(uint64_t seed)
{
    struct bp_op *ops[BATCH_MAX];
    world.random = seed * 0x9e3779b97f4a7c15u;
    model = calloc(1, sizeof *model);
    CHECK(model != NULL);
    for (int32_t i = 0; i < MODEL_WORKERS; i++)
        apply_one(make_worker(i));
    for (int round = 1; round <= ROUNDS; round++) {
        uint32_t n = 1 + (uint32_t)random_below(BATCH_MAX);
        advance(600 + (int64_t)random_below(1500));
        for (uint32_t i = 0; i < n; i++)
            ops[i] = make_any();
        apply_all(ops, n);
        for (uint32_t i = 0; i < n; i++) {
            model_take(model, ops[i]);
            remember(ops[i]);
        }
        if (round % 100 == 0)
            model_compare(model);
        if (random_below(80) == 0)
            world_restart();
        world_free_memory();
    }
    free(model);
}

CASE(model, model_seed_1)
{
    play(1);
}

CASE(model, model_seed_2)
{
    play(2);
}

CASE(model, model_seed_3)
{
    play(3);
}

CASE(model, model_seed_4)
{
    play(4);
}

CASE(model, model_seed_5)
{
    play(5);
}

CASE(model, model_seed_6)
{
    play(6);
}
