/* SPDX-License-Identifier: Apache-2.0 */
#include "unique.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* SHA-256 of the key in upper-case hex, as HEX() gives it. */
static bool hash_of(const char *key, char hash[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_Digest(key, strlen(key), digest, &n, EVP_sha256(), NULL) != 1 || n != 32)
        return false;
    for (unsigned int i = 0; i < n; i++)
        snprintf(hash + 2 * (size_t)i, 3, "%02X", digest[i]);
    return true;
}

static struct unique_known *find(struct store *s, int64_t tenant, const char *hash)
{
    for (struct unique_known *k = s->batch.uniques; k; k = k->next)
        if (k->tenant == tenant && strcmp(k->hash, hash) == 0)
            return k;
    return NULL;
}

static struct unique_known *add(struct store *s, int64_t tenant, const char *hash)
{
    struct unique_known *k = mem_alloc(&s->mem, sizeof *k);
    if (!k)
        return NULL;
    k->tenant = tenant;
    snprintf(k->hash, sizeof k->hash, "%.64s", hash);
    k->next = s->batch.uniques;
    return s->batch.uniques = k;
}

static int32_t want(struct store *s, const struct bp_op_submit *u, struct sql *q)
{
    char hash[65];
    int64_t tenant;
    int32_t rc = names_find(s, &s->tenants, u->tenant, &tenant);
    if (rc)
        return rc;
    if (!hash_of(u->unique_key, hash))
        return store_nomem(s);
    if (find(s, tenant, hash))
        return BP_OK;
    if (!add(s, tenant, hash))
        return store_nomem(s);
    sql_add(q, q->n ? " OR "
                    : "SELECT u.tenant_id, HEX(u.key_hash), u.dispatch_id, d.status+0 FROM unique_keys u LEFT JOIN "
                      "ai_job_dispatches d ON d.id = u.dispatch_id WHERE ");
    sql_add(q, "(u.tenant_id=%l AND u.key_hash=x'%r' AND u.pending=1)", tenant, hash);
    return BP_OK;
}

int32_t unique_load(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    struct sql q = {0};
    struct reply r = {0};
    int32_t rc = BP_OK;
    for (uint32_t i = 0; !rc && i < n; i++)
        if (ops[i]->kind == BP_OP_SUBMIT && ops[i]->u.submit.unique_key && !s->batch.plans[i].why)
            rc = want(s, &ops[i]->u.submit, &q);
    if (!rc && (q.n || q.failed))
        rc = query_one(s, &q, &r);
    while (!rc && reply_next(&r)) {
        struct unique_known *k = find(s, column_int(&r, 0), r.row[1]);
        if (k) {
            k->holder = column_int(&r, 2);
            k->status = (int32_t)column_int(&r, 3);
        }
    }
    reply_done(&r);
    sql_free(&q);
    return rc;
}

/* The holder, unless this batch ended it. */
static int64_t holder_now(struct store *s, const struct unique_known *k, int32_t *status)
{
    const struct job *j = k && k->holder ? batch_job(s, k->holder) : NULL;
    *status = j ? j->row.status : k ? k->status : 0;
    return k && *status < BP_JOB_COMPLETED ? k->holder : 0;
}

int64_t unique_holder(struct store *s, int64_t tenant, const char *key, int32_t *status)
{
    char hash[65];
    *status = 0;
    return key && hash_of(key, hash) ? holder_now(s, find(s, tenant, hash), status) : 0;
}

int32_t unique_take(struct store *s, struct job *j)
{
    char hash[65];
    struct unique_new *x = mem_alloc(&s->mem, sizeof *x);
    if (!x || !hash_of(j->row.unique_key, hash))
        return store_nomem(s);
    struct unique_known *k = find(s, j->tenant_id, hash);
    k = k ? k : add(s, j->tenant_id, hash);
    if (!k)
        return store_nomem(s);
    k->holder = j->row.id;
    *x = (struct unique_new){.job = j, .hash = k->hash, .next = s->batch.uniques_new};
    s->batch.uniques_new = x;
    j->flags |= FLAG_UNIQUE;
    return batch_rare(s, j);
}

int32_t unique_touch(struct store *s, struct job *j)
{
    return j->flags & FLAG_UNIQUE ? links_add(s, &s->batch.uniques_touched, j) : BP_OK;
}

/* The key of a job in this batch, "" when its row is in the table. */
static const char *hash_new(const struct store *s, const struct job *j)
{
    for (const struct unique_new *x = s->batch.uniques_new; x; x = x->next)
        if (x->job == j)
            return x->hash;
    return "";
}

static int32_t rival_read(struct store *s, const struct job *j, struct unique_known **out)
{
    struct reply r;
    *out = NULL;
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT HEX(m.key_hash), o.dispatch_id FROM unique_keys m LEFT JOIN unique_keys o ON o.tenant_id = "
            "m.tenant_id AND o.key_hash = m.key_hash AND o.pending = 1 WHERE m.dispatch_id=%l",
            j->row.id);
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        *out = find(s, j->tenant_id, r.row[0]);
        if (!*out && (*out = add(s, j->tenant_id, r.row[0])) != NULL) {
            (*out)->holder = column_int(&r, 1);
            (*out)->status = BP_JOB_QUEUED;
        }
        rc = *out ? BP_OK : store_nomem(s);
    }
    reply_done(&r);
    return rc;
}

int32_t unique_rival(struct store *s, const struct job *j, int64_t *rival, struct unique_known **known)
{
    int32_t status, rc = BP_OK;
    *rival = 0;
    *known = NULL;
    if (!(j->flags & FLAG_UNIQUE))
        return BP_OK;
    *known = find(s, j->tenant_id, hash_new(s, j));
    if (!*known)
        rc = rival_read(s, j, known);
    *rival = rc ? 0 : holder_now(s, *known, &status);
    *rival = *rival == j->row.id ? 0 : *rival;
    return rc;
}

int32_t unique_again(struct store *s, struct job *j, struct unique_known *known)
{
    if (known)
        known->holder = j->row.id;
    return unique_touch(s, j);
}

static void touched_write(struct store *s, struct sql *q, bool pending)
{
    bool any = false;
    for (const struct link *l = s->batch.uniques_touched; l; l = l->next) {
        if ((l->job->row.status < BP_JOB_COMPLETED) != pending)
            continue;
        sql_add(q,
                any ? ",%l"
                    : (pending ? "UPDATE unique_keys SET pending=1 WHERE dispatch_id IN (%l"
                               : "UPDATE unique_keys SET pending=NULL WHERE dispatch_id IN (%l"),
                l->job->row.id);
        any = true;
    }
    if (any)
        sql_add(q, ");");
}

void unique_write(struct store *s, struct sql *q)
{
    bool any = false;
    touched_write(s, q, false);
    touched_write(s, q, true);
    for (const struct unique_new *x = s->batch.uniques_new; x; x = x->next) {
        sql_add(q, any ? "," : "INSERT INTO unique_keys (dispatch_id, tenant_id, key_hash, pending) VALUES ");
        sql_add(q, "(%l,%l,x'%r',%r)", x->job->row.id, x->job->tenant_id, x->hash,
                x->job->row.status < BP_JOB_COMPLETED ? "1" : "NULL");
        any = true;
    }
    if (any)
        sql_add(q, ";");
}
