/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/trace.h"

#include "log/err.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_MAX 40
#define FILE_MAX  (512u << 20)

/* Where the reader is; columns are counted in bytes from 1. */
struct place {
    const char *file, *begin, *at, *end; /* of the line */
    unsigned long line;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct bp_err *err, const struct place *p, const char *why, ...)
{
    va_list args;
    char text[200];
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    return err_set(err, BP_INVALID, "%.80s, line %lu, column %lu: %s", p->file, p->line,
                   (unsigned long)(p->at - p->begin) + 1, text);
}

static int no_memory(struct bp_err *err, const struct trace *t)
{
    return err_set(err, BP_NOMEM, "no memory for a trace of more than %u jobs", t->n);
}

static int widen(int64_t **list, uint32_t room)
{
    int64_t *more = realloc(*list, room * sizeof *more);
    if (more)
        *list = more;
    return more != NULL;
}

int trace_add(struct trace *t, int64_t arrival_ms, int64_t duration_ms, struct bp_err *err)
{
    if (t->n == t->room) {
        uint32_t room = t->room ? t->room * 2 : 1024;
        if (!widen(&t->arrival_ms, room) || !widen(&t->duration_ms, room))
            return no_memory(err, t);
        t->room = room;
    }
    t->arrival_ms[t->n] = arrival_ms;
    t->duration_ms[t->n++] = duration_ms;
    return BP_OK;
}

void trace_free(struct trace *t)
{
    free(t->arrival_ms);
    free(t->duration_ms);
    memset(t, 0, sizeof *t);
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What is wrong is shown without what a terminal would obey. */
static void show(char out[FIELD_MAX], const char *from, size_t n)
{
    size_t k = 0;
    for (; k < n && k < FIELD_MAX - 1; k++)
        out[k] = from[k] >= ' ' && from[k] < 127 ? from[k] : '?';
    out[k] = 0;
}

/* One field up to a comma or the line's end: seconds, as milliseconds. Leaves p->at behind it. */
static int read_field(struct place *p, const char *name, int64_t *ms, struct bp_err *err)
{
    char text[FIELD_MAX], *stop = text;
    while (p->at < p->end && is_blank(*p->at))
        p->at++;
    const char *from = p->at, *to = from;
    while (to < p->end && *to != ',')
        to++;
    size_t n = (size_t)(to - from);
    while (n > 0 && is_blank(from[n - 1]))
        n--;
    show(text, from, n);
    if (n == 0)
        return refuse(err, p, "%s is missing; a line is %s", name, TRACE_CSV_FIRST);
    double v = strspn(text, "0123456789.eE+-") == n ? strtod(text, &stop) : 0;
    if (n >= FIELD_MAX || stop != text + n || !isfinite(v))
        return refuse(err, p, "%s is \"%s\", which is no number of seconds; write it like 12.5", name, text);
    if (v < 0)
        return refuse(err, p, "%s is %s; it must not be negative: times count from the trace's begin", name, text);
    if (v > TRACE_SECONDS)
        return refuse(err, p, "%s is %s, more than %.0f seconds; are these milliseconds?", name, text, TRACE_SECONDS);
    *ms = (int64_t)llround(v * 1000);
    p->at = to;
    return BP_OK;
}

static int read_line(struct trace *t, struct place *p, struct bp_err *err)
{
    int64_t arrival = 0, duration = 0;
    int rc = read_field(p, "arrival_s", &arrival, err);
    if (rc < 0)
        return rc;
    if (p->at == p->end)
        return refuse(err, p, "duration_s is missing; a line is %s", TRACE_CSV_FIRST);
    p->at++;
    if ((rc = read_field(p, "duration_s", &duration, err)) < 0)
        return rc;
    if (p->at < p->end)
        return refuse(err, p, "a third field; a line is %s, and nothing else", TRACE_CSV_FIRST);
    if (t->n && arrival < t->arrival_ms[t->n - 1]) {
        p->at = p->begin;
        return refuse(err, p,
                      "arrival_s %.3f is before that of the job above, %.3f; sort the lines by arrival: sort -n",
                      (double)arrival / 1000, (double)t->arrival_ms[t->n - 1] / 1000);
    }
    if (t->n == TRACE_JOBS_MAX)
        return refuse(err, p, "more than %u jobs; split the trace", TRACE_JOBS_MAX);
    return trace_add(t, arrival, duration, err);
}

static int is_empty(const struct place *p)
{
    for (const char *c = p->begin; c < p->end; c++)
        if (!is_blank(*c))
            return 0;
    return 1;
}

/* The first line may name the fields; what else is no number is an error of its own. */
static int is_heading(const struct place *p)
{
    size_t n = strlen(TRACE_CSV_FIRST), len = (size_t)(p->end - p->begin);
    while (len > n && is_blank(p->begin[len - 1]))
        len--;
    return p->line == 1 && len == n && memcmp(p->begin, TRACE_CSV_FIRST, n) == 0;
}

static int check_heading(struct place *p, struct bp_err *err)
{
    int letter = p->begin < p->end && ((*p->begin | 32) >= 'a' && (*p->begin | 32) <= 'z');
    if (p->line == 1 && letter && !is_heading(p))
        return refuse(err, p, "the first line names other fields; it must be %s", TRACE_CSV_FIRST);
    return BP_OK;
}

static void name_after(struct trace *t, const char *file)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file, *dot = strrchr(base, '.');
    size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    snprintf(t->name, sizeof t->name, "%.*s", (int)(n < sizeof t->name ? n : sizeof t->name - 1), base);
}

int trace_parse(struct trace *t, const char *file, const char *text, size_t n, struct bp_err *err)
{
    struct place p = {.file = file, .begin = text, .at = text, .end = text};
    const char *end = text + n;
    int rc = BP_OK;
    memset(t, 0, sizeof *t);
    name_after(t, file);
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (rc == BP_OK && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        p.line++;
        p.begin = p.at = text;
        p.end = newline ? newline : end;
        text = newline ? newline + 1 : end;
        if (is_empty(&p) || is_heading(&p))
            continue;
        rc = check_heading(&p, err);
        if (rc == BP_OK)
            rc = read_line(t, &p, err);
    }
    if (rc == BP_OK && t->n == 0) {
        p.at = p.end;
        p.line = p.line ? p.line : 1;
        rc = refuse(err, &p, "no job; a line is %s", TRACE_CSV_FIRST);
    }
    if (rc < 0)
        trace_free(t);
    return rc;
}

static int cannot_read(struct bp_err *err, const char *file, const char *why)
{
    return err_set(err, BP_IO, "cannot read the trace %.150s: %s", file, why);
}

int trace_read(struct trace *t, const char *file, struct bp_err *err)
{
    size_t n = 0, room = 1 << 20, got;
    char *text = malloc(room);
    FILE *f = fopen(file, "rb");
    int rc = BP_OK;
    memset(t, 0, sizeof *t);
    if (!f || !text)
        rc = cannot_read(err, file, f ? "no memory" : strerror(errno));
    while (rc == BP_OK && (got = fread(text + n, 1, room - n, f)) > 0) {
        n += got;
        char *more = n == room ? realloc(text, room *= 2) : text;
        text = more ? more : text;
        if (!more || n > FILE_MAX)
            rc = cannot_read(err, file, more ? "it is larger than 512 MiB; split it" : "no memory");
    }
    if (rc == BP_OK && ferror(f))
        rc = cannot_read(err, file, strerror(errno));
    if (rc == BP_OK)
        rc = trace_parse(t, file, text, n, err);
    if (f)
        fclose(f);
    free(text);
    return rc;
}
