/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/head.h"

#include "log/utf8.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

size_t head_end(const char *p, size_t n, size_t *from)
{
    size_t at = *from;
    const char *nl;

    while (at < n && (nl = memchr(p + at, '\n', n - at)) != NULL) {
        size_t next = (size_t)(nl - p) + 1;
        if (next < n && p[next] == '\n')
            return next + 1;
        if (next + 1 < n && p[next] == '\r' && p[next + 1] == '\n')
            return next + 2;
        if (next + 1 >= n) { /* the rest decides; look at this line end again */
            *from = next - 1;
            return 0;
        }
        at = next;
    }
    *from = n;
    return 0;
}

static int is_token(unsigned char c)
{
    return isalnum(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static enum method find_method(const char *p, size_t n)
{
    static const struct {
        const char *name;
        enum method method;
    } known[] = {{"GET", METHOD_GET},       {"POST", METHOD_POST},       {"PUT", METHOD_PUT},    {"HEAD", METHOD_HEAD},
                 {"DELETE", METHOD_DELETE}, {"OPTIONS", METHOD_OPTIONS}, {"PATCH", METHOD_PATCH}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].name) == n && memcmp(known[i].name, p, n) == 0)
            return known[i].method;
    return METHOD_NONE;
}

/* Characters of a path and a query (RFC 3986); evhttp refuses all others. */
static int is_target(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '%') {
            if (i + 2 >= n || !isxdigit((unsigned char)p[i + 1]) || !isxdigit((unsigned char)p[i + 2]))
                return 0;
            i += 2;
        } else if (!isalnum(c) && (c == 0 || strchr("-._~!$&'()*+,;=:@/?", c) == NULL)) {
            return 0;
        }
    }
    return 1;
}

static int parse_target(const char *p, size_t n, struct head *out, const char **why)
{
    const char *mark = memchr(p, '?', n);

    if (n == 0 || p[0] != '/' || (n > 1 && p[1] == '/') || !is_target(p, n)) {
        *why = "The request target must be a path, percent-encoded where needed.";
        return 400;
    }
    out->target = p;
    out->target_len = n;
    out->path_len = mark ? (size_t)(mark - p) : n;
    return 0;
}

static int parse_version(const char *p, size_t n, struct head *out, const char **why)
{
    if (n != 8 || memcmp(p, "HTTP/", 5) != 0 || !isdigit((unsigned char)p[5]) || p[6] != '.' ||
        !isdigit((unsigned char)p[7])) {
        *why = "The request line is malformed.";
        return 400;
    }
    if (p[5] != '1') {
        *why = "Only HTTP/1.0 and HTTP/1.1 are served.";
        return 505;
    }
    out->minor = p[7] != '0';
    out->closes = !out->minor;
    return 0;
}

static int parse_request_line(const char *p, size_t n, struct head *out, const char **why)
{
    const char *s1 = memchr(p, ' ', n), *s2;
    int rc;

    *why = "The request line is malformed.";
    if (!s1 || s1 == p)
        return 400;
    for (const char *c = p; c < s1; c++)
        if (!is_token((unsigned char)*c))
            return 400;
    s2 = memchr(s1 + 1, ' ', n - (size_t)(s1 + 1 - p));
    if (!s2)
        return 400;
    rc = parse_version(s2 + 1, n - (size_t)(s2 + 1 - p), out, why);
    if (rc)
        return rc;
    out->method = find_method(p, (size_t)(s1 - p));
    if (out->method == METHOD_NONE) {
        *why = "This method is not served.";
        return 501;
    }
    return parse_target(s1 + 1, (size_t)(s2 - s1 - 1), out, why);
}

static int parse_length(const char *v, size_t n, struct head *out)
{
    int64_t sum = 0;

    if (n == 0 || n > 18 || out->content_length >= 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)v[i]))
            return -1;
        sum = sum * 10 + (v[i] - '0');
    }
    out->content_length = sum;
    return 0;
}

static int word_is(const char *v, size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(v, word, n) == 0;
}

