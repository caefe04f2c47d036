/* SPDX-License-Identifier: Apache-2.0 */
/* part_plan.h - how a file is cut into the parts of a multipart upload. Pure; any thread. */
#ifndef AWS_PART_PLAN_H
#define AWS_PART_PLAN_H

#include <bp/plugin.h>
#include <stdint.h>

/* S3's limits: a part has 5 MiB to 5 GiB, but the last, which may be smaller; an upload has up to 10,000 of them. */
#define PART_BYTES_MIN (5LL << 20)
#define PART_BYTES_MAX (5LL << 30)
#define PARTS_MAX      10000

struct part_plan {
    int64_t bytes;      /* of the file */
    int64_t part_bytes; /* of every part but the last */
    uint32_t n;         /* >= 1 */
};

struct part {
    uint32_t number; /* from 1, as S3 counts */
    int64_t offset, bytes;
};

/* Parts of about part_bytes, larger where the file would need too many. BP_TOOLARGE: no plan holds so much;
 * BP_INVALID: bytes is negative. */
int part_plan_make(struct part_plan *p, int64_t bytes, int64_t part_bytes, struct bp_err *err);
/* The part with this number, 1..n. */
struct part part_plan_at(const struct part_plan *p, uint32_t number);

#endif
