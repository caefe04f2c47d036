/* SPDX-License-Identifier: Apache-2.0 */
/* job_words.c - why a job is where it is, and what happens next. */
#include "words/facts.h"

#include "log/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define AHEAD_MAX 10000 /* BP_PLACE_MAX: more are not counted */

static int is(const struct job_facts *j, const char *status)
{
    return strcmp(j->status, status) == 0;
}

static void held(struct json_object *o, const char *by)
{
    json_put_str(o, "held_by", by);
}

/* ---- scheduled ---- */

static void scheduled(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    char when[80];
    if (j->waits_for > 0) {
        int64_t first = 0;
        held(o, "dependency");
        for (uint32_t i = 0; i < j->n_after; i++) {
            if (strcmp(j->after[i].status, "completed") == 0)
                continue;
            first = first ? first : j->after[i].id;
            explain_line(o, 0, "dependency", "it waits for job %lld, which is %s", (long long)j->after[i].id,
                         j->after[i].status);
        }
        if (first && j->waits_for == 1)
            explain_next(o, 0, "it is queued when job %lld has completed", (long long)first);
        else
            explain_next(o, 0, "it is queued when all %d jobs it still waits for have completed", j->waits_for);
    } else if (j->not_before_ms > f->now_ms) {
        held(o, "not-before");
        explain_line(o, j->not_before_ms, "not-before", "it is not to be queued before %s",
                     explain_moment(j->not_before_ms, f->now_ms, when));
        explain_next(o, j->not_before_ms, "it is queued at %s", explain_moment(j->not_before_ms, f->now_ms, when));
    } else {
        held(o, "turn");
        explain_next(o, 0, "it is due, and queued by the next sweep");
    }
}

/* ---- queued ---- */

static void position(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    if (j->ahead < 0)
        return;
    json_put_int(o, "ahead", j->ahead);
    if (j->ahead == 0)
        explain_line(o, f->now_ms, "position", "it is the next job of %s", f->workflow);
    else
        explain_line(o, f->now_ms, "position", "%s%lld job%s of %s %s leased before it (its priority is %d)",
                     j->ahead >= AHEAD_MAX ? "at least " : "", (long long)j->ahead, j->ahead == 1 ? "" : "s",
                     f->workflow, j->ahead == 1 ? "is" : "are", j->priority);
}

/* What a limit or the state of bpd forbids, whatever the fleet. 1: it was that. */
static int forbidden(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    if (f->draining) {
        held(o, "drain");
        explain_line(o, 0, "drain", "bpd drains: it leases no jobs");
        explain_next(o, 0, "it is leased by another controller, or once this one runs again");
    } else if (!f->served) {
        held(o, "no-plugin");
        explain_line(o, 0, "no-plugin", "nothing serves the workflow %s now%s", f->workflow,
                     j->for_tenant ? "" : ": bpctl plugin list says why");
        explain_next(o, 0, "it is leased once the workflow is served again");
    } else if (f->quarantine) {
        held(o, "quarantine");
        explain_line(o, 0, "quarantine",
                     "no job of %s is leased: its workflow failed too often and is in quarantine%s%s", f->workflow,
                     j->for_tenant ? "" : ": ", j->for_tenant ? "" : f->quarantine);
        explain_next(o, 0,
                     j->for_tenant ? "it is leased once an operator has released the workflow or replaced it"
                                   : "it is leased after bpctl plugin release, or with another version");
    } else if (j->tenant_max_running > 0 && j->tenant_running >= j->tenant_max_running) {
        held(o, "tenant-limit");
        explain_line(o, f->now_ms, "tenant-limit", "%s runs %lld jobs and may run %lld at once", j->tenant,
                     (long long)j->tenant_running, (long long)j->tenant_max_running);
        explain_next(o, 0, "it may be leased when one of the tenant's running jobs ends");
    } else {
        return 0;
    }
    return 1;
}

static void wait_for_fleet(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    char when[80];
    int64_t ready_ms = f->boot_ms + (int64_t)(f->boot_s * 1000);
    if (f->idle > 0) {
        held(o, "turn");
        explain_next(o, 0, "an idle worker takes it with its next poll");
    } else if (f->booting > 0) {
        held(o, "boot");
        if (f->boot_ms && f->boot_s > 0 && ready_ms > f->now_ms)
            explain_next(o, ready_ms, "an instance is expected ready at %s", explain_moment(ready_ms, f->now_ms, when));
        else
            explain_next(o, 0, "an instance that boots longer than usual may be ready any moment");
    } else if (f->busy > 0) {
        held(o, "busy");
        explain_next(o, 0, "the next worker that is free takes the first job of the queue");
    } else if (!f->described) {
        held(o, "unknown");
        explain_next(o, 0, "the size is decided once the fleet is known");
    } else if (f->failures > 0 || (f->error && f->error[0])) {
        held(o, "capacity");
        explain_next(o, 0, "launches are tried again by themselves%s",
                     j->for_tenant ? "" : "; bpctl doctor tries the cloud now and names the remedy");
    } else if (f->desired > 0) {
        held(o, "launch");
        explain_next(o, 0, "an instance is launched");
    } else if (f->hold == 0) {
        held(o, "hold");
        explain_next(o, f->hold_until_ms, "an operator keeps the fleet at 0%s",
                     j->for_tenant ? "" : ": bpctl scale release ends that");
    } else {
        held(o, "size");
        explain_next(o, 0, "the size of the fleet is decided anew with each event, at the latest in %.0f s", f->tick_s);
    }
}

