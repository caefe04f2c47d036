/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffers.h - device memory that was freed and waits to be given again, so that work which repeats itself allocates
 * once. A block is given again only for a size that would have made the same block.
 *
 * Not for several threads at once. The owner allocates and frees the blocks; this only keeps them and counts.
 */
#ifndef RUNNER_DEVICE_BUFFERS_H
#define RUNNER_DEVICE_BUFFERS_H

#include <bp/device.h>

#define BUFFERS_KEPT 64

struct buffers_block {
    void *at;
    uint64_t room;
};

struct buffers {
    struct buffers_block kept[BUFFERS_KEPT]; /* the one freed first comes first */
    int32_t n;
    int64_t limit_bytes; /* of all that are kept */
    void (*release)(void *ctx, void *at);
    void *ctx;
    struct bp_device_stats *stats; /* the device's own: used, kept, peak, reused */
};

/* Bytes of the block for a buffer of that many: up to an eighth more, 0 when there is no such number. */
uint64_t buffers_room(uint64_t bytes);
/* A kept block of exactly that room, NULL: none; it counts as reused. */
void *buffers_take(struct buffers *b, uint64_t room);
/* A block is in use from now on; taken or allocated. */
void buffers_used(struct buffers *b, uint64_t room);
/* The block is free: keeps it, and releases the oldest while there are too many. */
void buffers_give(struct buffers *b, void *at, uint64_t room);
/* Releases all that is kept. Returns how many bytes that were. */
int64_t buffers_clear(struct buffers *b);

#endif
