/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of bpd, from one table. */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <bp/plugin.h>
#include <stdio.h>

#define OPTIONS_MAX 64 /* most --set and most --plugins-dir that may be given */

enum options_action {
    OPTIONS_RUN = 1,
    OPTIONS_CHECK_CONFIG,
    OPTIONS_MIGRATE,
    OPTIONS_HELP,
    OPTIONS_HELP_CONFIG,
    OPTIONS_HELP_CONFIG_MD,
    OPTIONS_VERSION
};

/* Strings are borrowed from argv. */
struct options {
    enum options_action action;
    const char *config; /* NULL: none */
    const char *role;   /* "controller" or "worker" */
    const char *plugins_dirs[OPTIONS_MAX];
    uint32_t n_plugins_dirs;
    const char *sets[OPTIONS_MAX];
    uint32_t n_sets;
    const char *migrate;  /* "central" or "pools" with OPTIONS_MIGRATE */
    int32_t migrate_mode; /* BP_MIGRATE_*, 0: not said */
    int json;             /* what is printed is JSON */
};

/* BP_INVALID with a sentence that names the option, the nearest one, and where to look. */
int options_parse(struct options *o, int argc, char **argv, struct bp_err *err);
void options_help(FILE *out);

#endif
