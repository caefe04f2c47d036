/* SPDX-License-Identifier: Apache-2.0 */
/* simulation_print.c - the results of `bpctl simulate` as a table and as JSON. */
#include "simulation.h"

#include "log/json.h"
#include <string.h>

/* "direct boot=120" */
static void label(const struct sim_case *c, char out[128])
{
    snprintf(out, 128, "%s%s%.75s", c->policy, c->point[0] ? " " : "", c->point);
}

static int label_width(const struct simulation *s)
{
    char text[128];
    size_t width = 8;
    for (uint32_t i = 0; i < s->n_cases; i++) {
        label(&s->cases[i], text);
        width = strlen(text) > width ? strlen(text) : width;
    }
    return (int)width;
}

static void print_case(const struct simulation *s, uint32_t trace, uint32_t at, int width, FILE *out)
{
    char text[128];
    struct simulate_result r = simulation_mean(s, trace, at);
    uint32_t other = simulation_yardstick(s, at);
    label(&s->cases[at], text);
    fprintf(out, "  %-*s %8.1f %9.2f %6.0f %6.0f %6.0f %6.0f %9.1f %8llu %6.1f %9.1f", width, text, r.hours, r.cost,
            r.wait_p50_s, r.wait_p95_s, r.wait_p99_s, r.wait_mean_s, r.completion_s / 3600,
            (unsigned long long)r.launches, r.lost_hours, r.j);
    if (other < s->n_cases) {
        struct simulate_result b = simulation_mean(s, trace, other);
        fprintf(out, " %6.2f %6.2f %6.2f", b.hours > 0 ? r.hours / b.hours : 0,
                (r.wait_p95_s + 15) / (b.wait_p95_s + 15), b.j > 0 ? r.j / b.j : 0);
    }
    if (r.unfinished)
        fprintf(out, "  %u jobs never ran", r.unfinished);
    fputc('\n', out);
}

static double percent(uint32_t part, uint32_t of)
{
    return of ? 100.0 * part / of : 0;
}

/* Of the jobs that were asked about, how many began and ended by when that was said. */
static void print_estimates(const struct simulation *s, uint32_t trace, int width, FILE *out)
{
    char text[128];
    fprintf(out, "  %-*s %8s %9s %9s %8s %9s %9s\n", width, "estimates", "starts", "by p50 %", "by p95 %", "ends",
            "by p50 %", "by p95 %");
    for (uint32_t i = 0; i < s->n_cases; i++) {
        struct simulate_result r = simulation_mean(s, trace, i);
        const struct simulate_kept *a = &r.estimates.start, *b = &r.estimates.finish;
        label(&s->cases[i], text);
        fprintf(out, "  %-*s %8u %9.1f %9.1f %8u %9.1f %9.1f\n", width, text, a->said, percent(a->by_p50, a->said),
                percent(a->by_p95, a->said), b->said, percent(b->by_p50, b->said), percent(b->by_p95, b->said));
    }
}

static void print_heading(const struct simulation *s, uint32_t trace, int width, FILE *out)
{
    const struct trace *t = &s->traces[trace];
    fprintf(out, "%s: %u jobs over %.1f h, mean of %u seed%s\n", t->name, t->n,
            (double)t->arrival_ms[t->n - 1] / 3600000, s->n_seeds, s->n_seeds == 1 ? "" : "s");
    fprintf(out, "  %-*s %8s %9s %6s %6s %6s %6s %9s %8s %6s %9s", width, "policy", "hours", "cost", "p50 s", "p95 s",
            "p99 s", "mean s", "done in h", "launches", "lost h", "J");
    fputs(simulation_yardstick(s, 0) < s->n_cases ? "  / deployed: hours, p95, J\n" : "\n", out);
}

static void print_ratios(const struct simulation *s, int width, FILE *out)
{
    char text[128];
    fprintf(out, "against deployed, geometric means over %u trace%s\n  %-*s %8s %8s %8s  J / clairvoyant's\n",
            s->n_traces, s->n_traces == 1 ? "" : "s", width, "policy", "hours", "p95+15s", "J");
    for (uint32_t i = 0; i < s->n_cases; i++) {
        uint32_t other = simulation_yardstick(s, i);
        if (other == s->n_cases)
            continue;
        struct simulation_ratio r = simulation_against(s, i, other);
        label(&s->cases[i], text);
        fprintf(out, "  %-*s %8.3f %8.3f %8.3f", width, text, r.hours, r.p95, r.j);
        uint32_t best = simulation_beside(s, i, "clairvoyant");
        if (best < s->n_cases)
            fprintf(out, " %8.3f", simulation_against(s, i, best).j);
        fputc('\n', out);
    }
}

void simulation_print(const struct simulation *s, FILE *out)
{
    int width = label_width(s), measured = 0;
    for (uint32_t t = 0; t < s->n_traces; t++) {
        print_heading(s, t, width, out);
        for (uint32_t i = 0; i < s->n_cases; i++)
            print_case(s, t, i, width, out);
        if (s->model.estimates >= 1)
            print_estimates(s, t, width, out);
        fputc('\n', out);
    }
    for (uint32_t i = 0; i < s->n_cases; i++)
        measured |= simulation_yardstick(s, i) < s->n_cases;
    if (measured)
        print_ratios(s, width, out);
}

