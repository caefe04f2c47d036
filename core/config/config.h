/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - settings from one table (config/keys.def): types, defaults, ranges and help in one row each, which
 * the parser, the validator, --help-config, docs/configuration.md and `bpctl config` all read.
 *
 * Sources, weakest first: defaults, the file, conf.d/ *.json beside it in name order, environment (BPD_HTTP_LISTEN for
 * http.listen), --set key=value. JSON with comments. A config is built completely and checked before it replaces
 * another; it never changes afterwards.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <bp/plugin.h>
#include <stdint.h>
#include <stdio.h>

struct config;
struct json_object;

enum config_key {
    CONFIG_NONE,
#define CONFIG_KEY(id, name, type, fallback, min, max, flags, help) CONFIG_##id,
#include "config/keys.def"
    CONFIG_END
};

/* Types: INT (min..max), NUM, BOOL, STR (min..max length), ENUM ("a|b|c" in `help`'s first word is not used: the
 * allowed words stand in `fallback` as "default|other|other"), SECRET (a STR that may be env:NAME, file:PATH or
 * param:NAME and is never printed), STRS (array of strings), MAP (object: free form, or checked by its owner). */
enum config_type {
    CONFIG_INT = 1,
    CONFIG_NUM,
    CONFIG_BOOL,
    CONFIG_STR,
    CONFIG_ENUM,
    CONFIG_SECRET,
    CONFIG_STRS,
    CONFIG_MAP
};
#define CONFIG_RESTART 1 /* flag: a change takes effect at the next start only, and reload says so */

struct config_info {
    const char *name;
    enum config_type type;
    const char *fallback; /* as JSON text or plain words */
    double min, max;
    int flags;
    const char *help;
};
const struct config_info *config_info(enum config_key key);

struct config_sources {
    const char *file;        /* NULL: none; absent file is an error */
    const char *const *sets; /* "key=value" */
    uint32_t n_sets;
    char *const *environ_; /* NULL: none is read */
};
/* Builds and checks. NULL with err: file, line, key, what is wrong, the nearest valid key. Resolves env: and file:
 * secrets; param: secrets stay references (see config_secret_param). free with config_free. A MAP is merged over the
 * layers member by member, null removes one; `plugin.sqlite.path=/x` reaches into a MAP. */
struct config *config_load(const struct config_sources *src, struct bp_err *err);
void config_free(struct config *c);

/* Getters; the key must have the type (asserted; config_num also takes an INT). Strings are borrowed from c. Any thread
 * (a config never changes). */
int64_t config_int(const struct config *c, enum config_key key);
double config_num(const struct config *c, enum config_key key);
int config_bool(const struct config *c, enum config_key key);
const char *config_str(const struct config *c, enum config_key key); /* STR, ENUM, SECRET; "" when unset */
uint32_t config_strs(const struct config *c, enum config_key key, const char *const **out);
struct json_object *config_map(const struct config *c, enum config_key key); /* borrowed, read only */
/* NAME when the SECRET is a reference param:NAME that the params service has to be asked for, else NULL. */
const char *config_secret_param(const struct config *c, enum config_key key);
/* For secrets inside a MAP: resolves env:NAME (NULL environ_: none) and file:PATH; anything else, param:NAME too, is
 * copied. malloc'ed; NULL with err, which never holds the secret. */
char *config_secret_resolve(const char *reference, char *const *environ_, struct bp_err *err);
/* Where the value came from: "default", "file NAME:LINE", "environment BPD_X", "--set". */
const char *config_origin(const struct config *c, enum config_key key);
/* Keys whose values differ, for a reload: up to n ids into out, returns the count. */
uint32_t config_diff(const struct config *a, const struct config *b, enum config_key *out, uint32_t n);
/* All keys with value (secrets as "***"), origin and help, as a JSON array; caller json_object_put()s it. */
struct json_object *config_describe(const struct config *c);
/* What --help-config prints; form 0: text for a terminal, 1: Markdown (docs/configuration.md). */
void config_help(FILE *out, int form);

#endif
