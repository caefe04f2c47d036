/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the fleet that is simulated: how instances come up, are billed, fail and are interrupted, and the settings
 * of the workflow. One table names each number for the command line, for grids and for help.
 */
#ifndef SIMULATE_MODEL_H
#define SIMULATE_MODEL_H

#include <bp/plugin.h>

#define MODEL_TYPES     8
#define MODEL_SHORTAGES 32
#define MODEL_MAX_SIZE  10000

/* A kind of instance; they are tried in their order. */
struct model_type {
    char name[32];
    double price;         /* of an instance-hour */
    double capacity;      /* most at a time, 0: as many as wanted */
    double speed;         /* a job's duration is divided by it */
    double interruptions; /* per instance-hour, < 0: the model's */
};

/* No instance of a type, or of any, can be had from..to. */
struct model_shortage {
    double from_s, to_s;
    char type[32]; /* "": of any */
};

struct model {
    double boot, spread, max, interruptions, replace, bill, tick, react, delay, tail; /* as in the table */
    double backlog, cooldown, zero, target, price, estimates, risk, notice, warn, early;
    uint32_t n_types; /* 0: one type at price 1 */
    struct model_type types[MODEL_TYPES];
    uint32_t n_shortages;
    struct model_shortage shortages[MODEL_SHORTAGES];
    const char *schedule; /* JSON as in policy/schedule.h, checked, borrowed; NULL: none */
};

/* One number of the model. */
struct model_row {
    const char *name, *unit, *help;
    size_t at; /* offset in struct model */
    double standard, least, most;
};
/* The last one's name is NULL. */
extern const struct model_row model_rows[];
const struct model_row *model_row_find(const char *name);

/* What it is in a model. */
double model_get(const struct model *m, const struct model_row *r);
void model_init(struct model *m);
/* Sets one number from text. BP_NOTFOUND (no such one, with the nearest name), BP_INVALID (with its range). */
int model_set(struct model *m, const char *name, const char *text, struct bp_err *err);
/* "name:price[:capacity[:speed[:interruptions]]]" */
int model_add_type(struct model *m, const char *text, struct bp_err *err);
/* "FROM-TO[:type]", seconds from the trace's begin */
int model_add_shortage(struct model *m, const char *text, struct bp_err *err);

#endif
