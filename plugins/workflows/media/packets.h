/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets.h - the encoded video so far. Packets are in decoding order and carry the number of their frame and when it
 * is shown; a key packet starts a closed group of pictures, so all packets before one hold exactly the frames before
 * its own. Data beyond PACKETS_IN_MEMORY goes to a file without a name, where a folder for it is given.
 */
#ifndef MEDIA_PACKETS_H
#define MEDIA_PACKETS_H

#include <bp/media.h>

#define PACKETS_IN_MEMORY (64ULL * 1024 * 1024)

#define PACKETS_TIME_MAX (1LL << 53) /* further from 0 no frame is shown */

struct packet {
    int64_t frame;          /* its number */
    int64_t time, duration; /* in the video's time base; duration 0: until the next frame */
    uint32_t bytes;
    uint32_t key; /* 0 or 1 */
};

struct packets {
    struct packet *list;
    uint64_t n, room;
    uint8_t *data; /* of the first packets, one behind the other */
    uint64_t bytes, data_room;
    uint64_t spilled; /* bytes of the packets behind them, in the file */
    int32_t file;     /* descriptor + 1; 0: none yet */
    const char *temp_dir;
};

/* What makes packets of two encoders fit together. */
struct packets_origin {
    uint8_t tag[16];
    struct bp_video_spec spec; /* threads is ignored */
    const uint8_t *header;     /* the encoder's parameter sets */
    uint32_t header_bytes;
};

/* Copies the packet. BP_NOMEM, BP_IO, BP_NOSPACE: nothing added. */
int32_t packets_add(struct packets *p, const struct packet *packet, const uint8_t *data, struct bp_err *err);
void packets_free(struct packets *p);
/* `bytes` of the data that starts `offset` behind the first packet's; into room, or *at points to where it lies. */
int32_t packets_read(const struct packets *p, uint64_t offset, uint32_t bytes, uint8_t *room, const uint8_t **at,
                     struct bp_err *err);
/* Frames held by the largest prefix of whole groups that saves to max_bytes or less and is in memory; *n its packets.
 * all_done: the last group is whole too and ends at total_frames. */
int64_t packets_whole(const struct packets *p, uint64_t max_bytes, int64_t total_frames, int32_t all_done, uint64_t *n);
/* The first n packets, which hold `frames` frames, as bytes (free()). */
int32_t packets_save(const struct packets *p, uint64_t n, int64_t frames, const struct packets_origin *origin,
                     uint8_t **bytes, uint64_t *n_bytes, struct bp_err *err);
/* Into an empty list. BP_INVALID and no change unless the bytes are whole and of the same origin. */
int32_t packets_load(struct packets *p, const struct packets_origin *origin, const uint8_t *bytes, uint64_t n_bytes,
                     int64_t *frames, struct bp_err *err);
/* Bytes that packets_save() adds to the packets' own. */
uint64_t packets_overhead(const struct packets_origin *origin, uint64_t n);

#endif
