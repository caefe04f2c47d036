/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h - a request's body, packed. */
#ifndef AWS_GZIP_H
#define AWS_GZIP_H

#include <stddef.h>

/* The n bytes as one gzip member, *n_out bytes, to be freed with free(); NULL without memory. */
void *gzip_pack(const void *bytes, size_t n, size_t *n_out);

#endif
