/* SPDX-License-Identifier: Apache-2.0 */
/* Registering, changing and removing workers. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "job.h"
#include "ops.h"
#include "slugs.h"

#define FLEET_SEEN_MS (3600 * 1000)

/* What a registration or a change must know; the row is locked. 1: registered. 0: not. */
static int32_t state_load(struct store *s, const char *worker_id, struct worker_state *w)
{
    struct reply r;
    *w = (struct worker_state){0};
    int32_t rc = names_find(s, &s->workers, worker_id, &w->no);
    if (rc || !w->no)
        return rc;
    recall_forget_worker(s, w->no);
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT approved, draining, max_concurrency, last_seen_ms FROM workers WHERE id=%l FOR UPDATE",
            w->no);
    rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        w->known = 1;
        w->approved = (int32_t)column_int(&r, 0);
        w->draining = (int32_t)column_int(&r, 1);
        w->max_concurrency = (int32_t)column_int(&r, 2);
        w->last_seen_ms = column_int(&r, 3);
    }
    reply_done(&r);
    return rc ? rc : w->known;
}

/* Gives all leases of a worker back as interruptions. */
static int32_t release(struct store *s, int64_t no, int64_t now_ms, const char *reason, int32_t *released)
{
    struct reply r;
    size_t n = 0;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id FROM ai_job_dispatches WHERE status=3 AND due_of=%l ORDER BY id FOR UPDATE", no);
    int32_t rc = query_one(s, &s->q, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result);
    int64_t *ids = mem_alloc(&s->mem, rows * sizeof *ids + 1);
    while (!rc && ids && reply_next(&r))
        ids[n++] = column_int(&r, 0);
    reply_done(&r);
    if (rc || !ids)
        return rc ? rc : store_nomem(s);
    rc = batch_load_jobs(s, ids, n);
    for (size_t i = 0; !rc && i < n; i++) {
        struct job *j = batch_job(s, ids[i]);
        rc = j ? job_interrupt(s, j, now_ms, "queue", reason, RELEASE_MAX_REQUEUES) : BP_OK;
        ++*released;
    }
    return rc ? rc : batch_flush(s, false);
}

static int32_t audit(struct store *s, const char *worker_id, const struct bp_op *op, const char *what, const char *who,
                     const char *detail)
{
    sql_clear(&s->q);
    sql_add(&s->q, "INSERT INTO worker_audit_logs (worker, at_ms, what, who, detail) VALUES (%s,%l,%s,%s,%s)",
            worker_id, op->now_ms, what, text_clean(&s->mem, who ? who : "queue", WHO_MAX),
            text_clean(&s->mem, detail, DETAIL_MAX));
    return query_run(s, &s->q);
}

static int32_t serves_put(struct store *s, int64_t no, struct json_object *slugs)
{
    struct sql q = {0};
    int32_t rc = BP_OK;
    sql_add(&q, "DELETE FROM worker_workflows WHERE worker_id=%l", no);
    for (size_t i = 0; !rc && i < json_object_array_length(slugs); i++) {
        int64_t workflow;
        rc = names_find(s, &s->workflows, json_object_get_string(json_object_array_get_idx(slugs, i)), &workflow);
        sql_add(&q, i ? ",(%l,%l)" : ";INSERT IGNORE INTO worker_workflows (workflow_id, worker_id) VALUES (%l,%l)",
                workflow, no);
    }
    rc = rc ? rc : query_run(s, &q);
    sql_free(&q);
    return rc;
}

/* Whose token hash is it? 0: nobody's. */
static int32_t token_owner(struct store *s, const char *hash, int64_t *no)
{
    *no = 0;
    if (!hash)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id FROM workers WHERE token_hash=%s", hash);
    return query_int(s, &s->q, no);
}

static int32_t fleet_full(struct store *s, const struct bp_op *op, int64_t no, bool *full)
{
    const struct bp_op_worker_put *p = &op->u.worker_put;
    int64_t others;
    *full = false;
    if (p->max_fleet_workers <= 0 || !p->worker->source || strcmp(p->worker->source, "fleet") != 0)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT COUNT(*) FROM workers WHERE source='fleet' AND last_seen_ms > %l AND id <> %l",
            op->now_ms - FLEET_SEEN_MS, no);
    int32_t rc = query_int(s, &s->q, &others);
    *full = others >= p->max_fleet_workers;
    return rc;
}

