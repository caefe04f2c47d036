/* SPDX-License-Identifier: Apache-2.0 */
#include "log/json_scan.h"

#include "log/err.h"
#include "log/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_BYTES 127

struct scan {
    const char *at, *end, *line_start;
    uint32_t line, depth;
    int lenient;
    const struct json_scan_keys *keys;
    struct bp_err *err;
};

static int wrong(struct scan *s, const char *what)
{
    return err_set(s->err, BP_INVALID, "line %u, column %zu: %s", s->line, (size_t)(s->at - s->line_start) + 1, what);
}

static int peek(const struct scan *s)
{
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

static void newline(struct scan *s)
{
    s->line++;
    s->line_start = s->at;
}

static int skip_block_comment(struct scan *s)
{
    struct scan start = *s;
    for (s->at += 2; s->end - s->at >= 2; s->at++) {
        if (s->at[0] == '*' && s->at[1] == '/') {
            s->at += 2;
            return 0;
        }
        if (*s->at == '\n') {
            s->at++;
            newline(s);
            s->at--;
        }
    }
    return wrong(&start, "this comment is not closed");
}

static int skip_comment(struct scan *s)
{
    if (!s->lenient || s->end - s->at < 2 || (s->at[1] != '/' && s->at[1] != '*'))
        return wrong(s, s->lenient ? "a comment starts with // or /*" : "comments are not allowed here");
    if (s->at[1] == '*')
        return skip_block_comment(s);
    while (peek(s) >= 0 && peek(s) != '\n')
        s->at++;
    return 0;
}

static int skip_space(struct scan *s)
{
    for (;;) {
        int c = peek(s);
        if (c == '/') {
            if (skip_comment(s) < 0)
                return BP_INVALID;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            s->at++;
        } else if (c == '\n') {
            s->at++;
            newline(s);
        } else {
            return 0;
        }
    }
}

static int is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int scan_escape(struct scan *s)
{
    s->at++;
    int c = peek(s);
    if (c <= 0 || (c != 'u' && !strchr("\"\\/bfnrt", c)))
        return wrong(s, "no such escape in a string");
    s->at++;
    if (c != 'u')
        return 0;
    if (s->end - s->at < 4)
        return wrong(s, "\\u takes four hexadecimal digits");
    for (int i = 0; i < 4; i++) {
        if (!is_hex((unsigned char)s->at[i]))
            return wrong(s, "\\u takes four hexadecimal digits");
    }
    if (memcmp(s->at, "0000", 4) == 0)
        return wrong(s, "a string must not hold a NUL character");
    s->at += 4;
    return 0;
}

static int scan_string(struct scan *s)
{
    for (s->at++; peek(s) != '"';) {
        int c = peek(s);
        if (c < 0)
            return wrong(s, "the text ends inside a string");
        if (c < 0x20)
            return wrong(s, "a control character inside a string; write it as an escape");
        if (c == '\\') {
            if (scan_escape(s) < 0)
                return BP_INVALID;
            continue;
        }
        size_t n = utf8_sequence(s->at, (size_t)(s->end - s->at));
        if (n == 0)
            return wrong(s, "the text is not valid UTF-8");
        s->at += n;
    }
    s->at++;
    return 0;
}

static int skip_digits(struct scan *s)
{
    if (!is_digit(peek(s)))
        return wrong(s, "a digit is missing in a number");
    while (is_digit(peek(s)))
        s->at++;
    return 0;
}

static int number_grammar(struct scan *s)
{
    if (peek(s) == '-')
        s->at++;
    int zero = peek(s) == '0';
    const char *first = s->at;
    if (skip_digits(s) < 0)
        return BP_INVALID;
    if (zero && s->at - first > 1)
        return wrong(s, "a number must not start with 0");
    if (peek(s) == '.' && (s->at++, skip_digits(s)) < 0)
        return BP_INVALID;
    if (peek(s) != 'e' && peek(s) != 'E')
        return 0;
    s->at++;
    if (peek(s) == '+' || peek(s) == '-')
        s->at++;
    return skip_digits(s);
}

static int scan_number(struct scan *s)
{
    char copy[NUMBER_MAX_BYTES + 1];
    const char *first = s->at;
    if (number_grammar(s) < 0)
        return BP_INVALID;
    size_t bytes = (size_t)(s->at - first);
    if (bytes > NUMBER_MAX_BYTES)
        return wrong(s, "a number is too long");
    memcpy(copy, first, bytes);
    copy[bytes] = 0;
    return isfinite(strtod(copy, NULL)) ? 0 : wrong(s, "a number is out of range");
}

static int scan_word(struct scan *s)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(s->end - s->at) >= n && memcmp(s->at, words[i], n) == 0) {
            s->at += n;
            return 0;
        }
    }
    return wrong(s, s->at < s->end ? "here a value is expected" : "the text ends where a value is expected");
}

static int scan_value(struct scan *s);

static int scan_member(struct scan *s)
{
    if (peek(s) != '"')
        return wrong(s, "here a key in double quotes is expected");
    const char *key = s->at + 1;
    uint32_t line = s->line;
    if (scan_string(s) < 0)
        return BP_INVALID;
    if (s->keys)
        s->keys->fn(s->depth, key, (size_t)(s->at - key) - 1, line, s->keys->arg);
    if (skip_space(s) < 0)
        return BP_INVALID;
    if (peek(s) != ':')
        return wrong(s, "a colon is missing after a key");
    s->at++;
    return scan_value(s);
}

/* The inside of an object or array up to its closing bracket. */
static int scan_items(struct scan *s, int close, int (*item)(struct scan *))
{
    s->at++;
    if (skip_space(s) < 0)
        return BP_INVALID;
    while (peek(s) != close) {
        if (item(s) < 0 || skip_space(s) < 0)
            return BP_INVALID;
        if (peek(s) == close)
            break;
        if (peek(s) != ',')
            return wrong(s, close == '}' ? "here a comma or } is expected" : "here a comma or ] is expected");
        s->at++;
        if (skip_space(s) < 0)
            return BP_INVALID;
        if (peek(s) == close && !s->lenient)
            return wrong(s, "a comma before the closing bracket is not allowed here");
    }
    s->at++;
    return 0;
}

static int scan_nested(struct scan *s)
{
    int object = peek(s) == '{';
    if (++s->depth > JSON_DEPTH_MAX)
        return wrong(s, "nested deeper than 32 levels");
    int rc = scan_items(s, object ? '}' : ']', object ? scan_member : scan_value);
    s->depth--;
    return rc;
}

static int scan_value(struct scan *s)
{
    if (skip_space(s) < 0)
        return BP_INVALID;
    int c = peek(s);
    if (c == '{' || c == '[')
        return scan_nested(s);
    if (c == '"')
        return scan_string(s);
    return c == '-' || is_digit(c) ? scan_number(s) : scan_word(s);
}

int json_scan(const char *text, size_t bytes, enum json_dialect dialect, const struct json_scan_keys *keys,
              struct bp_err *err)
{
    struct scan s = {.at = text,
                     .end = text + bytes,
                     .line_start = text,
                     .line = 1,
                     .lenient = dialect == JSON_CONFIG,
                     .keys = keys,
                     .err = err};
    if (scan_value(&s) < 0 || skip_space(&s) < 0)
        return BP_INVALID;
    return s.at == s.end ? 0 : wrong(&s, "more text follows the value");
}
