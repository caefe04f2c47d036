/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate.h"

#include "log/err.h"
#include "log/json.h"
#include "policy/schedule.h"
#include "simulation.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALL_POLICIES   "all"
#define SCHEDULE_BYTES 65536 /* SCHEDULE_WINDOWS take much less */

/* What the words said. */
struct wish {
    struct simulation *sim;
    struct simulation_source source;
    const char *policies, *svg;
    const char *given[64]; /* numbers of the model that were set */
    int n_given, json;
};

static void simulate_help(FILE *out)
{
    fputs(
        "Usage: bpctl simulate --trace FILE [OPTION]...\n"
        "Runs scaling policies on past jobs under a virtual clock: the same code that decides in bpd, on a model of "
        "the "
        "fleet.\n\n"
        "  -t, --trace FILE        CSV of jobs, arrival_s,duration_s sorted by arrival; may be given again\n"
        "      --history WORKFLOW  what a running daemon's queue remembers of a workflow\n"
        "      --live WORKFLOW     the same, on the model that its settings and its fleet's boots make\n"
        "  -p, --policy NAME,...   policies, or all (all); clairvoyant is a bound, clairvoyant:60 lets jobs wait 60 s\n"
        "      --seeds N,...       of interruptions and boots (1,2,3)\n"
        "      --grid NAME=V,...   each value of a number below in turn; may be given again\n"
        "      --type NAME:PRICE[:CAPACITY[:SPEED[:INTERRUPTIONS]]]\n"
        "                          a kind of instance; may be given again, tried in order (one at price 1)\n"
        "      --shortage FROM-TO[:TYPE]\n"
        "                          seconds in which none can be had; may be given again\n"
        "      --schedule FILE     windows with other limits or another policy, JSON as a workflow's \"schedule\"; a "
        "CSV\n"
        "                          begins on a Monday at 0:00 UTC\n"
        "      --svg FILE          a picture: cost against wait, and each fleet and queue over time\n"
        "      --threads N         as many at a time (one for each core)\n"
        "      --json              hours, cost, waits, launches, lost work per policy and seed, and their means\n"
        "  -h, --help              this help\n\n"
        "Numbers of the model:\n",
        out);
    for (const struct model_row *r = model_rows; r->name; r++)
        fprintf(out, "      --%s X%*s%s%s%s (%g)\n", r->name, (int)(20 - strlen(r->name)), "", r->help,
                r->unit[0] ? ", " : "", r->unit, r->standard);
    fputs("\nExit status: 0 done, 1 failed, 2 wrong usage.\n", out);
}

/* ---- the words ---- */

static int take_trace(struct wish *w, const char *value, struct bp_err *err)
{
    struct simulation *s = w->sim;
    if (s->n_traces == SIMULATION_TRACES)
        return err_set(err, BP_INVALID, "more than %d traces", SIMULATION_TRACES);
    int rc = trace_read(&s->traces[s->n_traces], value, err);
    s->n_traces += rc == BP_OK;
    return rc;
}

static int take_history_of(struct wish *w, const char *value, struct bp_err *err)
{
    (void)err;
    w->source.workflow = value;
    return BP_OK;
}

static int take_live(struct wish *w, const char *value, struct bp_err *err)
{
    w->source.live = 1;
    return take_history_of(w, value, err);
}

static int take_policy(struct wish *w, const char *value, struct bp_err *err)
{
    (void)err;
    w->policies = value;
    return BP_OK;
}

static int take_svg(struct wish *w, const char *value, struct bp_err *err)
{
    (void)err;
    w->svg = value;
    return BP_OK;
}

static int take_seeds(struct wish *w, const char *value, struct bp_err *err)
{
    struct simulation *s = w->sim;
    const char *at = value;
    s->n_seeds = 0;
    do {
        char *end;
        errno = 0;
        uint64_t seed = strtoull(at, &end, 10);
        if (end == at || (*end && *end != ',') || *at == '-' || errno || s->n_seeds == SIMULATION_SEEDS)
            return err_set(err, BP_INVALID, "--seeds takes up to %d whole numbers with commas, like 1,2,3, not \"%s\"",
                           SIMULATION_SEEDS, value);
        s->seeds[s->n_seeds++] = seed;
        at = *end ? end + 1 : end;
    } while (*at);
    return BP_OK;
}

