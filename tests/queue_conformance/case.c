/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

struct world world;

/* All memory of a case, ours and the plugin's, freed together. */
static struct kept {
    struct kept *next;
    void *host_memory;
} * kept;

static void keep(void *host_memory)
{
    if (!host_memory)
        return;
    struct kept *k = calloc(1, sizeof *k);
    k->host_memory = host_memory;
    k->next = kept;
    kept = k;
}

static struct scrap {
    struct scrap *next;
    _Alignas(max_align_t) char bytes[];
} * scraps;

static void *scrap(size_t bytes)
{
    struct scrap *s = calloc(1, sizeof *s + bytes);
    if (!s)
        abort();
    s->next = scraps;
    scraps = s;
    return s->bytes;
}

void world_free_memory(void)
{
    while (kept) {
        struct kept *next = kept->next;
        fake_host_free(kept->host_memory);
        free(kept);
        kept = next;
    }
    while (scraps) {
        struct scrap *next = scraps->next;
        free(scraps);
        scraps = next;
    }
}

void world_restart(void)
{
    struct bp_err err;
    fake_host_stop(world.host);
    world.host = fake_host_start(world.plugin, world.dir, world.settings, &err);
    if (!world.host)
        case_failed(__FILE__, __LINE__, "restart: %s", err.text);
}

void advance(int64_t ms)
{
    world.now += ms;
}

void pass(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0)
        ;
    advance(ms);
}

/* xorshift64*: the sequence must be the same everywhere. */
uint64_t random_below(uint64_t n)
{
    uint64_t x = world.random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    world.random = x;
    return (x * 2685821657736338717u >> 33) % n;
}

struct bp_op *op_new(int32_t kind)
{
    struct bp_op *op = scrap(sizeof *op);
    op->size = sizeof *op;
    op->kind = kind;
    op->now_ms = world.now;
    return op;
}

int32_t apply_try(struct bp_op *const *ops, uint32_t n)
{
    struct bp_err err = {0};
    int32_t rc = fake_host_queue(world.host)->apply(fake_host_instance(world.host), ops, n, &err);
    for (uint32_t i = 0; i < n; i++) {
        void **memory = bp_op_memory(ops[i]);
        keep(memory ? *memory : NULL);
        if (ops[i]->err.rc == BP_UNSUPPORTED && ops[i]->kind >= BP_OP_SUBMIT && ops[i]->kind <= BP_OP_MEMO_LIST)
            world.lacks = ops[i]->kind;
    }
    return rc;
}

void apply_all(struct bp_op *const *ops, uint32_t n)
{
    CHECK_INT(apply_try(ops, n), BP_OK);
}

int32_t apply_one(struct bp_op *op)
{
    apply_all(&op, 1);
    return op->err.rc;
}

/* ---- the usual operations ---- */

struct bp_op *submit_op(const char *workflow)
{
    struct bp_op *op = op_new(BP_OP_SUBMIT);
    struct bp_op_submit *s = &op->u.submit;
    s->tenant = "acme";
    s->workflow = workflow;
    s->params = "{\"duration\":5}";
    s->inputs = "[{\"key\":\"in/photo.jpg\",\"mime\":\"image/jpeg\",\"name\":\"photo.jpg\"}]";
    s->request_hash = "hash";
    s->who = "tenant:acme";
    s->max_attempts = 3;
    return op;
}

int64_t submit_priority(const char *workflow, int32_t priority)
{
    struct bp_op *op = submit_op(workflow);
    op->u.submit.priority = priority;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK(op->u.submit.id > 0);
    return op->u.submit.id;
}

int64_t submit(const char *workflow)
{
    return submit_priority(workflow, 0);
}

void worker_put(const char *id, const char *workflows, int32_t max_concurrency)
{
    char hash[300];
    snprintf(hash, sizeof hash, "hash-%s", id);
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = max_concurrency};
    w.worker_id = id;
    w.workflows = workflows;
    w.token_hash = hash;
    w.source = "fleet";
    w.registered_ms = w.last_seen_ms = world.now;
    struct bp_op *op = op_new(BP_OP_WORKER_PUT);
    op->u.worker_put.worker = &w;
    CHECK_INT(apply_one(op), BP_OK);
}

