/* SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log_ring.h"
#include "log/log_text.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDENT_BYTES 64

static const char *const sub_names[LOG_SUB_END] = {"all",
#define X(id, name) name,
                                                   LOG_SUBSYSTEMS(X)
#undef X
};
static const char *const level_names[] = {"", "error", "warn", "info", "debug"};

/* 0 stands for the level every subsystem starts with, so that the table needs no initializer. */
static atomic_int levels[LOG_SUB_END];

/* The target; `lock` guards it and the ring. */
static struct {
    pthread_mutex_t lock;
    int fd;
    int json; /* -1: not asked yet */
    char ident[IDENT_BYTES];
    int tap_level;
    log_tap_fn tap;
    void *tap_arg;
} target = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .json = -1};

static _Thread_local int muted;

static int wants_json(int fd, enum log_form form)
{
    return form == LOG_FORM_AUTO ? !isatty(fd) : form == LOG_FORM_JSON;
}

int log_open(const char *path, enum log_form form, struct bp_err *err)
{
    int fd = STDERR_FILENO;
    if (path && path[0]) {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
            return err_set(err, BP_IO, "log.path: cannot open %s: %s; make its directory, or name another file", path,
                           strerror(errno));
    }
    pthread_mutex_lock(&target.lock);
    int former = target.fd;
    target.fd = fd;
    target.json = wants_json(fd, form);
    pthread_mutex_unlock(&target.lock);
    if (former != STDERR_FILENO)
        close(former);
    return 0;
}

void log_ident(const char *ident)
{
    pthread_mutex_lock(&target.lock);
    snprintf(target.ident, sizeof target.ident, "%s", ident);
    pthread_mutex_unlock(&target.lock);
}

void log_set_level(enum log_sub sub, int level)
{
    for (int i = LOG_SUB_NONE + 1; i < LOG_SUB_END; i++) {
        if (sub == LOG_SUB_NONE || i == (int)sub)
            atomic_store_explicit(&levels[i], level, memory_order_relaxed);
    }
}

int log_get_level(enum log_sub sub)
{
    int level = atomic_load_explicit(&levels[sub], memory_order_relaxed);
    return level ? level : BP_LOG_INFO;
}

const char *log_sub_name(enum log_sub sub)
{
    return sub_names[sub];
}

const char *log_level_name(int level)
{
    return level >= BP_LOG_ERROR && level <= BP_LOG_DEBUG ? level_names[level] : "";
}

static enum log_sub log_sub_find(const char *name)
{
    for (int i = LOG_SUB_NONE + 1; i < LOG_SUB_END; i++) {
        if (strcmp(name, sub_names[i]) == 0)
            return (enum log_sub)i;
    }
    return LOG_SUB_NONE;
}

int log_level_find(const char *name)
{
    for (int i = BP_LOG_ERROR; i <= BP_LOG_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0)
            return i;
    }
    return 0;
}

static int unknown(struct bp_err *err, const char *what, const char *word, const char *near)
{
    return err_set(err, BP_INVALID, "log.levels: there is no %s \"%s\"%s%s%s", what, word,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* One word of a level spec, "info" or "host=debug", into wanted[]. */
static int read_level(char *word, int *wanted, struct bp_err *err)
{
    char *equals = strchr(word, '=');
    const char *level_word = equals ? equals + 1 : word;
    int level = log_level_find(level_word);
    if (!level)
        return unknown(err, "level", level_word, nearest_name(level_word, level_names + 1, BP_LOG_DEBUG));
    if (equals)
        *equals = 0;
    enum log_sub sub = equals ? log_sub_find(word) : LOG_SUB_NONE;
    if (equals && sub == LOG_SUB_NONE)
        return unknown(err, "subsystem", word, nearest_name(word, sub_names + 1, LOG_SUB_END - 1));
    wanted[sub] = level;
    return 0;
}

static int read_levels(const char *spec, int *wanted, struct bp_err *err)
{
    char *copy = strdup(spec), *rest = NULL;
    int rc = copy ? 0 : err_set(err, BP_NOMEM, "no memory for log levels");
    for (char *word = copy ? strtok_r(copy, ", ", &rest) : NULL; word && rc == 0; word = strtok_r(NULL, ", ", &rest))
        rc = read_level(word, wanted, err);
    free(copy);
    return rc;
}

int log_check_levels(const char *spec, struct bp_err *err)
{
    int unused[LOG_SUB_END] = {0};
    return read_levels(spec, unused, err);
}

int log_set_levels(const char *spec, struct bp_err *err)
{
    int wanted[LOG_SUB_END] = {0};
    int rc = read_levels(spec, wanted, err);
    if (rc < 0)
        return rc;
    /* The word without a subsystem is the level of all that are not named, wherever it stands. */
    for (int i = LOG_SUB_NONE + 1; i < LOG_SUB_END; i++)
        log_set_level((enum log_sub)i, wanted[i]              ? wanted[i]
                                       : wanted[LOG_SUB_NONE] ? wanted[LOG_SUB_NONE]
                                                              : BP_LOG_INFO);
    return 0;
}

void log_tap(int level, log_tap_fn fn, void *arg)
{
    pthread_mutex_lock(&target.lock);
    target.tap_level = level;
    target.tap = fn;
    target.tap_arg = arg;
    pthread_mutex_unlock(&target.lock);
}

void log_tap_mute(int on)
{
    muted = on;
}

/* Under the lock; `line` holds the line as it was written and may be written over. */
static void feed_tap(const struct log_record *r, char *line, size_t bytes)
{
    if (!target.tap || muted || r->level > target.tap_level)
        return;
    if (!target.json)
        bytes = log_line_json(r, line);
    target.tap(r->sub, r->level, r->at_ms, line, bytes - 1, target.tap_arg);
}

/* A reader that does not keep up (a full pipe that must not block) loses lines rather than stopping the daemon. */
static void write_all(int fd, const char *line, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, line, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line += n;
        bytes -= (size_t)n;
    }
}

static void emit(enum log_sub sub, int level, const char *text)
{
    char line[LOG_LINE_BYTES];
    struct timespec now;
    int saved_errno = errno;
    clock_gettime(CLOCK_REALTIME, &now);
    struct log_record r = {.sub = sub,
                           .level = level,
                           .at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                           .ident = target.ident,
                           .text = text};
    pthread_mutex_lock(&target.lock);
    if (target.json < 0)
        target.json = wants_json(target.fd, LOG_FORM_AUTO);
    size_t bytes = target.json ? log_line_json(&r, line) : log_line_text(&r, line);
    write_all(target.fd, line, bytes);
    log_ring_add(line, bytes - 1);
    feed_tap(&r, line, bytes);
    pthread_mutex_unlock(&target.lock);
    errno = saved_errno;
}

void log_write(enum log_sub sub, int level, const char *fmt, ...)
{
    char text[LOG_LINE_BYTES];
    va_list ap;
    if (level > log_get_level(sub))
        return;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) >= 0)
        emit(sub, level, text);
    va_end(ap);
}

/* No lock is held while emit runs: it may log. */
void log_recent(uint32_t max, void (*emit_line)(const char *line, void *arg), void *arg)
{
    char **lines = NULL;
    pthread_mutex_lock(&target.lock);
    uint32_t n = log_ring_copy(max, &lines);
    pthread_mutex_unlock(&target.lock);
    for (uint32_t i = 0; i < n; i++) {
        emit_line(lines[i], arg);
        free(lines[i]);
    }
    free(lines);
}
