/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved form: struct head, the encoder's parameter sets, n struct packet, their data. Numbers are as the machine has
 * them: a checkpoint goes to another instance of the same fleet.
 */
#include "packets.h"

#include <bp/workflow.h>
#include <stdlib.h>

#define SAVE_MAGIC   0x3156504256504231ULL
#define MAX_PACKETS  (1U << 20)
#define PACKET_LIMIT (1ULL << 30)

struct head {
    uint64_t magic;
    uint8_t tag[16];
    int32_t width, height, fps, quality, key_interval;
    uint32_t header_bytes;
    uint64_t n;
    int64_t frames;
    uint64_t data_bytes;
    uint64_t sum; /* of everything behind the head */
};

/* FNV-1a over 8-byte words, then the rest: finds damage, is no protection against intent. */
static uint64_t checksum(const uint8_t *p, uint64_t n)
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

/* Room for `need` items of `item` bytes; doubles, so that adding is cheap. */
static int32_t make_room(void **memory, uint64_t *room, uint64_t need, size_t item, struct bp_err *err)
{
    if (need <= *room)
        return BP_OK;
    uint64_t want = *room ? *room : 1024;
    while (want < need)
        want *= 2;
    void *grown = want > SIZE_MAX / item ? NULL : realloc(*memory, want * item);
    if (!grown)
        return bp_error(err, BP_NOMEM, "no memory for %llu MiB of encoded video",
                        (unsigned long long)(need * item >> 20));
    *memory = grown;
    *room = want;
    return BP_OK;
}

int32_t packets_add(struct packets *p, const struct packet *packet, const uint8_t *data, struct bp_err *err)
{
    void *list = p->list, *bytes = p->data;
    int32_t rc = make_room(&list, &p->room, p->n + 1, sizeof p->list[0], err);
    p->list = list;
    if (rc == BP_OK)
        rc = make_room(&bytes, &p->data_room, p->bytes + packet->bytes, 1, err);
    p->data = bytes;
    if (rc != BP_OK)
        return rc;
    memcpy(p->data + p->bytes, data, packet->bytes);
    p->bytes += packet->bytes;
    p->list[p->n++] = *packet;
    return BP_OK;
}

void packets_free(struct packets *p)
{
    free(p->list);
    free(p->data);
    *p = (struct packets){0};
}

uint64_t packets_overhead(const struct packets_origin *origin, uint64_t n)
{
    return sizeof(struct head) + origin->header_bytes + n * sizeof(struct packet);
}

int64_t packets_whole(const struct packets *p, uint64_t max_bytes, int64_t total_frames, int32_t all_done, uint64_t *n)
{
    uint64_t bytes = 0;
    int64_t frames = 0;
    *n = 0;
    for (uint64_t i = 0; i <= p->n; i++) {
        int whole = i == p->n ? all_done : p->list[i].key != 0;
        if (bytes + i * sizeof(struct packet) > max_bytes)
            break;
        if (whole && i > 0) {
            *n = i;
            frames = i == p->n ? total_frames : p->list[i].pts;
        }
        if (i < p->n)
            bytes += p->list[i].bytes;
    }
    return frames;
}

static void fill_head(struct head *h, const struct packets_origin *origin)
{
    memset(h, 0, sizeof *h);
    h->magic = SAVE_MAGIC;
    memcpy(h->tag, origin->tag, sizeof h->tag);
    h->width = origin->spec.width;
    h->height = origin->spec.height;
    h->fps = origin->spec.fps;
    h->quality = origin->spec.quality;
    h->key_interval = origin->spec.key_interval;
    h->header_bytes = origin->header_bytes;
}

int32_t packets_save(const struct packets *p, uint64_t n, int64_t frames, const struct packets_origin *origin,
                     uint8_t **bytes, uint64_t *n_bytes, struct bp_err *err)
{
    struct head h;
    fill_head(&h, origin);
    h.n = n;
    h.frames = frames;
    for (uint64_t i = 0; i < n; i++)
        h.data_bytes += p->list[i].bytes;
    *n_bytes = packets_overhead(origin, n) + h.data_bytes;
    *bytes = malloc(*n_bytes);
    if (!*bytes)
        return bp_error(err, BP_NOMEM, "no memory for a checkpoint of %llu MiB", (unsigned long long)(*n_bytes >> 20));
    uint8_t *at = *bytes + sizeof h;
    memcpy(at, origin->header, origin->header_bytes);
    at += origin->header_bytes;
    if (n)
        memcpy(at, p->list, n * sizeof p->list[0]);
    at += n * sizeof p->list[0];
    if (h.data_bytes)
        memcpy(at, p->data, h.data_bytes);
    h.sum = checksum(*bytes + sizeof h, *n_bytes - sizeof h);
    memcpy(*bytes, &h, sizeof h);
    return BP_OK;
}

/* The list makes sense: starts with a key, and has a packet for each frame. */
static int list_is_sane(const struct packet *list, const struct head *h)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < h->n; i++) {
        const struct packet *k = &list[i];
        if (k->key > 1 || k->bytes == 0 || k->pts < 0 || k->pts >= h->frames)
            return 0;
        bytes += k->bytes;
    }
    return bytes == h->data_bytes && h->n == (uint64_t)h->frames && (h->n == 0 || list[0].key);
}

/* Same origin and sizes that fit n_bytes exactly; nothing here can overflow. */
static int head_fits(const struct head *h, const struct packets_origin *origin, uint64_t n_bytes)
{
    struct head expected;
    fill_head(&expected, origin);
    if (memcmp(h, &expected, offsetof(struct head, n)) != 0)
        return 0;
    if (h->n > MAX_PACKETS || h->frames < 0 || h->data_bytes > PACKET_LIMIT)
        return 0;
    return n_bytes == packets_overhead(origin, h->n) + h->data_bytes;
}

int32_t packets_load(struct packets *p, const struct packets_origin *origin, const uint8_t *bytes, uint64_t n_bytes,
                     int64_t *frames, struct bp_err *err)
{
    struct head h;
    if (n_bytes < sizeof h)
        return bp_error(err, BP_INVALID, "the checkpoint is cut short");
    memcpy(&h, bytes, sizeof h);
    if (!head_fits(&h, origin, n_bytes))
        return bp_error(err, BP_INVALID, "the checkpoint is of another job, other settings or another version");
    const uint8_t *header = bytes + sizeof h, *list = header + h.header_bytes;
    if (checksum(header, n_bytes - sizeof h) != h.sum)
        return bp_error(err, BP_INVALID, "the checkpoint is damaged");
    if (memcmp(header, origin->header, h.header_bytes) != 0)
        return bp_error(err, BP_INVALID, "the checkpoint is of another version of the encoder");
    struct packets got = {.n = h.n, .room = h.n, .bytes = h.data_bytes, .data_room = h.data_bytes};
    got.list = malloc((h.n + 1) * sizeof got.list[0]);
    got.data = malloc(h.data_bytes + 1);
    if (got.list && got.data) {
        memcpy(got.list, list, h.n * sizeof got.list[0]);
        memcpy(got.data, list + h.n * sizeof got.list[0], h.data_bytes);
    }
    int32_t rc = got.list && got.data ? BP_OK : bp_error(err, BP_NOMEM, "no memory to load a checkpoint");
    if (rc == BP_OK && !list_is_sane(got.list, &h))
        rc = bp_error(err, BP_INVALID, "the checkpoint's packets make no video");
    if (rc != BP_OK) {
        packets_free(&got);
        return rc;
    }
    *p = got;
    *frames = h.frames;
    return BP_OK;
}
