/* SPDX-License-Identifier: Apache-2.0 */
#include "device/buffers.h"

#include <string.h>

#define SMALLEST 512ULL        /* what CUDA aligns to, and a multiple of every cache line */
#define LARGE    (64ULL << 20) /* from here on steps are STEP: an eighth more would be much */
#define STEP     (2ULL << 20)

uint64_t buffers_room(uint64_t bytes)
{
    if (bytes > UINT64_MAX - STEP)
        return 0;
    uint64_t step = SMALLEST;
    if (bytes > LARGE) {
        step = STEP;
    } else {
        while (step * 16 <= bytes)
            step *= 2;
    }
    return (bytes + step - 1) / step * step;
}

static void remove_at(struct buffers *b, int32_t i)
{
    b->stats->kept_bytes -= (int64_t)b->kept[i].room;
    b->n--;
    memmove(&b->kept[i], &b->kept[i + 1], (size_t)(b->n - i) * sizeof b->kept[0]);
}

void *buffers_take(struct buffers *b, uint64_t room)
{
    for (int32_t i = b->n - 1; i >= 0; i--) {
        if (b->kept[i].room != room)
            continue;
        void *at = b->kept[i].at;
        remove_at(b, i);
        b->stats->reused++;
        return at;
    }
    return NULL;
}

void buffers_used(struct buffers *b, uint64_t room)
{
    struct bp_device_stats *s = b->stats;
    s->used_bytes += (int64_t)room;
    if (s->used_bytes + s->kept_bytes > s->peak_bytes)
        s->peak_bytes = s->used_bytes + s->kept_bytes;
}

static void release_oldest(struct buffers *b)
{
    void *at = b->kept[0].at;
    remove_at(b, 0);
    b->release(b->ctx, at);
}

void buffers_give(struct buffers *b, void *at, uint64_t room)
{
    b->stats->used_bytes -= (int64_t)room;
    if (room > (uint64_t)b->limit_bytes) {
        b->release(b->ctx, at);
        return;
    }
    while (b->n == BUFFERS_KEPT || (b->n > 0 && b->stats->kept_bytes + (int64_t)room > b->limit_bytes))
        release_oldest(b);
    b->kept[b->n++] = (struct buffers_block){at, room};
    b->stats->kept_bytes += (int64_t)room;
}

int64_t buffers_clear(struct buffers *b)
{
    int64_t bytes = b->stats->kept_bytes;
    while (b->n > 0)
        release_oldest(b);
    return bytes;
}
