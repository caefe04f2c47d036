/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_priv.h - the parts of an attempt, for the attempt_*.c files. */
#ifndef WORKER_ATTEMPT_PRIV_H
#define WORKER_ATTEMPT_PRIV_H

#include "worker/attempt.h"
#include "worker/worker_priv.h"

enum attempt_stage {
    ATTEMPT_FETCHING = 1, /* inputs and the checkpoint come down */
    ATTEMPT_STARTING,     /* waiting for the plugin or its runner */
    ATTEMPT_RUNNING,
    ATTEMPT_UPLOADING, /* the output goes up */
    ATTEMPT_SAVING,    /* the checkpoint goes up, then the job is requeued */
    ATTEMPT_REPORTING,
    ATTEMPT_TRYING, /* reported, the lease is over: a candidate does it once more (trial.h) */
    ATTEMPT_OVER
};

enum trial_step { TRIAL_WAITS_TO_RUN = 1, TRIAL_RUNS, TRIAL_WAITS_TO_COMPARE, TRIAL_COMPARES };

enum verdict { VERDICT_NONE = 1, VERDICT_COMPLETE, VERDICT_FAIL, VERDICT_RETRY, VERDICT_REQUEUE };

struct attempt {
    struct worker *w;
    struct json_object *job, *input; /* the payload (ours) and its input_payload (borrowed from it) */
    int64_t id;
    char token[65], slug[129];
    int32_t number;
    char dir[4096]; /* as the runner is told */
    int dir_fd;     /* the same, as we look into it: the runner may put another in its place. -1: none */
    enum attempt_stage stage;

    /* attempt_lease.c: heartbeats, progress, fresh URLs */
    struct loop_timer *beat;
    int64_t beat_ms;
    struct api_call *beat_call;
    int beat_refreshes;                   /* the running heartbeat asks for URLs */
    int64_t answered_ms;                  /* monotonic: last time the controller accepted a heartbeat */
    int64_t urls_ms;                      /* monotonic: when the URLs were made */
    void (*refreshed)(struct attempt *a); /* runs when fresh URLs are here, or NULL */
    struct loop_timer *tell;              /* the next progress call */
    struct api_call *tell_call;
    int64_t told_ms;
    double fraction;
    char text[256];
    int untold; /* progress since the last call */
    int news;   /* and it is another than what was told */

    /* attempt_files.c */
    struct http_client_call *transfer;
    struct loop_timer *again; /* the next try, or the next look for a plugin */
    void (*on_again)(struct attempt *a);
    struct backoff backoff;
    int refusals; /* 403s in a row */
    size_t next_input, n_inputs;
    int has_checkpoint; /* one of an earlier attempt was downloaded */

    /* attempt_checkpoint.c */
    struct http_client_call *saving;
    struct loop_timer *save; /* the next upload of a changed checkpoint */
    int unsaved;             /* the file changed since the last upload began */
    int saved;               /* at least one upload arrived: its key may be told */
    int key_untold;
    int save_failures;

    /* attempt_run.c */
    struct loop_timer *limit; /* the job's timeout, or how long a runner may take to start or to stop */
    void (*on_limit)(struct attempt *a);
    int awaits_runner; /* the runner that is coming up is for this job */
    int64_t looked_ms; /* monotonic: since when the plugin is looked for */
    int began_anew;    /* in a fresh runner, after one that had served others had ended */
    int cancelled;
    char interrupted[64]; /* the reason, "" when not */
    int64_t hand_back_ms; /* monotonic: from then on nothing but the requeue matters */

    int64_t began_ms, run_ms; /* monotonic; how long the run took */

    /* trial.c */
    enum trial_step trying;
    int64_t trial_ms; /* how long the candidate's run took */

    /* attempt_report.c */
    enum verdict verdict;
    char words[512];
    int fault; /* the runner ended, by this code: */
    char fault_sha[65];
    int64_t output_bytes;
    struct api_call *report;
};

/* ---- attempt.c ---- */
/* The next stage; what the former one had under way is cancelled. */
void attempt_enter(struct attempt *a, enum attempt_stage stage);
/* The lease is known to be over: nothing is reported. Frees a. */
void attempt_lost(struct attempt *a, const char *why);
/* Frees a. */
void attempt_over(struct attempt *a);
/* The controller said: stop this job. */
void attempt_cancel(struct attempt *a);
/* Runs fn after a delay unless the stage changes before. */
void attempt_later(struct attempt *a, int64_t delay_ms, void (*fn)(struct attempt *a));
/* <dir>/<name> into out (4,200 bytes), for the runner. */
const char *attempt_path(const struct attempt *a, const char *name, char out[4200]);
/* The same file for ourselves: in the directory that was made, whatever the runner did to its path. */
const char *attempt_file(const struct attempt *a, const char *name, char out[64]);
/* dispatch_id, lease_token, worker_id. */
struct json_object *attempt_body(const struct attempt *a);

/* ---- attempt_lease.c ---- */
void attempt_start_beating(struct attempt *a);
void attempt_stop_beating(struct attempt *a);
/* Gets fresh URLs, then calls fn. */
void attempt_refresh(struct attempt *a, void (*fn)(struct attempt *a));
/* Are the URLs older than half their life? */
int attempt_urls_are_old(const struct attempt *a, const char *url);
/* Sends progress as soon as allowed. */
void attempt_tell(struct attempt *a);

/* ---- attempt_files.c ---- */
void attempt_fetch(struct attempt *a);
void attempt_upload(struct attempt *a);
/* The worker leaves: an upload still running then is given up for a requeue. */
void attempt_limit_upload(struct attempt *a, int64_t ms);

/* ---- attempt_run.c ---- */
void attempt_run(struct attempt *a);
/* The job as a runner is told of it. The caller's. */
struct json_object *attempt_frame(struct attempt *a, int64_t limit_ms);
/* How long a run may take. */
int64_t attempt_timeout_ms(const struct attempt *a);
/* Asks the running job to stop; one that has not after ms is killed. */
void attempt_stop_run(struct attempt *a, int64_t ms);

/* ---- attempt_checkpoint.c ---- */
/* As attempt_save(), then requeues. */
void attempt_hand_back(struct attempt *a);

/* ---- attempt_report.c ---- */
void attempt_report(struct attempt *a, enum verdict verdict, const char *fmt, ...) BP_PRINTF(3, 4);

#endif
