/* SPDX-License-Identifier: Apache-2.0 */
/* migrate.h - bpctl migrate: the one command that works without a running daemon. */
#ifndef CLI_MIGRATE_H
#define CLI_MIGRATE_H

#include <stdio.h>

/* Becomes `bpd --migrate WORDS...`; returns the exit status only when it cannot. argv[0] is the word after migrate. */
int migrate_main(int argc, char **argv, int json);

#endif
