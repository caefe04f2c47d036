/* SPDX-License-Identifier: Apache-2.0 */
#include "part_plan.h"

#include "err.h"
#include <assert.h>

#define MIB (1LL << 20)

int part_plan_make(struct part_plan *p, int64_t bytes, int64_t part_bytes, struct bp_err *err)
{
    if (bytes < 0)
        return err_set(err, BP_INVALID, "a file cannot have %lld bytes", (long long)bytes);
    if (bytes > PART_BYTES_MAX * PARTS_MAX)
        return err_set(err, BP_TOOLARGE,
                       "a file of %lld bytes is larger than an upload of S3 may be (%d parts of 5 GiB)",
                       (long long)bytes, PARTS_MAX);
    if (part_bytes < PART_BYTES_MIN)
        part_bytes = PART_BYTES_MIN;
    if (part_bytes > PART_BYTES_MAX)
        part_bytes = PART_BYTES_MAX;
    int64_t least = (bytes + PARTS_MAX - 1) / PARTS_MAX;
    if (part_bytes < least)
        part_bytes = (least + MIB - 1) / MIB * MIB;
    p->bytes = bytes;
    p->part_bytes = part_bytes;
    p->n = bytes ? (uint32_t)((bytes + part_bytes - 1) / part_bytes) : 1;
    return 0;
}

struct part part_plan_at(const struct part_plan *p, uint32_t number)
{
    assert(number >= 1 && number <= p->n);
    struct part part = {.number = number, .offset = (int64_t)(number - 1) * p->part_bytes, .bytes = p->part_bytes};
    if (number == p->n)
        part.bytes = p->bytes - part.offset;
    return part;
}