static int take_threads(struct wish *w, const char *value, struct bp_err *err)
{
    char *end;
    long n = strtol(value, &end, 10);
    if (end == value || *end || n < 1 || n > 256)
        return err_set(err, BP_INVALID, "--threads takes a number from 1 to 256, not \"%s\"", value);
    w->sim->threads = (uint32_t)n;
    return BP_OK;
}

static int take_grid(struct wish *w, const char *value, struct bp_err *err)
{
    struct simulation *s = w->sim;
    struct axis *x = &s->axes[s->n_axes];
    struct model scratch;
    const char *at = strchr(value, '=');
    if (!at || at == value || at - value >= (int)sizeof x->name || !at[1])
        return err_set(err, BP_INVALID, "--grid takes NAME=VALUE,..., like boot=60,120,240, not \"%s\"", value);
    if (s->n_axes == SIMULATION_AXES)
        return err_set(err, BP_INVALID, "more than %d --grid", SIMULATION_AXES);
    memset(x, 0, sizeof *x);
    memcpy(x->name, value, (size_t)(at - value));
    for (at++; *at;) {
        size_t n = strcspn(at, ",");
        if (x->n == SIMULATION_VALUES || n == 0 || n >= sizeof x->values[0])
            return err_set(err, BP_INVALID, "--grid %s takes up to %d values with commas", x->name, SIMULATION_VALUES);
        memcpy(x->values[x->n], at, n);
        model_init(&scratch);
        if (model_set(&scratch, x->name, x->values[x->n++], err) < 0)
            return err_prefix(err, "--grid: ");
        at += n + (at[n] == ',');
    }
    s->n_axes++;
    return BP_OK;
}

static int take_type(struct wish *w, const char *value, struct bp_err *err)
{
    return model_add_type(&w->sim->model, value, err);
}

static int take_shortage(struct wish *w, const char *value, struct bp_err *err)
{
    return model_add_shortage(&w->sim->model, value, err);
}

static int take_schedule(struct wish *w, const char *value, struct bp_err *err)
{
    struct simulation *s = w->sim;
    char text[SCHEDULE_BYTES];
    FILE *f = fopen(value, "rb");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (!f)
        return err_set(err, BP_IO, "--schedule: cannot read %s: %s", value, strerror(errno));
    fclose(f);
    struct json_object *list = json_parse_config(text, n, err);
    if (!list || schedule_check(list, err) < 0) {
        json_object_put(list);
        return err_prefix(err, "--schedule %s: ", value);
    }
    free(s->schedule);
    s->model.schedule = s->schedule = strdup(json_text(list));
    json_object_put(list);
    return s->schedule ? BP_OK : err_set(err, BP_NOMEM, "no memory for --schedule %s", value);
}

static const struct {
    const char *name, *brief;
    int (*take)(struct wish *w, const char *value, struct bp_err *err);
} words[] = {
    {"trace", "-t", take_trace},     {"history", NULL, take_history_of}, {"live", NULL, take_live},
    {"policy", "-p", take_policy},   {"seeds", NULL, take_seeds},        {"grid", NULL, take_grid},
    {"type", NULL, take_type},       {"shortage", NULL, take_shortage},  {"svg", NULL, take_svg},
    {"threads", NULL, take_threads}, {"schedule", NULL, take_schedule},
};
#define WORDS (sizeof words / sizeof words[0])

static int take_number(struct wish *w, const char *name, const char *value, struct bp_err *err)
{
    const struct model_row *r = model_row_find(name);
    if (model_set(&w->sim->model, name, value, err) < 0)
        return err_prefix(err, "--");
    if (w->n_given < 63)
        w->given[w->n_given++] = r->name;
    return BP_OK;
}

