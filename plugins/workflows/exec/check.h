/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - what can be wrong in a workflow's file and no schema finds, told when it is taken in, not by its first job.
 */
#ifndef EXEC_CHECK_H
#define EXEC_CHECK_H

#include <bp/plugin.h>

/* As bp_job_facet.check. */
int32_t exec_check(void *inst, const char *workflow, const char *settings_dir, struct bp_err *err);

#endif