/* Its name is a worker's again. One that was removed since it was read is made anew in the next attempt. */
static int32_t name_take(struct store *s, int64_t no)
{
    sql_clear(&s->q);
    sql_add(&s->q, "UPDATE worker_names SET gone_ms=0 WHERE id=%l", no);
    int32_t rc = query_run(s, &s->q);
    if (rc || s->affected)
        return rc;
    s->workers.stale = true;
    s->fault = FAULT_RETRY;
    return store_fail(s, BP_LATER, "the name of a worker was removed just now");
}

static int32_t worker_write(struct store *s, const struct bp_op *op, struct json_object *slugs)
{
    const struct bp_worker_row *w = op->u.worker_put.worker;
    int64_t no, now = op->now_ms;
    int32_t rc = names_find(s, &s->workers, w->worker_id, &no);
    rc = rc ? rc : name_take(s, no);
    if (rc)
        return rc;
    sql_clear(&s->q);
    sql_add(&s->q,
            "INSERT INTO workers (id, approved, draining, max_concurrency, registered_ms, last_seen_ms, display_name, "
            "token_hash, workflows, fleet, stage, capabilities, capacity_type, instance_type, source, last_ip) VALUES "
            "(%l,%i,%i,%i,%l,%l,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s) ON DUPLICATE KEY UPDATE approved=VALUES(approved), "
            "draining=VALUES(draining), max_concurrency=VALUES(max_concurrency), registered_ms=VALUES(registered_ms), "
            "last_seen_ms=VALUES(last_seen_ms), display_name=VALUES(display_name), token_hash=VALUES(token_hash), "
            "workflows=VALUES(workflows), fleet=VALUES(fleet), stage=VALUES(stage), "
            "capabilities=VALUES(capabilities), capacity_type=VALUES(capacity_type), "
            "instance_type=VALUES(instance_type), source=VALUES(source), last_ip=VALUES(last_ip)",
            no, w->approved ? 1 : 0, w->draining ? 1 : 0, w->max_concurrency, w->registered_ms ? w->registered_ms : now,
            w->last_seen_ms ? w->last_seen_ms : now, w->display_name, w->token_hash, w->workflows ? w->workflows : "[]",
            w->fleet, w->stage, w->capabilities, w->capacity_type, w->instance_type, w->source, w->last_ip);
    rc = query_run(s, &s->q);
    return rc ? rc : serves_put(s, no, slugs);
}

/* Texts that would fail the whole batch. */
static bool row_fits(const struct store *s, const struct bp_worker_row *w)
{
    const char *const shorts[] = {w->worker_id, w->display_name,  w->token_hash,    w->fleet,  w->stage,
                                  w->source,    w->capacity_type, w->instance_type, w->last_ip};
    for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++)
        if (!text_fits(shorts[i], NAME_MAX_BYTES))
            return false;
    return text_fits(w->workflows, s->text_max / 4) && text_fits(w->capabilities, s->text_max / 4);
}

static int32_t put_checked(struct store *s, struct bp_op *op, struct json_object *slugs)
{
    struct bp_op_worker_put *p = &op->u.worker_put;
    const struct bp_worker_row *w = p->worker;
    struct worker_state old;
    int64_t owner;
    bool full;
    int32_t known = state_load(s, w->worker_id, &old);
    int32_t rc = known < 0 ? known : token_owner(s, w->token_hash, &owner);
    rc = rc ? rc : fleet_full(s, op, old.no, &full);
    if (rc)
        return rc;
    if (owner && owner != old.no)
        return op_error(op, BP_CONFLICT, "the token of worker '%.100s' belongs to another worker", w->worker_id);
    if (full)
        return op_error(op, BP_DENIED, "%d fleet workers are registered already, the limit", p->max_fleet_workers);
    p->replaced = known;
    if (known)
        rc = release(s, old.no, op->now_ms, "its worker registered again", &p->released);
    rc = rc ? rc : worker_write(s, op, slugs);
    return rc ? rc
              : audit(s, w->worker_id, op, known ? "registered again" : "registered", w->source ? w->source : "admin",
                      w->workflows);
}

