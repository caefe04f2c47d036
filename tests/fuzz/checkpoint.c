/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints of a video, which come back through the object store. The head is made to fit in the places that refuse
 * almost everything (origin, sizes, checksum), so that what lies behind them is reached; the first byte says which.
 */
#include "packets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MEND_ORIGIN 1
#define MEND_SIZES  2
#define MEND_SUM    4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t header[] = {0, 0, 0, 1, 0x67, 0x64, 0, 0x1f};
static const struct packets_origin origin = {
    .tag = "a job's checkpt",
    .spec = {.width = 160, .height = 90, .fps = 25, .quality = 20, .key_interval = 10},
    .header = header,
    .header_bytes = sizeof header};

/* Where the head (packets.c) has its numbers, taken from a save of nothing. */
struct layout {
    size_t n, frames, data_bytes, sum, end;
};

static struct layout layout_of(uint64_t empty_bytes)
{
    size_t end = (size_t)empty_bytes - sizeof header;
    return (struct layout){end - 32, end - 24, end - 16, end - 8, end};
}

static uint64_t checksum_of(const uint8_t *p, uint64_t n)
{
    uint64_t h = 0xcbf29ce484222325ULL, word;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x100000001b3ULL;
        h ^= h >> 29;
    }
    for (; n > 0; n--)
        h = (h ^ *p++) * 0x100000001b3ULL;
    return h;
}

/* Makes n packets and the rest data, the lengths of the packets being what the input says. */
static void mend_sizes(uint8_t *bytes, size_t size, const struct layout *at)
{
    uint64_t behind = size - at->end - sizeof header, n = bytes[at->n] % (behind / sizeof(struct packet) + 1);
    uint64_t data_bytes = behind - n * sizeof(struct packet);
    int64_t frames = (int64_t)n;
    memcpy(bytes + at->n, &n, sizeof n);
    memcpy(bytes + at->frames, &frames, sizeof frames);
    memcpy(bytes + at->data_bytes, &data_bytes, sizeof data_bytes);
}

static void mend(uint8_t *bytes, size_t size, int what)
{
    struct packets none = {0};
    struct bp_err err;
    uint8_t *empty;
    uint64_t n;
    if (packets_save(&none, 0, 0, &origin, &empty, &n, &err) != BP_OK)
        return;
    struct layout at = layout_of(n);
    if (size >= n) {
        if (what & MEND_ORIGIN) {
            memcpy(bytes, empty, at.n);
            memcpy(bytes + at.end, header, sizeof header);
        }
        if (what & MEND_SIZES)
            mend_sizes(bytes, size, &at);
        if (what & MEND_SUM) {
            uint64_t sum = checksum_of(bytes + at.end, size - at.end);
            memcpy(bytes + at.sum, &sum, sizeof sum);
        }
    }
    free(empty);
}

/* What was taken must save to the bytes it came from. */
static void check_taken(const struct packets *p, int64_t frames, const uint8_t *bytes, size_t size)
{
    struct bp_err err;
    uint8_t *again;
    uint64_t n, kept;
    assert(frames == (int64_t)p->n);
    assert(packets_whole(p, UINT64_MAX, frames, 1, &kept) <= frames && kept <= p->n);
    if (packets_save(p, p->n, frames, &origin, &again, &n, &err) != BP_OK)
        return;
    assert(n == size && memcmp(again, bytes, size) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t *bytes = malloc(size > 1 ? size - 1 : 1); /* exact: a read past the end shows */
    if (!bytes)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    mend(bytes, size - 1, data[0]);
    struct packets p = {0};
    struct bp_err err;
    int64_t frames = -1;
    if (packets_load(&p, &origin, bytes, size - 1, &frames, &err) == BP_OK)
        check_taken(&p, frames, bytes, size - 1);
    else
        assert(p.list == NULL && p.n == 0 && frames == -1);
    packets_free(&p);
    free(bytes);
    return 0;
}
