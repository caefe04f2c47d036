/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - gathers the facts from the engines. */
#include "explain/explain.h"

#include "log/json.h"
#include "words/facts.h"
#include "words/price.h"
#include <math.h>
#include <string.h>

#define AFTER_MAX 32

/* Facts of a fleet with what their texts are borrowed from. */
struct fleet_view {
    struct fleet_facts facts;
    struct policy_fleet detail;
    struct json_object *scale, *fleet; /* listings of one row, or none */
    const struct history *history;     /* NULL: nothing yet, and so the promises */
    const struct promises *promises;
    struct growth growth;
};

static struct json_object *first(struct json_object *list)
{
    return json_object_array_length(list) ? json_object_array_get_idx(list, 0) : NULL;
}

/* The newest activity that failed. */
static void read_failure(struct fleet_facts *f, struct json_object *fleet)
{
    struct json_object *list = json_member(fleet, "activities");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *a = json_object_array_get_idx(list, i);
        if (!json_truth(a, "failed", 0))
            continue;
        f->failed_ms = json_int(a, "at_ms", 0);
        f->failure = json_str(a, "text", "");
        f->failure = f->failure[0] ? f->failure : json_str(a, "reason", NULL);
        return;
    }
}

static void read_scale(struct fleet_facts *f, struct json_object *scale)
{
    struct json_object *last = json_member(scale, "decisions");
    last = last ? first(last) : NULL;
    f->asked = (int32_t)json_int(scale, "desired", 0);
    f->policy = json_str(scale, "policy", NULL);
    f->reason = json_str(scale, "reason", NULL);
    f->planned_ms = json_int(scale, "planned_ms", 0);
    f->queued = json_int(scale, "queued", 0);
    f->leased = json_int(scale, "leased", 0);
    f->hold = (int32_t)json_int(scale, "hold", -1);
    f->hold_until_ms = json_int(scale, "hold_until_ms", 0);
    f->hold_by = json_str(scale, "hold_by", NULL);
    f->scale = scale;
    f->changed_ms = json_int(last, "at_ms", 0);
    f->from = (int32_t)json_int(last, "from", 0);
    f->to = (int32_t)json_int(last, "to", 0);
    f->change = json_str(last, "reason", NULL);
}

static void read_counts(struct fleet_view *v, struct fleets *fleets, const char *slug)
{
    struct fleet_counts c;
    struct fleet_facts *f = &v->facts;
    if (fleet_counts(fleets, slug, &c) < 0)
        return;
    f->described = 1;
    f->desired = c.desired;
    f->max_size = c.max_size;
    f->leaving = c.draining;
    f->failures = c.launch_failures;
    if (v->detail.n_booting > 0)
        f->boot_ms = f->now_ms - (int64_t)(1000 * (double)v->detail.booting_s[0]);
}

static void read_broken(struct fleet_facts *f, struct json_object *fleet)
{
    struct json_object *list = fleet ? json_member(fleet, "instances") : NULL;
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *fault = json_str(one, "fault", NULL);
        if (!fault)
            continue;
        f->broken++;
        f->broken_instance = json_str(one, "id", NULL);
        f->fault = fault;
    }
}

/* Workers that belong to no fleet stand beside its instances; since when they are busy is not known. */
static void add_field_workers(struct fleet_view *v)
{
    struct policy_fleet *d = &v->detail;
    int64_t others = json_int(first(v->scale), "workers", 0) - d->n_idle - d->n_busy;
    int64_t busy = v->facts.leased - d->n_busy;
    for (; others > 0 && busy > 0 && d->n_busy < POLICY_INSTANCES; others--, busy--)
        d->busy_s[d->n_busy++] = 0;
    for (; others > 0 && d->n_idle < POLICY_INSTANCES; others--)
        d->idle_s[d->n_idle++] = 0;
}

