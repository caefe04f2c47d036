/* SPDX-License-Identifier: Apache-2.0 */
/* worker_priv.h - the worker agent, for the files of this folder. */
#ifndef WORKER_WORKER_PRIV_H
#define WORKER_WORKER_PRIV_H

#include "worker/api.h"
#include "worker/assets.h"
#include "worker/backoff.h"
#include "worker/health.h"
#include "worker/runner_child.h"
#include "worker/worker.h"

#include <bp/cloud.h>

#define API_TIMEOUT_MS 30000

enum worker_phase {
    WORKER_NEW = 1,
    WORKER_IDENTIFYING,
    WORKER_REGISTERING,
    WORKER_POLLING,
    WORKER_WORKING,
    WORKER_LEAVING,
    WORKER_ENDED
};

/* A request to the bus may answer after the worker is gone: it holds this instead of the worker. */
struct worker_link {
    struct worker *worker; /* NULL once freed */
    int refs;
};

/*
 * The agent does one thing at a time: register, poll, or hold one lease (struct attempt). Its token may be renewed
 * while a lease is held.
 */
struct worker {
    uint32_t magic;
    struct loop *loop;
    struct bus *bus;
    struct host *host;
    const struct config *config;
    struct worker_link *link;
    struct http_client *http;
    char work_dir[4096], jobs_dir[4200], runner_path[4096]; /* jobs_dir: the part of work_dir that a runner may use */
    char kernels_dir[4096]; /* what GPUs made of plugins' kernels; stays when the worker ends */
    char url[1025], secret[1025], token[1025], id[256], fleet[129], stage[33];
    char secret_param[1025]; /* where the secret is kept, "" when it stands in the settings */
    int secret_refused;      /* the controller did: it is read anew before the next try */
    int reading_secret;
    void (*secret_read)(struct worker *w, const struct bp_err *err);
    struct bp_node_identity *identity; /* NULL: no node service */
    enum worker_phase phase;
    int draining;
    char *registered; /* of a worker without a fleet: JSON list of the workflows it named last, or NULL */
    int tokens;       /* how many it was given */
    struct subscription *plugins;
    int excepts;         /* the last poll excepted workflows that are in quarantine here */
    int64_t released_ms; /* the controller's last release from quarantine that was followed */

    struct api_call *call;    /* register, poll or deregister */
    struct loop_timer *again; /* runs on_again: the next try of it */
    void (*on_again)(void *arg);
    struct backoff backoff;
    int64_t polled_ms; /* monotonic, when the running poll was sent */
    int warned;        /* the controller's silence was told in the log */

    struct health *health;
    struct assets *assets;
    int told_version; /* of what health and assets say, that the controller has; -1: none */
    int telling;      /* the one in the running poll */

    int unable; /* the last job could not even begin here: wait before the next */
    struct backoff unable_backoff;

    struct api_call *renewal; /* a register call while a lease is held */
    struct loop_timer *renew;
    struct backoff renew_backoff;

    struct loop_timer *notice; /* asks the node service */
    int asking;
    struct loop_timer *hold; /* says to the fleet that the instance must not end yet */
    int ends_with_fleet;     /* the fleet ends the instance, and may wait for our word */
    int at_risk;             /* more likely than others to be taken away: it asks for short jobs only */
    int polled_at_risk;      /* what the last poll said of that */

    struct attempt *attempt;  /* the lease held, or NULL */
    struct json_object *next; /* what the poll in its report was answered, or NULL */
    struct json_object *told; /* outcomes of trials for the next poll, or NULL */
    char version_missed[200]; /* "slug version" of a plugin that was waited for in vain last */

    struct runner_child *runner; /* or NULL */
    char runner_link[4200];      /* another name of runner_file, that stays when the host removes that; "" none */
    char runner_file[4096], runner_plugin[128], runner_dir[4096];
    char *runner_rules; /* what its sandbox leaves open, as text */
    char runner_slug[129], runner_sha[65];
    int runner_jobs; /* that it was given */

    char stop_reason[64];     /* "" until told to stop */
    int64_t stop_deadline_ms; /* monotonic */
    struct loop_timer *deadline;
    void (*ended)(int exit_status, void *arg);
    void *arg;
};

/* ---- register.c ---- */
/* Begins to register (or, with an operator's token, to poll). */
void worker_register(struct worker *w);
/* The controller refused the token: gets a new one, if there is a way. */
void worker_unauthorized(struct worker *w, const struct api_answer *a);
/* Registers again while a lease is held; arg: the worker. */
void worker_renew(void *arg);
void worker_deregister(struct worker *w);
/* Has a worker without a fleet other workflows now than those it registered for? */
int worker_workflows_changed(struct worker *w);

/* What this machine is and how its device is, for register and poll. The caller's. */
struct json_object *worker_capabilities(struct worker *w);

/* ---- secret.c ---- */
/* Must the fleet secret be read before registering? */
int worker_needs_secret(const struct worker *w);
/* Reads it, then calls `then` (of the last call, when several wait), perhaps before this returned. */
void worker_read_secret(struct worker *w, void (*then)(struct worker *w, const struct bp_err *err));

/* ---- poll.c ---- */
void worker_poll(struct worker *w);
/* What a completed job's report asks for along with it: the body of a poll. NULL: the worker polls by itself, or not.
 */
struct json_object *worker_next(struct worker *w);
/* Begins the job that came with the answer to a report (w->next); 0: none did. */
int worker_take(struct worker *w);
/* What the controller says of draining; told once a change. */
void worker_drains(struct worker *w, int draining);
void worker_poll_later(struct worker *w, int64_t delay_ms);
/* A check of the device is over: the poll that waited for it begins, one of a device that broke is begun anew. */
void worker_health_checked(struct worker *w);
/* The assets of a workflow became ready, or cannot be had: a poll that waits is begun anew. */
void worker_assets_changed(struct worker *w);
/* Polls anew when a workflow comes out of its quarantine here. */
void worker_watch_plugins(struct worker *w);

/* ---- node.c ---- */
/* Asks the node service who we are, then calls worker_register(). */
void worker_identify(struct worker *w);
/* Begins to ask it for notices. */
void worker_watch_notices(struct worker *w);
/* Everything is handed back: says so to a fleet that waits for it, then calls worker_end(). */
void worker_release_instance(struct worker *w);

/* ---- runner.c ---- */
/* A runner of this workflow: BP_OK and it is ready, BP_LATER and attempt_runner_ready() follows, or an error. */
int worker_runner_get(struct worker *w, const struct workflow *flow, struct bp_err *err);
/* Starts a runner of the fleet's workflow before there is a job for it: a GPU takes its time to open. */
void worker_runner_warm_up(struct worker *w);
/* Ends the runner there is; the next job gets a fresh one. */
void worker_runner_drop(struct worker *w, int politely);

/* ---- worker.c ---- */
void worker_attempt_ended(struct worker *w);
/* Everything is handed back: says goodbye. */
void worker_leave(struct worker *w);
void worker_end(struct worker *w);
static inline int worker_is_stopping(const struct worker *w)
{
    return w->stop_reason[0] != '\0';
}

#endif
