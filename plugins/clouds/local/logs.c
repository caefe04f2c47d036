/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c - facet bp.logs/1: <state>/logs/<group>/<stream>.log, each line with its time, rotated by size. */
#include "err.h"
#include "local.h"
#include "log_file.h"
#include "url.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE  256
#define NAME_MAX_N 200

struct logs {
    struct local *local;
    pthread_mutex_t lock;
};

/* A group or stream as one file name: what is special in paths is percent-encoded, a leading dot too. */
static int file_name(const char *name, char out[NAME_SIZE], struct bp_err *err)
{
    const char *dot = name && name[0] == '.' ? "%2E" : "";
    char rest[NAME_SIZE - 4];
    if (!name || !name[0] || url_encode(name + (dot[0] != 0), 0, rest, sizeof rest) < 0 || strlen(rest) > NAME_MAX_N)
        return err_set(err, BP_INVALID, "a log group or stream needs a name of at most %d bytes", NAME_MAX_N);
    snprintf(out, NAME_SIZE, "%s%s", dot, rest);
    return 0;
}

/* All lines with the time in front; a line break inside a line becomes a space. malloc'ed. */
static char *join(int64_t now_ms, const char *const *lines, uint32_t n, size_t *length)
{
    char time[LOG_TIME_SIZE];
    size_t bytes = 1;
    log_time(now_ms, time);
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(time) + strlen(lines[i]) + 2;
    char *text = malloc(bytes);
    char *p = text;
    for (uint32_t i = 0; text && i < n; i++) {
        p = stpcpy(stpcpy(p, time), " ");
        for (const char *c = lines[i]; *c; c++)
            *p++ = *c == '\n' || *c == '\r' ? ' ' : *c;
        *p++ = '\n';
    }
    *length = text ? (size_t)(p - text) : 0;
    return text;
}

static int32_t put(void *inst, const char *group, const char *stream, const char *const *lines, uint32_t n,
                   struct bp_err *err)
{
    struct local *l = inst;
    char folder[NAME_SIZE], file[NAME_SIZE], path[PATH_SIZE];
    int rc = file_name(group, folder, err);
    if (rc < 0 || (rc = file_name(stream, file, err)) < 0 || n == 0)
        return rc;
    path_format(path, "%s/logs/%s", l->dir, folder);
    if ((rc = file_make_dirs(path, err)) < 0)
        return rc;
    path_format(path, "%s/logs/%s/%s.log", l->dir, folder, file);
    size_t length;
    char *text = join(LOCAL_NOW(l), lines, n, &length);
    if (!text)
        return err_set(err, BP_NOMEM, "no memory to write %u log lines", n);
    pthread_mutex_lock(&l->logs->lock);
    rc = log_file_append(path, text, length, l->settings.max_log_bytes, l->settings.log_files, err);
    pthread_mutex_unlock(&l->logs->lock);
    free(text);
    return rc;
}

struct logs *logs_open(struct local *l, struct bp_err *err)
{
    struct logs *g = calloc(1, sizeof *g);
    if (!g) {
        err_set(err, BP_NOMEM, "no memory for logs");
        return NULL;
    }
    g->local = l;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void logs_close(struct logs *g)
{
    if (g)
        pthread_mutex_destroy(&g->lock);
    free(g);
}

const struct bp_logs logs_facet = {.size = sizeof(struct bp_logs), .put = put};
