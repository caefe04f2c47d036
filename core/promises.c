/* SPDX-License-Identifier: Apache-2.0 */
#include "promises.h"

#include "explain/explain.h"
#include "log/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IN_A_TICK 16 /* questions to the queue, over all workflows, one after the other */

struct promise_watch {
    const struct app *app;
    struct loop_timer *tick;
    uint32_t at, first; /* workflows: counted in this walk, the first to be served */
    int left;           /* questions of this tick */
    int asking, judges; /* one is under way; about a promise that is over, else about one to be made */
    char workflow[128];
    struct promise m; /* to be made: its job and weight */
};

static void judge(struct promises *p, const struct promise *m, struct json_object *data)
{
    struct json_object *job = json_member(data, "job");
    struct promise_job j = {.status = json_str(job, "status", ""),
                            .leases = json_int(job, "attempts", 0) + json_int(job, "requeues", 0),
                            .leased_ms = json_int(data, "leased_ms", 0),
                            .finished_ms = json_int(data, "finished_ms", 0)};
    int64_t came_ms = promise_outcome(m, &j);
    if (came_ms >= 0)
        promise_judge(p, m, came_ms);
}

/* One of "at once" says nothing: how late it may be is not drawn. */
static void make(struct promises *p, const struct promise_watch *w, struct json_object *data)
{
    const struct app *app = w->app;
    struct explain_engines engines = app_engines(app);
    struct eta e = explain_eta(&engines, data);
    struct eta_span told[PROMISE_KINDS] = {e.start, e.finish};
    struct promise m = w->m;
    for (m.kind = PROMISE_START; m.kind < PROMISE_KINDS; m.kind++) {
        m.by_ms = loop_now_ms(app->loop) + (int64_t)(1000 * fmin(told[m.kind].p95_s, 1e9));
        m.half_ms = loop_now_ms(app->loop) + (int64_t)(1000 * fmin(told[m.kind].p50_s, 1e9));
        if (told[m.kind].p95_s > 0 && isfinite(told[m.kind].p95_s))
            promise_make(p, m);
    }
}

static void next(struct promise_watch *w);

static void got(const struct dispatch_answer *a, void *arg)
{
    struct promise_watch *w = arg;
    struct promises *p = scale_promises(w->app->scale, w->workflow);
    w->asking = 0;
    if (a->rc == BP_OK && p && w->judges)
        judge(p, &w->m, a->data);
    else if (a->rc == BP_OK && p)
        make(p, w, a->data);
    next(w);
}

/* Those that are over first, then one of the jobs that came. */
static void serve(const struct workflow *workflow, void *arg)
{
    struct promise_watch *w = arg;
    int is_due = w->at++ >= w->first && !w->asking;
    struct promises *p = is_due ? scale_promises(w->app->scale, workflow->slug) : NULL;
    if (!p)
        return;
    w->judges = promise_due(p, loop_now_ms(w->app->loop), &w->m);
    if (!w->judges && (w->m.job = promise_pick(p, &w->m.weight)) < 0)
        return;
    w->asking = 1;
    w->left--;
    w->first = w->at - (w->judges ? 1 : 0);
    snprintf(w->workflow, sizeof w->workflow, "%s", workflow->slug);
    dispatch_job_facts(w->app->dispatch, NULL, w->m.job, got, w);
}

/* Where the questions of a tick are used up the next one goes on; after the last workflow it begins anew. */
static void next(struct promise_watch *w)
{
    w->at = 0;
    if (w->asking || w->left == 0 || !w->app->ready || w->app->draining)
        return;
    host_each_workflow(w->app->host, serve, w);
    if (!w->asking)
        w->first = 0;
}

static void on_tick(void *arg)
{
    struct promise_watch *w = arg;
    w->left = IN_A_TICK;
    next(w);
    loop_timer_after(w->tick, config_int(w->app->config, CONFIG_SCALE_TICK_MS));
}

struct promise_watch *promise_watch_new(const struct app *app)
{
    struct promise_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->app = app;
    w->tick = loop_timer_new(app->loop, "core.promises", on_tick, w);
    loop_timer_after(w->tick, 0);
    return w;
}

void promise_watch_free(struct promise_watch *w)
{
    if (!w)
        return;
    loop_timer_free(w->tick);
    free(w);
}
