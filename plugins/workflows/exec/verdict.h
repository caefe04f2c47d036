/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h - how a command's end reads as a job's result. */
#ifndef EXEC_VERDICT_H
#define EXEC_VERDICT_H

#include "child.h"
#include "lines.h"

/* BP_OK, or the code that makes the worker retry (BP_FAIL) or not (BP_INVALID, BP_BADINPUT), with words: the command's
 * own (an "error" line), else how it ended and the last lines of its standard error. */
int32_t verdict_of(const struct child_report *end, const struct settings *s, const struct lines *l, const char *program,
                   struct bp_err *err);
int32_t verdict_code(enum meaning m);

#endif
