/* SPDX-License-Identifier: Apache-2.0 */
/* config_private.h - the config's inside, for the files of this folder alone. */
#ifndef CONFIG_CONFIG_PRIVATE_H
#define CONFIG_CONFIG_PRIVATE_H

#include "config/config.h"
#include "config/lines.h"

#define CONFIG_FILE_BYTES_MAX (4 * 1024 * 1024)
#define CONFIG_PATH_MAX       256 /* bytes of a dotted key, the deepest member of a map included */

/* One setting's value; which member counts follows from the key's type. */
struct value {
    int64_t i;  /* INT, BOOL */
    double num; /* NUM */
    char *str;  /* STR, ENUM, SECRET */
    char **strs;
    uint32_t n_strs;
    struct json_object *map;
    char *origin; /* NULL: default */
};

struct config {
    struct value values[CONFIG_END];
};

/* Where a value stands, for messages and config_origin(): "file a.json:12", "environment BPD_X", "--set". */
struct source {
    const char *label;         /* "/etc/bpd/bpd.json", "environment BPD_X", "--set" */
    const struct lines *lines; /* of a file, else NULL */
    uint32_t line;             /* 0: unknown */
};

/* table.c: the rows, and names that were not found. */
enum config_key table_find(const char *name);
/* BPD_HTTP_MAXBODYBYTES or BPD_HTTP_MAX_BODY_BYTES, without BPD_. */
enum config_key table_find_env(const char *name);
/* The key of type MAP that `path` leads into ("plugin.sqlite.path" -> plugin), CONFIG_NONE when none. */
enum config_key table_find_map(const char *path);
int table_is_section(const char *name); /* "http": the first part of some key's name */
const char *table_nearest(const char *name);
const char *table_nearest_env(const char *name, char *out, size_t bytes);
const char *table_type_name(enum config_type t);
/* "an integer from 1 to 100", "one of auto, text, json": completes "must be ...". */
void table_describe_values(const struct config_info *info, char *out, size_t bytes);

/* value.c: each checks type and range; err says what the value must be, never what a secret is. */
int value_from_json(struct value *v, const struct config_info *info, struct json_object *j, struct bp_err *err);
int value_from_text(struct value *v, const struct config_info *info, const char *text, struct bp_err *err);
int value_default(struct value *v, const struct config_info *info, struct bp_err *err);
int value_equal(const struct value *a, const struct value *b, enum config_type type);
void value_clear(struct value *v);
/* Merges j into the map: objects member by member, null removes, everything else replaces. Takes no reference. */
int value_merge(struct value *v, struct json_object *j, struct bp_err *err);

/* file.c */
int file_load(struct config *c, const char *path, struct bp_err *err);
int file_load_dir(struct config *c, const char *beside, struct bp_err *err); /* conf.d/ beside that file */
/* Reads a whole file of at most max bytes; malloc'ed and NUL-terminated, NULL with err. */
char *file_read(const char *path, size_t max, size_t *bytes, struct bp_err *err);

/* config.c: stores one value under a dotted path, which may lead into a map. `text` or `j`, the other NULL. */
int config_assign(struct config *c, const char *path, struct json_object *j, const struct source *src,
                  struct bp_err *err);
int config_unknown(const char *path, const struct source *src, struct bp_err *err);

/* secret.c */
int secret_resolve(char **value, char *const *environ_, struct bp_err *err);

#endif
