/* SPDX-License-Identifier: Apache-2.0 */
/* simulate.h - `bpctl simulate`: policies on traces under a virtual clock. It needs no running daemon but for --history
 * and --live. */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

#include <stdio.h>

/* argv begins after the word simulate. Returns the exit status: 0 done, 1 failed, 2 wrong usage. */
int simulate_main(int argc, char **argv, int json, const char *socket);

#endif
