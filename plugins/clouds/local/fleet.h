/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - fleets and their instances in memory, and every way they change.
 *
 * An instance goes PENDING -> RUNNING -> TERMINATING -> TERMINATED, may skip states forward, never goes back, and has a
 * process exactly while RUNNING or TERMINATING, unless its worker left on notice: then the machine stays until it is
 * ended or taken. A fleet has min(desired, max) instances that are PENDING or RUNNING, or
 * is about to launch them. All functions are called under the lock of struct fleets (fleets.c).
 */
#ifndef LOCAL_FLEET_H
#define LOCAL_FLEET_H

#include "local.h"
#include "process.h"

#define FLEET_SLUG_SIZE  128
#define FLEET_ACTIVITIES 256
#define FLEET_TYPES_SIZE 1024

struct instance {
    struct instance *next;
    struct bp_instance pub;
    struct process process;  /* fd < 0: no process */
    int64_t boot_at_ms;      /* PENDING: when its worker starts */
    int64_t interrupt_at_ms; /* when a notice becomes the end, 0: no notice */
    int64_t kill_at_ms;      /* TERMINATING: when SIGKILL follows SIGTERM, 0: not */
    int64_t ended_ms;        /* TERMINATED: since when */
    int removing;            /* 1: terminate() was asked, its end is no surprise */
    int left;                /* 1: its worker ended on notice */
    int mute;                /* injected: its worker never reaches the controller */
    char url[256];           /* where its worker reaches the controller */
};

struct fleet {
    struct fleet *next;
    char slug[FLEET_SLUG_SIZE];
    char stage[32];
    char types[FLEET_TYPES_SIZE]; /* JSON array of instance types */
    int32_t desired, min_size, max_size, warmup_s;
    int64_t boot_delay_ms;      /* injected; -1: as in the settings */
    int32_t fail_launches;      /* injected: so many launches to come fail */
    int64_t no_capacity_ms;     /* injected: until then no Spot instance can be had */
    int32_t mute_launches;      /* injected: the workers of so many launches to come never register */
    int32_t on_demand;          /* allowed beyond the settings: so many of the live ones may be no Spot instances */
    uint32_t next_type;         /* index of the type to launch, moves on with each failure */
    uint32_t failures;          /* in a row, for the rest between launches */
    int64_t next_launch_ms;     /* not before that */
    struct instance *instances; /* oldest first */
    struct bp_activity activities[FLEET_ACTIVITIES];
    uint32_t n_activities, next_activity;
    int dirty; /* 1: differs from its file */
};

/* ---- fleet.c: counting and deciding ---- */

struct fleet *fleet_new(const char *slug);
/* Frees it with its instances; their processes are left alone. */
void fleet_free(struct fleet *f);
struct instance *fleet_instance(struct fleet *f, const char *id);
/* Instances that are PENDING or RUNNING. */
int32_t fleet_live(const struct fleet *f);
/* Is the next instance an on-demand one of the allowance? */
int fleet_may_afford(const struct fleet *f, const struct local *l);
/* Records what happened; reason is a word of bp_activity, instance may be NULL. */
void fleet_record(struct fleet *f, int64_t now, const struct instance *i, int failed, const char *reason,
                  const char *fmt, ...) BP_PRINTF(6, 7);
/* A launch failed or an instance ended at once: rests, longer each time, and takes the next type. */
void fleet_rest(struct fleet *f, const struct local *l, int64_t now);
/* Type of the next launch, at most n - 1 bytes. */
void fleet_type(const struct fleet *f, char *out, size_t n);
/* Does what is due at `now`: boots, kills, notices ends, launches while `all` instances leave room. Returns when the
 * next thing is due, INT64_MAX never. */
int64_t fleet_step(struct fleet *f, const struct local *l, int64_t now, int32_t *all);

/* ---- instance.c: one instance ---- */

/* Adds a PENDING instance. NULL without memory. */
struct instance *instance_launch(struct fleet *f, const struct local *l, int64_t now);
/* Begins its end: SIGTERM, after the grace SIGKILL. A PENDING one is TERMINATED at once. */
void instance_terminate(struct fleet *f, struct instance *i, const struct local *l, int64_t now);
/* Tells the worker that its machine may be taken away; nothing else follows. */
int instance_rebalance(struct fleet *f, struct instance *i, const struct local *l, int64_t now, struct bp_err *err);
/* Gives the worker a notice; the end follows after noticeSeconds. */
int instance_interrupt(struct fleet *f, struct instance *i, const struct local *l, int64_t now, struct bp_err *err);
/* Notices that the process ended, ends it when its time has come. */
void instance_step(struct fleet *f, struct instance *i, const struct local *l, int64_t now);
/* When something is due for it, INT64_MAX never. */
int64_t instance_due(const struct instance *i, const struct local *l);
/* TERMINATED: frees it and leaves no trace but the log of its worker. */
void instance_drop(struct instance *i);

/* ---- fleet_file.c: <state>/fleets/<slug>.json ---- */

/* Writes the fleet when it is dirty. On error it stays dirty. */
int fleet_save(struct fleet *f, const struct local *l, struct bp_err *err);
/* Reads one file and opens the processes again that still run. NULL with err. */
struct fleet *fleet_load(const struct local *l, const char *path, struct bp_err *err);

#endif
