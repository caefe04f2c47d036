/* SPDX-License-Identifier: Apache-2.0 */
/* about.h - what every plugin is told of the daemon it runs in, and where its plugins come from. */
#ifndef CORE_ABOUT_H
#define CORE_ABOUT_H

#include "config/config.h"
#include "options.h"

/* The directories to watch: --plugins-dir, else plugins.dirs, else the installed one (written to own). Returns their
 * number; out has room for OPTIONS_MAX. Borrowed from o, c and own. */
uint32_t about_plugins_dirs(const struct options *o, const struct config *c, char *own, size_t n, const char **out);

/* Where files of workflows are watched for (plugins.workflowsDir): written to out (n bytes). first: the first of the
 * plugins directories. */
void about_workflows_dir(const struct options *o, const struct config *c, const char *first, char *out, size_t n);

struct about {
    const char *role, *url, *stage, *state_dir, *fleet_secret_file, *instance_id, *fleet;
    const char *const *plugins_dirs;
    uint32_t n_plugins_dirs;
    const char *workflows_dir;
};
/* As JSON text; free() it. */
char *about_json(const struct about *a);

#endif