/* ---- JSON ---- */

/* Nine digits are more than a simulation knows. */
static void put(struct json_object *o, const char *name, double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", v);
    json_object_object_add(o, name, json_object_new_double_s(v, text));
}

static struct json_object *kept_json(const struct simulate_kept *k)
{
    struct json_object *o = json_object_new_object();
    json_put_int(o, "said", k->said);
    json_put_int(o, "by_p50", k->by_p50);
    json_put_int(o, "by_p95", k->by_p95);
    return o;
}

static struct json_object *result_json(const struct simulation *s, uint32_t trace, uint32_t at,
                                       const struct simulate_result *r)
{
    const struct sim_case *c = &s->cases[at];
    struct json_object *o = json_object_new_object(), *wait = json_object_new_object(), *set = json_object_new_object();
    json_put_str(o, "trace", s->traces[trace].name);
    json_put_str(o, "policy", c->policy);
    for (uint32_t a = 0; a < s->n_axes; a++)
        put(set, s->axes[a].name, model_get(&c->model, model_row_find(s->axes[a].name)));
    json_object_object_add(o, "grid", set);
    json_put_int(o, "jobs", r->jobs);
    put(o, "hours", r->hours);
    put(o, "cost", r->cost);
    put(wait, "p50", r->wait_p50_s);
    put(wait, "p95", r->wait_p95_s);
    put(wait, "p99", r->wait_p99_s);
    put(wait, "mean", r->wait_mean_s);
    json_object_object_add(o, "wait_s", wait);
    put(o, "wait_hours", r->wait_hours);
    put(o, "j", r->j);
    put(o, "completion_s", r->completion_s);
    json_put_int(o, "launches", (int64_t)r->launches);
    json_put_int(o, "launch_failures", (int64_t)r->launch_failures);
    json_put_int(o, "interruptions", (int64_t)r->interruptions);
    put(o, "lost_work_hours", r->lost_hours);
    json_put_int(o, "peak_instances", r->peak);
    json_put_int(o, "unfinished", r->unfinished);
    if (c->model.estimates >= 1) {
        struct json_object *estimates = json_object_new_object();
        json_object_object_add(estimates, "start", kept_json(&r->estimates.start));
        json_object_object_add(estimates, "finish", kept_json(&r->estimates.finish));
        json_put_int(estimates, "unsaid", r->estimates.unsaid);
        json_object_object_add(o, "estimates", estimates);
    }
    return o;
}

static struct json_object *runs_json(const struct simulation *s)
{
    struct json_object *list = json_object_new_array();
    for (uint32_t t = 0; t < s->n_traces; t++)
        for (uint32_t i = 0; i < s->n_cases; i++)
            for (uint32_t k = 0; k < s->n_seeds; k++) {
                struct json_object *o = result_json(s, t, i, simulation_result(s, t, i, k));
                json_put_int(o, "seed", (int64_t)s->seeds[k]);
                json_object_array_add(list, o);
            }
    return list;
}

static struct json_object *means_json(const struct simulation *s)
{
    struct json_object *list = json_object_new_array();
    for (uint32_t t = 0; t < s->n_traces; t++)
        for (uint32_t i = 0; i < s->n_cases; i++) {
            struct simulate_result mean = simulation_mean(s, t, i);
            struct json_object *o = result_json(s, t, i, &mean);
            json_put_int(o, "seeds", s->n_seeds);
            json_object_array_add(list, o);
        }
    return list;
}

static struct json_object *ratios_json(const struct simulation *s)
{
    struct json_object *list = json_object_new_array();
    for (uint32_t i = 0; i < s->n_cases; i++) {
        uint32_t other = simulation_yardstick(s, i);
        if (other == s->n_cases)
            continue;
        struct simulation_ratio r = simulation_against(s, i, other);
        struct json_object *o = json_object_new_object();
        json_put_str(o, "policy", s->cases[i].policy);
        json_put_str(o, "point", s->cases[i].point);
        put(o, "hours", r.hours);
        put(o, "p95_plus_15_s", r.p95);
        put(o, "j", r.j);
        uint32_t best = simulation_beside(s, i, "clairvoyant");
        if (best < s->n_cases)
            put(o, "j_to_clairvoyant", simulation_against(s, i, best).j);
        json_object_array_add(list, o);
    }
    return list;
}

void simulation_json(const struct simulation *s, FILE *out)
{
    struct json_object *o = json_object_new_object(), *model = json_object_new_object();
    for (const struct model_row *r = model_rows; r->name; r++)
        put(model, r->name, model_get(&s->model, r));
    if (s->schedule)
        json_put_raw(model, "schedule", s->schedule);
    json_object_object_add(o, "model", model);
    json_object_object_add(o, "runs", runs_json(s));
    json_object_object_add(o, "means", means_json(s));
    json_object_object_add(o, "against_deployed", ratios_json(s));
    fprintf(out, "%s\n",
            json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}
