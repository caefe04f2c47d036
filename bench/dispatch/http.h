/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - HTTP/1.1 as far as load needs it: a request's bytes, an answer as it comes in, values of a JSON body. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct http {
    int status, retry_after_s;
    bool closes;
    char *body; /* NUL-terminated, within the bytes read */
    size_t n;
};

/* Reads the answer at the start of n bytes (bytes[n] is writable), with Content-Length or a chunked body. Its length
 * once it is whole, its chunks then joined in place; 0: more to come; -1: it is no HTTP answer. */
long http_read(char *bytes, size_t n, struct http *h);

/* header: a whole header line without its end, or NULL. */
void http_post(struct buffer *out, const char *host, const char *path, const char *header, const struct buffer *body);

/* ---- picking values out of a JSON answer without parsing all of it ---- */

/* The number behind the first "key": at or after `from`; fallback when there is none. */
int64_t json_pick_int(const char *from, const char *key, int64_t fallback);
/* The text behind it, copied; false when there is none or it is too long. No escapes are resolved. */
bool json_pick_text(const char *from, const char *key, char *out, size_t cap);

#endif
