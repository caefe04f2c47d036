/* SPDX-License-Identifier: Apache-2.0 */
/* json-c keeps no positions, so a pass of our own scanner notes the line of each key. */
#include "config/config_private.h"

#include "log/err.h"
#include "log/json_scan.h"
#include <stdlib.h>
#include <string.h>

struct line {
    char *path;
    uint32_t line;
};

struct lines {
    struct line *at;
    size_t n, room;
    size_t ends[JSON_DEPTH_MAX + 1]; /* length of `path` up to each depth */
    char path[CONFIG_PATH_MAX];
    int no_memory;
};

static void note(struct lines *l, uint32_t line)
{
    if (l->n == l->room) {
        size_t room = l->room ? l->room * 2 : 32;
        struct line *grown = realloc(l->at, room * sizeof *grown);
        if (!grown) {
            l->no_memory = 1;
            return;
        }
        l->at = grown;
        l->room = room;
    }
    char *path = strdup(l->path);
    if (!path) {
        l->no_memory = 1;
        return;
    }
    l->at[l->n].path = path;
    l->at[l->n++].line = line;
}

/* A path too long for the buffer is cut; its line is then unknown, which only makes a message less exact. */
static void on_key(uint32_t depth, const char *key, size_t bytes, uint32_t line, void *arg)
{
    struct lines *l = arg;
    size_t at = depth > 1 ? l->ends[depth - 1] : 0;
    int n =
        snprintf(l->path + at, sizeof l->path - at, "%s%.*s", at ? "." : "", (int)(bytes < 4096 ? bytes : 4096), key);
    size_t end = at + (n > 0 ? (size_t)n : 0);
    l->ends[depth] = end < sizeof l->path ? end : sizeof l->path - 1;
    note(l, line);
}

struct lines *lines_find(const char *text, size_t bytes, struct bp_err *err)
{
    struct lines *l = calloc(1, sizeof *l);
    struct json_scan_keys keys = {on_key, l};
    if (!l) {
        err_set(err, BP_NOMEM, "no memory");
        return NULL;
    }
    if (json_scan(text, bytes, JSON_CONFIG, &keys, err) < 0) {
        lines_free(l);
        return NULL;
    }
    if (l->no_memory) {
        err_set(err, BP_NOMEM, "no memory");
        lines_free(l);
        return NULL;
    }
    return l;
}

/* The last one counts, as it does in the value. */
uint32_t lines_of(const struct lines *l, const char *path)
{
    for (size_t i = l ? l->n : 0; i > 0; i--) {
        if (strcmp(l->at[i - 1].path, path) == 0)
            return l->at[i - 1].line;
    }
    return 0;
}

void lines_free(struct lines *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        free(l->at[i].path);
    free(l->at);
    free(l);
}
