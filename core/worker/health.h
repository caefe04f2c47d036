/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - whether jobs may run on this machine's device, found out by `bp-runner --health` now and then.
 *
 * No lease is asked for before the first check, nor after a job failed until another check, nor while the last one
 * found a fault. Checks beside that, every worker.healthSeconds, keep nobody waiting; none begins while a job runs. All
 * [loop].
 */
#ifndef WORKER_HEALTH_H
#define WORKER_HEALTH_H

#include <bp/plugin.h>

struct health;
struct worker;
struct json_object;

/* told: a check is over. NULL with err. */
struct health *health_new(struct worker *w, void (*told)(struct worker *w), struct bp_err *err);
void health_free(struct health *h);
/* May a lease be asked for? 0: a check is under way first, `told` follows. */
int health_is_known(struct health *h);
/* May one be asked for with no look at the device before? */
int health_is_sound(const struct health *h);
/* What is wrong, NULL: nothing. */
const char *health_fault(const struct health *h);
/* A job failed here in a way that may be the device's. */
void health_doubt(struct health *h);
/* The job is over, or there is none: a check that was due meanwhile may begin. */
void health_rested(struct health *h);
/* {"ok","name","text","warnings"} for the controller; NULL: not known, or never checked. The caller's. */
struct json_object *health_json(const struct health *h);
/* Rises whenever health_json() would give something else. */
int health_version(const struct health *h);

#endif
