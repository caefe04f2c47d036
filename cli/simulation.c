/* SPDX-License-Identifier: Apache-2.0 */
#include "simulation.h"

#include "log/err.h"
#include "log/json.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLAIRVOYANT   "clairvoyant"
#define NEAR_ENOUGH_S 15 /* of waits: 1 s against 3 s is not three times as long */
#define THREADS_MAX   256

/* ---- cases ---- */

static void name_policies(char *out, size_t n)
{
    size_t used = 0;
    out[0] = 0;
    for (const struct policy *p = policies; p->name && used < n; p++)
        used += (size_t)snprintf(out + used, n - used, "%s, ", p->name);
    if (used < n)
        snprintf(out + used, n - used, CLAIRVOYANT);
}

static int refuse_policy(const char *name, struct bp_err *err)
{
    char all[200];
    const char *names[64];
    size_t n = 0;
    for (const struct policy *p = policies; p->name && n < 63; p++)
        names[n++] = p->name;
    names[n++] = CLAIRVOYANT;
    const char *near = nearest_name(name, names, n);
    name_policies(all, sizeof all);
    return err_set(err, BP_INVALID, "no policy %s%s%s%s; there are %s", name, near ? "; did you mean " : "",
                   near ? near : "", near ? "?" : "", all);
}

/* Which policy a name means; clairvoyant:60 accepts waits of 60 s. */
static int understand(struct sim_case *c, const char *name, struct bp_err *err)
{
    size_t n = strlen(CLAIRVOYANT);
    snprintf(c->policy, sizeof c->policy, "%s", name);
    c->wait_s = -1;
    c->policy_or_null = policy_find(name);
    if (c->policy_or_null || strcmp(name, CLAIRVOYANT) == 0)
        return BP_OK;
    if (strncmp(name, CLAIRVOYANT ":", n + 1) != 0)
        return refuse_policy(name, err);
    char *end;
    c->wait_s = strtod(name + n + 1, &end);
    if (end == name + n + 1 || *end || !(c->wait_s >= 0) || c->wait_s > TRACE_SECONDS)
        return err_set(err, BP_INVALID, "%s: behind the colon is how many seconds a job may wait, like clairvoyant:60",
                       name);
    return BP_OK;
}

/* The point of the grid with this number. */
static int set_point(const struct simulation *s, struct sim_case *c, uint32_t number, struct bp_err *err)
{
    size_t used = 0;
    c->model = s->model;
    c->point[0] = 0;
    for (uint32_t a = 0; a < s->n_axes; a++) {
        const struct axis *x = &s->axes[a];
        const char *value = x->values[number % x->n];
        number /= x->n;
        if (model_set(&c->model, x->name, value, err) < 0)
            return err_prefix(err, "--grid: ");
        if (used < sizeof c->point)
            used +=
                (size_t)snprintf(c->point + used, sizeof c->point - used, "%s%s=%s", used ? " " : "", x->name, value);
    }
    return BP_OK;
}

static int add_policy(struct simulation *s, const char *name, struct bp_err *err)
{
    uint32_t points = 1;
    for (uint32_t i = 0; i < s->n_cases; i++)
        if (strcmp(s->cases[i].policy, name) == 0)
            return BP_OK; /* named twice */
    for (uint32_t a = 0; a < s->n_axes; a++)
        points *= s->axes[a].n;
    for (uint32_t i = 0; i < points; i++) {
        struct sim_case *c = &s->cases[s->n_cases];
        if (s->n_cases == SIMULATION_CASES)
            return err_set(err, BP_INVALID, "more than %d policies times points of the grid; ask for fewer",
                           SIMULATION_CASES);
        if (understand(c, name, err) < 0 || set_point(s, c, i, err) < 0)
            return err->rc;
        s->n_cases++;
    }
    return BP_OK;
}

int simulation_add_policies(struct simulation *s, const char *list, struct bp_err *err)
{
    char name[64];
    if (strcmp(list, "all") == 0) {
        for (const struct policy *p = policies; p->name; p++)
            if (add_policy(s, p->name, err) < 0)
                return err->rc;
        return add_policy(s, CLAIRVOYANT, err);
    }
    while (*list) {
        size_t n = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), list);
        if (n && add_policy(s, name, err) < 0)
            return err->rc;
        list += n + (list[n] == ',');
    }
    return s->n_cases ? BP_OK : err_set(err, BP_INVALID, "--policy names none");
}

/* ---- on all cores ---- */

struct work {
    struct simulation *s;
    atomic_uint next;
    pthread_mutex_t lock; /* over err */
    struct bp_err err;
};

static struct simulate_result *slot(const struct simulation *s, uint32_t trace, uint32_t at, uint32_t seed)
{
    return &s->results[((size_t)trace * s->n_cases + at) * s->n_seeds + seed];
}

