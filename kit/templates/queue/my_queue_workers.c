/* Workers: their registrations, and what becomes of the leases of one that is gone. */
#include "my_queue.h"

#include <stdio.h>

struct worker *worker_find(const struct my_queue_plugin *q, const char *id)
{
    for (size_t i = 0; i < q->workers.n; i++) {
        struct worker *w = q->workers.at[i];
        if (!w->gone && strcmp(w->row.worker_id, id) == 0)
            return w;
    }
    return NULL;
}

const char *next_slug(const char **slugs, size_t *n)
{
    const char *begin = strchr(*slugs, '"'), *end = begin ? strchr(begin + 1, '"') : NULL;
    if (!end)
        return NULL;
    *n = (size_t)(end - begin) - 1;
    *slugs = end + 1;
    return begin + 1;
}

int32_t names_slug(const char *slugs, const char *slug)
{
    size_t n;
    for (const char *s; (s = next_slug(&slugs, &n));)
        if (strlen(slug) == n && strncmp(s, slug, n) == 0)
            return 1;
    return 0;
}

int32_t worker_live(const struct my_queue_plugin *q, const char *id)
{
    int32_t live = 0;
    for (size_t i = 0; i < q->jobs.n; i++) {
        const struct job *j = q->jobs.at[i];
        live += j->row.status == BP_JOB_LEASED && strcmp(j->row.worker, id) == 0;
    }
    return live;
}

/* Gives the leases of a worker back as interruptions; how many there were. */
static int32_t release(struct my_queue_plugin *q, const char *id, int64_t now_ms, const char *why)
{
    int32_t n = 0;
    for (size_t i = 0; i < q->jobs.n; i++) {
        struct job *j = q->jobs.at[i];
        if (j->row.status != BP_JOB_LEASED || strcmp(j->row.worker, id) != 0)
            continue;
        job_touch(q, j, now_ms);
        job_interrupt(q, j, now_ms, "sweeper", why, MAX_REQUEUES);
        n++;
    }
    return n;
}

/* Other workers of fleets that were seen within an hour. */
static int32_t fleet_workers(const struct my_queue_plugin *q, const char *but, int64_t now_ms)
{
    int32_t n = 0;
    for (size_t i = 0; i < q->workers.n; i++) {
        const struct bp_worker_row *r = &((const struct worker *)q->workers.at[i])->row;
        n += strcmp(r->worker_id, but) != 0 && r->source && strcmp(r->source, "fleet") == 0 &&
             now_ms - r->last_seen_ms < 3600000;
    }
    return n;
}

static void set_texts(struct my_queue_plugin *q, struct bp_worker_row *to, const struct bp_worker_row *from)
{
    text_set(q, &to->worker_id, from->worker_id);
    text_set(q, &to->display_name, from->display_name);
    text_set(q, &to->token_hash, from->token_hash);
    text_set(q, &to->workflows, from->workflows ? from->workflows : "[]");
    text_set(q, &to->fleet, from->fleet);
    text_set(q, &to->stage, from->stage);
    text_set(q, &to->capabilities, from->capabilities);
    text_set(q, &to->capacity_type, from->capacity_type);
    text_set(q, &to->instance_type, from->instance_type);
    text_set(q, &to->source, from->source);
    text_set(q, &to->last_ip, from->last_ip);
}

int32_t op_worker_put(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_worker_put *p = &op->u.worker_put;
    const struct bp_worker_row *from = p->worker;
    struct worker *w = worker_find(q, from->worker_id);
    p->replaced = w != NULL;
    p->released = 0;
    if (p->max_fleet_workers && fleet_workers(q, from->worker_id, op->now_ms) >= p->max_fleet_workers)
        return refuse(op, BP_DENIED, "%d fleet workers are registered, as many as may be", p->max_fleet_workers);
    if (w)
        touch(q, w, sizeof *w);
    else
        w = list_add(q, &q->workers, sizeof *w);
    if (!w)
        return BP_NOMEM;
    p->released = release(q, from->worker_id, op->now_ms, "its worker registered anew");
    w->row.size = sizeof w->row;
    w->row.approved = from->approved;
    w->row.draining = from->draining;
    w->row.max_concurrency = from->max_concurrency;
    w->row.registered_ms = from->registered_ms;
    w->row.last_seen_ms = from->last_seen_ms;
    set_texts(q, &w->row, from);
    note(q, "", op->now_ms, NOTE_AUDIT, 0);
    return BP_OK;
}

