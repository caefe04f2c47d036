/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_priv.h"

#include "log/err.h"
#include "log/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct admin_arg none[] = {{ARG_END, 0, NULL, NULL}};

static const struct admin_arg *args_of(const struct admin_command *cmd)
{
    return cmd->args ? cmd->args : none;
}

void args_usage(const struct admin_command *cmd, char *out, size_t n)
{
    size_t at = (size_t)snprintf(out, n, "%s", cmd->name);
    for (const struct admin_arg *a = args_of(cmd); a->kind != ARG_END && at < n; a++) {
        const char *form = a->kind == ARG_WORD       ? " <%s>"
                           : a->kind == ARG_OPTIONAL ? " [%s]"
                           : a->kind == ARG_FLAG     ? " [--%s]"
                                                     : " [--%s X]";
        char part[96];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(part, sizeof part, form, a->name); /* one of the four literals above */
#pragma GCC diagnostic pop
        at += (size_t)snprintf(out + at, n - at, "%s", part);
    }
}

static int usage_error(const struct admin_command *cmd, const char *what, const char *name, struct bp_err *err)
{
    char usage[200];
    args_usage(cmd, usage, sizeof usage);
    return err_set(err, BP_INVALID, "%s: %s %s; usage: %s", cmd->name, what, name, usage);
}

static const struct admin_arg *find(const struct admin_command *cmd, const char *name)
{
    for (const struct admin_arg *a = args_of(cmd); a->kind != ARG_END; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

/* Text to a value of the argument's type; NULL with err. */
static struct json_object *typed(const struct admin_command *cmd, const struct admin_arg *a, const char *text,
                                 struct bp_err *err)
{
    char *end;
    if (a->type == ARG_TEXT)
        return json_object_new_string(text);
    if (a->type == ARG_JSON) {
        struct json_object *o = json_parse(text, strlen(text), err);
        if (!o)
            err_prefix(err, "%s: %s is not JSON: ", cmd->name, a->name);
        return o;
    }
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || *end || end == text) {
        usage_error(cmd, "not a whole number:", a->name, err);
        return NULL;
    }
    return json_object_new_int64(v);
}

/* Is it of the argument's type already? */
static int fits(const struct admin_arg *a, struct json_object *v)
{
    if (a->kind == ARG_FLAG)
        return json_object_is_type(v, json_type_boolean);
    return a->type == ARG_JSON || (a->type == ARG_INT && json_object_is_type(v, json_type_int)) ||
           (a->type == ARG_TEXT && json_object_is_type(v, json_type_string));
}

static int check_required(const struct admin_command *cmd, struct json_object *params, struct bp_err *err)
{
    for (const struct admin_arg *a = args_of(cmd); a->kind != ARG_END; a++)
        if (a->kind == ARG_WORD && !json_member(params, a->name))
            return usage_error(cmd, "missing", a->name, err);
    return 0;
}

static const struct admin_arg *positional(const struct admin_command *cmd, size_t index)
{
    for (const struct admin_arg *a = args_of(cmd); a->kind != ARG_END; a++)
        if ((a->kind == ARG_WORD || a->kind == ARG_OPTIONAL) && index-- == 0)
            return a;
    return NULL;
}

/* One option at words[*i]; its value may be in the same word after '='. */
static int take_option(const struct admin_command *cmd, char **words, size_t n, size_t *i, struct json_object *params,
                       struct bp_err *err)
{
    char name[64];
    const char *word = words[*i] + 2;
    const char *eq = strchr(word, '=');
    snprintf(name, sizeof name, "%.*s", (int)(eq ? eq - word : (long)strlen(word)), word);
    const struct admin_arg *a = find(cmd, name);
    if (!a || (a->kind != ARG_OPTION && a->kind != ARG_FLAG))
        return usage_error(cmd, "unknown option", words[*i], err);
    if (a->kind == ARG_FLAG) {
        json_put_bool(params, a->name, 1);
        return 0;
    }
    if (!eq && *i + 1 >= n)
        return usage_error(cmd, "no value for", words[*i], err);
    struct json_object *v = typed(cmd, a, eq ? eq + 1 : words[++*i], err);
    if (!v)
        return err->rc;
    json_object_object_add(params, a->name, v);
    return 0;
}

static int take_word(const struct admin_command *cmd, const char *word, size_t index, struct json_object *params,
                     struct bp_err *err)
{
    const struct admin_arg *a = positional(cmd, index);
    if (!a)
        return usage_error(cmd, "unexpected", word, err);
    struct json_object *v = typed(cmd, a, word, err);
    if (!v)
        return err->rc;
    json_object_object_add(params, a->name, v);
    return 0;
}

struct json_object *args_from_words(const struct admin_command *cmd, char **words, size_t n, struct bp_err *err)
{
    struct json_object *params = json_object_new_object();
    size_t index = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (strncmp(words[i], "--", 2) == 0 && words[i][2])
            rc = take_option(cmd, words, n, &i, params, err);
        else
            rc = take_word(cmd, words[i], index++, params, err);
    }
    if (rc == 0)
        rc = check_required(cmd, params, err);
    if (rc == 0)
        return params;
    json_object_put(params);
    return NULL;
}

struct json_object *args_from_object(const struct admin_command *cmd, struct json_object *given, struct bp_err *err)
{
    if (given && !json_object_is_type(given, json_type_object)) {
        err_set(err, BP_INVALID, "%s: params must be an object with named members", cmd->name);
        return NULL;
    }
    struct json_object *params = json_object_new_object();
    if (given) {
        json_object_object_foreach(given, key, value)
        {
            const struct admin_arg *a = find(cmd, key);
            if (!a || !fits(a, value)) {
                usage_error(cmd, a ? "wrong type of" : "unknown member", key, err);
                json_object_put(params);
                return NULL;
            }
            json_object_object_add(params, key, json_object_get(value));
        }
    }
    if (check_required(cmd, params, err) == 0)
        return params;
    json_object_put(params);
    return NULL;
}
