/* SPDX-License-Identifier: Apache-2.0 */
/* Registering, changing and removing workers. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "ops.h"
#include "slugs.h"
#include "worker.h"

#define FLEET_SEEN_MS (3600 * 1000)

static int32_t serves_put(struct store *s, int64_t no, struct json_object *slugs)
{
    int32_t rc = statement_run(s, ST_SERVES_DELETE, "l", no);
    for (size_t i = 0; !rc && i < json_object_array_length(slugs); i++) {
        int64_t workflow;
        rc = workflow_get(s, json_object_get_string(json_object_array_get_idx(slugs, i)), &workflow);
        rc = rc ? rc : statement_run(s, ST_SERVES_PUT, "ll", workflow, no);
    }
    return rc;
}

/* Whose token hash is it? 0: nobody's. */
static int32_t token_owner(struct store *s, const char *hash, int64_t *no)
{
    *no = 0;
    if (!hash)
        return BP_OK;
    sqlite3_stmt *q = statement_query(s, ST_WORKER_BY_TOKEN, "s", hash);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        *no = sqlite3_column_int64(q, 0);
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

static int32_t fleet_full(struct store *s, const struct bp_op *op, int64_t no, bool *full)
{
    const struct bp_op_worker_put *p = &op->u.worker_put;
    *full = false;
    if (p->max_fleet_workers <= 0 || !p->worker->source || strcmp(p->worker->source, "fleet") != 0)
        return BP_OK;
    sqlite3_stmt *q = statement_query(s, ST_WORKER_OTHERS, "ll", op->now_ms - FLEET_SEEN_MS, no);
    int32_t rc = statement_next(s, q);
    *full = rc > 0 && sqlite3_column_int64(q, 0) >= p->max_fleet_workers;
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

static int32_t worker_write(struct store *s, const struct bp_op *op, struct json_object *slugs)
{
    const struct bp_worker_row *w = op->u.worker_put.worker;
    int64_t no, now = op->now_ms;
    int32_t rc = names_get(s, &s->workers, w->worker_id, &no);
    rc = rc ? rc
            : statement_run(s, ST_WORKER_PUT, "liiillssssssssss", no, w->approved ? 1 : 0, w->draining ? 1 : 0,
                            w->max_concurrency, w->registered_ms ? w->registered_ms : now,
                            w->last_seen_ms ? w->last_seen_ms : now, w->display_name, w->token_hash,
                            w->workflows ? w->workflows : "[]", w->fleet, w->stage, w->capabilities, w->capacity_type,
                            w->instance_type, w->source, w->last_ip);
    return rc ? rc : serves_put(s, no, slugs);
}

static int32_t put_checked(struct store *s, struct bp_op *op, struct json_object *slugs)
{
    struct bp_op_worker_put *p = &op->u.worker_put;
    const struct bp_worker_row *w = p->worker;
    struct worker_state old;
    int64_t owner;
    bool full;
    int32_t known = worker_state_load(s, w->worker_id, &old);
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
        rc = worker_release(s, w->worker_id, op->now_ms, "its worker registered again", &p->released);
    rc = rc ? rc : worker_write(s, op, slugs);
    return rc ? rc
              : worker_audit(s, w->worker_id, op->now_ms, known ? "registered again" : "registered",
                             w->source ? w->source : "admin", w->workflows);
}

int32_t op_worker_put(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_put *p = &op->u.worker_put;
    const struct bp_worker_row *w = p->worker;
    p->replaced = 0;
    p->released = 0;
    if (!w || !w->worker_id || !*w->worker_id || w->max_concurrency < 0)
        return op_error(op, BP_INVALID, "a worker needs an id and a concurrency of 0 or more");
    struct json_object *slugs = slugs_parse(w->workflows);
    if (!slugs)
        return op_error(op, BP_INVALID, "the workflows of worker '%.100s' must be a JSON array of slugs", w->worker_id);
    int32_t rc = put_checked(s, op, slugs);
    json_object_put(slugs);
    return rc;
}

static void bind_change(sqlite3_stmt *q, int column, int64_t value)
{
    if (value >= 0)
        sqlite3_bind_int64(q, column, value);
    else
        sqlite3_bind_null(q, column);
}

static int32_t set_write(struct store *s, const struct bp_op *op, int64_t no)
{
    const struct bp_op_worker_set *w = &op->u.worker_set;
    sqlite3_stmt *q = statement_query(s, ST_WORKER_SET, "llllssssl", INT64_C(0), INT64_C(0), INT64_C(0), INT64_C(0),
                                      w->display_name, w->capabilities, w->last_ip, w->token_hash, no);
    if (!q)
        return s->failure.rc;
    bind_change(q, 1, w->approved < 0 ? -1 : w->approved != 0);
    bind_change(q, 2, w->draining < 0 ? -1 : w->draining != 0);
    bind_change(q, 3, w->max_concurrency);
    bind_change(q, 4, w->touch == 1 ? op->now_ms : -1);
    int32_t rc = statement_next(s, q);
    statement_done(q);
    return rc;
}

int32_t op_worker_set(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_set *w = &op->u.worker_set;
    struct worker_state old = {0};
    int64_t owner;
    w->released = 0;
    int32_t known = w->worker_id ? worker_state_load(s, w->worker_id, &old) : 0;
    if (known <= 0)
        return known ? known : op_error(op, BP_NOTFOUND, "no worker '%.100s'", w->worker_id ? w->worker_id : "");
    int32_t rc = token_owner(s, w->token_hash, &owner);
    if (!rc && owner && owner != old.no)
        return op_error(op, BP_CONFLICT, "the token of worker '%.100s' belongs to another worker", w->worker_id);
    rc = rc ? rc : set_write(s, op, old.no);
    if (!rc && w->approved == 0)
        rc = worker_release(s, w->worker_id, op->now_ms, w->why ? w->why : "its worker was revoked", &w->released);
    if (rc || !w->who)
        return rc;
    const char *what = w->token_hash                                     ? "token changed"
                       : w->approved >= 0 && w->approved != old.approved ? (w->approved ? "approved" : "revoked")
                       : w->draining >= 0 && w->draining != old.draining ? (w->draining ? "draining" : "not draining")
                                                                         : "changed";
    return worker_audit(s, w->worker_id, op->now_ms, what, w->who, w->why);
}

int32_t op_worker_del(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_del *d = &op->u.worker_del;
    struct worker_state old = {0};
    d->released = 0;
    int32_t known = d->worker_id ? worker_state_load(s, d->worker_id, &old) : 0;
    if (known <= 0)
        return known ? known : op_error(op, BP_NOTFOUND, "no worker '%.100s'", d->worker_id ? d->worker_id : "");
    int32_t rc = worker_release(s, d->worker_id, op->now_ms, d->why ? d->why : "its worker was removed", &d->released);
    rc = rc ? rc : statement_run(s, ST_SERVES_DELETE, "l", old.no);
    rc = rc ? rc : statement_run(s, ST_WORKER_DELETE, "l", old.no);
    return rc ? rc : worker_audit(s, d->worker_id, op->now_ms, "removed", d->who, d->why);
}
