/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX 65536

struct head {
    size_t n;      /* with its empty line */
    size_t length; /* of the body */
    bool chunked;
};

static void header_read(struct http *h, struct head *head, const char *line)
{
    if (strncasecmp(line, "Content-Length:", 15) == 0)
        head->length = strtoul(line + 15, NULL, 10);
    else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
        head->chunked = strncasecmp(line + 18 + strspn(line + 18, " "), "chunked", 7) == 0;
    else if (strncasecmp(line, "Retry-After:", 12) == 0)
        h->retry_after_s = atoi(line + 12);
    else if (strncasecmp(line, "Connection:", 11) == 0)
        h->closes = strncasecmp(line + 11 + strspn(line + 11, " "), "close", 5) == 0;
}

/* 1: the head is whole; 0: more to come; -1: it is none. */
static int head_read(const char *bytes, size_t n, struct http *h, struct head *head)
{
    static const char START[] = "HTTP/1.";
    size_t known = n < sizeof START - 1 ? n : sizeof START - 1;
    if (memcmp(bytes, START, known) != 0)
        return -1;
    const char *end = strstr(bytes, "\r\n\r\n");
    if (!end)
        return n > HEAD_MAX ? -1 : 0;
    if (sscanf(bytes, "HTTP/1.%*d %3d", &h->status) != 1 || h->status < 100)
        return -1;
    head->n = (size_t)(end - bytes) + 4;
    for (const char *line = strstr(bytes, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
        header_read(h, head, line + 2);
    return 1;
}

/* Walks the chunks of [from, end); with `to` their bytes are joined there. Where they end; NULL: more to come, or with
 * *bad not chunks. */
static char *chunks_walk(char *from, char *end, char *to, size_t *joined, bool *bad)
{
    *joined = 0;
    for (char *p = from;;) {
        char *line = memchr(p, '\n', (size_t)(end - p)), *digits;
        if (!line)
            return NULL;
        size_t n = strtoul(p, &digits, 16);
        *bad = !isxdigit((unsigned char)*p) || n > (SIZE_MAX >> 1) || (*digits != '\r' && *digits != ';');
        if (*bad || (size_t)(end - line - 1) < n + 2)
            return NULL;
        if (to)
            memmove(to + *joined, line + 1, n);
        *joined += n;
        p = line + 1 + n + 2;
        if (n == 0)
            return p;
    }
}

static long chunked_read(char *bytes, size_t n, const struct head *head, struct http *h)
{
    char *from = bytes + head->n, *end = bytes + n;
    bool bad = false;
    char *after = chunks_walk(from, end, NULL, &h->n, &bad);
    if (!after)
        return bad ? -1 : 0;
    chunks_walk(from, end, from, &h->n, &bad);
    from[h->n] = 0;
    return after - bytes;
}

long http_read(char *bytes, size_t n, struct http *h)
{
    struct head head = {0};
    *h = (struct http){0};
    int rc = head_read(bytes, n, h, &head);
    if (rc <= 0)
        return rc;
    h->body = bytes + head.n;
    if (head.chunked)
        return chunked_read(bytes, n, &head, h);
    if (n - head.n < head.length)
        return 0;
    h->n = head.length;
    h->body[h->n] = 0;
    return (long)(head.n + head.length);
}

void http_post(struct buffer *out, const char *host, const char *path, const char *header, const struct buffer *body)
{
    buffer_print(out,
                 "POST %s HTTP/1.1\r\nHost: %s\r\n%s%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 path, host, header ? header : "", header ? "\r\n" : "", body->n);
    buffer_add(out, body->bytes, body->n);
}

/* ---- JSON ---- */

static const char *behind(const char *from, const char *key)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\"", key);
    const char *p = strstr(from, pattern);
    if (!p)
        return NULL;
    p += strlen(pattern);
    while (*p == ' ' || *p == ':')
        p++;
    return p;
}

int64_t json_pick_int(const char *from, const char *key, int64_t fallback)
{
    const char *p = behind(from, key);
    char *end;
    if (!p)
        return fallback;
    long long v = strtoll(p, &end, 10);
    return end == p ? fallback : v;
}

bool json_pick_text(const char *from, const char *key, char *out, size_t cap)
{
    const char *p = behind(from, key);
    if (!p || *p != '"')
        return false;
    size_t n = strcspn(++p, "\"");
    if (n >= cap)
        return false;
    memcpy(out, p, n);
    out[n] = 0;
    return true;
}
