/* SPDX-License-Identifier: Apache-2.0 */
/* What a submit must answer: the checks in their order, by brute force; and what tenants are set to. */
#include "model.h"

static struct model_job *same_key(struct model *m, int32_t tenant, int32_t key)
{
    for (uint32_t i = 0; key && i < m->n_jobs; i++)
        if (m->jobs[i].tenant == tenant && m->jobs[i].key == key)
            return &m->jobs[i];
    return NULL;
}

static struct model_job *same_unique(struct model *m, int32_t tenant, int32_t unique)
{
    for (uint32_t i = 0; unique && i < m->n_jobs; i++)
        if (m->jobs[i].tenant == tenant && m->jobs[i].unique == unique && m->jobs[i].status < BP_JOB_COMPLETED)
            return &m->jobs[i];
    return NULL;
}

static int32_t number_of(const char *key)
{
    for (int32_t i = 1; key && i < MODEL_KEYS; i++)
        if (strcmp(model_keys[i], key) == 0)
            return i;
    return 0;
}

/* The first of `after` that may not be waited for. */
static int64_t bad_after(struct model *m, const struct bp_op_submit *s, int32_t tenant, int32_t *rc)
{
    for (uint32_t i = 0; i < s->n_after; i++) {
        const struct model_job *j = model_job(m, s->after[i]);
        if (j && j->tenant == tenant && j->status <= BP_JOB_COMPLETED)
            continue;
        *rc = j && j->tenant == tenant ? BP_CONFLICT : BP_NOTFOUND;
        return s->after[i];
    }
    return 0;
}

static bool refused(const struct bp_op *op, int32_t rc, int32_t outcome)
{
    CHECK_INT(op->err.rc, rc);
    CHECK_INT(op->u.submit.outcome, outcome);
    CHECK_INT(op->u.submit.existed, 0);
    return true;
}

static bool existed(const struct bp_op *op, const struct model_job *j, int32_t outcome)
{
    CHECK_INT(op->err.rc, BP_OK);
    CHECK_INT(op->u.submit.outcome, outcome);
    CHECK_INT(op->u.submit.existed, 1);
    CHECK_INT(op->u.submit.id, j->id);
    CHECK_INT(op->u.submit.status, j->status);
    return true;
}

/* Checks the answer of a submit that makes no job; false: it has to make one. */
static bool answered(struct model *m, const struct bp_op *op, int32_t tenant)
{
    const struct bp_op_submit *s = &op->u.submit;
    const struct model_tenant *t = &m->tenants[tenant];
    const struct model_job *j = same_key(m, tenant, number_of(s->idempotency_key));
    int32_t rc = BP_OK;
    if (j && j->hash == (unsigned char)s->request_hash[0])
        return existed(op, j, BP_SUBMIT_REPLAY);
    if (j)
        return refused(op, BP_CONFLICT, BP_SUBMIT_KEY);
    if (t->disabled)
        return refused(op, BP_DENIED, BP_SUBMIT_DISABLED);
    j = same_unique(m, tenant, number_of(s->unique_key));
    if (j)
        return existed(op, j, BP_SUBMIT_PENDING);
    int64_t bad = bad_after(m, s, tenant, &rc);
    if (bad) {
        CHECK_INT(s->after_id, bad);
        return refused(op, rc, BP_SUBMIT_AFTER);
    }
    int64_t pending = 0;
    for (int32_t status = BP_JOB_SCHEDULED; status <= BP_JOB_LEASED; status++)
        pending += model_count(m, tenant, status);
    return t->max_pending && pending >= t->max_pending && refused(op, BP_LATER, BP_SUBMIT_LIMIT);
}

static void fill(struct model *m, struct model_job *j, const struct bp_op *op)
{
    const struct bp_op_submit *s = &op->u.submit;
    bool later = s->not_before_ms > op->now_ms;
    j->id = s->id;
    j->priority = s->priority;
    j->max_attempts = s->max_attempts;
    j->unique = number_of(s->unique_key);
    j->key = number_of(s->idempotency_key);
    j->hash = (unsigned char)s->request_hash[0];
    for (uint32_t i = 0; i < s->n_after; i++) {
        j->after[i] = s->after[i];
        j->waits_for += model_job(m, s->after[i])->status < BP_JOB_COMPLETED;
    }
    j->status = later || j->waits_for ? BP_JOB_SCHEDULED : BP_JOB_QUEUED;
    j->queued_ms = later ? s->not_before_ms : op->now_ms;
    j->not_before_ms = later ? s->not_before_ms : 0;
    j->worker = -1;
}

static void make_tenant(struct model_tenant *t)
{
    if (!t->there)
        t->weight = 1;
    t->there = true;
}

void model_submit(struct model *m, const struct bp_op *op)
{
    const struct bp_op_submit *s = &op->u.submit;
    int32_t tenant = model_index(model_tenants, MODEL_TENANTS, s->tenant);
    if (answered(m, op, tenant))
        return;
    CHECK_INT(op->err.rc, BP_OK);
    CHECK_INT(s->outcome, BP_SUBMIT_NEW);
    CHECK_INT(s->existed, 0);
    CHECK(m->n_jobs < MODEL_JOBS);
    CHECK(m->n_jobs == 0 || s->id > m->jobs[m->n_jobs - 1].id);
    struct model_job *j = &m->jobs[m->n_jobs++];
    struct model_tenant *t = &m->tenants[tenant];
    make_tenant(t);
    j->tenant = tenant;
    j->workflow = model_index(model_workflows, MODEL_WORKFLOWS, s->workflow);
    fill(m, j, op);
    if (s->fair) {
        double *finish = &t->finish[j->workflow], now = m->tag[j->workflow];
        j->tag = *finish > now ? *finish : now;
        *finish = j->tag + 1.0 / t->weight;
    }
    CHECK_INT(s->status, j->status);
    model_note(m, j, MODEL_SUBMITTED, op->now_ms, j->id);
}

void model_tenant_put(struct model *m, const struct bp_op *op)
{
    const struct bp_op_tenant_put *p = &op->u.tenant_put;
    struct model_tenant *t = &m->tenants[model_index(model_tenants, MODEL_TENANTS, p->name)];
    CHECK_INT(op->err.rc, BP_OK);
    CHECK_INT(p->existed, t->there);
    make_tenant(t);
    if (p->weight >= 0)
        t->weight = p->weight;
    if (p->max_pending >= 0)
        t->max_pending = p->max_pending;
    if (p->max_running >= 0)
        t->max_running = p->max_running;
    if (p->disabled >= 0)
        t->disabled = p->disabled;
}
