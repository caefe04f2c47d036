/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line per fact, to standard error or a file: text for a terminal, JSON lines otherwise.
 *
 * Every call is safe from any thread. A line is written with one write(2), so lines never mix.
 * Control characters in the text are escaped: a line is always one line.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <bp/plugin.h>
#include <stdint.h>

/* Subsystems, each with its own level. LOG_SUB(id, "name") */
#define LOG_SUBSYSTEMS(X)                                                                                              \
    X(CORE, "core")                                                                                                    \
    X(LOOP, "loop")                                                                                                    \
    X(CONFIG, "config")                                                                                                \
    X(BUS, "bus")                                                                                                      \
    X(HOST, "host")                                                                                                    \
    X(PLUGIN, "plugin")                                                                                                \
    X(DISPATCH, "dispatch")                                                                                            \
    X(SCALE, "scale")                                                                                                  \
    X(FLEET, "fleet")                                                                                                  \
    X(HTTP, "http")                                                                                                    \
    X(ADMIN, "admin")                                                                                                  \
    X(WORKER, "worker")                                                                                                \
    X(RUNNER, "runner")

enum log_sub {
    LOG_SUB_NONE, /* never used in a call */
#define X(id, name) LOG_##id,
    LOG_SUBSYSTEMS(X)
#undef X
        LOG_SUB_END
};

enum log_form { LOG_FORM_AUTO = 1, LOG_FORM_TEXT, LOG_FORM_JSON }; /* AUTO: text when the target is a terminal */

/* Opens the log. path NULL or "": standard error. May be called again (SIGHUP: reopens after logrotate).
 * Returns 0 or BP_IO; on error the former target stays. */
int log_open(const char *path, enum log_form form, struct bp_err *err);
/* Adds a name shown in each line ("bpd", "worker i-1"), copied. */
void log_ident(const char *ident);
/* level: BP_LOG_ERROR..BP_LOG_DEBUG. sub LOG_SUB_NONE: all. */
void log_set_level(enum log_sub sub, int level);
int log_get_level(enum log_sub sub);
/* "info" or "host=debug,http=warn,info"; BP_INVALID names the unknown word and the nearest known one. */
int log_set_levels(const char *spec, struct bp_err *err);
/* The same check, without setting anything. */
int log_check_levels(const char *spec, struct bp_err *err);
const char *log_sub_name(enum log_sub sub);
const char *log_level_name(int level);
/* Name to number, 0 when unknown. */
int log_level_find(const char *name);

void log_write(enum log_sub sub, int level, const char *fmt, ...) BP_PRINTF(3, 4);

#define log_error(sub, ...) log_write(sub, BP_LOG_ERROR, __VA_ARGS__)
#define log_warn(sub, ...)  log_write(sub, BP_LOG_WARN, __VA_ARGS__)
#define log_info(sub, ...)  log_write(sub, BP_LOG_INFO, __VA_ARGS__)
#define log_debug(sub, ...)                                                                                            \
    do {                                                                                                               \
        if (log_get_level(sub) >= BP_LOG_DEBUG)                                                                        \
            log_write(sub, BP_LOG_DEBUG, __VA_ARGS__);                                                                 \
    } while (0)

/*
 * The tap: beside where it is written, every line up to a level goes to fn in its JSON form (n bytes, no newline), on
 * the thread that logs it and under the log's lock, so fn only copies: it must neither block nor log. NULL closes the
 * tap; when log_tap() has returned, no call of the former fn is under way.
 */
typedef void (*log_tap_fn)(enum log_sub sub, int level, int64_t at_ms, const char *line, size_t n, void *arg);
void log_tap(int level, log_tap_fn fn, void *arg);
/* From 1 to 0, what the calling thread logs stays away from the tap: whoever forwards lines cannot feed itself. */
void log_tap_mute(int on);

/* The most recent lines (the ring holds 1,000), oldest first, for `bpctl log`: calls emit once a line (without
 * newline). */
void log_recent(uint32_t max, void (*emit)(const char *line, void *arg), void *arg);

#endif
