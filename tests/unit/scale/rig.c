/* SPDX-License-Identifier: Apache-2.0 */
#include "scale/rig.h"

#include "doubles.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the plugin host's double ---- */

static struct rig *now; /* the host's functions are told no rig */

const struct workflow *host_workflow(struct host *h, const char *slug)
{
    (void)h;
    for (uint32_t i = 0; i < now->n_workflows; i++)
        if (strcmp(now->workflows[i].slug, slug) == 0)
            return &now->workflows[i];
    return NULL;
}

void host_each_workflow(struct host *h, void (*fn)(const struct workflow *w, void *arg), void *arg)
{
    (void)h;
    for (uint32_t i = 0; i < now->n_workflows; i++)
        fn(&now->workflows[i], arg);
}

const char *host_nearest_workflow(struct host *h, const char *slug)
{
    (void)h;
    (void)slug;
    return "photo";
}

/* ---- calls ---- */

/* Length of the line of `call` at `at` when it is this call or starts with it, else 0. */
static size_t is_call(const char *at, const char *call)
{
    size_t n = strlen(call);
    return strncmp(at, call, n) == 0 && (at[n] == '\n' || at[n] == ' ') ? strcspn(at, "\n") + 1 : 0;
}

static const char *find_call(const char *from, const char *call)
{
    while (from && *from && !is_call(from, call)) {
        from = strchr(from, '\n');
        from = from ? from + 1 : NULL;
    }
    return from && *from ? from : NULL;
}

unsigned rig_calls(struct rig *r, const char *call)
{
    unsigned n = 0;
    pthread_mutex_lock(&r->lock);
    for (const char *at = find_call(r->calls, call); at; at = find_call(at + strcspn(at, "\n") + 1, call))
        n++;
    pthread_mutex_unlock(&r->lock);
    return n;
}

void rig_forget_calls(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    r->calls[0] = 0;
    pthread_mutex_unlock(&r->lock);
}

void rig_assert_order(struct rig *r, const char *first, const char *between, const char *then)
{
    pthread_mutex_lock(&r->lock);
    const char *a = find_call(r->calls, first);
    const char *b = a && between ? find_call(a, between) : a;
    const char *c = find_call(r->calls, then);
    if (!a || !b || !c || b > c)
        print_error("no \"%s\", \"%s\", \"%s\" in this order in\n%s", first, between ? between : "", then, r->calls);
    pthread_mutex_unlock(&r->lock);
    assert_true(a && b && c && b <= c);
}

/* ---- waiting ---- */

static void stop(void *arg)
{
    loop_stop(arg);
}

void rig_turn(struct rig *r, int64_t ms)
{
    struct loop_timer *t = loop_timer_new(r->loop, "test.turn", stop, r->loop);
    loop_timer_after(t, ms);
    loop_run(r->loop);
    loop_timer_free(t);
}

void rig_until(struct rig *r, int (*condition)(struct rig *r, const void *arg), const void *arg)
{
    int64_t until = mono_ms() + 20000;
    while (!condition(r, arg)) {
        if (mono_ms() > until)
            fail_msg("waited 20 s in vain; calls:\n%s", r->calls);
        rig_turn(r, 2);
    }
}

struct wish {
    const char *call;
    unsigned n;
};

static int is_granted(struct rig *r, const void *arg)
{
    const struct wish *w = arg;
    return rig_calls(r, w->call) >= w->n;
}

void rig_until_calls(struct rig *r, const char *call, unsigned n)
{
    struct wish w = {call, n};
    rig_until(r, is_granted, &w);
}

void rig_until_call(struct rig *r, const char *call)
{
    rig_until_calls(r, call, 1);
}

struct hope {
    enum event_id id;
    unsigned n;
};

static int is_published(struct rig *r, const void *arg)
{
    const struct hope *h = arg;
    return r->events[h->id] >= h->n;
}

void rig_until_event(struct rig *r, enum event_id id, unsigned n)
{
    struct hope h = {id, n};
    rig_until(r, is_published, &h);
}

/* ---- the world ---- */

void rig_depth(struct rig *r, int64_t queued, int64_t leased)
{
    pthread_mutex_lock(&r->lock);
    r->stats[0].queued = queued;
    r->stats[0].leased = leased;
    pthread_mutex_unlock(&r->lock);
}

