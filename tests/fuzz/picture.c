/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants upload: pictures, and the EXIF blocks in them, as they are looked at before any decoder sees them. */
#include "picture.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All of it as a picture; behind the first byte as a bare EXIF block, so that that reader is reached without a picture
 * around it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct picture p;
    struct bp_err err;
    if (picture_probe(data, size, &p, &err) == BP_OK) {
        assert(p.format >= PICTURE_JPEG && p.format <= PICTURE_WEBP);
        assert(p.width >= 0 && p.height >= 0);
        assert(p.orientation >= 1 && p.orientation <= 8);
    }
    if (size > 0) {
        int32_t orientation = exif_orientation(data + 1, size - 1);
        assert(orientation >= 1 && orientation <= 8);
    }
    return 0;
}
