/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.h - the process that holds a command; see child.h. It was forked from a process with threads: only calls that
 * are safe after that are made, no memory is asked for. */
#ifndef EXEC_KEEPER_H
#define EXEC_KEEPER_H

#include "child.h"

#define KEEPER_TERM 'T'
#define KEEPER_KILL 'K'

struct keeper {
    const struct child_spec *spec;
    int out_fd, err_fd; /* for the command */
    int control_fd;     /* one byte an order; its end is the runner's */
    int report_fd;      /* one struct child_report */
};

/* In the fork; does not return. */
void keeper_run(const struct keeper *k) __attribute__((noreturn));

#endif
