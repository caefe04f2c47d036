/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A terminal must not obey what a command prints, nor a log break in two. */
static void make_harmless(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == 0x7f)
            *p = ' ';
    }
}

static void told(struct lines *l, double fraction, const char *text)
{
    if (isnan(fraction))
        return;
    l->fraction = fmin(fmax(fraction, 0), 1);
    while (*text == ' ')
        text++;
    snprintf(l->text, sizeof l->text, "%s", text);
}

static void failed(struct lines *l, const char *why)
{
    while (*why == ' ')
        why++;
    if (*why)
        snprintf(l->error, sizeof l->error, "%s", why);
}

/* "progress 0.4 words" and its kin. 1: it was one. */
static int plain_line(struct lines *l, const char *line)
{
    char *end;
    if (strncmp(line, "progress ", 9) == 0) {
        double fraction = strtod(line + 9, &end);
        if (end == line + 9 || (*end && *end != ' '))
            return 0;
        told(l, fraction, end);
        return 1;
    }
    if (strncmp(line, "error ", 6) == 0) {
        failed(l, line + 6);
        return 1;
    }
    if (strcmp(line, "checkpoint") != 0)
        return 0;
    l->checkpoint = 1;
    return 1;
}

static int json_line(struct lines *l, const char *line)
{
    struct json_object *v = NULL, *words = NULL;
    struct json_object *o = line[0] == '{' ? json_tokener_parse(line) : NULL;
    int known = 0;
    if (!json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return 0;
    }
    if (json_object_object_get_ex(o, "progress", &v) &&
        (json_object_is_type(v, json_type_double) || json_object_is_type(v, json_type_int))) {
        const char *text = json_object_object_get_ex(o, "text", &words) && words ? json_object_get_string(words) : "";
        told(l, json_object_get_double(v), text);
        known = 1;
    }
    if (json_object_object_get_ex(o, "error", &v) && json_object_is_type(v, json_type_string)) {
        failed(l, json_object_get_string(v));
        known = 1;
    }
    if (json_object_object_get_ex(o, "checkpoint", &v) && json_object_get_boolean(v)) {
        l->checkpoint = 1;
        known = 1;
    }
    json_object_put(o);
    make_harmless(l->text);
    make_harmless(l->error);
    return known;
}

static double group(const char *line, const regmatch_t *m)
{
    char number[64];
    int n = m->rm_so < 0 ? 0 : (int)(m->rm_eo - m->rm_so);
    snprintf(number, sizeof number, "%.*s", n, line + (m->rm_so < 0 ? 0 : m->rm_so));
    return n > 0 ? strtod(number, NULL) : NAN;
}

/* The settings' own pattern: one group is a part of `full`, two are this of that. */
static int matches(struct lines *l, const char *line)
{
    regmatch_t m[3];
    const struct settings *s = l->settings;
    if (!s->has_pattern || regexec(&s->pattern, line, 3, m, 0) != 0)
        return 0;
    double all = s->pattern.re_nsub >= 2 && m[2].rm_so >= 0 ? group(line, &m[2]) : s->full;
    if (all > 0)
        told(l, group(line, &m[1]) / all, line);
    return 1;
}

static void log_line(struct lines *l, const char *line)
{
    if (l->logged > l->settings->log_lines)
        return;
    if (l->logged++ < l->settings->log_lines)
        l->log(l->arg, line);
    else
        l->log(l->arg, "(more lines than settings.logLines: the rest is not logged)");
}

static void keep_tail(struct lines *l, const char *line)
{
    while (*line == ' ')
        line++;
    if (*line)
        snprintf(l->tail[l->n_tail++ % TAIL_LINES], sizeof l->tail[0], "%.*s", (int)sizeof l->tail[0] - 1, line);
}

static void take_line(struct lines *l, struct stream *s)
{
    s->text[s->n] = '\0';
    int told_something = json_line(l, s->text);
    make_harmless(s->text);
    while (s->n > 0 && s->text[s->n - 1] == ' ')
        s->text[--s->n] = '\0';
    s->n = 0;
    if (told_something || plain_line(l, s->text) || matches(l, s->text) || !s->text[0])
        return;
    if (s == &l->err)
        keep_tail(l, s->text);
    log_line(l, s->text);
}

/* A carriage return ends a line too: that is how bars of progress are drawn. */
void lines_feed(struct lines *l, struct stream *s, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            if (s->n > 0)
                take_line(l, s);
        } else if (s->n < LINE_MAX_BYTES) {
            s->text[s->n++] = bytes[i] ? bytes[i] : ' ';
        }
    }
}

void lines_end(struct lines *l, struct stream *s)
{
    if (s->n > 0)
        take_line(l, s);
}

const char *lines_tail(const struct lines *l, char *out, size_t n)
{
    size_t used = 0;
    int64_t first = l->n_tail > TAIL_LINES ? l->n_tail - TAIL_LINES : 0;
    out[0] = '\0';
    for (int64_t i = first; i < l->n_tail && used < n; i++)
        used += (size_t)snprintf(out + used, n - used, "%s%s", i > first ? " | " : "", l->tail[i % TAIL_LINES]);
    return out;
}
