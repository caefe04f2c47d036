/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_child.h - one bp-runner process as the worker sees it: started, told about a job, listened to, ended.
 *
 * A runner opens one workflow plugin and runs one job at a time. Whatever it sends is checked; a crash, an exit or a
 * frame that makes no sense ends it and is told once, by `gone`. All [loop].
 */
#ifndef WORKER_RUNNER_CHILD_H
#define WORKER_RUNNER_CHILD_H

#include "loop/loop.h"
#include "spawn/runner_spawn.h"

struct runner_child;
struct json_object;

/* What a runner tells. Strings are borrowed for the call. In any of them the runner may be freed. */
struct runner_events {
    /* open: what of its sandbox this kernel cannot enforce, "" nothing. */
    void (*ready)(const char *device, const char *device_name, const char *open, void *arg);
    void (*progress)(double fraction, const char *text, void *arg);
    void (*checkpoint)(void *arg); /* the file named in the job frame was replaced */
    /* spent: it can run no other job, for the device is broken in it. */
    void (*result)(int rc, const char *text, int spent, void *arg);
    /* It ended, or was killed because of what it sent. fault: 1 when that is the plugin's doing (a crash), 0 when it is
     * the machine's (no device, no memory to start). Nothing follows. */
    void (*gone)(const char *why, int fault, void *arg);
};

struct runner_child_spec {
    struct loop *loop;
    const char *runner;    /* path of bp-runner */
    const char *file;      /* the plugin, a private copy */
    const char *name;      /* the plugin's */
    const char *device;    /* "auto", "cpu", "cuda" */
    const char *config;    /* the plugin's settings, JSON object text */
    const char *kernels;   /* directory of compiled kernels, one of the rules' to write; NULL: none are kept */
    int64_t kernels_bytes; /* limit of that directory */
    struct runner_rules rules;
    struct runner_events on;
    void *arg;
};

/* Starts the process; `ready` or `gone` follows. NULL with err. Everything in spec is copied but loop. */
struct runner_child *runner_child_start(const struct runner_child_spec *spec, struct bp_err *err);
/* Sends a job frame (borrowed). Only when ready and no job runs. BP_INVALID: the job is too large for a frame. */
int runner_child_run(struct runner_child *r, struct json_object *job, struct bp_err *err);
/* The running job's progress() answers BP_STOPPED from now on. */
void runner_child_stop_job(struct runner_child *r);
/* It waits for a job. */
int runner_child_is_ready(const struct runner_child *r);
/* It has not said yet that it is ready. */
int runner_child_is_opening(const struct runner_child *r);
/* No event follows. It is ended with all it started (`politely`: told to end first, 2 s before) and reaped later. */
void runner_child_free(struct runner_child *r, int politely);
/* Kills and reaps, now, all that runner_child_free() left behind. */
void runner_child_reap_all(void);

#endif