int32_t op_worker_put(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_put *p = &op->u.worker_put;
    const struct bp_worker_row *w = p->worker;
    p->replaced = 0;
    p->released = 0;
    if (!w || !w->worker_id || !*w->worker_id || w->max_concurrency < 0)
        return op_error(op, BP_INVALID, "a worker needs an id and a concurrency of 0 or more");
    if (!row_fits(s, w))
        return op_error(op, BP_INVALID, "the registration of a worker holds a text that is too long or not UTF-8");
    struct json_object *slugs = slugs_parse(w->workflows);
    if (!slugs)
        return op_error(op, BP_INVALID, "the workflows of worker '%.100s' must be a JSON array of slugs", w->worker_id);
    int32_t rc = put_checked(s, op, slugs);
    json_object_put(slugs);
    return rc;
}

static void set_number(struct sql *q, const char *column, int64_t value)
{
    if (value >= 0)
        sql_add(q, ", %r=%l", column, value);
}

static void set_text(struct sql *q, const char *column, const char *value)
{
    if (value)
        sql_add(q, ", %r=%s", column, value);
}

static int32_t set_write(struct store *s, const struct bp_op *op, int64_t no)
{
    const struct bp_op_worker_set *w = &op->u.worker_set;
    struct sql *q = &s->q;
    sql_clear(q);
    sql_add(q, "UPDATE workers SET id=id");
    set_number(q, "approved", w->approved < 0 ? -1 : w->approved != 0);
    set_number(q, "draining", w->draining < 0 ? -1 : w->draining != 0);
    set_number(q, "max_concurrency", w->max_concurrency);
    set_number(q, "last_seen_ms", w->touch == 1 ? op->now_ms : -1);
    set_text(q, "display_name", w->display_name);
    set_text(q, "capabilities", w->capabilities);
    set_text(q, "last_ip", w->last_ip);
    set_text(q, "token_hash", w->token_hash);
    sql_add(q, " WHERE id=%l", no);
    return query_run(s, q);
}

static bool set_fits(const struct store *s, const struct bp_op_worker_set *w)
{
    return text_fits(w->display_name, NAME_MAX_BYTES) && text_fits(w->last_ip, NAME_MAX_BYTES) &&
           text_fits(w->token_hash, NAME_MAX_BYTES) && text_fits(w->capabilities, s->text_max / 4);
}

int32_t op_worker_set(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_set *w = &op->u.worker_set;
    struct worker_state old = {0};
    int64_t owner;
    w->released = 0;
    int32_t known = w->worker_id ? state_load(s, w->worker_id, &old) : 0;
    if (known <= 0)
        return known ? known : op_error(op, BP_NOTFOUND, "no worker '%.100s'", w->worker_id ? w->worker_id : "");
    if (!set_fits(s, w))
        return op_error(op, BP_INVALID, "the change of a worker holds a text that is too long or not UTF-8");
    int32_t rc = token_owner(s, w->token_hash, &owner);
    if (!rc && owner && owner != old.no)
        return op_error(op, BP_CONFLICT, "the token of worker '%.100s' belongs to another worker", w->worker_id);
    rc = rc ? rc : set_write(s, op, old.no);
    if (!rc && w->approved == 0)
        rc = release(s, old.no, op->now_ms, w->why ? w->why : "its worker was revoked", &w->released);
    if (rc || !w->who)
        return rc;
    const char *what = w->token_hash                                     ? "token changed"
                       : w->approved >= 0 && w->approved != old.approved ? (w->approved ? "approved" : "revoked")
                       : w->draining >= 0 && w->draining != old.draining ? (w->draining ? "draining" : "not draining")
                                                                         : "changed";
    return audit(s, w->worker_id, op, what, w->who, w->why);
}

int32_t op_worker_del(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_del *d = &op->u.worker_del;
    struct worker_state old = {0};
    d->released = 0;
    int32_t known = d->worker_id ? state_load(s, d->worker_id, &old) : 0;
    if (known <= 0)
        return known ? known : op_error(op, BP_NOTFOUND, "no worker '%.100s'", d->worker_id ? d->worker_id : "");
    int32_t rc = release(s, old.no, op->now_ms, d->why ? d->why : "its worker was removed", &d->released);
    sql_clear(&s->q);
    sql_add(&s->q,
            "DELETE FROM worker_workflows WHERE worker_id=%l;DELETE FROM workers WHERE id=%l;"
            "UPDATE worker_names SET gone_ms=%l WHERE id=%l",
            old.no, old.no, op->now_ms, old.no);
    rc = rc ? rc : query_run(s, &s->q);
    return rc ? rc : audit(s, d->worker_id, op, "removed", d->who, d->why);
}