/* Does a comma-separated list contain word? */
static int list_has(const char *v, size_t n, const char *word)
{
    size_t i = 0;

    while (i < n) {
        size_t j = i;
        while (j < n && v[j] != ',')
            j++;
        size_t a = i, b = j;
        while (a < b && (v[a] == ' ' || v[a] == '\t'))
            a++;
        while (b > a && (v[b - 1] == ' ' || v[b - 1] == '\t'))
            b--;
        if (word_is(v + a, b - a, word))
            return 1;
        i = j + 1;
    }
    return 0;
}

struct field {
    const char *name, *value;
    size_t name_len, value_len;
};

static int take_host(const struct field *f, struct head *out, const char **why)
{
    if (out->host) {
        *why = "Host is given twice.";
        return 400;
    }
    out->host = f->value;
    out->host_len = f->value_len;
    return 0;
}

static int take_length(const struct field *f, struct head *out, const char **why)
{
    if (parse_length(f->value, f->value_len, out) == 0)
        return 0;
    *why = "Content-Length must be given once, as a number.";
    return 400;
}

static int take_coding(const struct field *f, struct head *out, const char **why)
{
    if (!out->chunked && word_is(f->value, f->value_len, "chunked")) {
        out->chunked = 1;
        return 0;
    }
    *why = "The only Transfer-Encoding served is chunked.";
    return 501;
}

static int take_expect(const struct field *f, struct head *out, const char **why)
{
    if (word_is(f->value, f->value_len, "100-continue")) {
        out->expects_continue = 1;
        return 0;
    }
    *why = "The only Expect served is 100-continue.";
    return 417;
}

static int take_connection(const struct field *f, struct head *out, const char **why)
{
    (void)why;
    if (list_has(f->value, f->value_len, "close"))
        out->closes = 1;
    else if (!out->minor && list_has(f->value, f->value_len, "keep-alive"))
        out->closes = 0;
    return 0;
}

static int take_type(const struct field *f, struct head *out, const char **why)
{
    (void)why;
    out->content_type = f->value;
    out->content_type_len = f->value_len;
    return 0;
}

static int take_field(const struct field *f, struct head *out, const char **why)
{
    static const struct {
        const char *name;
        int (*take)(const struct field *f, struct head *out, const char **why);
    } known[] = {{"Host", take_host},         {"Content-Length", take_length},    {"Connection", take_connection},
                 {"Content-Type", take_type}, {"Transfer-Encoding", take_coding}, {"Expect", take_expect}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (word_is(f->name, f->name_len, known[i].name))
            return known[i].take(f, out, why);
    return 0;
}

static int parse_field(const char *p, size_t n, struct head *out, const char **why)
{
    const char *colon = memchr(p, ':', n);
    struct field f = {.name = p};

    *why = "A header line is malformed.";
    if (!colon || colon == p)
        return 400;
    f.name_len = (size_t)(colon - p);
    for (size_t i = 0; i < f.name_len; i++)
        if (!is_token((unsigned char)p[i]))
            return 400;
    f.value = colon + 1;
    f.value_len = n - f.name_len - 1;
    while (f.value_len && (f.value[0] == ' ' || f.value[0] == '\t'))
        f.value++, f.value_len--;
    while (f.value_len && (f.value[f.value_len - 1] == ' ' || f.value[f.value_len - 1] == '\t'))
        f.value_len--;
    for (size_t i = 0; i < f.value_len; i++) {
        unsigned char c = (unsigned char)f.value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return 400;
    }
    return take_field(&f, out, why);
}

static int check_whole(const struct head *h, const char **why)
{
    if (h->minor && !h->host) {
        *why = "Host is missing.";
        return 400;
    }
    if (h->chunked && (h->content_length >= 0 || !h->minor)) {
        *why = "Transfer-Encoding and Content-Length exclude each other.";
        return 400;
    }
    if ((h->chunked || h->content_length > 0) && h->method != METHOD_POST && h->method != METHOD_PUT &&
        h->method != METHOD_PATCH) { /* evhttp would read it as the next request */
        *why = "This method takes no body.";
        return 400;
    }
    return 0;
}

int head_parse(const char *p, size_t n, struct head *out, const char **why)
{
    size_t at = 0;
    int first = 1, rc;

    memset(out, 0, sizeof(*out));
    out->content_length = -1;
    while (at < n) {
        const char *nl = memchr(p + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - p) - at : 0;
        if (!nl || len == 0 || p[at + len - 1] != '\r') {
            *why = "Lines of a request must end with CR LF.";
            return 400;
        }
        len--;
        if (len == 0)
            break;
        rc = first ? parse_request_line(p + at, len, out, why) : parse_field(p + at, len, out, why);
        if (rc)
            return rc;
        first = 0;
        at += len + 2;
    }
    if (first) {
        *why = "The request line is missing.";
        return 400;
    }
    return check_whole(out, why);
}

size_t bearer_token(const char *value, char *out, size_t cap)
{
    const char *start = NULL;
    size_t n;

    for (const char *p = value; *p; p++)
        if (strncasecmp(p, "Bearer ", 7) == 0)
            start = p + 7;
    if (!start)
        return 0;
    while (*start == ' ')
        start++;
    n = strcspn(start, ",");
    while (n && (start[n - 1] == ' ' || start[n - 1] == '\t'))
        n--;
    if (n == 0 || n >= cap)
        return 0;
    memcpy(out, start, n);
    out[n] = '\0';
    return n;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Decodes n bytes into UTF-8 with a NUL at the end; -1 when malformed, holding a NUL, or longer than cap - 1. */
static int decode(const char *p, size_t n, char *out, size_t cap)
{
    size_t o = 0;

    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (i + 2 >= n || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0)
                return -1;
            c = (char)(hex(p[i + 1]) * 16 + hex(p[i + 2]));
            i += 2;
        }
        if (c == '\0' || o + 1 >= cap)
            return -1;
        out[o++] = c;
    }
    out[o] = '\0';
    utf8_repair(out);
    return (int)o;
}

