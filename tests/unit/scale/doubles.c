/* SPDX-License-Identifier: Apache-2.0 */
#include "doubles.h"

#include "host/queue_batch.h"
#include "log/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One line more in `calls`. With the lock held. */
BP_PRINTF(2, 3) static void note(struct rig *r, const char *fmt, ...)
{
    size_t n = strlen(r->calls);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->calls + n, sizeof r->calls - n - 1, fmt, ap);
    va_end(ap);
    strcat(r->calls, "\n");
}

struct machine *machine_find(struct rig *r, const char *id)
{
    for (uint32_t i = 0; i < r->n_machines; i++)
        if (strcmp(r->machines[i].instance.id, id) == 0)
            return &r->machines[i];
    return NULL;
}

/* One of the next *left calls. */
static int takes_one(atomic_int *left)
{
    if (atomic_load(left) <= 0)
        return 0;
    atomic_fetch_sub(left, 1);
    return 1;
}

/* ---- the queue ---- */

static void op_stats(struct rig *r, struct bp_op_stats *st)
{
    note(r, "stats");
    st->count = r->n_stats;
    st->rows = st->memory = malloc(sizeof r->stats);
    memcpy(st->rows, r->stats, sizeof r->stats);
}

static void op_list(struct rig *r, struct bp_op_list *l)
{
    note(r, "list %s", l->workflow);
    l->limit = r->page ? r->page : l->limit;
    l->jobs = l->memory = malloc(sizeof r->past);
    for (uint32_t i = 0; i < r->n_past && l->count < l->limit; i++)
        if (!l->before_id || r->past[i].id < l->before_id)
            l->jobs[l->count++] = r->past[i];
}

static void op_memos(struct rig *r, struct bp_op_memo_list *l)
{
    note(r, "memos %s", l->kind);
    l->rows = l->memory = calloc(8, sizeof *l->rows);
    for (uint32_t i = 0; i < r->n_memos; i++)
        if (strcmp(r->memos[i].kind, l->kind) == 0 && r->memos[i].text[0])
            l->rows[l->count++] = (struct bp_memo_row){.size = sizeof *l->rows,
                                                       .kind = r->memos[i].kind,
                                                       .workflow = r->memos[i].workflow,
                                                       .text = r->memos[i].text};
}

static void op_remember(struct rig *r, const struct bp_op_memo_put *p)
{
    for (uint32_t n = 0; n < p->n; n++) {
        const struct bp_memo_row *row = &p->rows[n];
        struct memo *m = r->memos;
        while (m < r->memos + r->n_memos &&
               (strcmp(m->kind, row->kind) != 0 || strcmp(m->workflow, row->workflow) != 0))
            m++;
        r->n_memos += m == r->memos + r->n_memos;
        assert_in_range(r->n_memos, 1, 8);
        note(r, "memo %s %s", row->kind, row->workflow);
        snprintf(m->kind, sizeof m->kind, "%s", row->kind);
        snprintf(m->workflow, sizeof m->workflow, "%s", row->workflow);
        snprintf(m->text, sizeof m->text, "%s", row->text ? row->text : "");
    }
}

static void op_workers(struct rig *r, struct bp_op_worker_list *l)
{
    note(r, "workers");
    struct bp_worker_row *rows = calloc(RIG_MACHINES, sizeof *rows + sizeof(char[64]));
    char(*names)[64] = (char(*)[64])(rows + RIG_MACHINES);
    l->workers = rows;
    l->memory = rows;
    for (uint32_t i = 0; i < r->n_machines; i++) {
        const struct machine *m = &r->machines[i];
        if (!m->has_worker)
            continue;
        memcpy(names[l->count], m->instance.id, sizeof *names);
        rows[l->count] = (struct bp_worker_row){.size = sizeof *rows,
                                                .approved = 1,
                                                .draining = m->draining,
                                                .live_leases = m->leases,
                                                .registered_ms = m->registered_ms,
                                                .worker_id = names[l->count],
                                                .capabilities = m->capabilities};
        l->count++;
    }
}

static int32_t op_mark(struct rig *r, const struct bp_op_worker_set *set, struct bp_err *err)
{
    struct machine *m = machine_find(r, set->worker_id);
    note(r, "%s %s", set->draining ? "drain" : "undrain", set->worker_id);
    if (takes_one(&r->mark_fails))
        return err_set(err, BP_IO, "the test said so");
    if (!m || !m->has_worker)
        return err_set(err, BP_NOTFOUND, "no worker %s", set->worker_id);
    if (set->draining && takes_one(&r->lease_on_mark))
        m->leases = 1;
    m->draining = set->draining;
    return BP_OK;
}

