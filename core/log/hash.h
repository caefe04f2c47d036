/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - texts as numbers: FNV-1a, 64 bits. Not against who means harm. */
#ifndef LOG_HASH_H
#define LOG_HASH_H

#include <stdint.h>

#define HASH_START 14695981039346656037u

/* `text` after what led to h; HASH_START: after nothing. */
static inline uint64_t hash_text(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

#endif
