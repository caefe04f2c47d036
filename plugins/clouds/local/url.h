/* SPDX-License-Identifier: Apache-2.0 */
/* url.h - percent encoding and queries, as the signed URLs of objects need them. Pure. */
#ifndef LOCAL_URL_H
#define LOCAL_URL_H

#include <stddef.h>

/* Encodes all but letters, digits, "-._~" and (keep_slash) '/'. Returns the length, or -1 when it does not fit in n. */
int url_encode(const char *text, int keep_slash, char *out, size_t n);
/* Decodes `length` bytes of text; '+' stays '+'. Returns the length, or -1: does not fit, bad escape, or a NUL byte. */
int url_decode(const char *text, size_t length, char *out, size_t n);
/* The decoded value of `name` in a query ("a=1&b=2"). Returns its length, -1 when it is absent, twice there or bad. */
int url_query(const char *query, const char *name, char *out, size_t n);

#endif
