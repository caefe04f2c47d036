/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the operator's socket as rpc.c takes it: JSON-RPC when it begins with a brace, words otherwise. Whatever
 * comes in, a command with checked params or a sentence comes out.
 */
#include "admin/admin_priv.h"
#include "log/json.h"
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

/* Either params of which each is an argument of the command, shown in words too, or an error. */
static void look(const struct admin_command *cmd, struct json_object *params, const struct bp_err *err)
{
    check(params || (err->rc < 0 && err->text[0]));
    if (!params)
        return;
    check(json_object_is_type(params, json_type_object));
    for (const struct admin_arg *a = cmd->args; a && a->kind != ARG_END; a++)
        check(a->kind != ARG_WORD || json_member(params, a->name));
    struct evbuffer *out = evbuffer_new();
    text_render(out, cmd, params, 1700000000000LL);
    evbuffer_free(out);
    struct json_object *again = args_from_object(cmd, params, &(struct bp_err){0});
    check(again && json_object_equal(again, params)); /* words and members mean the same */
    json_object_put(again);
    json_object_put(params);
}

static void take_words(char **words, size_t n)
{
    struct bp_err err = {0};
    size_t used = 0;
    const struct admin_command *cmd = command_find(words, n, &used, &err);
    check(cmd || err.rc < 0);
    if (!cmd)
        return;
    check(used >= 1 && used <= n);
    look(cmd, args_from_words(cmd, words + used, n - used, &err), &err);
}

static void plain(char *line)
{
    char *words[WORDS_MAX], *rest = NULL;
    size_t n = 0;
    for (char *w = strtok_r(line, " \t", &rest); w && n < WORDS_MAX; w = strtok_r(NULL, " \t", &rest))
        words[n++] = w;
    if (n)
        take_words(words, n);
}

static void argv(struct json_object *list)
{
    char *words[WORDS_MAX];
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (n == 0 || n > WORDS_MAX)
        return;
    for (size_t i = 0; i < n; i++)
        if (!(words[i] = (char *)(uintptr_t)json_object_get_string(json_object_array_get_idx(list, i))))
            return;
    take_words(words, n);
}

static void rpc(const char *line, size_t n)
{
    struct bp_err err = {0};
    struct json_object *req = json_parse(line, n, &err);
    check(req || err.rc < 0);
    struct json_object *params = json_member(req, "params");
    const char *method = json_str(req, "method", NULL);
    if (method && strcmp(method, "run") == 0) {
        argv(json_member(params, "argv"));
    } else if (method) {
        const struct admin_command *cmd = command_of_method(method, &err);
        if (cmd)
            look(cmd, args_from_object(cmd, params, &err), &err);
        else
            check(err.rc < 0);
    }
    json_object_put(req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    check(line != NULL);
    memcpy(line, data, size);
    line[size] = 0;
    size_t n = strlen(line);
    if (line[0] == '{')
        rpc(line, n);
    else
        plain(line);
    free(line);
    return 0;
}
