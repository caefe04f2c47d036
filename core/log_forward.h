/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_forward.h - this process' log lines on their way to the logs service: a bounded queue filled by whoever logs, and
 * emptied by the loop one batch at a time.
 *
 * Logging never waits for it: what does not fit pushes out the oldest lines, which are counted and told of. What the
 * logs provider itself says while it takes lines is not forwarded, so forwarding cannot feed itself.
 */
#ifndef CORE_LOG_FORWARD_H
#define CORE_LOG_FORWARD_H

#include "bus/bus.h"
#include "config/config.h"

struct log_forward;

struct log_forward_counts {
    uint64_t sent, lost; /* lines, since the start */
    uint32_t waiting;
};

struct log_forward_spec {
    struct bus *bus;
    const struct config *config;
    const char *group; /* copied */
    /* The stream's name as soon as it is known, NULL before: lines wait for it. [loop] */
    const char *(*stream)(void *arg);
    void *arg;
};
/* Opens the log's tap when log.forward is on. NULL with err. [loop] */
struct log_forward *log_forward_new(const struct log_forward_spec *spec, struct bp_err *err);
/* log.forward and level as they are now. [loop] */
void log_forward_reconfigure(struct log_forward *f, const struct config *c);
/* Sends what waits and then calls done, at the latest after two seconds; from then on lines go nowhere. [loop] */
void log_forward_end(struct log_forward *f, void (*done)(void *arg), void *arg);
void log_forward_free(struct log_forward *f); /* NULL is fine. [loop] */
void log_forward_counts(struct log_forward *f, struct log_forward_counts *out);

#endif
