/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition.h - a workflow that is a file: workflows.d/SLUG.json names a template plugin, gives it settings, and says
 * what else a workflow's manifest may say. Its manifest is the template's with the file's keys over it, checked as the
 * template's own was. Pure; any thread.
 */
#ifndef VETTING_DEFINITION_H
#define VETTING_DEFINITION_H

#include "pluginfile/manifest.h"

#define DEFINITION_MAX_BYTES (1024 * 1024)
#define DEFINITION_ENDING    ".json"

struct definition;

/* Is this the name of a file of workflows.d? */
int definition_is_name(const char *path);
/* Reads the text of the file at `path`; NULL with one sentence that begins with file and line. definition_free() it. */
struct definition *definition_read(const char *path, const char *text, size_t bytes, struct bp_err *err);
const char *definition_slug(const struct definition *d);
/* Puts file and line before the sentence in err: the line of `field` ("settings.command.0"), else of what it is in.
 * Returns err->rc. */
int definition_place(const struct definition *d, const char *field, struct bp_err *err);
/* Name of the plugin it is for. */
const char *definition_plugin(const struct definition *d);
/* The workflow's manifest; NULL with a sentence as above. manifest_free() it. */
struct manifest *definition_apply(const struct definition *d, const struct manifest *template, struct bp_err *err);
/* SHA-256, lower-case hex, of the file's content and of the plugin's (its SHA). */
void definition_sha(const struct definition *d, const char *plugin_sha, char hex[65]);
void definition_free(struct definition *d);

#endif
