/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stages.c - how far each instance has come on its way to its first job, told by events (fleet.boot) with the time
 * since its launch was asked for. All of it is read where every controller can: from the provider, and from the
 * workers' rows and jobs in the queue, so that it does not matter at which controller a worker registers, polls and
 * takes jobs.
 */
#include "fleet_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_MS   60000  /* after its registration; a worker that checks its device has said so by then */
#define BOOT_MOST_S 7200   /* what takes longer was no boot */
#define AWAIT_MS    600000 /* after its registration, a first job is looked for so long */
#define JOBS        50     /* the newest ones, looked into at a time ... */
#define LEASES      1000   /* ... and, while one that waits for its first job has a lease, those leased */

static const char *const names[STAGES] = {"requested", "running", "registered", "device_ready", "ready", "first_job"};

/* at_ms 0: not yet. */
static void reached(struct fleets *f, const struct fleet *fl, struct instance *i, enum stage stage, int64_t at_ms)
{
    unsigned bit = 1U << stage;
    int64_t after_ms = at_ms - i->now.launched_ms;
    if (!at_ms || (i->stages & bit))
        return;
    i->stages |= bit;
    if (!fl->met || after_ms < 0 || after_ms > BOOT_MOST_S * 1000LL)
        return; /* it came so far before this process looked */
    bus_publish(f->bus, EVENT_FLEET_BOOT, fl->slug, i->now.id, names[stage], after_ms);
}

/* A time that a worker tells, by its own clock. */
static int64_t plausible(const struct instance *i, int64_t at_ms, int64_t now_ms)
{
    int64_t least_ms = i->registered_ms;
    if (at_ms <= 0 || at_ms > now_ms)
        return now_ms;
    return at_ms > least_ms ? at_ms : least_ms;
}

/* When it could serve: its device is sound; of a worker that says nothing of it, its registration. 0: not yet. A job of
 * which an earlier look knew is older than what this one knows of the worker. */
static int64_t ready_ms(const struct instance *i, int64_t now_ms)
{
    int had_job = (i->stages & 1U << STAGE_FIRST_JOB) != 0;
    if (i->sound)
        return plausible(i, i->sound_ms, now_ms);
    return i->has_worker && !i->fault[0] && (had_job || now_ms - i->registered_ms >= SILENT_MS) ? i->registered_ms : 0;
}

void stages_follow(struct fleets *f, struct fleet *fl, struct instance *i)
{
    int64_t now = fleets_now(f);
    int runs = i->now.state == BP_INSTANCE_RUNNING;
    if (!i->now.launched_ms)
        return;
    reached(f, fl, i, STAGE_REQUESTED, i->now.launched_ms);
    if (runs)
        reached(f, fl, i, STAGE_RUNNING, i->now.running_ms ? i->now.running_ms : now);
    if (!i->registered_ms)
        return;
    reached(f, fl, i, STAGE_REGISTERED, i->registered_ms);
    if (i->sound)
        reached(f, fl, i, STAGE_DEVICE, plausible(i, i->sound_ms, now));
    reached(f, fl, i, STAGE_READY, ready_ms(i, now));
    reached(f, fl, i, STAGE_FIRST_JOB, i->first_job_ms);
}

int stages_await_job(const struct instance *i, int64_t now_ms)
{
    return i->registered_ms && !i->first_job_ms && !(i->stages & 1U << STAGE_FIRST_JOB) &&
           now_ms - i->registered_ms < AWAIT_MS;
}

/* ---- first jobs ---- */

void stages_leased(struct fleets *f, const struct event_msg *e)
{
    if (!f->first_jobs)
        return;
    struct json_object *o = event_fields(e);
    struct fleet *fl = fleet_find(f, json_str(o, "workflow", ""));
    struct instance *i = fl ? instance_find(fl, json_str(o, "worker", "")) : NULL;
    if (i && !i->first_job_ms)
        i->first_job_ms = e->at_ms;
}

static void take_job(struct fleet *fl, const struct bp_job_row *j)
{
    struct instance *i = j->worker && j->leased_ms ? instance_find(fl, j->worker) : NULL;
    if (i && i->registered_ms && j->leased_ms >= i->registered_ms &&
        (!i->first_job_ms || j->leased_ms < i->first_job_ms))
        i->first_job_ms = j->leased_ms;
}

static void got_jobs(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    const struct bp_op_list *l = op && err->rc == 0 ? &op->u.list : NULL;
    f->asking_jobs = 0;
    for (uint32_t k = 0; l && k < l->count; k++) {
        struct fleet *fl = fleet_find(f, l->jobs[k].workflow);
        if (fl)
            take_job(fl, &l->jobs[k]);
    }
}

void stages_ask(struct fleets *f, struct fleet *fl)
{
    struct bp_err err = {0};
    int64_t now = fleets_now(f);
    int awaited = 0, busy = 0;
    for (struct instance *i = fl->instances; i; i = i->next) {
        int awaits = stages_await_job(i, now);
        awaited += awaits;
        busy += awaits && i->leases > 0;
    }
    f->first_jobs += (uint32_t)awaited;
    if (!f->leading || !awaited || f->asking_jobs ||
        (!busy && mono_ms() - fl->jobs_asked_ms < config_int(f->config, CONFIG_SCALE_TICK_MS)))
        return;
    struct queue_call *q = queue_call_new(BP_OP_LIST, now);
    if (!q)
        return;
    struct bp_op_list *l = &queue_call_op(q)->u.list;
    l->workflow = queue_call_str(q, fl->slug);
    l->status = busy ? BP_JOB_LEASED : 0;
    l->limit = busy ? LEASES : JOBS;
    fl->jobs_asked_ms = mono_ms();
    f->asking_jobs = 1;
    if (queue_call_send(f->bus, q, FLEET_QUEUE_MS, got_jobs, f, &err) < 0)
        f->asking_jobs = 0;
}
