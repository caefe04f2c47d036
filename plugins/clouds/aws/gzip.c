/* SPDX-License-Identifier: Apache-2.0 */
#include "gzip.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* 32 KiB, and a gzip header instead of zlib's */
#define LEVEL       6
#define MEMORY      8

void *gzip_pack(const void *bytes, size_t n, size_t *n_out)
{
    z_stream z = {0};
    if (n > UINT_MAX / 2 || deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    uLong room = deflateBound(&z, (uLong)n);
    unsigned char *out = malloc(room);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    int done = out && deflate(&z, Z_FINISH) == Z_STREAM_END;
    *n_out = z.total_out;
    deflateEnd(&z);
    if (!done) {
        free(out);
        return NULL;
    }
    return out;
}
