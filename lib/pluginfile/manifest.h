/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - what a plugin says of itself, read from its file before any of its code runs. One table of keys gives
 * the parser, the check, the check of a workflow's overrides and the suggestion for a misspelt key.
 */
#ifndef PLUGINFILE_MANIFEST_H
#define PLUGINFILE_MANIFEST_H

#include "log/json.h"

#define MANIFEST_MAX_BYTES (256 * 1024)

enum plugin_kind { KIND_WORKFLOW = 1, KIND_CLOUD, KIND_QUEUE };

/* Strings are borrowed from json. */
struct manifest {
    enum plugin_kind kind;
    const char *name, *version;
    const char *listed; /* the name the host lists it by: the plugin's; of a workflow that a file defines, its slug */
    const char *slug;   /* workflows: their slug, the name when none is given; NULL for templates and all others */
    int is_template;    /* serves no workflow itself, but those that files of workflows.d define */
    uint32_t abi, threads, batch_max;
    struct json_object *json;       /* the whole, read only */
    struct json_object *definition; /* of a workflow that a file defines: what the file says; else NULL */
};

const char *kind_name(enum plugin_kind kind);
/* Parses and checks; NULL with one sentence that names the key otherwise. manifest_free() it. Any thread. */
struct manifest *manifest_parse(const char *text, size_t bytes, struct bp_err *err);
/* The same out of the image of a plugin file. BP_LATER in err: the file is incomplete. */
struct manifest *manifest_read(const void *image, size_t n, struct bp_err *err);
void manifest_free(struct manifest *m);
/* Tells each thing that is wrong with what should be a manifest, where manifest_parse() stops at the first. */
typedef void (*manifest_problem)(void *arg, const struct bp_err *err);
void manifest_problems(struct json_object *json, manifest_problem say, void *arg);
/* Of a JSON object that was checked already; takes json and definition (which may be NULL), also on error. */
struct manifest *manifest_new(struct json_object *json, struct json_object *definition, struct bp_err *err);
/* Does it list this facet ("bp.scaling/1")? */
int manifest_has_facet(const struct manifest *m, const char *facet);
/* Does it list facets at all? */
int manifest_lists_facets(const struct manifest *m);
/* Checks one override of a workflow (config workflows.<slug>.<key>); err names key and what is allowed. */
int manifest_check_override(const char *key, struct json_object *value, struct bp_err *err);
/* Checks one key of a file of workflows.d. */
int manifest_check_defined(const char *key, struct json_object *value, struct bp_err *err);
/* Checks "settings" of a workflow's manifest against its "settingsSchema", filling defaults in. When they are wrong the
 * dotted name of the first wrong field goes to field (n bytes; NULL: nowhere). */
int manifest_check_settings(struct json_object *json, char *field, size_t n, struct bp_err *err);

#endif