/* Rows of these workers with their leases counted. */
static void answer(struct my_queue_plugin *q, const struct list *rows, struct bp_worker_row **out, uint32_t *n,
                   void **memory)
{
    struct part part = {rows, &worker_shape, NULL};
    pack(q, &part, 1, memory);
    *out = part.out;
    if (n)
        *n = part.out ? (uint32_t)rows->n : 0;
    for (size_t i = 0; part.out && i < rows->n; i++)
        (*out)[i].live_leases = worker_live(q, (*out)[i].worker_id);
}

int32_t op_worker_auth(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_worker_auth *a = &op->u.worker_auth;
    a->worker = NULL;
    for (size_t i = 0; i < q->workers.n; i++) {
        struct worker *w = q->workers.at[i];
        if (w->gone || !w->row.token_hash || !a->token_hash || strcmp(w->row.token_hash, a->token_hash) != 0)
            continue;
        void *one[] = {w};
        answer(q, &(struct list){one, 1, 1}, &a->worker, NULL, &a->memory);
        return BP_OK;
    }
    return refuse(op, BP_NOTFOUND, "no worker has this token");
}

int32_t op_worker_set(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_worker_set *s = &op->u.worker_set;
    struct worker *w = worker_find(q, s->worker_id);
    s->released = 0;
    if (!w)
        return refuse(op, BP_NOTFOUND, "no worker %.100s", s->worker_id);
    touch(q, w, sizeof *w);
    if (s->approved >= 0)
        w->row.approved = s->approved;
    if (s->draining >= 0)
        w->row.draining = s->draining;
    if (s->max_concurrency >= 0)
        w->row.max_concurrency = s->max_concurrency;
    if (s->touch)
        w->row.last_seen_ms = op->now_ms;
    if (s->display_name)
        text_set(q, &w->row.display_name, s->display_name);
    if (s->capabilities)
        text_set(q, &w->row.capabilities, s->capabilities);
    if (s->last_ip)
        text_set(q, &w->row.last_ip, s->last_ip);
    if (s->token_hash)
        text_set(q, &w->row.token_hash, s->token_hash);
    if (s->approved == 0)
        s->released = release(q, s->worker_id, op->now_ms, "its worker was revoked");
    if (s->who)
        note(q, "", op->now_ms, NOTE_AUDIT, 0);
    return BP_OK;
}

int32_t op_worker_del(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_worker_del *d = &op->u.worker_del;
    struct worker *w = worker_find(q, d->worker_id);
    d->released = 0;
    if (!w)
        return refuse(op, BP_NOTFOUND, "no worker %.100s", d->worker_id);
    d->released = release(q, d->worker_id, op->now_ms, d->why);
    touch(q, w, sizeof *w);
    w->gone = q->any_gone = 1;
    note(q, "", op->now_ms, NOTE_AUDIT, 0);
    return BP_OK;
}

int32_t op_worker_list(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_worker_list *l = &op->u.worker_list;
    struct list rows = {calloc(q->workers.n + 1, sizeof(void *)), 0, q->workers.n};
    q->no_memory |= !rows.at;
    for (size_t i = 0; rows.at && i < q->workers.n; i++) {
        struct worker *w = q->workers.at[i];
        if (!w->gone && (!l->workflow || names_slug(w->row.workflows, l->workflow)))
            rows.at[rows.n++] = w;
    }
    answer(q, &rows, &l->workers, &l->count, &l->memory);
    free(rows.at);
    return BP_OK;
}
