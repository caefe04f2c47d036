/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/asset.h"
#include "log/err.h"
#include "log/json.h"
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define KEY_MAX 1024

/* NULL when it is no text, or one with a zero byte. */
static const char *text_of(struct json_object *v)
{
    const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
    return s && strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

static int name_check(struct json_object *v, struct bp_err *err)
{
    const char *s = text_of(v);
    if (s && *s && *s != '.' && strlen(s) < ASSET_NAME_BYTES && strspn(s, LETTERS) == strlen(s))
        return BP_OK;
    return err_set(err, BP_INVALID,
                   "\"name\" must be a file name of 1 to %d letters, digits, '.', '_' and '-', not beginning with '.'",
                   ASSET_NAME_BYTES - 1);
}

static int object_check(struct json_object *v, struct bp_err *err)
{
    const char *s = text_of(v);
    size_t n = s ? strlen(s) : 0, prefix = strlen(ASSET_PREFIX);
    if (n > prefix && n <= KEY_MAX && strncmp(s, ASSET_PREFIX, prefix) == 0 && !strstr(s, "//") && !strstr(s, "/../") &&
        !strstr(s, "/./") && s[n - 1] != '/')
        return BP_OK;
    return err_set(err, BP_INVALID,
                   "\"object\" must be a key of the objects service that begins with \"" ASSET_PREFIX
                   "\", as bpctl asset put prints it; a URL is none");
}

static int sha_check(struct json_object *v, struct bp_err *err)
{
    const char *s = text_of(v);
    if (s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64)
        return BP_OK;
    return err_set(err, BP_INVALID,
                   "\"sha256\" must be the file's SHA-256 as 64 digits 0-9a-f, as sha256sum prints it");
}

static int bytes_check(struct json_object *v, struct bp_err *err)
{
    int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
    if (n >= 1 && n <= ASSET_BYTES_MAX)
        return BP_OK;
    return err_set(err, BP_INVALID, "\"bytes\" must be the file's size, a whole number from 1 to %lld",
                   (long long)ASSET_BYTES_MAX);
}

/* Folders and a file name, none of them hidden or leading elsewhere. */
static int place_check(struct json_object *v, struct bp_err *err)
{
    const char *s = text_of(v);
    size_t n = s ? strlen(s) : 0;
    int parts = s ? strspn(s, LETTERS "/ ") == n && !strstr(s, "//") && !strstr(s, "/.") : 0;
    if (!v || (parts && n > 0 && n < ASSET_NAME_BYTES && s[0] != '/' && s[0] != '.' && s[n - 1] != '/'))
        return BP_OK;
    return err_set(err, BP_INVALID,
                   "\"place\" must be a path below worker.modelsDir, such as checkpoints/sd15.safetensors: 1 to %d "
                   "letters, digits, '.', '_', '-', ' ' and '/', no part beginning with '.'",
                   ASSET_NAME_BYTES - 1);
}

static const struct {
    const char *name;
    int (*check)(struct json_object *v, struct bp_err *err);
} members[] = {{"name", name_check},
               {"object", object_check},
               {"sha256", sha_check},
               {"bytes", bytes_check},
               {"place", place_check}};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static int known(const char *name)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (strcmp(members[i].name, name) == 0)
            return 1;
    }
    return 0;
}

static int asset_check(struct json_object *o, struct bp_err *err)
{
    if (!json_object_is_type(o, json_type_object))
        return err_set(err, BP_INVALID, "it must be an object with \"name\", \"object\", \"sha256\" and \"bytes\"");
    json_object_object_foreach(o, name, value)
    {
        (void)value;
        if (!known(name))
            return err_set(
                err, BP_INVALID,
                "unknown member \"%.64s\"; there are \"name\", \"object\", \"sha256\", \"bytes\" and \"place\"", name);
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        if (members[i].check(json_member(o, members[i].name), err))
            return BP_INVALID;
    }
    return BP_OK;
}

/* Two of one name would be one file; one content of two sizes is a slip of the pen. */
static int pair_check(struct json_object *a, struct json_object *b, struct bp_err *err)
{
    const char *name = json_str(a, "name", "");
    if (strcmp(name, json_str(b, "name", "")) == 0)
        return err_set(err, BP_INVALID, "another entry has the name \"%s\" too: give each its own", name);
    const char *place = json_str(a, "place", NULL);
    if (place && strcmp(place, json_str(b, "place", "")) == 0)
        return err_set(err, BP_INVALID, "another entry has the place \"%s\" too: give each its own", place);
    if (strcmp(json_str(a, "sha256", ""), json_str(b, "sha256", "")) == 0 &&
        json_int(a, "bytes", 0) != json_int(b, "bytes", 0))
        return err_set(err, BP_INVALID, "another entry has its \"sha256\", but other \"bytes\": correct one");
    return BP_OK;
}

int assets_check(struct json_object *list, struct bp_err *err)
{
    if (!json_object_is_type(list, json_type_array))
        return err_set(err, BP_INVALID, "it must be an array of objects");
    size_t n = json_object_array_length(list);
    if (n > ASSETS_MAX)
        return err_set(err, BP_INVALID, "it has %zu entries, at most %d are allowed", n, ASSETS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        int rc = asset_check(one, err);
        for (size_t k = 0; k < i && rc == BP_OK; k++)
            rc = pair_check(one, json_object_array_get_idx(list, k), err);
        if (rc != BP_OK)
            return err_prefix(err, "entry %zu: ", i + 1);
    }
    return BP_OK;
}

uint32_t assets_count(struct json_object *manifest)
{
    struct json_object *list = json_member(manifest, "assets");
    return json_object_is_type(list, json_type_array) ? (uint32_t)json_object_array_length(list) : 0;
}

struct asset asset_at(struct json_object *manifest, uint32_t i)
{
    struct json_object *one = json_object_array_get_idx(json_member(manifest, "assets"), i);
    return (struct asset){json_str(one, "name", ""), json_str(one, "object", ""), json_str(one, "sha256", ""),
                          json_int(one, "bytes", 0), json_str(one, "place", NULL)};
}