static int run_one(struct simulation *s, uint32_t number, struct bp_err *err)
{
    uint32_t seed = number % s->n_seeds, at = number / s->n_seeds % s->n_cases,
             trace = number / s->n_seeds / s->n_cases;
    const struct sim_case *c = &s->cases[at];
    struct simulate_result *out = slot(s, trace, at, seed);
    if (!c->policy_or_null)
        return simulate_clairvoyant(&c->model, &s->traces[trace], c->wait_s, out, err);
    struct simulate_timeline *line = s->timelines && trace == 0 && seed == 0 ? &s->timelines[at] : NULL;
    return simulate(&c->model, &s->traces[trace], c->policy_or_null, s->seeds[seed], out, line, err);
}

static void *work_on(void *arg)
{
    struct work *w = arg;
    uint32_t all = w->s->n_traces * w->s->n_cases * w->s->n_seeds, number;
    while ((number = atomic_fetch_add(&w->next, 1)) < all) {
        struct bp_err err = {0};
        if (run_one(w->s, number, &err) == BP_OK)
            continue;
        pthread_mutex_lock(&w->lock);
        w->err = err;
        pthread_mutex_unlock(&w->lock);
        atomic_store(&w->next, all);
    }
    return NULL;
}

int simulation_run(struct simulation *s, struct bp_err *err)
{
    pthread_t threads[THREADS_MAX];
    long cores = s->threads ? (long)s->threads : sysconf(_SC_NPROCESSORS_ONLN);
    struct work w = {.s = s, .lock = PTHREAD_MUTEX_INITIALIZER};
    int n = 0, most = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (int)cores;
    s->results = calloc((size_t)s->n_traces * s->n_cases * s->n_seeds, sizeof *s->results);
    if (!s->results)
        return err_set(err, BP_NOMEM, "no memory for the results");
    while (n < most - 1 && pthread_create(&threads[n], NULL, work_on, &w) == 0)
        n++;
    work_on(&w);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    *err = w.err;
    return w.err.rc;
}

void simulation_free(struct simulation *s)
{
    for (uint32_t i = 0; i < s->n_traces; i++)
        trace_free(&s->traces[i]);
    free(s->cases);
    free(s->results);
    free(s->timelines);
    free(s->schedule);
}

/* ---- results ---- */

const struct simulate_result *simulation_result(const struct simulation *s, uint32_t trace, uint32_t at, uint32_t seed)
{
    return slot(s, trace, at, seed);
}

/* The jobs of all seeds together. */
static void add_kept(struct simulate_kept *to, const struct simulate_kept *from)
{
    to->said += from->said;
    to->by_p50 += from->by_p50;
    to->by_p95 += from->by_p95;
}

struct simulate_result simulation_mean(const struct simulation *s, uint32_t trace, uint32_t at)
{
    struct simulate_result m = {0};
    double n = s->n_seeds, launches = 0, failures = 0, interruptions = 0;
    for (uint32_t k = 0; k < s->n_seeds; k++) {
        const struct simulate_result *r = slot(s, trace, at, k);
        m.hours += r->hours / n;
        m.cost += r->cost / n;
        m.wait_p50_s += r->wait_p50_s / n;
        m.wait_p95_s += r->wait_p95_s / n;
        m.wait_p99_s += r->wait_p99_s / n;
        m.wait_mean_s += r->wait_mean_s / n;
        m.wait_hours += r->wait_hours / n;
        m.j += r->j / n;
        m.completion_s += r->completion_s / n;
        m.lost_hours += r->lost_hours / n;
        launches += (double)r->launches / n;
        failures += (double)r->launch_failures / n;
        interruptions += (double)r->interruptions / n;
        add_kept(&m.estimates.start, &r->estimates.start);
        add_kept(&m.estimates.finish, &r->estimates.finish);
        m.estimates.unsaid += r->estimates.unsaid;
        m.jobs = r->jobs;
        m.unfinished = r->unfinished > m.unfinished ? r->unfinished : m.unfinished;
        m.peak = r->peak > m.peak ? r->peak : m.peak;
    }
    m.launches = (uint64_t)llround(launches);
    m.launch_failures = (uint64_t)llround(failures);
    m.interruptions = (uint64_t)llround(interruptions);
    return m;
}

uint32_t simulation_yardstick(const struct simulation *s, uint32_t at)
{
    return simulation_beside(s, at, "deployed");
}

uint32_t simulation_beside(const struct simulation *s, uint32_t at, const char *policy)
{
    uint32_t i = 0;
    while (i < s->n_cases &&
           (strcmp(s->cases[i].policy, policy) != 0 || strcmp(s->cases[i].point, s->cases[at].point) != 0))
        i++;
    return i;
}

static double ratio_log(double a, double b)
{
    return a > 0 && b > 0 ? log(a / b) : 0;
}

struct simulation_ratio simulation_against(const struct simulation *s, uint32_t at, uint32_t other)
{
    double hours = 0, p95 = 0, j = 0, n = s->n_traces;
    for (uint32_t t = 0; t < s->n_traces; t++) {
        struct simulate_result a = simulation_mean(s, t, at), b = simulation_mean(s, t, other);
        hours += ratio_log(a.hours, b.hours) / n;
        p95 += ratio_log(a.wait_p95_s + NEAR_ENOUGH_S, b.wait_p95_s + NEAR_ENOUGH_S) / n;
        j += ratio_log(a.j, b.j) / n;
    }
    return (struct simulation_ratio){exp(hours), exp(p95), exp(j)};
}
