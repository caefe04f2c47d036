/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a runner may send its worker: frames whole, in pieces, or none at all. */
#include "log/json.h"
#include "runner/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how large the pieces are in which the rest arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_buffer b = {0};
    struct bp_err err;
    size_t piece = size > 0 ? data[0] + 1U : 1;
    int rc = BP_OK;
    for (size_t at = 1; at < size && rc == BP_OK; at += piece) {
        struct json_object *frame;
        rc = frame_buffer_add(&b, data + at, size - at < piece ? size - at : piece, &err);
        while (rc == BP_OK && (rc = frame_buffer_take(&b, &frame, &err)) == BP_OK && frame) {
            unsigned char *bytes;
            size_t n;
            if (frame_encode(frame, &bytes, &n, &err) == BP_OK)
                free(bytes);
            json_object_put(frame);
        }
    }
    frame_buffer_clear(&b);
    return 0;
}
