/* SPDX-License-Identifier: Apache-2.0 */
#include "log/log_text.h"

#include "log/json.h"
#include "log/moment.h"
#include "log/utf8.h"
#include <stdio.h>
#include <string.h>

#define TAIL_BYTES 8 /* kept free for "...", quotes and the newline */

/* A line in the making; what does not fit is dropped and `cut` says so. */
struct buf {
    char *line;
    size_t used;
    int cut;
};

static void put(struct buf *b, const char *s, size_t bytes)
{
    if (b->cut || bytes > LOG_LINE_BYTES - TAIL_BYTES - b->used) {
        b->cut = 1;
        return;
    }
    memcpy(b->line + b->used, s, bytes);
    b->used += bytes;
}

static void put_str(struct buf *b, const char *s)
{
    put(b, s, strlen(s));
}

static void put_char_code(struct buf *b, unsigned code, int json)
{
    char text[8];
    int n = snprintf(text, sizeof text, json ? "\\u%04x" : "\\x%02x", code);
    put(b, text, (size_t)n);
}

/* Is this sequence a control character, C1 (U+0080 to U+009F, which terminals obey) included? */
static int is_control(const unsigned char *u, size_t n)
{
    return (n == 1 && (u[0] < 0x20 || u[0] == 0x7f)) || (n == 2 && u[0] == 0xc2 && u[1] < 0xa0);
}

static void put_sequence(struct buf *b, const char *s, size_t n, int json)
{
    const unsigned char *u = (const unsigned char *)s;
    if (is_control(u, n) && u[0] != '\n' && u[0] != '\t')
        put_char_code(b, u[n - 1], json);
    else if (u[0] == '\n' || u[0] == '\t')
        put(b, u[0] == '\n' ? "\\n" : "\\t", 2);
    else if (json && (u[0] == '"' || u[0] == '\\'))
        put(b, u[0] == '"' ? "\\\"" : "\\\\", 2);
    else
        put(b, s, n);
}

static void put_escaped(struct buf *b, const char *s, int json)
{
    for (size_t left = strlen(s); left > 0 && !b->cut;) {
        size_t n = utf8_sequence(s, left);
        if (n == 0) {
            put_str(b, "\xef\xbf\xbd"); /* the replacement character */
            n = 1;
        } else {
            put_sequence(b, s, n, json);
        }
        s += n;
        left -= n;
    }
}

static void put_time(struct buf *b, int64_t at_ms)
{
    char text[MOMENT_SIZE];
    moment_text(at_ms, text);
    put_str(b, text);
}

static size_t finish(struct buf *b, const char *tail)
{
    size_t n = strlen(tail);
    memcpy(b->line + b->used, tail, n);
    return b->used + n;
}

size_t log_line_text(const struct log_record *r, char *line)
{
    struct buf b = {.line = line};
    char head[64];
    put_time(&b, r->at_ms);
    snprintf(head, sizeof head, " %-5s %-8s ", log_level_name(r->level), log_sub_name(r->sub));
    put_str(&b, head);
    if (r->ident[0]) {
        put_escaped(&b, r->ident, 0);
        put_str(&b, ": ");
    }
    put_escaped(&b, r->text, 0);
    return finish(&b, b.cut ? "...\n" : "\n");
}

size_t log_line_json(const struct log_record *r, char *line)
{
    struct buf b = {.line = line};
    char head[64];
    put_str(&b, "{\"at\":\"");
    put_time(&b, r->at_ms);
    snprintf(head, sizeof head, "\",\"level\":\"%s\",\"sub\":\"%s\"", log_level_name(r->level), log_sub_name(r->sub));
    put_str(&b, head);
    if (r->ident[0]) {
        put_str(&b, ",\"ident\":\"");
        put_escaped(&b, r->ident, 1);
        put_str(&b, "\"");
    }
    put_str(&b, ",\"text\":\"");
    put_escaped(&b, r->text, 1);
    return finish(&b, b.cut ? "...\"}\n" : "\"}\n");
}
