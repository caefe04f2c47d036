/* SPDX-License-Identifier: Apache-2.0 */
/* worker_command.h - the command line and environment of an instance's worker. */
#ifndef LOCAL_WORKER_COMMAND_H
#define LOCAL_WORKER_COMMAND_H

#include "local.h"

#define WORKER_ARGS_MAX 320

struct worker_command {
    char *argv[WORKER_ARGS_MAX + 1]; /* all but argv[0] malloc'ed */
    char **envp;                     /* the array malloc'ed, its words borrowed from environ */
    int n;
};

struct worker_place {
    const char *id, *slug, *dir, *log;
    int mute; /* 1: it calls where nobody answers */
};

/* What starts the worker of an instance. BP_FAIL tells what is not known. worker_command_free() it. */
int worker_command_make(struct worker_command *c, const struct local *l, const struct worker_place *at,
                        struct bp_err *err);
void worker_command_free(struct worker_command *c);
/* The word of a worker's command line by which its process is found. */
void worker_command_mark(const char *id, char out[128]);

#endif
