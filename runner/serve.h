/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - a runner at work: opens device and plugin as its worker says, then runs one job after another. */
#ifndef RUNNER_SERVE_H
#define RUNNER_SERVE_H

#include "runner/frame.h"
#include "runner/plugin.h"
#include "runner/sandbox.h"

#include <pthread.h>

/* The conversation with the worker. One thread, but for the calls of a job's context, which hold `lock`. */
struct session {
    int fd;
    struct frame_buffer in;
    pthread_mutex_t lock; /* sending, receiving and `stopping` while a job runs */
    int stopping;         /* the worker asked the running job to stop, or is gone */
    struct plugin plugin;
    struct bp_device *device;
    void *state; /* of the job facet */
    int opened;
    const struct sandbox_rules *rules;
    char open_text[512]; /* what the sandbox leaves open because this kernel cannot close it, "" nothing */
};

/* Serves the worker at the other end of fd until that closes it, within the rules. Returns the exit status: 0, or 1
 * when it could not begin or the conversation broke. */
int serve(int fd, const struct sandbox_rules *rules);

/* Runs the job that the frame describes and answers with a result frame. BP_OK however the job ended; an error only
 * when the frame is wrong or the worker is gone. */
int job_run(struct session *s, struct json_object *frame, struct bp_err *err);

/* Sends a frame under the lock and releases it. */
int session_send(struct session *s, struct json_object *frame, struct bp_err *err);
/* A frame object with its type. */
struct json_object *session_frame(const char *type);
/* Adds text, at most 4,000 bytes, with what is no UTF-8 replaced. */
void session_put_text(struct json_object *frame, const char *key, const char *text);

#endif