static void view_fill(struct fleet_view *v, const struct explain_engines *e, const char *slug)
{
    const struct workflow *w = host_workflow(e->host, slug);
    struct fleet_facts *f = &v->facts;
    memset(v, 0, sizeof *v);
    v->scale = scale_describe(e->scale, slug);
    v->fleet = fleets_describe(e->fleets, slug);
    fleet_detail(e->fleets, slug, &v->detail);
    f->now_ms = loop_now_ms(e->loop);
    f->workflow = slug;
    f->served = w != NULL;
    f->quarantine = w ? w->quarantine : NULL;
    f->draining = e->draining;
    f->max_size = w ? w->max_size : 0;
    v->history = scale_history(e->scale, slug);
    v->promises = scale_promises(e->scale, slug);
    scale_foresee(e->scale, slug, &v->growth);
    f->boot_s = v->history ? history_boot_s(v->history, w ? w->warmup_s : 0) : w ? w->warmup_s : 0;
    f->tick_s = (double)config_int(e->config, CONFIG_SCALE_TICK_MS) / 1000;
    read_scale(f, first(v->scale));
    read_counts(v, e->fleets, slug);
    read_failure(f, first(v->fleet));
    read_broken(f, first(v->fleet));
    f->lacking = dispatch_lacking(e->dispatch, slug, &f->lacking_worker, &f->lacks);
    f->error = json_str(first(v->fleet), "unmade", json_str(first(v->fleet), "error", NULL));
    f->price = price_now(config_map(e->config, CONFIG_PRICES), first(v->fleet),
                         w ? json_member(w->manifest, "instanceTypes") : NULL);
    add_field_workers(v);
    f->idle = v->detail.n_idle;
    f->busy = v->detail.n_busy;
    f->booting = v->detail.n_booting;
}

static void view_free(struct fleet_view *v)
{
    json_object_put(v->scale);
    json_object_put(v->fleet);
}

/* ---- a job ---- */

static void read_job(struct job_facts *j, struct json_object *data)
{
    struct json_object *job = json_member(data, "job");
    j->id = json_int(job, "id", 0);
    j->status = json_str(job, "status", "");
    j->tenant = json_str(job, "tenant", "");
    j->worker = json_str(job, "worker", NULL);
    j->error = json_str(job, "error", NULL);
    j->priority = (int32_t)json_int(job, "priority", 0);
    j->attempts = (int32_t)json_int(job, "attempts", 0);
    j->max_attempts = (int32_t)json_int(job, "max_attempts", 0);
    j->requeues = (int32_t)json_int(job, "requeues", 0);
    j->waits_for = (int32_t)json_int(job, "waits_for", 0);
    j->cancel_requested = json_truth(job, "cancel_requested", 0);
    j->progress = json_num(job, "progress", 0);
    j->created_ms = json_int(data, "created_ms", 0);
    j->not_before_ms = json_int(data, "not_before_ms", 0);
    j->leased_ms = json_int(data, "leased_ms", 0);
    j->lease_expires_ms = json_int(data, "lease_expires_ms", 0);
    j->finished_ms = json_int(data, "finished_ms", 0);
    j->ahead = json_int(data, "ahead", -1);
    j->tenant_running = json_int(data, "tenant_running", 0);
    j->tenant_max_running = json_int(data, "tenant_max_running", 0);
}

static uint32_t read_after(struct after_fact *after, struct json_object *data)
{
    struct json_object *list = json_member(data, "after");
    uint32_t n = 0;
    for (; list && n < json_object_array_length(list) && n < AFTER_MAX; n++) {
        struct json_object *one = json_object_array_get_idx(list, n);
        after[n] = (struct after_fact){json_int(one, "id", 0), json_str(one, "status", "")};
    }
    return n;
}

/* ---- estimates ---- */

#define FEW_STEPS 50000

static const struct eta never = {{INFINITY, INFINITY}, {INFINITY, INFINITY}, {INFINITY, INFINITY}, INFINITY};

