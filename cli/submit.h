/* SPDX-License-Identifier: Apache-2.0 */
/* submit.h - `bpctl submit WORKFLOW FILE... [options]`: upload, submit, and with --wait follow to the end. */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "client.h"

/* argv begins after the word submit. Returns the exit status: 0 done, 1 failed, 2 usage. */
int submit_main(struct client *c, int argc, char **argv, int json);
void submit_help(FILE *out);

#endif
