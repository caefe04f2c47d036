/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - a media file of a tenant, opened for reading. FFmpeg sees this one file and nothing else: no protocol,
 * no second file, no format that is a list of other files.
 */
#ifndef MEDIA_CONTAINER_H
#define MEDIA_CONTAINER_H

#include "format.h"

#include <bp/media.h>

struct container {
    AVIOContext *io;
    AVFormatContext *format;
    AVStream *video;   /* the stream to decode */
    AVRational base;   /* of the times given out: the stream's, or 1/1000000 where that is finer */
    int64_t origin_us; /* where the file's clock starts, in microseconds; 0 but for formats that number from anywhere */
};

/* The limits with their defaults filled in. */
struct bp_video_limits container_limits(const struct bp_video_limits *limits);
/* BP_BADINPUT, BP_IO, BP_NOMEM; then *out is empty. limits: complete. container_close() in any case. */
int32_t container_open(const char *path, const struct bp_video_limits *limits, struct container *out,
                       struct bp_err *err);
/* The same for a file whose sound is wanted: `video` is NULL when it has none, and files of sound alone are taken too.
 */
int32_t container_open_sound(const char *path, const struct bp_video_limits *limits, struct container *out,
                             struct bp_err *err);
void container_close(struct container *c);
/* Seconds of the video as the file has it, 0: it does not say. */
double container_seconds(const struct container *c);
/* How many bytes the file lacks of what its index names; 0: none, or it has no index. */
int64_t container_missing_bytes(const struct container *c);

#endif
