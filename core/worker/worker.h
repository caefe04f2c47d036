/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - `bpd --role worker`: registers, polls, runs jobs in runners, heartbeats, hands back on notice. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "bus/bus.h"
#include "config/config.h"
#include "host/host.h"

struct worker;
struct worker_spec {
    struct bus *bus;
    struct host *host; /* role HOST_WORKER, started by the caller */
    const struct config *config;
    const char *state_dir;
    const char *runner;                        /* path of bp-runner */
    void (*ended)(int exit_status, void *arg); /* called once, when everything was handed back */
    void *arg;
};
struct worker *worker_new(const struct worker_spec *spec, struct bp_err *err);
void worker_start(struct worker *w);
/* SIGTERM or a notice: stop polling, checkpoint, requeue with reason, deregister, then `ended`. [loop] */
void worker_stop(struct worker *w, const char *reason, int64_t grace_ms);
/* Its id once the node service has told who this is, NULL before. Borrowed. [loop] */
const char *worker_id(const struct worker *w);
void worker_free(struct worker *w);

#endif
