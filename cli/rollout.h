/* SPDX-License-Identifier: Apache-2.0 */
/* rollout.h - `bpctl ami rollout WORKFLOW --follow`: start, and show how it goes until it ends. */
#ifndef CLI_ROLLOUT_H
#define CLI_ROLLOUT_H

#include "client.h"

/* argv begins after the word rollout. Returns the exit status: 0 all replaced, 1 not. One under way is followed. */
int rollout_follow(struct client *c, int argc, char **argv, int json);

#endif
