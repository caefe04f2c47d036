/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/media.h - pictures in, videos out, for workflow plugins. Linked from the static library bp_media (FFmpeg's
 * libavcodec, libavformat, libswscale). Thread: any, one object from one thread at a time.
 */
#ifndef BP_MEDIA_H
#define BP_MEDIA_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_IMAGE_MAX_PIXELS     100000000LL /* 100 megapixels */
#define BP_IMAGE_MAX_FILE_BYTES (512LL * 1024 * 1024)

/* sRGB pixels, upright: four bytes each, R G B A, alpha not multiplied in; rows follow each other without a gap. */
struct bp_image {
    int32_t width, height;
    uint8_t *pixels;
};

/*
 * Reads a JPEG, PNG or WebP file, whatever it is called, and turns it as its EXIF orientation says.
 * BP_BADINPUT with a sentence for the tenant: not such a picture, damaged, cut short, over the limits.
 * BP_IO: the file cannot be read. BP_NOMEM. On error *out is empty. Free with bp_image_free().
 */
int32_t bp_image_read(const char *path, struct bp_image *out, struct bp_err *err);
/* Writes a PNG. BP_IO, BP_NOSPACE, BP_NOMEM. */
int32_t bp_image_write(const struct bp_image *image, const char *path, struct bp_err *err);
/* Accepts an empty image; leaves it empty. */
void bp_image_free(struct bp_image *image);

/* A video to be encoded. */
struct bp_video_spec {
    int32_t width, height; /* even */
    int32_t fps;           /* frames per second, 1..120 */
    int32_t quality;       /* x264's constant rate factor: 0..51, lower is better; 18 looks like the source */
    int32_t key_interval;  /* frames from key frame to key frame at the most, >= 1 */
    int32_t threads;       /* 0: as many as there are cores */
};

/* One picture in NV12: height rows of luma, then height / 2 rows of interleaved U V. Stride = width. BT.709, video
 * range. */
struct bp_frame {
    const uint8_t *luma, *chroma;
};

struct bp_video;

/*
 * An H.264 encoder that keeps its packets in memory until they are written as one MP4 file. Frames are numbered from
 * 0 in the order given.
 */
int32_t bp_video_open(const struct bp_video_spec *spec, struct bp_video **out, struct bp_err *err);
/* Takes the next frame; its pixels may be overwritten as soon as this returns. */
int32_t bp_video_add(struct bp_video *video, const struct bp_frame *frame, struct bp_err *err);
/* Encodes all that was added. After it only save, write and close are allowed. */
int32_t bp_video_finish(struct bp_video *video, struct bp_err *err);
/* How many frames were added, those of restored packets included. */
int64_t bp_video_frames(const struct bp_video *video);
/*
 * The packets so far as bytes (free with free()) of at most max_bytes, cut after a whole group of pictures; *frames:
 * how many frames they hold, 0 when none. tag: 16 bytes of the caller's that say what the video is of.
 */
int32_t bp_video_save(const struct bp_video *video, const uint8_t tag[16], uint64_t max_bytes, uint8_t **bytes,
                      uint64_t *n, int64_t *frames, struct bp_err *err);
/* Before the first add: goes on after the frames of saved bytes. BP_INVALID (and no change) when they are damaged, of
 * another tag or of other settings. */
int32_t bp_video_restore(struct bp_video *video, const uint8_t tag[16], const uint8_t *bytes, uint64_t n,
                         struct bp_err *err);
/* After finish: writes an MP4 whose index comes first, so that players start before they have all of it. BP_IO,
 * BP_NOSPACE. */
int32_t bp_video_write(const struct bp_video *video, const char *path, struct bp_err *err);
/* Frees it and sets *video to NULL; accepts NULL in it. */
void bp_video_close(struct bp_video **video);

#ifdef __cplusplus
}
#endif
#endif
