/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.h - what a command prints, line by line: progress, an error in its own words, and the rest for the job's log,
 * of which so many lines are kept and no more. Nothing a command prints costs more than fixed memory.
 *
 *   progress 0.4 any words     {"progress": 0.4, "text": "any words"}
 *   error any words            {"error": "any words"}
 *   checkpoint                 {"checkpoint": true}
 */
#ifndef EXEC_LINES_H
#define EXEC_LINES_H

#include "settings.h"

#define LINE_MAX_BYTES 4096 /* the rest of a longer line is passed over */
#define TAIL_LINES     3

/* One stream's unfinished line. Zeroed is empty. */
struct stream {
    char text[LINE_MAX_BYTES + 1];
    size_t n;
};

struct lines {
    const struct settings *settings;
    void (*log)(void *arg, const char *line); /* a line for the log, NUL-terminated, without control characters */
    void *arg;
    int64_t logged;
    double fraction; /* last told, 0 at first */
    char text[120];  /* words of it */
    int checkpoint;  /* one was told since this was last set to 0 */
    char error[200]; /* the command's own words of why it fails, "" when none */
    char tail[TAIL_LINES][160];
    int64_t n_tail; /* lines that ever came into it */
    struct stream out, err;
};

/* n bytes of one of the two streams. is_error: of standard error, which makes the tail. */
void lines_feed(struct lines *l, struct stream *s, const char *bytes, size_t n);
/* The end of it: an unfinished line is one. */
void lines_end(struct lines *l, struct stream *s);
/* "a | b | c" of the last lines of standard error, cut at n bytes; "" when there were none. */
const char *lines_tail(const struct lines *l, char *out, size_t n);

#endif
