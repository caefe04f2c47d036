/* SPDX-License-Identifier: Apache-2.0 */
/*
 * comfy.h - one run of a graph: what its steps share. A run that got as far as its prompt leaves none behind: however
 * it ends, the prompt is over, or was interrupted, or ComfyUI is gone.
 */
#ifndef COMFYUI_COMFY_H
#define COMFYUI_COMFY_H

#include "bind.h"
#include "events.h"
#include "http.h"
#include "settings.h"
#include "ws.h"

#include <bp/job.h>

#define CLIENT_OF_JOB "bpd-%lld-" /* how the client ids of a job begin */

struct comfy {
    const struct bp_job *job;
    struct settings set;
    struct json_object *params;
    struct json_object *graph;
    struct bound *bound;
    struct http *http;
    char client_id[64]; /* of this run alone; its beginning, "bpd-JOB-", is of every attempt at the job */
    char prompt_id[128];
    struct events events;
    struct ws *ws;  /* connected before the prompt is handed in, so that no message is missed; NULL: it is polled */
    int64_t end_ms; /* monotonic; by then it must have ended by itself. 0: never */
    /* What progress() was told last, and is told again when a call asks whether to go on. */
    double fraction;
    char words[120];
    struct bp_err stopped; /* why it is not to go on; rc is 0 until then */
    int cancelling;        /* what is asked of ComfyUI now is not to be stopped */
};

/* [steps.c] Each returns BP_OK or a code and words as the job's run() does. */

/* Waits until ComfyUI answers, at most settings.start_timeout_s. */
int32_t comfy_await(struct comfy *c, struct bp_err *err);
/* Brings every file into ComfyUI's input folder, or finds it there. */
int32_t comfy_place_files(struct comfy *c, struct bp_err *err);
/* Fetches the output node's file into the job's output. BP_NOTFOUND: there would be one, had ComfyUI not kept the
 * result of an earlier run: once it forgets that, another attempt may help. */
int32_t comfy_fetch(struct comfy *c, struct json_object *entry, struct bp_err *err);

/* [prompt.c] */

/* Hands the graph in; prompt_id is set then. A prompt that an earlier attempt at the job left behind (its runner was
 * killed) is taken back first. */
int32_t comfy_submit(struct comfy *c, struct bp_err *err);
/* Whether the prompt is in ComfyUI's queue: 1: it runs or waits, 0: it does not; negative: an error. */
int32_t comfy_queued(struct comfy *c, struct bp_err *err);
/* Takes the job's prompts out of the queue and interrupts the one that runs; gives up after a few seconds. */
void comfy_cancel(struct comfy *c);
/* After the prompt, which gave rc: takes it, with what a tenant wrote into it, out of the history. Where the GPU had no
 * room (BP_NOMEM) or a result that was kept had no file (BP_NOTFOUND), ComfyUI is asked to let go of its models and of
 * what it keeps, for the next attempt. */
void comfy_tidy(struct comfy *c, int32_t rc);

/* [watch.c] Waits until the prompt is over and tells how far it is. BP_OK: *history is the caller's, it has the entry.
 */
int32_t comfy_watch(struct comfy *c, struct json_object **history, struct bp_err *err);

/* Tells the job how far it is. BP_STOPPED: told to stop; BP_TIMEOUT: its time is over; else BP_OK. */
int32_t comfy_tell(struct comfy *c, double fraction, const char *words, struct bp_err *err);
/* The stop() of http_settings: tells the same as last; not 0: stop. arg: the comfy. */
int comfy_stop(void *arg);

#endif
