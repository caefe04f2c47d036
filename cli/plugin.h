/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.h - the words of `bpctl plugin` that bpctl does itself, on files, without a running daemon: one table. All
 * others (list, show, load, reload, retire, ...) go to the daemon.
 */
#ifndef CLI_PLUGIN_H
#define CLI_PLUGIN_H

#include <stdio.h>

/* One word after `plugin`. run gets the words after it, --json and --help taken out, and returns the exit status: 0
 * done, 1 failed (of check: an error was found), 2 wrong usage. */
struct plugin_command {
    const char *name, *usage, *help; /* usage: the arguments; help: one line */
    int (*run)(int argc, char **argv, int json);
    void (*details)(FILE *out); /* options and exit status for --help, or NULL */
};

/* The row of a word, or NULL: it is the daemon's. */
const struct plugin_command *plugin_command_find(const char *word);
/* Runs it. argv begins after the word. */
int plugin_command_run(const struct plugin_command *c, int argc, char **argv, int json);
/* What bpctl itself can do with plugins. */
void plugin_help(FILE *out);

/* ---- the rows ---- */
int plugin_inspect(int argc, char **argv, int json);
int plugin_new(int argc, char **argv, int json);
void plugin_new_details(FILE *out);
int plugin_check(int argc, char **argv, int json);
void plugin_check_details(FILE *out);
int plugin_sign(int argc, char **argv, int json);
void plugin_sign_details(FILE *out);
int plugin_keygen(int argc, char **argv, int json);
void plugin_keygen_details(FILE *out);

#endif
