/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever comes over a WebSocket, in pieces of any size: read within its bounds, and the same whatever the pieces. The
 * first byte says how large they are. */
#include "ws_frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A number that depends on everything found. */
static uint64_t read_all(const char *bytes, size_t n, size_t piece)
{
    struct ws_reader r = {0};
    struct bp_err err;
    uint64_t sum = 1;
    int32_t rc = BP_OK;
    for (size_t at = 0; at < n && rc == BP_OK;) {
        struct ws_event e;
        size_t part = n - at < piece ? n - at : piece, used;
        rc = ws_read(&r, bytes + at, part, &used, &e, &err);
        if (used > part || (rc == BP_OK && e.kind == WS_NOTHING && used < part))
            abort();
        at += used;
        if (rc == BP_OK && e.kind != WS_NOTHING)
            sum = sum * 31 + (uint64_t)e.kind + e.code;
        for (size_t i = 0; rc == BP_OK && e.bytes && i <= e.n; i++) /* its end is a NUL */
            sum = sum * 31 + (uint8_t)e.bytes[i];
    }
    ws_reader_free(&r);
    return sum * 31 + (uint64_t)(rc + 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bp_err err;
    if (size < 1)
        return 0;
    const char *bytes = (const char *)data + 1;
    if (read_all(bytes, size - 1, data[0] + 1U) != read_all(bytes, size - 1, size))
        abort();
    char *head = calloc(1, size);
    for (size_t i = 0; i + 1 < size; i++)
        head[i] = bytes[i];
    ws_accepted(head, "dGhlIHNhbXBsZSBub25jZQ==", &err);
    free(head);
    return 0;
}
