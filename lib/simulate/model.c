/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/model.h"

#include "log/err.h"
#include "log/json.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW(name, unit, standard, least, most, help)                                                                   \
    {                                                                                                                  \
#name, unit, help, offsetof(struct model, name), standard, least, most                                         \
    }

const struct model_row model_rows[] = {
    ROW(boot, "s", 240, 0, 86400, "launch to ready"),
    ROW(spread, "", 0, 0, 2, "spread of that: sigma of its logarithm, the mean stays"),
    ROW(max, "", 32, 1, MODEL_MAX_SIZE, "most instances"),
    ROW(interruptions, "/h", 0.02, 0, 100, "of each instance-hour; the job goes back to the head of the queue"),
    ROW(replace, "s", 30, 0, 86400, "from an interruption to the launch that replaces it"),
    ROW(bill, "s", 60, 0, 86400, "least that an instance is billed"),
    ROW(tick, "s", 10, 0.1, 3600, "between decisions"),
    ROW(react, "s", 0, 0, 3600, "from an event to a decision beside the ticks; 0: only ticks"),
    ROW(delay, "s", 0, 0, 3600, "from a decision to its action, as alarms have it; deployed has its own beside it"),
    ROW(tail, "s", 604800, 0, 31536000, "most that a fleet is billed after the last job"),
    ROW(backlog, "jobs", 2, 1, 1000000, "backlogTarget of step and target"),
    ROW(cooldown, "s", 180, 0, 86400, "scale.cooldownSeconds of step and target"),
    ROW(zero, "s", 900, 0, 6000000, "scaleToZeroSeconds of step and target"),
    ROW(target, "s", 0, 0, 1e6, "targetP95WaitSeconds of slo; 0: none"),
    ROW(price, "", 1, 0, 1000, "of an hour that a job waits, in instance-hours, of slo"),
    ROW(risk, "", 0, 0, 1, "1: jobs and scale-in go by how long instances are expected to live, as live"),
    ROW(notice, "s", 0, 0, 86400, "from a rebalance notice to the interruption it foretells; 0: none comes"),
    ROW(warn, "s", 0, 0, 3600,
        "from an interruption notice to the interruption: its job goes back at once; 0: no notice"),
    ROW(early, "", 1, 0, 1, "1: one under notice is ended and replaced then, as live; 0: when it is taken"),
    ROW(estimates, "jobs", 0, 0, 1e6,
        "are asked about as they come: when do they begin and end, and did they by then? 0: none"),
    {0},
};

const struct model_row *model_row_find(const char *name)
{
    for (const struct model_row *r = model_rows; r->name; r++)
        if (strcmp(r->name, name) == 0)
            return r;
    return NULL;
}

static double *slot(struct model *m, const struct model_row *r)
{
    return (double *)(void *)((char *)m + r->at);
}

double model_get(const struct model *m, const struct model_row *r)
{
    return *(const double *)(const void *)((const char *)m + r->at);
}

void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    for (const struct model_row *r = model_rows; r->name; r++)
        *slot(m, r) = r->standard;
}

static const char *nearest_row(const char *name)
{
    const char *names[64];
    size_t n = 0;
    for (const struct model_row *r = model_rows; r->name; r++)
        names[n++] = r->name;
    return nearest_name(name, names, n);
}

static int number(const char *text, double least, double most, double *out)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || v < least || v > most)
        return 0;
    *out = v;
    return 1;
}

int model_set(struct model *m, const char *name, const char *text, struct bp_err *err)
{
    const struct model_row *r = model_row_find(name);
    if (!r) {
        const char *near = nearest_row(name);
        return err_set(err, BP_NOTFOUND, "the model has no %s%s%s%s bpctl simulate --help lists what it has", name,
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : ";");
    }
    if (!number(text, r->least, r->most, slot(m, r)))
        return err_set(err, BP_INVALID, "%s must be a number from %g to %g, not \"%s\"", name, r->least, r->most, text);
    return BP_OK;
}

/* Up to `most` parts of text between colons, into copy. */
static uint32_t split(char *copy, char *parts[], uint32_t most)
{
    uint32_t n = 0;
    for (char *at = copy; at && n < most; n++) {
        char *colon = strchr(at, ':');
        parts[n] = at;
        if (colon)
            *colon = 0;
        at = colon ? colon + 1 : NULL;
    }
    return n;
}

int model_add_type(struct model *m, const char *text, struct bp_err *err)
{
    static const double most[] = {1e6, MODEL_MAX_SIZE, 1000, 100};
    char copy[128], *parts[6];
    struct model_type t = {.price = 1, .speed = 1, .interruptions = -1};
    double *numbers[] = {&t.price, &t.capacity, &t.speed, &t.interruptions};
    snprintf(copy, sizeof copy, "%s", text);
    uint32_t n = split(copy, parts, 6);
    int good = strlen(text) < sizeof copy && n >= 2 && n <= 5 && parts[0][0] && strlen(parts[0]) < sizeof t.name;
    for (uint32_t i = 1; good && i < n; i++)
        good = number(parts[i], 0, most[i - 1], numbers[i - 1]);
    if (!good || t.speed <= 0)
        return err_set(err, BP_INVALID,
                       "\"%s\" is no instance type; write NAME:PRICE[:CAPACITY[:SPEED[:INTERRUPTIONS]]], like "
                       "g5.xlarge:0.42:8",
                       text);
    if (m->n_types == MODEL_TYPES)
        return err_set(err, BP_INVALID, "more than %d instance types", MODEL_TYPES);
    snprintf(t.name, sizeof t.name, "%s", parts[0]);
    m->types[m->n_types++] = t;
    return BP_OK;
}

int model_add_shortage(struct model *m, const char *text, struct bp_err *err)
{
    struct model_shortage s = {0};
    char from[64] = "", *to;
    const char *colon = strchr(text, ':');
    snprintf(from, sizeof from, "%.*s", colon ? (int)(colon - text < 63 ? colon - text : 63) : 63, text);
    to = strchr(from, '-');
    if (to)
        *to++ = 0;
    if (!to || !number(from, 0, 1e9, &s.from_s) || !number(to, 0, 1e9, &s.to_s) || s.to_s <= s.from_s ||
        (colon && strlen(colon + 1) >= sizeof s.type))
        return err_set(err, BP_INVALID, "\"%s\" is no shortage; write FROM-TO[:TYPE] in seconds, like 3600-7200", text);
    if (m->n_shortages == MODEL_SHORTAGES)
        return err_set(err, BP_INVALID, "more than %d shortages", MODEL_SHORTAGES);
    snprintf(s.type, sizeof s.type, "%s", colon ? colon + 1 : "");
    m->shortages[m->n_shortages++] = s;
    return BP_OK;
}