static void queued(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    position(o, j, f);
    if (forbidden(o, j, f))
        return;
    explain_fleet_lines(o, f, j->for_tenant);
    wait_for_fleet(o, j, f);
}

/* ---- leased and ended ---- */

static void leased(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    char when[80];
    explain_line(o, j->leased_ms, "running", "%s runs it, attempt %d of %d, %.0f %% done",
                 j->worker ? j->worker : "a worker", j->attempts, j->max_attempts, 100 * j->progress);
    if (j->cancel_requested)
        explain_line(o, 0, "cancel", "its cancellation was asked for; the worker is told with its next heartbeat");
    explain_next(o, j->lease_expires_ms,
                 "unless its worker is heard again, its lease ends at %s and it goes back to the queue",
                 explain_moment(j->lease_expires_ms, f->now_ms, when));
}

static void ended(struct json_object *o, const struct job_facts *j)
{
    if (is(j, "completed"))
        explain_line(o, j->finished_ms, "completed", "it completed in attempt %d", j->attempts);
    else
        explain_line(o, j->finished_ms, j->status, "it was %s after %d of %d attempts%s%s",
                     is(j, "failed") ? "given up" : "cancelled", j->attempts, j->max_attempts,
                     j->error && j->error[0] ? ": " : "", j->error ? j->error : "");
    if (is(j, "completed"))
        explain_next(o, 0, "nothing");
    else if (j->for_tenant)
        explain_next(o, 0, "nothing, unless it is retried: POST /api/jobs/%lld/retry", (long long)j->id);
    else
        explain_next(o, 0, "nothing, unless it is retried: bpctl job retry %lld", (long long)j->id);
}

/* ---- the estimate ---- */

static void estimate(struct json_object *o, const struct job_facts *j, int64_t now_ms)
{
    struct json_object *estimates = json_object_new_object();
    json_object_object_add(o, "estimate", estimates);
    if (is(j, "leased")) {
        explain_span(estimates, "finish", now_ms, &j->eta.finish);
        explain_expect(o, now_ms, "it ends", &j->eta.finish);
        return;
    }
    explain_span(estimates, "start", now_ms, &j->eta.start);
    explain_span(estimates, "finish", now_ms, &j->eta.finish);
    explain_expect(o, now_ms, "it starts", &j->eta.start);
    explain_expect(o, now_ms, "it ends", &j->eta.finish);
    if (!isfinite(j->eta.start.p50_s))
        explain_line(o, 0, "estimate",
                     "nobody can say when it starts: no worker is there or known to come, or no run "
                     "time was measured yet");
}

/* The operator's alone. */
static void price(struct json_object *o, const struct job_facts *j, const struct fleet_facts *f)
{
    if (j->for_tenant)
        return;
    explain_cost(o, f, j->run_s, "a run of this workflow");
    if (is(j, "queued"))
        explain_sooner(o, f, &j->eta.finish, "it ends");
}

static void past(struct json_object *o, const struct job_facts *j)
{
    explain_line(o, j->created_ms, "submitted", "submitted by %s", j->tenant);
    if (j->requeues > 0 && !is(j, "completed"))
        explain_line(o, 0, "interrupted", "it was interrupted %d time%s, which costs no attempt", j->requeues,
                     j->requeues == 1 ? "" : "s");
    if (j->error && j->error[0] && (is(j, "queued") || is(j, "scheduled")))
        explain_line(o, 0, "attempt", "attempt %d of %d ended with: %s", j->attempts, j->max_attempts, j->error);
}

struct json_object *explain_job_words(const struct job_facts *j, const struct fleet_facts *f)
{
    struct json_object *o = json_object_new_object();
    json_put_int(o, "id", j->id);
    json_put_str(o, "workflow", f->workflow);
    json_put_str(o, "status", j->status);
    json_put_str(o, "held_by", NULL);
    json_object_object_add(o, "ahead", NULL);
    json_object_object_add(o, "next", NULL);
    json_object_object_add(o, "estimate", NULL);
    json_object_object_add(o, "because", json_object_new_array());
    past(o, j);
    if (is(j, "scheduled")) {
        scheduled(o, j, f);
    } else if (is(j, "queued")) {
        queued(o, j, f);
        estimate(o, j, f->now_ms);
        price(o, j, f);
    } else if (is(j, "leased")) {
        leased(o, j, f);
        estimate(o, j, f->now_ms);
        price(o, j, f);
    } else {
        ended(o, j);
    }
    return o;
}