static int32_t apply(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    struct rig *r = inst;
    if (atomic_load(&r->queue_rc))
        return err_set(err, atomic_load(&r->queue_rc), "the test said so");
    pthread_mutex_lock(&r->lock);
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i]->kind == BP_OP_STATS)
            op_stats(r, &ops[i]->u.stats);
        else if (ops[i]->kind == BP_OP_LIST)
            op_list(r, &ops[i]->u.list);
        else if (ops[i]->kind == BP_OP_WORKER_LIST)
            op_workers(r, &ops[i]->u.worker_list);
        else if (ops[i]->kind == BP_OP_WORKER_SET)
            ops[i]->err.rc = op_mark(r, &ops[i]->u.worker_set, &ops[i]->err);
        else if (ops[i]->kind == BP_OP_MEMO_LIST && r->keeps_memos)
            op_memos(r, &ops[i]->u.memo_list);
        else if (ops[i]->kind == BP_OP_MEMO_PUT && r->keeps_memos)
            op_remember(r, &ops[i]->u.memo_put);
        else
            err_set(&ops[i]->err, BP_UNSUPPORTED, "the double knows no such operation");
    }
    pthread_mutex_unlock(&r->lock);
    return BP_OK;
}

static const struct bp_queue queue_table = {.size = sizeof queue_table, .apply = apply};

/* ---- the fleet provider ---- */

static int32_t begin(struct rig *r, atomic_int *rc, struct bp_err *err)
{
    while (atomic_load(&r->cloud_closed))
        usleep(1000);
    pthread_mutex_lock(&r->lock);
    return rc && atomic_load(rc) ? err_set(err, atomic_load(rc), "the test said so") : BP_OK;
}

static int32_t end(struct rig *r, int32_t rc)
{
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static int32_t ensure(void *inst, const struct bp_fleet_spec *spec, int32_t dry_run, char **diff, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->ensure_rc, err);
    (void)dry_run;
    note(r, "ensure %s %d", spec->slug, spec->max_size);
    if (rc == BP_OK)
        *diff = strdup("[]");
    return end(r, rc);
}

static void state_of(const struct rig *r, const char *slug, struct bp_fleet_state *out)
{
    out->exists = 1;
    out->max_size = 10;
    if (strcmp(slug, "photo") != 0)
        return;
    out->desired = r->desired;
    out->memory = out->instances = calloc(RIG_MACHINES, sizeof *out->instances);
    for (uint32_t i = 0; i < r->n_machines; i++)
        out->instances[out->n_instances++] = r->machines[i].instance;
}

static int32_t describe(void *inst, const char *const *slugs, uint32_t n, struct bp_fleet_state *out,
                        struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->describe_rc, err);
    note(r, "describe");
    for (uint32_t i = 0; rc == BP_OK && i < n; i++)
        state_of(r, slugs[i], &out[i]);
    return end(r, rc);
}

static int32_t grow(void *inst, const char *slug, int32_t to, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->grow_rc, err);
    note(r, "grow %s %d", slug, to);
    while (rc == BP_OK && r->desired < to && r->n_machines < RIG_MACHINES) {
        struct machine *m = &r->machines[r->n_machines++];
        snprintf(m->instance.id, sizeof m->instance.id, "n-%u", ++r->launched);
        m->instance.state = BP_INSTANCE_PENDING;
        r->desired++;
    }
    return end(r, rc);
}

static int32_t terminate(void *inst, const char *slug, const char *instance, struct bp_err *err)
{
    struct rig *r = inst;
    (void)begin(r, NULL, err);
    struct machine *m = machine_find(r, instance);
    note(r, "terminate %s %s", slug, instance);
    if (takes_one(&r->terminate_fails))
        return end(r, err_set(err, BP_IO, "the test said so"));
    if (!m || m->instance.state >= BP_INSTANCE_TERMINATING)
        return end(r, err_set(err, BP_NOTFOUND, "no instance %s", instance));
    r->busy_ended += m->leases > 0;
    m->instance.state = BP_INSTANCE_TERMINATING;
    m->has_worker = 0;
    r->desired--;
    return end(r, BP_OK);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int32_t protect_many(void *inst, const char *slug, const char *const *instances, uint32_t n, int32_t on,
                            struct bp_err *err)
{
    struct rig *r = inst;
    const char *sorted[RIG_MACHINES];
    char list[512] = "";
    (void)begin(r, NULL, err);
    for (uint32_t k = 0; k < n; k++)
        sorted[k] = instances[k];
    qsort(sorted, n, sizeof sorted[0], by_id);
    for (uint32_t k = 0; k < n; k++) {
        struct machine *m = machine_find(r, sorted[k]);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", k ? "," : "", sorted[k]);
        if (m)
            m->instance.is_protected = on;
    }
    note(r, "protect %s %s %d", slug, list, on);
    return end(r, BP_OK);
}

static int32_t protect(void *inst, const char *slug, const char *instance, int32_t on, struct bp_err *err)
{
    return protect_many(inst, slug, &instance, 1, on, err);
}

static int32_t activities(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                          struct bp_err *err)
{
    struct rig *r = inst;
    uint32_t room = *n;
    (void)begin(r, NULL, err);
    *n = 0;
    for (uint32_t i = 0; strcmp(slug, "photo") == 0 && i < r->n_activities && *n < room; i++)
        if (r->activities[i].at_ms >= since_ms) /* some clouds count the moment itself in */
            out[(*n)++] = r->activities[i];
    return end(r, BP_OK);
}

static int32_t leave(void *inst, struct bp_err *err)
{
    struct rig *r = inst;
    (void)begin(r, NULL, err);
    note(r, "leave");
    return end(r, BP_OK);
}

static int32_t image(void *inst, const struct bp_fleet_spec *spec, const char *ami, int32_t force, char **out,
                     struct bp_err *err)
{
    struct rig *r = inst;
    (void)begin(r, NULL, err);
    note(r, "image %s %s %d", spec->slug, ami ? ami : "-", force);
    *out = strdup(r->image);
    return end(r, BP_OK);
}

static int32_t rollout(void *inst, const char *slug, int32_t what, char **out, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->rollout_rc, err);
    note(r, "rollout %s %d", slug, what);
    *out = rc == BP_OK ? strdup(r->rollout) : NULL;
    return end(r, rc);
}

