/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - where a command works: a directory of its own below the job's, with the inputs under names that end as
 * their types do, the params as a JSON file, and a name for the output.
 */
#ifndef EXEC_PLACE_H
#define EXEC_PLACE_H

#include "settings.h"

#include <bp/job.h>

#define INPUTS_MAX 32

struct place {
    char dir[4096];
    char output[4400], params_file[4200], checkpoint[4200];
    char input[INPUTS_MAX][4200];
    const char *inputs[INPUTS_MAX]; /* the same, as a list */
};

/* Makes it. BP_IO with words. */
int32_t place_make(struct place *p, const struct settings *s, const struct bp_job *job, struct bp_err *err);
/* The output goes where the worker looks for it. BP_NOTFOUND: there is none; BP_IO. */
int32_t place_hand_over(const struct place *p, const struct bp_job *job, struct bp_err *err);
/* What the command left at {checkpoint} becomes the job's checkpoint; nothing there is fine. */
int32_t place_save(const struct place *p, const struct bp_job *job, struct bp_err *err);

#endif
