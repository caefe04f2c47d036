/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/sandbox.h"
#include "log/err.h"
#include "log/json.h"
#include <limits.h>
#include <string.h>

/* ---- checking ---- */

static int network_check(struct json_object *v, struct bp_err *err)
{
    const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    if (strcmp(s, "none") == 0 || strcmp(s, "loopback") == 0)
        return BP_OK;
    return err_set(err, BP_INVALID, "\"network\" must be \"none\" or \"loopback\"");
}

static int exec_check(struct json_object *v, struct bp_err *err)
{
    if (json_object_is_type(v, json_type_boolean))
        return BP_OK;
    return err_set(err, BP_INVALID, "\"exec\" must be true or false");
}

/* Plain and absolute, so that one path lies in another when its text begins with the other's. */
static int path_check(struct json_object *v, struct bp_err *err)
{
    const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    size_t n = strlen(s);
    if (s[0] != '/')
        return err_set(err, BP_INVALID, "\"read\" has \"%.80s\": give absolute paths", s);
    if (n >= PATH_MAX || n != (size_t)json_object_get_string_len(v))
        return err_set(err, BP_INVALID, "\"read\" has a path that is too long or has a zero byte: \"%.80s\"", s);
    if (s[1] == '\0')
        return err_set(err, BP_INVALID, "\"read\" has \"/\", which is every file there is: name what is needed");
    if (strstr(s, "//") || strstr(s, "/./") || strstr(s, "/../") || strcmp(s + n - 1, "/") == 0 ||
        strcmp(s + n - 2, "/.") == 0 || (n >= 3 && strcmp(s + n - 3, "/..") == 0))
        return err_set(err, BP_INVALID, "\"read\" has \"%.80s\": give it without //, /./, /../ and a slash at the end",
                       s);
    return BP_OK;
}

static int read_check(struct json_object *v, struct bp_err *err)
{
    if (!json_object_is_type(v, json_type_array))
        return err_set(err, BP_INVALID, "\"read\" must be an array of paths");
    size_t n = json_object_array_length(v);
    if (n > SANDBOX_READS)
        return err_set(err, BP_INVALID, "\"read\" has %zu paths, at most %d are allowed", n, SANDBOX_READS);
    for (size_t i = 0; i < n; i++) {
        if (path_check(json_object_array_get_idx(v, i), err))
            return BP_INVALID;
    }
    return BP_OK;
}

static const struct {
    const char *name;
    int (*check)(struct json_object *v, struct bp_err *err);
} members[] = {{"network", network_check}, {"exec", exec_check}, {"read", read_check}};

static int member_check(const char *name, struct json_object *v, struct bp_err *err)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (strcmp(members[i].name, name) == 0)
            return members[i].check(v, err);
    }
    return err_set(err, BP_INVALID, "unknown member \"%.64s\"; there are \"network\", \"exec\" and \"read\"", name);
}

int sandbox_check(struct json_object *rules, struct bp_err *err)
{
    if (!json_object_is_type(rules, json_type_object))
        return err_set(err, BP_INVALID, "it must be an object with \"network\", \"exec\" and \"read\"");
    json_object_object_foreach(rules, name, value)
    {
        if (member_check(name, value, err))
            return BP_INVALID;
    }
    return BP_OK;
}

/* ---- narrowing ---- */

static int lies_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Adds what of `path` the operator's list lets be read. */
static void add_allowed(struct json_object *out, const char *path, struct json_object *allowed)
{
    for (size_t i = 0; i < json_object_array_length(allowed); i++) {
        const char *may = json_object_get_string(json_object_array_get_idx(allowed, i));
        if (lies_in(path, may)) {
            json_object_array_add(out, json_object_new_string(path));
            return;
        }
        if (lies_in(may, path))
            json_object_array_add(out, json_object_new_string(may));
    }
}

static struct json_object *narrow_reads(struct json_object *asked, struct json_object *allowed)
{
    struct json_object *out = json_object_new_array();
    for (size_t i = 0; asked && i < json_object_array_length(asked); i++) {
        const char *path = json_object_get_string(json_object_array_get_idx(asked, i));
        if (allowed)
            add_allowed(out, path, allowed);
        else
            json_object_array_add(out, json_object_new_string(path));
    }
    return out;
}

struct json_object *sandbox_narrow(struct json_object *asked, struct json_object *allowed)
{
    struct json_object *out = json_object_new_object();
    int loopback = strcmp(json_str(asked, "network", "none"), "loopback") == 0 &&
                   strcmp(json_str(allowed, "network", "loopback"), "loopback") == 0;
    json_put_str(out, "network", loopback ? "loopback" : "none");
    json_put_bool(out, "exec", json_truth(asked, "exec", 0) && json_truth(allowed, "exec", 1));
    json_object_object_add(out, "read", narrow_reads(json_member(asked, "read"), json_member(allowed, "read")));
    return out;
}