void rig_machine(struct rig *r, const char *id, int64_t boot_ms)
{
    pthread_mutex_lock(&r->lock);
    struct machine *m = machine_find(r, id);
    if (!m) {
        m = &r->machines[r->n_machines++];
        assert_in_range(r->n_machines, 1, RIG_MACHINES);
        snprintf(m->instance.id, sizeof m->instance.id, "%s", id);
        r->desired++;
    }
    m->instance.state = BP_INSTANCE_RUNNING;
    m->instance.running_ms = m->registered_ms = loop_now_ms(r->loop);
    m->instance.launched_ms = m->registered_ms - boot_ms;
    m->has_worker = 1;
    pthread_mutex_unlock(&r->lock);
}

void rig_lease(struct rig *r, const char *id, int leases)
{
    pthread_mutex_lock(&r->lock);
    machine_find(r, id)->leases = leases;
    pthread_mutex_unlock(&r->lock);
    if (leases)
        bus_publish(r->bus, EVENT_JOB_LEASED, (int64_t)1, "acme", "photo", id, (int64_t)1, (int64_t)0);
    else
        rig_completed(r);
}

int rig_drains(struct rig *r, const char *id)
{
    pthread_mutex_lock(&r->lock);
    int draining = machine_find(r, id)->draining;
    pthread_mutex_unlock(&r->lock);
    return draining;
}

void rig_drain(struct rig *r, const char *id, int on)
{
    pthread_mutex_lock(&r->lock);
    machine_find(r, id)->draining = on;
    pthread_mutex_unlock(&r->lock);
    bus_publish(r->bus, EVENT_WORKER_CHANGED, id, on ? "drain" : "undrain", "somebody");
}

void rig_submitted(struct rig *r)
{
    bus_publish(r->bus, EVENT_JOB_SUBMITTED, (int64_t)1, "acme", "photo", (int64_t)0);
}

void rig_completed(struct rig *r)
{
    bus_publish(r->bus, EVENT_JOB_COMPLETED, (int64_t)1, "acme", "photo", "i-1", (int64_t)0, (int64_t)0);
}

/* ---- life ---- */

static void on_event(const struct event_msg *e, void *arg)
{
    struct rig *r = arg;
    r->events[e->id]++;
    snprintf(r->last_event[e->id], sizeof r->last_event[e->id], "%s", json_text(event_fields(e)));
}

static int64_t clock_of(void *arg)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + ((struct rig *)arg)->clock_ahead_ms;
}

static struct workflow workflow_named(const char *slug)
{
    return (struct workflow){.slug = slug,
                             .plugin = slug,
                             .listed = slug,
                             .version = "1",
                             .generation = 1,
                             .max_size = 10,
                             .warmup_s = 300,
                             .backlog_target = 2,
                             .scale_to_zero_s = 900,
                             .manifest = json_object_new_object()};
}

struct rig *rig_new(const char *const *sets)
{
    struct bp_err err = {0};
    struct config_sources src = {0};
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    now = r;
    const char *all[16] = {
        "scale.policy=step"}; /* whose rules a test can work out by hand; what is given goes before */
    for (src.n_sets = 1; sets && sets[src.n_sets - 1]; src.n_sets++) {
        assert_in_range(src.n_sets, 1, 15);
        all[src.n_sets] = sets[src.n_sets - 1];
    }
    src.sets = all;
    r->config = config_load(&src, &err);
    if (!r->config)
        fail_msg("%s", err.text);
    pthread_mutex_init(&r->lock, NULL);
    r->workflows[0] = workflow_named("photo");
    r->workflows[1] = workflow_named("video");
    r->n_workflows = 1;
    snprintf(r->stats[0].workflow, sizeof r->stats[0].workflow, "photo");
    snprintf(r->stats[1].workflow, sizeof r->stats[1].workflow, "video");
    r->n_stats = 1;
    r->loop = loop_new();
    loop_set_clock(r->loop, clock_of, r);
    r->bus = bus_new(r->loop);
    bus_subscribe(r->bus, "*", on_event, r);
    doubles_open(r);
    return r;
}

static void drained(struct actor *a, void *arg)
{
    (void)a;
    ++*(int *)arg;
}

void rig_quiet(struct rig *r)
{
    int n = 0, turns = 0;
    atomic_store(&r->cloud_closed, 0);
    actor_drain(r->queue, drained, &n);
    actor_drain(r->cloud, drained, &n);
    while (n < 2) {
        assert_in_range(++turns, 1, 10000);
        rig_turn(r, 2);
    }
    rig_turn(r, 2); /* what was posted is run */
    actor_free(r->queue);
    actor_free(r->cloud);
}

void rig_free(struct rig *r)
{
    assert_int_equal(r->busy_ended, 0);
    bus_free(r->bus);
    loop_free(r->loop);
    config_free(r->config);
    for (int i = 0; i < 2; i++)
        json_object_put(r->workflows[i].manifest);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
