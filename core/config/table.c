/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_private.h"

#include "log/json.h"
#include <assert.h>
#include <ctype.h>
#include <string.h>

static const struct config_info table[CONFIG_END] = {
    {0},
#define CONFIG_KEY(id, name, type, fallback, min, max, flags, help)                                                    \
    {name, CONFIG_##type, fallback, min, max, flags, help},
#include "config/keys.def"
};

const struct config_info *config_info(enum config_key key)
{
    assert(key > CONFIG_NONE && key < CONFIG_END);
    return &table[key];
}

enum config_key table_find(const char *name)
{
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        if (strcmp(table[i].name, name) == 0)
            return (enum config_key)i;
    }
    return CONFIG_NONE;
}

/* Letters and digits alone, in lower case: what http.maxBodyBytes and HTTP_MAX_BODY_BYTES have in common. */
static void squeeze(const char *name, char *out, size_t bytes)
{
    size_t n = 0;
    for (; *name && n + 1 < bytes; name++) {
        if (isalnum((unsigned char)*name))
            out[n++] = (char)tolower((unsigned char)*name);
    }
    out[n] = 0;
}

enum config_key table_find_env(const char *name)
{
    char wanted[CONFIG_PATH_MAX], have[CONFIG_PATH_MAX];
    squeeze(name, wanted, sizeof wanted);
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        squeeze(table[i].name, have, sizeof have);
        if (strcmp(wanted, have) == 0)
            return (enum config_key)i;
    }
    return CONFIG_NONE;
}

enum config_key table_find_map(const char *path)
{
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        size_t n = strlen(table[i].name);
        if (table[i].type == CONFIG_MAP && strncmp(path, table[i].name, n) == 0 && path[n] == '.' && path[n + 1])
            return (enum config_key)i;
    }
    return CONFIG_NONE;
}

int table_is_section(const char *name)
{
    size_t n = strlen(name);
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        if (strncmp(table[i].name, name, n) == 0 && table[i].name[n] == '.')
            return 1;
    }
    return 0;
}

/* The only key that ends in ".word": somebody forgot the section. */
static const char *only_with_tail(const char *word)
{
    const char *found = NULL;
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const char *dot = strrchr(table[i].name, '.');
        if (!dot || strcasecmp(dot + 1, word) != 0)
            continue;
        if (found)
            return NULL;
        found = table[i].name;
    }
    return found;
}

const char *table_nearest(const char *name)
{
    const char *names[CONFIG_END];
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++)
        names[i - 1] = table[i].name;
    const char *found = only_with_tail(name);
    return found ? found : nearest_name(name, names, CONFIG_END - 1);
}

/* BPD_HTTP_LISTEN */
static void table_env_name(enum config_key key, char *out, size_t bytes)
{
    int n = snprintf(out, bytes, "BPD_%s", table[key].name);
    assert(n > 0 && (size_t)n < bytes);
    for (; *out; out++)
        *out = *out == '.' ? '_' : (char)toupper((unsigned char)*out);
}

const char *table_nearest_env(const char *name, char *out, size_t bytes)
{
    char squeezed[CONFIG_END][64], wanted[CONFIG_PATH_MAX];
    const char *names[CONFIG_END];
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        squeeze(table[i].name, squeezed[i], sizeof squeezed[i]);
        names[i - 1] = squeezed[i];
    }
    squeeze(name, wanted, sizeof wanted);
    const char *found = nearest_name(wanted, names, CONFIG_END - 1);
    if (!found)
        return NULL;
    table_env_name(table_find_env(found), out, bytes);
    return out;
}

const char *table_type_name(enum config_type t)
{
    static const char *const names[] = {"",     "integer", "number", "true or false", "text",
                                        "word", "secret",  "list",   "object"};
    return names[t];
}

static void describe_words(const char *words, char *out, size_t bytes)
{
    size_t n = (size_t)snprintf(out, bytes, "one of ");
    for (; *words && n + 3 < bytes; words++) {
        if (*words == '|') {
            out[n++] = ',';
            out[n++] = ' ';
        } else {
            out[n++] = *words;
        }
    }
    out[n] = 0;
}

void table_describe_values(const struct config_info *info, char *out, size_t bytes)
{
    switch (info->type) {
    case CONFIG_INT:
        snprintf(out, bytes, "an integer from %.0f to %.0f", info->min, info->max);
        break;
    case CONFIG_NUM:
        snprintf(out, bytes, "a number from %g to %g", info->min, info->max);
        break;
    case CONFIG_BOOL:
        snprintf(out, bytes, "true or false");
        break;
    case CONFIG_ENUM:
        describe_words(info->fallback, out, bytes);
        break;
    case CONFIG_STRS:
        snprintf(out, bytes, "a list of texts");
        break;
    case CONFIG_MAP:
        snprintf(out, bytes, "an object");
        break;
    default:
        snprintf(out, bytes, "text of %.0f to %.0f bytes", info->min, info->max);
    }
}
