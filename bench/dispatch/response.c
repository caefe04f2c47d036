/* SPDX-License-Identifier: Apache-2.0 */
#include "response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROOM_MIN 4096

char *response_room(struct response *r, size_t *room)
{
    if (r->cap - r->n < ROOM_MIN + 1) {
        size_t cap = r->cap * 2 + 2 * ROOM_MIN;
        r->bytes = realloc(r->bytes, cap);
        if (!r->bytes)
            abort();
        r->cap = cap;
    }
    *room = r->cap - r->n - 1;
    return r->bytes + r->n;
}

static void header_read(struct response *r, const char *line)
{
    if (strncasecmp(line, "Content-Length:", 15) == 0)
        r->length = strtoul(line + 15, NULL, 10);
    else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
        r->chunked = strstr(line, "chunked") != NULL;
    else if (strncasecmp(line, "Retry-After:", 12) == 0)
        r->retry_after_s = atoi(line + 12);
    else if (strncasecmp(line, "Connection:", 11) == 0)
        r->closes = strncasecmp(line + 11 + strspn(line + 11, " "), "close", 5) == 0;
}

/* Reads the head once it is whole. */
static int head_read(struct response *r)
{
    char *end = strstr(r->bytes, "\r\n\r\n");
    if (!end)
        return r->n > 65536 ? -1 : 0;
    if (sscanf(r->bytes, "HTTP/1.%*d %d", &r->status) != 1)
        return -1;
    r->head = (size_t)(end - r->bytes) + 4;
    for (char *line = strstr(r->bytes, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
        header_read(r, line + 2);
    return 0;
}

/* Is the chunked body whole? Then its chunks are joined in place and length is set. */
static bool chunks_join(struct response *r)
{
    char *p = r->bytes + r->head, *to = p, *end = r->bytes + r->n;
    bool joined = false;
    for (int pass = 0; pass < 2; pass++) {
        p = r->bytes + r->head;
        for (;;) {
            char *data = strstr(p, "\r\n");
            size_t n = strtoul(p, NULL, 16);
            if (!data || (size_t)(end - data) < n + 4)
                return false;
            data += 2;
            if (n == 0)
                break;
            if (pass == 1) {
                memmove(to, data, n);
                to += n;
            }
            p = data + n + 2;
        }
        joined = pass == 1;
    }
    r->length = (size_t)(to - (r->bytes + r->head));
    return joined;
}

int response_feed(struct response *r, size_t n)
{
    r->n += n;
    r->bytes[r->n] = 0;
    if (r->head == 0 && head_read(r) < 0)
        return -1;
    if (r->head == 0)
        return 0;
    bool whole = r->chunked ? chunks_join(r) : r->n >= r->head + r->length;
    return whole ? r->status : 0;
}

char *response_take(struct response *r, size_t *n)
{
    char *body = malloc(r->length + 1);
    if (!body)
        abort();
    memcpy(body, r->bytes + r->head, r->length);
    body[r->length] = 0;
    *n = r->length;
    return body;
}

void response_clear(struct response *r)
{
    r->n = r->head = r->length = 0;
    r->status = r->retry_after_s = 0;
    r->chunked = r->closes = false;
}

void response_free(struct response *r)
{
    free(r->bytes);
    r->bytes = NULL;
    r->cap = 0;
    response_clear(r);
}
