/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - the jobs of one workflow: when each came and how long it ran, sorted by arrival. */
#ifndef SIMULATE_TRACE_H
#define SIMULATE_TRACE_H

#include <bp/plugin.h>

#define TRACE_JOBS_MAX  10000000u
#define TRACE_SECONDS   1e9 /* most that an arrival or a duration may be */
#define TRACE_CSV_FIRST "arrival_s,duration_s"

struct trace {
    char name[64]; /* the file's name without folder and ending */
    uint32_t n, room;
    int64_t begin_ms;     /* of the trace, since 1970; 0: a Monday at 0:00 UTC (SIMULATE_EPOCH_MS) */
    int64_t *arrival_ms;  /* from the trace's begin, never decreasing */
    int64_t *duration_ms; /* on one instance, >= 0 */
};

/* CSV text: an optional first line "arrival_s,duration_s", then two numbers a line, seconds, sorted by arrival. `file`
 * is what errors name, with line and column. BP_INVALID, or BP_NOMEM; *t is then empty. */
int trace_parse(struct trace *t, const char *file, const char *text, size_t n, struct bp_err *err);
/* The same of a file. BP_IO when it cannot be read. */
int trace_read(struct trace *t, const char *file, struct bp_err *err);
/* Adds a job behind the others; arrival_ms not before the last one's. BP_NOMEM. */
int trace_add(struct trace *t, int64_t arrival_ms, int64_t duration_ms, struct bp_err *err);
void trace_free(struct trace *t);

#endif
