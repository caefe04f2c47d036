/* SPDX-License-Identifier: Apache-2.0 */
/* app.h - the running controller as its doors see it: every engine, and what may be asked of the whole. */
#ifndef CORE_APP_H
#define CORE_APP_H

#include "bus/bus.h"
#include "config/config.h"
#include "dispatch/dispatch.h"
#include "explain/explain.h"
#include "fleet/fleet.h"
#include "host/host.h"
#include "scale/scale.h"

struct app {
    struct loop *loop;
    struct bus *bus;
    const struct config *config; /* replaced by a reload */
    struct host *host;
    struct dispatch *dispatch;
    struct fleets *fleets;
    struct scale *scale;
    char state_dir[4096];
    char runner[4096];        /* path of bp-runner */
    char url[1024];           /* base URL of the HTTP door once it listens */
    char fleet_secret[1025];  /* what workers register with, "" when none is configured */
    char former_secret[1025]; /* the one before, good until former_until_ms (monotonic) */
    int64_t former_until_ms;
    char webhook_secret[1025]; /* what tenants' webhook keys are derived from, "" when none is configured */
    char redis_url[1025];      /* of the Redis that carries the word of new jobs, "" for none */
    char local_token[128];     /* bearer token of tenant "local" in stage local, else "" */
    char admin_path[108];
    int64_t started_ms;
    int ready; /* 1: services are up */
    int draining;
    char not_ready[512]; /* why not ready, in words */
    /* Asked by the doors; set by main. */
    int (*reload)(struct app *app, uint32_t *changed, struct bp_err *err);
    void (*secret_refused)(struct app *app);            /* a worker came with another fleet secret: was ours rotated? */
    void (*shutdown)(struct app *app, const char *why); /* begins a drain and ends the process */
    /* Lines forwarded to the logs service since the start, lost on the way, and waiting. */
    void (*log_counts)(struct app *app, uint64_t *sent, uint64_t *lost, uint32_t *waiting);
    int (*drain)(struct app *app, int on, struct bp_err *err); /* stop (or again begin) taking submits and leasing */
};

/* Whom explain asks, as they are now. */
static inline struct explain_engines app_engines(const struct app *app)
{
    return (struct explain_engines){.loop = app->loop,
                                    .host = app->host,
                                    .fleets = app->fleets,
                                    .scale = app->scale,
                                    .config = app->config,
                                    .dispatch = app->dispatch,
                                    .draining = app->draining};
}

#endif
