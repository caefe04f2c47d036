/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - a command while it runs: what it prints is read, progress told, a stop or a limit passed on to it. */
#ifndef EXEC_WATCH_H
#define EXEC_WATCH_H

#include "child.h"
#include "lines.h"
#include "place.h"

#include <bp/job.h>

enum stop { STOP_NONE = 0, STOP_ASKED, STOP_TOO_LONG };

struct watch {
    const struct bp_job *job;
    const struct settings *settings;
    const struct place *place;
    struct child child;
    struct lines lines;
    enum stop stop;                  /* why it was told to end */
    int64_t limit_ms;                /* what it may take altogether, 0: any */
    int64_t deadline_ms, kill_at_ms; /* monotonic; 0: none */
    int64_t grace_ms;
};

/* Until the command has ended and nothing of it runs. w->child was started. */
void watch_run(struct watch *w, struct child_report *end);

#endif
