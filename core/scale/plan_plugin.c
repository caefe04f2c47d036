/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_plugin.c - a plugin's own policy. It runs on the plugin's thread, on copies of what it may see: the loop waits
 * for a moment, and goes on without it when it does not answer. Offences are counted, and after three direct takes
 * over.
 */
#include "scale_priv.h"

#include "log/log.h"
#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PLUGIN_PLAN_MS 5
#define PATIENCE_MS    20    /* of the loop, for a thread that a loaded machine wakes late */
#define SILENCE_MS     1000  /* without an answer: an offence for each */
#define REQUEST_MS     60000 /* it drains its plugin no longer than that */

/* One question. The loop owns it: the item, until it has the answer, and the request, until the thread is done. */
struct plan_call {
    int owners;
    uint32_t generation;
    int64_t asked_ms, told_ms; /* mono_ms(); told_ms: up to when its silence has been counted */
    const struct bp_scaling *table;
    void *inst;
    struct bp_view view;
    _Alignas(max_align_t) unsigned char memory[BP_SCALING_MEMORY];
    pthread_mutex_t lock; /* over the rest */
    pthread_cond_t done;
    int answered;
    int32_t rc;
    struct bp_plan plan;
    struct bp_err err;
    int64_t ms; /* that it took */
};

/* ---- on the plugin's thread ---- */

/* How long this thread has computed, how often it has waited of its own will, and the time. */
struct effort {
    int64_t cpu_us, wall_us, waits;
};

static struct effort effort_now(void)
{
    struct timespec t;
    struct rusage u = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    getrusage(RUSAGE_THREAD, &u);
    return (struct effort){(int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000, mono_us(), u.ru_nvcsw};
}

/* Milliseconds that the plugin took: not those in which a loaded machine did something else. */
static int64_t took_ms(const struct effort *began)
{
    struct effort now = effort_now();
    int64_t cpu_us = now.cpu_us - began->cpu_us, wall_us = now.wall_us - began->wall_us;
    return (now.waits > began->waits && wall_us > cpu_us ? wall_us : cpu_us) / 1000;
}

static int run_plan(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct plan_call *c = args;
    struct bp_plan plan = {.size = sizeof plan, .desired = c->plan.desired};
    struct bp_err why = {0};
    (void)table, (void)inst, (void)err;
    struct effort began = effort_now();
    int32_t rc = c->table->plan(c->inst, &c->view, c->memory, &plan, &why);
    int64_t ms = took_ms(&began);
    pthread_mutex_lock(&c->lock);
    c->plan = plan;
    c->err = why;
    c->rc = rc;
    c->ms = ms;
    c->answered = 1;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->lock);
    return 0;
}

/* ---- on the loop ---- */

static void release(void *call)
{
    struct plan_call *c = call;
    if (--c->owners > 0)
        return;
    pthread_cond_destroy(&c->done);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void plan_call_forget(struct scale_item *item)
{
    if (item->asked)
        release(item->asked);
    item->asked = NULL;
}

static int answers_within(struct plan_call *c, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&c->lock);
    while (!c->answered && ms > 0 && pthread_cond_timedwait(&c->done, &c->lock, &until) == 0)
        continue;
    int answered = c->answered;
    pthread_mutex_unlock(&c->lock);
    return answered;
}

/* NULL: no memory. */
static struct plan_call *ask(const struct workflow *w, const struct bp_view *v, const void *memory)
{
    struct bp_err err = {0};
    struct plan_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct plan_call){.owners = 2,
                            .generation = w->generation,
                            .asked_ms = mono_ms(),
                            .table = w->scaling,
                            .inst = w->scaling_inst,
                            .view = *v,
                            .plan = {.desired = v->desired}};
    c->told_ms = c->asked_ms;
    memcpy(c->memory, memory, sizeof c->memory);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    struct request_spec spec = {
        .name = "scaling.plan", .run = run_plan, .args = c, .args_free = release, .timeout_ms = REQUEST_MS};
    if (actor_call(w->actor, &spec, &err) == 0)
        return c;
    release(c);
    return NULL;
}

static void offend(struct scale_item *item, const struct workflow *w, const char *offence)
{
    item->offences++;
    log_warn(LOG_SCALE, "%s: the policy of plugin %s %s (offence %d of %d%s)", w->slug, w->plugin, offence,
             item->offences, SCALE_OFFENCES,
             item->offences < SCALE_OFFENCES ? "" : "; direct takes over until the plugin is replaced");
}

/* What direct would do, without a memory of what was needed before: so nothing is taken away. */
static int32_t instead(const struct policy_now *now, const struct workflow *w, struct bp_plan *p)
{
    _Alignas(max_align_t) unsigned char memory[BP_SCALING_MEMORY] = {0};
    const struct policy *direct = policy_find("direct");
    assert(direct->memory_bytes <= sizeof memory);
    int32_t rc = direct->plan(now, memory, p);
    if (p->desired < now->view->desired)
        p->desired = now->view->desired;
    snprintf(p->reason, sizeof p->reason, "the policy of plugin %.60s has not answered: as direct would, and no fewer",
             w->plugin);
    return rc;
}

/* 1: an earlier question is still without an answer, and its silence is counted. */
static int is_silent(struct scale_item *item, const struct workflow *w)
{
    char text[96];
    int64_t now = mono_ms();
    struct plan_call *c = item->asked;
    if (!c)
        return 0;
    if (c->generation != w->generation || answers_within(c, 0)) {
        if (c->generation == w->generation && c->ms > PLUGIN_PLAN_MS && c->told_ms == c->asked_ms)
            offend(item, w, "took longer than 5 ms");
        plan_call_forget(item);
        return 0;
    }
    if (now - c->told_ms < SILENCE_MS)
        return 1;
    c->told_ms = now;
    snprintf(text, sizeof text, "has not answered for %.0f s", (double)(now - c->asked_ms) / 1000);
    offend(item, w, text);
    return 1;
}

int32_t plan_by_plugin(void *arg, const struct policy_now *now, void *memory, struct bp_plan *p)
{
    const struct plugin_policy *by = arg;
    const struct bp_view *v = now->view;
    if (is_silent(by->item, by->workflow) || by->item->offences >= SCALE_OFFENCES) /* a late answer was the last one */
        return instead(now, by->workflow, p);
    struct plan_call *c = by->item->asked = ask(by->workflow, v, memory);
    if (!c)
        return BP_NOMEM;
    if (!answers_within(c, PATIENCE_MS))
        return instead(now, by->workflow, p);
    memcpy(memory, c->memory, sizeof c->memory);
    *p = c->plan;
    int32_t rc = c->rc;
    c->err.text[sizeof c->err.text - 1] = 0;
    const char *offence = rc < 0                     ? c->err.text
                          : p->desired > v->max_size ? "asked for more than maxSize"
                          : p->desired < v->busy     ? "asked for fewer instances than are busy"
                          : c->ms > PLUGIN_PLAN_MS   ? "took longer than 5 ms"
                                                     : NULL;
    if (offence)
        offend(by->item, by->workflow, offence);
    plan_call_forget(by->item);
    return rc;
}