/* One option with its value; *used: how many words these were. */
static int take(struct wish *w, int argc, char **argv, int *used, struct bp_err *err)
{
    char name[64];
    const char *word = argv[0], *equals = strchr(word, '=');
    size_t known = 0, n = equals ? (size_t)(equals - word) : strlen(word);
    snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), word);
    while (known < WORDS && !(words[known].brief && strcmp(words[known].brief, name) == 0) &&
           !(strncmp(name, "--", 2) == 0 && strcmp(words[known].name, name + 2) == 0))
        known++;
    if (known == WORDS && (strncmp(name, "--", 2) != 0 || !model_row_find(name + 2)))
        return err_set(err, BP_INVALID, "unknown option %s; see bpctl simulate --help", word);
    if (!equals && argc < 2)
        return err_set(err, BP_INVALID, "%s needs a value; see bpctl simulate --help", name);
    *used = equals ? 1 : 2;
    const char *value = equals ? equals + 1 : argv[1];
    return known < WORDS ? words[known].take(w, value, err) : take_number(w, name + 2, value, err);
}

static int parse(struct wish *w, int argc, char **argv, struct bp_err *err)
{
    for (int i = 0, used = 1; i < argc; i += used) {
        used = 1;
        if (strcmp(argv[i], "--json") == 0)
            w->json = 1;
        else if (take(w, argc - i, argv + i, &used, err) < 0)
            return err->rc;
    }
    if (w->sim->n_traces == 0 && !w->source.workflow)
        return err_set(err, BP_INVALID, "what shall be simulated? Give --trace FILE, --history or --live WORKFLOW");
    return BP_OK;
}

/* ---- the run ---- */

static int run(struct wish *w, struct bp_err *err)
{
    struct simulation *s = w->sim;
    if (w->svg && !(s->timelines = calloc(s->n_cases, sizeof *s->timelines)))
        return err_set(err, BP_NOMEM, "no memory for what is drawn");
    if (simulation_run(s, err) < 0)
        return err->rc;
    if (w->json)
        simulation_json(s, stdout);
    else
        simulation_print(s, stdout);
    return w->svg ? simulation_svg(s, w->svg, err) : BP_OK;
}

/* With --live the workflow's own policy is the first. */
static int choose(struct wish *w, struct bp_err *err)
{
    char list[128];
    int own = w->source.live && !w->policies && policy_find(w->source.policy) != NULL;
    snprintf(list, sizeof list, "%s,deployed,direct,clairvoyant", w->source.policy);
    return simulation_add_policies(w->sim, own ? list : w->policies ? w->policies : ALL_POLICIES, err);
}

static int usage(const struct bp_err *err)
{
    fprintf(stderr, "bpctl: %s\n", err->text);
    return 2;
}

static int failed(const struct bp_err *err)
{
    fprintf(stderr, "bpctl: %s\n", err->text);
    return 1;
}

static int simulate_words(struct wish *w, int argc, char **argv)
{
    struct bp_err err = {0};
    if (parse(w, argc, argv, &err) < 0)
        return err.rc == BP_IO ? failed(&err) : usage(&err);
    w->source.given = w->given;
    if (w->source.workflow && simulation_take(w->sim, &w->source, &err) < 0)
        return failed(&err);
    if (choose(w, &err) < 0)
        return usage(&err);
    return run(w, &err) < 0 ? failed(&err) : 0;
}

int simulate_main(int argc, char **argv, int json, const char *socket)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            simulate_help(stdout);
            return 0;
        }
    struct simulation *s = calloc(1, sizeof *s);
    struct wish w = {.sim = s, .json = json, .source = {.socket = socket}};
    int rc = 1;
    if (s && (s->cases = calloc(SIMULATION_CASES, sizeof *s->cases))) {
        model_init(&s->model);
        s->n_seeds = 3;
        for (uint32_t i = 0; i < s->n_seeds; i++)
            s->seeds[i] = i + 1;
        rc = simulate_words(&w, argc, argv);
    } else {
        fputs("bpctl: no memory\n", stderr);
    }
    if (s)
        simulation_free(s);
    free(s);
    return rc;
}