void worker_any(const char *id)
{
    worker_put(id, "[\"a\",\"b\"]", 1000);
}

struct bp_op *lease_op(const char *worker, const char *workflow, uint32_t max)
{
    static uint32_t counter;
    struct bp_op *op = op_new(BP_OP_LEASE);
    struct bp_op_lease *l = &op->u.lease;
    const char **workflows = scrap(sizeof *workflows), **tokens = scrap(max * sizeof *tokens),
               **keys = scrap(max * sizeof *keys);
    workflows[0] = workflow;
    for (uint32_t i = 0; i < max; i++) {
        char *token = scrap(64), *key = scrap(64);
        snprintf(token, 64, "Token-%08x-aBcD", ++counter);
        snprintf(key, 64, "attempt-%08x/output.mp4", counter);
        tokens[i] = token;
        keys[i] = key;
    }
    l->worker_id = worker;
    l->workflows = workflows;
    l->n_workflows = 1;
    l->max = max;
    l->tokens = tokens;
    l->output_keys = keys;
    l->ttl_ms = TTL;
    return op;
}

uint32_t leased(const struct bp_op *op, struct lease *out, uint32_t room)
{
    const struct bp_op_lease *l = &op->u.lease;
    for (uint32_t i = 0; i < l->count && i < room; i++) {
        out[i].id = l->jobs[i].id;
        out[i].row = &l->jobs[i];
        snprintf(out[i].token, sizeof out[i].token, "%s", l->jobs[i].lease_token);
        snprintf(out[i].worker, sizeof out[i].worker, "%s", l->worker_id);
    }
    return l->count;
}

struct lease lease_one(const char *worker)
{
    struct lease l = {0};
    struct bp_op *op = lease_op(worker, "a", 1);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, &l, 1), 1);
    return l;
}

int64_t lease_id(const char *worker)
{
    struct lease l = {0};
    struct bp_op *op = lease_op(worker, "a", 1);
    CHECK_INT(apply_one(op), BP_OK);
    return leased(op, &l, 1) ? l.id : 0;
}

struct bp_op *after_op(const int64_t *ids, uint32_t n)
{
    struct bp_op *op = submit_op("a");
    int64_t *copy = scrap((n + 1) * sizeof *copy);
    memcpy(copy, ids, n * sizeof *copy);
    op->u.submit.after = copy;
    op->u.submit.n_after = n;
    return op;
}

int64_t submit_after(int64_t id)
{
    struct bp_op *op = after_op(&id, 1);
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.submit.id;
}

struct bp_op *tenant_op(const char *name)
{
    struct bp_op *op = op_new(BP_OP_TENANT_PUT);
    struct bp_op_tenant_put *t = &op->u.tenant_put;
    t->name = name;
    t->weight = t->max_pending = t->max_running = t->disabled = t->webhook_version = -1;
    return op;
}

/* A copy of the lease whose texts outlive the caller's. */
static const struct lease *lease_keep(const struct lease *l)
{
    struct lease *copy = scrap(sizeof *copy);
    *copy = *l;
    return copy;
}

struct bp_op *complete_op(const struct lease *l)
{
    struct bp_op *op = op_new(BP_OP_COMPLETE);
    l = lease_keep(l);
    op->u.complete.id = l->id;
    op->u.complete.token = l->token;
    op->u.complete.worker_id = l->worker;
    op->u.complete.output = "{\"key\":\"out.mp4\",\"size\":7}";
    return op;
}

int32_t complete(const struct lease *l)
{
    return apply_one(complete_op(l));
}

struct bp_op *fail_op(const struct lease *l, const char *error, int32_t retryable)
{
    struct bp_op *op = op_new(BP_OP_FAIL);
    l = lease_keep(l);
    op->u.fail.id = l->id;
    op->u.fail.token = l->token;
    op->u.fail.worker_id = l->worker;
    op->u.fail.error = error;
    op->u.fail.retryable = retryable;
    op->u.fail.retry_base_ms = 1000;
    op->u.fail.retry_cap_ms = 5000;
    op->u.fail.jitter = 0.5;
    return op;
}