static int32_t afford(void *inst, const char *slug, int32_t on_demand, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->afford_rc, err);
    note(r, "afford %s %d", slug, on_demand);
    return end(r, rc);
}

static int32_t penalties(void *inst, const char *slug, char **out, struct bp_err *err)
{
    struct rig *r = inst;
    (void)begin(r, NULL, err);
    *out = r->penalties[0] && strcmp(slug, "photo") == 0 ? strdup(r->penalties) : NULL;
    return end(r, BP_OK);
}

static int32_t learned(void *inst, char **out, struct bp_err *err)
{
    struct rig *r = inst;
    (void)begin(r, NULL, err);
    *out = r->learned[0] ? strdup(r->learned) : NULL;
    return end(r, BP_OK);
}

static int32_t recall(void *inst, const char *text, struct bp_err *err)
{
    struct rig *r = inst;
    (void)begin(r, NULL, err);
    note(r, "recall %s", text);
    snprintf(r->learned, sizeof r->learned, "%s", text);
    return end(r, BP_OK);
}

static const struct bp_fleet fleet_table = {.size = sizeof fleet_table,
                                            .ensure = ensure,
                                            .describe = describe,
                                            .grow = grow,
                                            .terminate = terminate,
                                            .protect = protect,
                                            .activities = activities,
                                            .leave = leave,
                                            .protect_many = protect_many,
                                            .image = image,
                                            .rollout = rollout,
                                            .afford = afford,
                                            .penalties = penalties,
                                            .learned = learned,
                                            .recall = recall};

/* ---- the metrics sink ---- */

static int32_t put(void *inst, const struct bp_metric *samples, uint32_t n, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->put_rc, err);
    note(r, "put");
    r->n_samples = n < 64 ? n : 64;
    memcpy(r->samples, samples, r->n_samples * sizeof *samples);
    return end(r, rc);
}

static int32_t watch(void *inst, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->watch_rc, err);
    for (uint32_t i = 0; i < n; i++)
        note(r, "watch %s %s %d %d %d", specs[i].slug, specs[i].stage, specs[i].backlog_target, specs[i].max_size,
             specs[i].empty_after_s);
    return end(r, rc);
}

static int32_t unwatch(void *inst, const char *slug, const char *stage, struct bp_err *err)
{
    struct rig *r = inst;
    int32_t rc = begin(r, &r->watch_rc, err);
    note(r, "unwatch %s %s", slug, stage);
    return end(r, rc);
}

static const struct bp_metrics metrics_table = {
    .size = sizeof metrics_table, .put = put, .watch = watch, .unwatch = unwatch};

void doubles_open(struct rig *r)
{
    struct bp_err err = {0};
    struct actor_spec queue = {.name = "queue", .threads = 1, .batch_max = 64, .capacity = 64, .batch = queue_batch};
    struct actor_spec cloud = {.name = "cloud", .threads = 1, .batch_max = 1, .capacity = 64};
    r->queue = actor_new(r->bus, &queue, &err);
    r->cloud = actor_new(r->bus, &cloud, &err);
    assert_true(r->queue && r->cloud);
    bus_route(r->bus, "queue", r->queue, &queue_table, r);
    bus_route(r->bus, "fleet", r->cloud, &fleet_table, r);
    bus_route(r->bus, "metrics", r->cloud, &metrics_table, r);
}
