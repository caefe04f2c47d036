/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets.h - the encoded video so far. Packets are in decoding order; times are in frames; a key packet starts a
 * closed group of pictures, so all packets before one hold exactly the frames before its pts.
 */
#ifndef MEDIA_PACKETS_H
#define MEDIA_PACKETS_H

#include <bp/media.h>

struct packet {
    int64_t pts; /* the frame's number */
    uint32_t bytes;
    uint32_t key; /* 0 or 1 */
};

struct packets {
    struct packet *list;
    uint64_t n, room;
    uint8_t *data; /* of all packets, one behind the other */
    uint64_t bytes, data_room;
};

/* What makes packets of two encoders fit together. */
struct packets_origin {
    uint8_t tag[16];
    struct bp_video_spec spec; /* threads is ignored */
    const uint8_t *header;     /* the encoder's parameter sets */
    uint32_t header_bytes;
};

/* Copies the packet. BP_NOMEM: nothing added. */
int32_t packets_add(struct packets *p, const struct packet *packet, const uint8_t *data, struct bp_err *err);
void packets_free(struct packets *p);
/* Frames held by the largest prefix of whole groups that saves to max_bytes or less; *n its packets. all_done: the last
 * group is whole too and ends at total_frames. */
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
