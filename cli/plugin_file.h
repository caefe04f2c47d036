/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_file.h - a plugin file as read from disk: its bytes, digest, manifest and exported symbols. Runs none of it.
 */
#ifndef CLI_PLUGIN_FILE_H
#define CLI_PLUGIN_FILE_H

#include "pluginfile/manifest.h"
#include <limits.h>
#include <sys/stat.h>

struct plugin_file {
    char path[PATH_MAX]; /* absolute */
    struct stat st;
    const void *image;         /* st.st_size bytes, mapped; NULL: not read */
    char sha[65];              /* SHA-256 of it, lower-case hex */
    struct manifest *manifest; /* NULL: there is none, or it is wrong */
    struct bp_err wrong;       /* why, when it is NULL */
};

/* Reads the file. An error only when it cannot be read at all (BP_NOTFOUND, BP_IO, BP_INVALID: no file);
 * plugin_file_close() it in any case. */
int plugin_file_open(struct plugin_file *f, const char *path, struct bp_err *err);
void plugin_file_close(struct plugin_file *f);
/* The manifest's text as it stands in the file, not NUL-terminated. BP_NOTFOUND, BP_INVALID. */
int plugin_file_text(const struct plugin_file *f, const char **text, size_t *bytes, struct bp_err *err);
/* The program `name` beside bpctl (a build tree) or in libexec/bpd beside bin (an installation); as it is when it is
 * in neither. out: n bytes; returned. */
const char *plugin_tool(const char *name, char *out, size_t n);

#endif
