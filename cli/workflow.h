/* SPDX-License-Identifier: Apache-2.0 */
/* workflow.h - bpctl workflow check: a file of workflows.d, looked at as bpd would, without one running. */
#ifndef CLI_WORKFLOW_H
#define CLI_WORKFLOW_H

#include <stdio.h>

/* argv begins after `check`. Exit status: 0 good, 1 something is wrong with a file, 2 wrong usage. */
int workflow_check(int argc, char **argv, int json);

#endif
