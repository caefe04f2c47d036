/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved form: struct head, the encoder's parameter sets, n struct packet, their data. Numbers are as the machine has
 * them: a checkpoint goes to another instance of the same fleet.
 */
#include "packets.h"

#include <bp/workflow.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SAVE_MAGIC   0x3256504256504231ULL
#define MAX_PACKETS  (1U << 20)
#define PACKET_LIMIT (1ULL << 30)

struct head {
    uint64_t magic;
    uint8_t tag[16];
    int32_t width, height, fps, quality, key_interval, format, content;
    struct bp_ratio time_base;
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

static int32_t io_fail(struct bp_err *err, const char *what)
{
    return bp_error(err, errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO,
                    "%s encoded video in the job's temporary folder failed: %s", what, strerror(errno));
}

static int32_t open_spill(struct packets *p, struct bp_err *err)
{
    char path[4200];
    if (p->file)
        return BP_OK;
    snprintf(path, sizeof path, "%.4090s/video.XXXXXX", p->temp_dir);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return io_fail(err, "keeping");
    unlink(path);
    p->file = fd + 1;
    return BP_OK;
}

static int32_t spill(struct packets *p, const uint8_t *data, uint32_t n, struct bp_err *err)
{
    int32_t rc = open_spill(p, err);
    for (uint32_t done = 0; rc == BP_OK && done < n;) {
        ssize_t k = pwrite(p->file - 1, data + done, n - done, (off_t)(p->spilled + done));
        if (k < 0 && errno != EINTR)
            rc = io_fail(err, "keeping");
        done += k > 0 ? (uint32_t)k : 0;
    }
    if (rc == BP_OK)
        p->spilled += n;
    return rc;
}

static int32_t keep_data(struct packets *p, const uint8_t *data, uint32_t n, struct bp_err *err)
{
    if (p->temp_dir && (p->spilled || p->bytes + n > PACKETS_IN_MEMORY))
        return spill(p, data, n, err);
    void *bytes = p->data;
    int32_t rc = make_room(&bytes, &p->data_room, p->bytes + n, 1, err);
    p->data = bytes;
    if (rc == BP_OK) {
        memcpy(p->data + p->bytes, data, n);
        p->bytes += n;
    }
    return rc;
}

int32_t packets_read(const struct packets *p, uint64_t offset, uint32_t bytes, uint8_t *room, const uint8_t **at,
                     struct bp_err *err)
{
    *at = room;
    if (offset < p->bytes) {
        *at = p->data + offset;
        return BP_OK;
    }
    for (uint32_t done = 0; done < bytes;) {
        ssize_t k = pread(p->file - 1, room + done, bytes - done, (off_t)(offset - p->bytes + done));
        if (k == 0)
            errno = EIO;
        if (k == 0 || (k < 0 && errno != EINTR))
            return io_fail(err, "reading");
        done += k > 0 ? (uint32_t)k : 0;
    }
    return BP_OK;
}

int32_t packets_add(struct packets *p, const struct packet *packet, const uint8_t *data, struct bp_err *err)
{
    void *list = p->list;
    int32_t rc = make_room(&list, &p->room, p->n + 1, sizeof p->list[0], err);
    p->list = list;
    if (rc == BP_OK)
        rc = keep_data(p, data, packet->bytes, err);
    if (rc == BP_OK)
        p->list[p->n++] = *packet;
    return rc;
}

void packets_free(struct packets *p)
{
    free(p->list);
    free(p->data);
    if (p->file)
        close(p->file - 1);
    *p = (struct packets){.temp_dir = p->temp_dir};
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
        if (bytes + i * sizeof(struct packet) > max_bytes || bytes > p->bytes)
            break;
        if (whole && i > 0) {
            *n = i;
            frames = i == p->n ? total_frames : p->list[i].frame;
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
    h->format = origin->spec.format;
    h->content = origin->spec.content;
    h->time_base = origin->spec.time_base;
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
    if (origin->header_bytes)
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

/* Each frame has one packet, and frames are shown at times that grow. times: room for n. */
static int frames_are_sane(const struct packet *list, uint64_t n, int64_t *times)
{
    for (uint64_t i = 0; i < n; i++)
        times[i] = INT64_MIN;
    for (uint64_t i = 0; i < n; i++) {
        if (times[list[i].frame] != INT64_MIN)
            return 0;
        times[list[i].frame] = list[i].time;
    }
    for (uint64_t i = 1; i < n; i++)
        if (times[i] <= times[i - 1])
            return 0;
    return 1;
}

/* The list makes sense: starts with a key, and has a packet for each frame. */
static int list_is_sane(const struct packet *list, const struct head *h)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < h->n; i++) {
        const struct packet *k = &list[i];
        if (k->key > 1 || k->bytes == 0 || k->frame < 0 || k->frame >= h->frames || k->time < -PACKETS_TIME_MAX ||
            k->time > PACKETS_TIME_MAX || k->duration < 0 || k->duration > PACKETS_TIME_MAX)
            return 0;
        bytes += k->bytes;
    }
    if (bytes != h->data_bytes || h->n != (uint64_t)h->frames || (h->n && !list[0].key))
        return 0;
    int64_t *times = malloc((h->n + 1) * sizeof *times);
    int sane = times && frames_are_sane(list, h->n, times);
    free(times);
    return sane;
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
    if (h.header_bytes && memcmp(header, origin->header, h.header_bytes) != 0)
        return bp_error(err, BP_INVALID, "the checkpoint is of another version of the encoder");
    struct packets got = {
        .temp_dir = p->temp_dir, .n = h.n, .room = h.n, .bytes = h.data_bytes, .data_room = h.data_bytes};
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