/* Launches that are asked for and to be counted on: not while they fail. */
static int32_t launches(const struct fleet_facts *f)
{
    int32_t missing = f->desired - f->idle - f->busy - f->booting;
    return missing > 0 && f->failures == 0 && !f->error ? missing : 0;
}

/* Of a job with so many before it, -1: of none; `more` launches beside those asked for. steps: bound of the work. */
static struct eta expected(const struct fleet_view *v, int64_t ahead, int32_t more, uint32_t steps)
{
    const struct fleet_facts *f = &v->facts;
    if (!v->history || f->draining || !f->served || f->quarantine)
        return never;
    struct eta_ask ask = {.history = v->history,
                          .fleet = &v->detail,
                          .ahead = ahead,
                          .launches = launches(f) + more,
                          .growth = &v->growth,
                          .boot_s = f->boot_s,
                          .steps = steps,
                          .promises = v->promises};
    return eta_queued(&ask);
}

/* What one, two and four instances more would change. `whole`: until all before it have ended, not that job alone. */
static void read_sooner(struct fleet_view *v, int64_t ahead, const struct eta *now, int whole)
{
    struct fleet_facts *f = &v->facts;
    int32_t live = f->idle + f->busy + f->booting + launches(f);
    if (!f->described || f->failures > 0 || f->error || f->hold >= 0 || ahead < 0 || !isfinite(now->instance_s))
        return;
    for (int32_t more = 1; f->n_sooner < SOONER && live + more <= f->max_size; more *= 2) {
        struct eta e = expected(v, ahead, more, FEW_STEPS);
        f->sooner[f->n_sooner++] = (struct sooner){more, whole ? (struct eta_span){INFINITY, INFINITY} : e.start,
                                                   whole ? e.all : e.finish, e.instance_s - now->instance_s};
    }
}

/* Of one that runs its end alone. */
static struct eta expected_of(const struct job_facts *j, const struct fleet_view *v, uint32_t steps)
{
    int full = j->tenant_max_running > 0 && j->tenant_running >= j->tenant_max_running;
    struct eta e = j->ahead < 0 || full ? never : expected(v, j->ahead, 0, steps);
    if (v->history && strcmp(j->status, "leased") == 0)
        e.finish = eta_rest(v->history, v->promises, fmax((double)(v->facts.now_ms - j->leased_ms) / 1000, 0), 0);
    return e;
}

struct eta explain_eta(const struct explain_engines *e, struct json_object *facts)
{
    struct fleet_view v;
    struct job_facts j = {0};
    view_fill(&v, e, json_str(json_member(facts, "job"), "workflow", ""));
    read_job(&j, facts);
    struct eta eta = expected_of(&j, &v, FEW_STEPS);
    view_free(&v);
    return eta;
}

struct json_object *explain_fleet(const struct explain_engines *e, const char *slug)
{
    struct fleet_view v;
    view_fill(&v, e, slug);
    struct eta now = expected(&v, v.facts.queued - 1, 0, 0);
    v.facts.backlog = now.all;
    v.facts.instance_s = now.instance_s;
    read_sooner(&v, v.facts.queued - 1, &now, 1);
    struct json_object *o = explain_fleet_words(&v.facts);
    view_free(&v);
    return o;
}

struct json_object *explain_job(const struct explain_engines *e, int for_tenant, struct json_object *facts)
{
    struct fleet_view v;
    struct after_fact after[AFTER_MAX];
    struct job_facts j = {.for_tenant = for_tenant};
    const char *slug = json_str(json_member(facts, "job"), "workflow", "");
    view_fill(&v, e, slug);
    read_job(&j, facts);
    j.after = after;
    j.n_after = read_after(after, facts);
    j.eta = expected_of(&j, &v, 0);
    if (!for_tenant)
        read_sooner(&v, j.ahead, &j.eta, 0);
    j.run_s = v.history ? v.history->run_mean_s : 0;
    struct json_object *o = explain_job_words(&j, &v.facts);
    view_free(&v);
    return o;
}