struct bp_op *requeue_op(const struct lease *l, const char *reason)
{
    struct bp_op *op = op_new(BP_OP_REQUEUE);
    l = lease_keep(l);
    op->u.requeue.id = l->id;
    op->u.requeue.token = l->token;
    op->u.requeue.worker_id = l->worker;
    op->u.requeue.reason = reason;
    op->u.requeue.max_requeues = MAX_REQUEUES;
    return op;
}

int32_t requeue(const struct lease *l)
{
    return apply_one(requeue_op(l, "spot_interruption"));
}

struct bp_op *extend_op(const struct lease *l)
{
    struct bp_op *op = op_new(BP_OP_EXTEND);
    l = lease_keep(l);
    op->u.extend.id = l->id;
    op->u.extend.token = l->token;
    op->u.extend.worker_id = l->worker;
    op->u.extend.ttl_ms = TTL;
    op->u.extend.progress = -1;
    return op;
}

int32_t cancel(int64_t id)
{
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = id;
    op->u.cancel.who = "operator:0";
    return apply_one(op);
}

int32_t retry(int64_t id)
{
    struct bp_op *op = op_new(BP_OP_RETRY);
    op->u.retry.id = id;
    op->u.retry.who = "operator:0";
    return apply_one(op);
}

const struct bp_op_sweep *sweep(void)
{
    struct bp_op *op = op_new(BP_OP_SWEEP);
    op->u.sweep.limit = 1000;
    CHECK_INT(apply_one(op), BP_OK);
    return &op->u.sweep;
}

/* ---- looking ---- */

const struct bp_job_row *job(int64_t id)
{
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = id;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK(op->u.get.job != NULL);
    return op->u.get.job;
}

int32_t status_of(int64_t id)
{
    return job(id)->status;
}

const char *timeline(int64_t id)
{
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = id;
    op->u.get.with_events = 1;
    CHECK_INT(apply_one(op), BP_OK);
    char *words = scrap(4096);
    for (uint32_t i = 0; i < op->u.get.n_events; i++)
        snprintf(words + strlen(words), 4096 - strlen(words), "%s%s", i ? " " : "", op->u.get.events[i].what);
    return words;
}

const struct bp_op_list *list_of(const char *tenant, const char *workflow, int32_t status)
{
    struct bp_op *op = op_new(BP_OP_LIST);
    op->u.list.tenant = tenant;
    op->u.list.workflow = workflow;
    op->u.list.status = status;
    op->u.list.limit = 1000;
    CHECK_INT(apply_one(op), BP_OK);
    return &op->u.list;
}

const struct bp_queue_stats_row *stats_of(const char *workflow)
{
    struct bp_op *op = op_new(BP_OP_STATS);
    op->u.stats.window_ms = 300000;
    CHECK_INT(apply_one(op), BP_OK);
    for (uint32_t i = 0; i < op->u.stats.count; i++)
        if (strcmp(op->u.stats.rows[i].workflow, workflow) == 0)
            return &op->u.stats.rows[i];
    return NULL;
}

const struct bp_tenant_row *tenant_row(const char *name)
{
    struct bp_op *op = op_new(BP_OP_TENANT_LIST);
    op->u.tenant_list.name = name;
    if (apply_one(op) == BP_NOTFOUND)
        return NULL;
    CHECK_INT(op->err.rc, BP_OK);
    CHECK_INT(op->u.tenant_list.count, 1);
    CHECK_STR(op->u.tenant_list.tenants[0].name, name);
    return op->u.tenant_list.tenants;
}

const struct bp_worker_row *worker_row(const char *id)
{
    struct bp_op *op = op_new(BP_OP_WORKER_LIST);
    CHECK_INT(apply_one(op), BP_OK);
    for (uint32_t i = 0; i < op->u.worker_list.count; i++)
        if (strcmp(op->u.worker_list.workers[i].worker_id, id) == 0)
            return &op->u.worker_list.workers[i];
    return NULL;
}
