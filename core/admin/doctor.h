/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - one run of `bpctl doctor`: the daemon's own checks, then those of every plugin, side by side and within
 * one time. What has not answered by then is shown as failed. All [loop] but where it says so.
 */
#ifndef ADMIN_DOCTOR_H
#define ADMIN_DOCTOR_H

#include "admin_priv.h"
#include <bp/check.h>

struct doctor {
    struct admin_call *call; /* NULL: answered */
    struct app *app;
    int refs; /* the run itself, and each question under way */
    int open; /* questions that the answer waits for */
    int budget_ms;
    int64_t began_us; /* of the question to the queue */
    int queue_answered, files_answered;
    struct loop_timer *limit;
    struct json_object *rows;     /* the daemon's own */
    struct gathering *gatherings; /* a plugin's rows each */
};

/* Rows of one plugin, filled on its thread and read on the loop. Reference-counted: the plugin may be late. */
struct gathering;

/* Adds a row of the daemon's own; remedy NULL or "": none. */
BP_PRINTF(5, 6)
void doctor_say(struct doctor *d, const char *name, int status, const char *remedy, const char *fmt, ...);
/* One question of the daemon's own was answered, or not sent. */
void doctor_heard(struct doctor *d);

/* doctor_self.c: what the daemon knows, and the questions to its queue and its disk. */
void doctor_check_self(struct doctor *d);
/* Rows for the questions nobody answered. */
void doctor_self_late(struct doctor *d);

#endif