/* The next pair at *q, which moves on; 0 at the end. */
static int next_pair(const char **q, struct field *f)
{
    const char *p = *q;
    size_t n = strcspn(p, "&");
    const char *eq = memchr(p, '=', n);

    if (*p == '\0')
        return 0;
    f->name = p;
    f->name_len = eq ? (size_t)(eq - p) : n;
    f->value = eq ? eq + 1 : p + n;
    f->value_len = eq ? n - f->name_len - 1 : 0;
    *q = p[n] ? p + n + 1 : p + n;
    return 1;
}

int query_get(const char *query, const char *key, char *out, size_t cap)
{
    struct field f;

    while (query && next_pair(&query, &f))
        if (f.name_len == strlen(key) && memcmp(f.name, key, f.name_len) == 0)
            return decode(f.value, f.value_len, out, cap);
    return -1;
}

void query_each(const char *query, void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
    char key[1024], value[1024];
    struct field f;

    while (query && next_pair(&query, &f))
        if (decode(f.name, f.name_len, key, sizeof(key)) > 0 && decode(f.value, f.value_len, value, sizeof(value)) >= 0)
            fn(key, value, arg);
}

/* Digits at *p, which moves on; -1 when there are none or too many. */
static int64_t digits(const char **p)
{
    const char *s = *p;
    int64_t sum = 0;

    while (isdigit((unsigned char)**p) && *p - s < 18)
        sum = sum * 10 + (*(*p)++ - '0');
    return *p == s || isdigit((unsigned char)**p) ? -1 : sum;
}

int range_parse(const char *value, int64_t size, int64_t *first, int64_t *last)
{
    const char *p = value;
    int64_t a, b;

    if (!p || strncasecmp(p, "bytes=", 6) != 0 || strchr(p, ','))
        return 0;
    p += 6;
    a = digits(&p);
    if (*p++ != '-')
        return 0;
    b = digits(&p);
    if (*p != '\0' || (a < 0 && b < 0) || (a >= 0 && b >= 0 && b < a))
        return 0;
    if (a < 0) { /* the last b bytes */
        a = b < size ? size - b : 0;
        b = b > 0 ? size - 1 : -1;
    } else if (b < 0 || b >= size) {
        b = size - 1;
    }
    if (a >= size || b < a)
        return -1;
    *first = a;
    *last = b;
    return 1;
}

static int is_port(const char *p)
{
    if (*p == '\0')
        return 1;
    if (*p++ != ':')
        return 0;
    return strspn(p, "0123456789") == strlen(p);
}

int host_is_local(const char *host, const char *own)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    if (!host)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncasecmp(host, names[i], strlen(names[i])) == 0 && is_port(host + strlen(names[i])))
            return 1;
    return own && *own && strcasecmp(host, own) == 0;
}
