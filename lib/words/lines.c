/* SPDX-License-Identifier: Apache-2.0 */
#include "words/facts.h"

#include "log/json.h"
#include "log/moment.h"
#include "log/utf8.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 600

static void put_moment(struct json_object *o, int64_t at_ms)
{
    char text[MOMENT_SIZE];
    if (at_ms > 0)
        moment_text(at_ms, text);
    json_object_object_add(o, "at_ms", at_ms > 0 ? json_object_new_int64(at_ms) : NULL);
    json_put_str(o, "at", at_ms > 0 ? text : NULL);
}

void explain_line(struct json_object *o, int64_t at_ms, const char *what, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    utf8_repair(text);
    struct json_object *line = json_object_new_object();
    put_moment(line, at_ms);
    json_put_str(line, "what", what);
    json_put_str(line, "text", text);
    json_object_array_add(json_member(o, "because"), line);
}

void explain_next(struct json_object *o, int64_t at_ms, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    utf8_repair(text);
    struct json_object *next = json_object_new_object();
    put_moment(next, at_ms);
    json_put_str(next, "text", text);
    json_object_object_add(o, "next", next);
}

const char *explain_time(double s, char out[32])
{
    long long whole = isinf(s) || s > 1e12 ? -1 : (long long)(s < 0 ? 0 : s + 0.5);
    if (whole < 0)
        snprintf(out, 32, "never");
    else if (whole < 60)
        snprintf(out, 32, "%lld s", whole);
    else if (whole < 3600)
        snprintf(out, 32, "%lld min %lld s", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, 32, "%lld h %lld min", whole / 3600, whole / 60 % 60);
    else
        snprintf(out, 32, "%lld d %lld h", whole / 86400, whole / 3600 % 24);
    return out;
}

const char *explain_moment(int64_t at_ms, int64_t now_ms, char out[80])
{
    char iso[MOMENT_SIZE], span[32];
    int64_t apart = at_ms > now_ms ? at_ms - now_ms : now_ms - at_ms;
    moment_text(at_ms, iso);
    explain_time((double)apart / 1000, span);
    snprintf(out, 80, at_ms > now_ms ? "%.19sZ (in %s)" : "%.19sZ (%s ago)", iso, span);
    return out;
}

void explain_span(struct json_object *o, const char *key, int64_t now_ms, const struct eta_span *e)
{
    struct json_object *span = json_object_new_object();
    const struct {
        const char *key;
        double s;
    } ends[] = {{"p50_ms", e->p50_s}, {"p95_ms", e->p95_s}};
    for (size_t i = 0; i < 2; i++)
        json_object_object_add(span, ends[i].key,
                               isfinite(ends[i].s) ? json_object_new_int64(now_ms + (int64_t)(1000 * ends[i].s))
                                                   : NULL);
    json_object_object_add(o, key, span);
}

void explain_expect(struct json_object *o, int64_t now_ms, const char *what, const struct eta_span *e)
{
    char when[80], late[80];
    if (!isfinite(e->p50_s))
        return;
    int64_t at_ms = now_ms + (int64_t)(1000 * e->p50_s);
    explain_moment(at_ms, now_ms, when);
    if (isfinite(e->p95_s))
        explain_line(o, at_ms, "estimate", "%s at about %s, 95 %% sure by %s", what, when,
                     explain_moment(now_ms + (int64_t)(1000 * e->p95_s), now_ms, late));
    else
        explain_line(o, at_ms, "estimate", "%s at about %s, perhaps much later", what, when);
}
