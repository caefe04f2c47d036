/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.h - the one plugin of a runner: loaded, checked as the host checks it, started, its job facet at hand.
 * A plugin is never unloaded.
 */
#ifndef RUNNER_PLUGIN_H
#define RUNNER_PLUGIN_H

#include <bp/job.h>
#include <bp/plugin.h>

struct bp_self {
    char name[128];
    char *config; /* JSON object text */
    char state_dir[4096];
    void (*log)(int32_t level, const char *text); /* where its log lines go */
};

struct plugin {
    const struct bp_plugin *table;
    void *inst;
    int started;
    const struct bp_job_facet *job;
    struct bp_self self;
};

/* Loads file and checks its table; name: what its manifest calls it. No code of it runs but its constructors.
 * BP_INVALID. */
int plugin_load(struct plugin *p, const char *file, const char *name, struct bp_err *err);
/* Starts it; p->self must be filled in. On error nothing runs. */
int plugin_begin(struct plugin *p, struct bp_err *err);
/* The same, and finds its job facet. */
int plugin_start(struct plugin *p, struct bp_err *err);
void plugin_stop(struct plugin *p);

#endif
