/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - reading the head of a request before evhttp sees it, and the small texts inside one. Pure functions on
 * bytes.
 *
 * What head_parse() lets through is a strict subset of RFC 9112, so that no later parser can read it differently.
 */
#ifndef WIRE_HEAD_H
#define WIRE_HEAD_H

#include <stddef.h>
#include <stdint.h>

enum method {
    METHOD_NONE,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_PATCH
};

/* Pointers lead into the parsed bytes. */
struct head {
    enum method method;
    int minor; /* of HTTP/1.x: 0 or 1 */
    const char *target, *host, *content_type;
    size_t target_len, path_len, host_len, content_type_len;
    int64_t content_length; /* -1: none given */
    int chunked, expects_continue, closes;
};

/* Length of the head at the start of p, its empty line included, or 0 while that is not there yet. `from`: bytes
 * already searched; updated. */
size_t head_end(const char *p, size_t n, size_t *from);
/* Reads a whole head of n bytes. 0, or the HTTP status to refuse it with, and *why in words (static text). */
int head_parse(const char *p, size_t n, struct head *out, const char **why);

/* The token in an Authorization value: the text after the last "Bearer " (any case), cut at the first comma, blanks
 * around it trimmed. Writes it to out (cap bytes); returns its length, 0 when there is none or it does not fit. */
size_t bearer_token(const char *value, char *out, size_t cap);
/* Finds key in a query string (without '?') and decodes its value into out. Length, or -1 when absent, malformed or too
 * long. */
int query_get(const char *query, const char *key, char *out, size_t cap);
/* Calls fn for each pair of a query string, decoded; pairs longer than 1,024 bytes or malformed are left out. */
void query_each(const char *query, void (*fn)(const char *key, const char *value, void *arg), void *arg);
/* "bytes=a-b" for an entity of `size` bytes. 0: send all (no range, or one we do not do); 1: *first..*last is valid;
 * -1: cannot be satisfied (416). */
int range_parse(const char *value, int64_t size, int64_t *first, int64_t *last);
/* Is a Host value one of localhost, 127.0.0.1, [::1] (any port), or equal to `own` (host[:port], may be NULL)? */
int host_is_local(const char *host, const char *own);

#endif
