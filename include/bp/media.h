/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/media.h - pictures and videos in, videos out, for workflow plugins. Linked from the static library bp_media
 * (FFmpeg's libavcodec, libswscale, and libavformat, which is loaded when a video is first read or encoded). Thread:
 * any, one object from one thread at a time.
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

/* A fraction, lowest terms or not; {0, n}: not known. */
struct bp_ratio {
    int32_t num, den;
};

/*
 * How a video's samples become what is seen. Numbers are those of ITU-T H.273 (BT.709 is 1 1 1; 2: not said). All zero
 * is BT.709, video range, chroma on the left luma sample, square pixels, upright, no HDR.
 */
struct bp_video_meta {
    int32_t primaries, transfer, matrix;
    int32_t full_range; /* 1: 0..255 (0..1023); 0: video range */
    int32_t chroma;     /* BP_CHROMA_* */
    struct bp_ratio sample_aspect;
    int32_t rotation;          /* degrees clockwise to show it upright, 0..359; what the matrix below says in words */
    int32_t has_matrix;        /* 1: the nine numbers are an MP4's display matrix (tkhd) */
    int32_t display_matrix[9]; /* 16.16 fixed point, the last column 2.30 */
    int32_t has_mastering;     /* 1: the display it was graded on (SMPTE ST 2086) */
    uint16_t mastering[8];     /* x y of red, green, blue, white, in 1/50000 */
    uint32_t max_luminance, min_luminance;         /* 1/10000 cd/m2 */
    int32_t has_light;                             /* 1: content light (CTA-861.3) */
    uint32_t max_content_light, max_average_light; /* cd/m2 */
};

#define BP_CHROMA_LEFT     0 /* between two rows, on the left column: MPEG-2, H.264, H.265 */
#define BP_CHROMA_CENTRE   1 /* in the middle of four luma samples: JPEG, MPEG-1 */
#define BP_CHROMA_TOP_LEFT 2 /* on the upper left luma sample: BT.2020 */

/* What bp_video_add() and bp_video_add_planar() take, and what the encoder makes of it. */
#define BP_VIDEO_NV12     0 /* 8 bits, bp_video_add() */
#define BP_VIDEO_PLANAR8  1 /* 8 bits a sample in a byte, bp_video_add_planar() */
#define BP_VIDEO_PLANAR10 2 /* 10 bits a sample in a uint16_t, bp_video_add_planar(); becomes H.265 */

/* What moves in it, for the encoder. */
#define BP_VIDEO_CAMERA  0 /* a camera over one picture: smooth, no cuts */
#define BP_VIDEO_FOOTAGE 1 /* anything */

/* Which part of the machine decodes or encodes. */
#define BP_ENGINE_SOFTWARE 0 /* the CPU: every format, the same bytes each time, damage in files is found */
#define BP_ENGINE_AUTO     1 /* an NVIDIA GPU's encoder or decoder where it opens for this video, else the CPU */
#define BP_ENGINE_HARDWARE 2 /* the GPU's; an error where it does not open */

struct bp_device;

/* The engine for a device by an operator's word: "auto" (also "" and NULL): AUTO on a CUDA device, SOFTWARE on a CPU;
 * "software", "hardware". Another word is taken as "auto". */
int32_t bp_engine_for(const struct bp_device *dev, const char *wish);

/* A video to be encoded. Members behind `threads` may be left zero. */
struct bp_video_spec {
    int32_t width, height; /* even */
    int32_t fps;           /* frames per second, 1..120 */
    int32_t quality;       /* x264's constant rate factor: 0..51, lower is better; 18 looks like the source */
    int32_t key_interval;  /* frames from key frame to key frame at the most, >= 1 */
    int32_t threads;       /* 0: as many as there are cores */
    int32_t format;        /* BP_VIDEO_NV12, _PLANAR8, _PLANAR10 */
    int32_t content;       /* BP_VIDEO_CAMERA, _FOOTAGE */
    /* Unit of the frames' times; {0, 0}: 1 / fps, and frame i is shown at i. With a time base of its own, fps is no
     * more than what the encoder shares out its bits by. */
    struct bp_ratio time_base;
    struct bp_video_meta meta;
    const char *temp_dir; /* encoded video beyond 64 MiB goes to a nameless file in here; NULL: all stays in memory */
    int32_t engine;       /* BP_ENGINE_*; the GPU's encoder is tried by opening it */
};

/* One picture in NV12: height rows of luma, then height / 2 rows of interleaved U V. Stride = width. BT.709, video
 * range. */
struct bp_frame {
    const uint8_t *luma, *chroma;
};

/*
 * One picture in planar 4:2:0: luma, then U and V with (width + 1) / 2 columns and (height + 1) / 2 rows. 8 bits are a
 * byte a sample; 10 bits a uint16_t, 0..1023.
 */
struct bp_video_frame {
    const uint8_t *planes[3];
    int32_t strides[3]; /* bytes from row to row */
    int32_t width, height;
    int32_t depth;    /* 8 or 10 */
    int32_t key;      /* 1: a key frame of its source */
    int64_t time;     /* when it is shown, in units of the time base */
    int64_t duration; /* how long, 0: until the next one */
};

struct bp_video;
struct bp_video_limits;

/*
 * An H.264 (10 bits: H.265) encoder that keeps its packets in memory until they are written as one MP4 file. Frames are
 * numbered from 0 in the order given.
 */
int32_t bp_video_open(const struct bp_video_spec *spec, struct bp_video **out, struct bp_err *err);
/* What encodes it: "libx264", "h264_nvenc". Borrowed until the close. */
const char *bp_video_encoder(const struct bp_video *video);
/* Why the GPU's encoder, which was tried, does not; "" when it does, or nobody asked for it. Borrowed until the close.
 */
const char *bp_video_passed_over(const struct bp_video *video);
/* Takes the next frame; its pixels may be overwritten as soon as this returns. */
int32_t bp_video_add(struct bp_video *video, const struct bp_frame *frame, struct bp_err *err);
/* The same for BP_VIDEO_PLANAR8 and _PLANAR10; of the spec's size. With a time base, frame->time must be greater than
 * that of the frame before (BP_INVALID); without one it is ignored. */
int32_t bp_video_add_planar(struct bp_video *video, const struct bp_video_frame *frame, struct bp_err *err);
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

/* Which sound goes with a video. */
struct bp_video_sound {
    const char *source;      /* the file it is in */
    double from_s, until_s;  /* the part of the source's time that the video shows; until_s 0: to its end */
    int32_t streams;         /* out: how many the video has */
    int32_t recoded;         /* out: how many of them were encoded anew, as AAC, because an MP4 cannot hold theirs */
    int32_t dropped;         /* out: how many were not, because they cannot be encoded anew either */
    char dropped_codecs[64]; /* out: "pcm_s16le, wmav2" */
};

/*
 * The same with the source's sound copied packet by packet, unchanged, at its times less from_s. PCM, WMA, AMR and the
 * like become AAC. limits as for bp_video_reader_open(). BP_BADINPUT when the source cannot be read as far as the video
 * goes.
 */
int32_t bp_video_write_with(const struct bp_video *video, const char *path, struct bp_video_sound *sound,
                            const struct bp_video_limits *limits, struct bp_err *err);
/* Frees it and sets *video to NULL; accepts NULL in it. */
void bp_video_close(struct bp_video **video);

#define BP_VIDEO_MAX_PIXELS  (8192LL * 4320)
#define BP_VIDEO_MAX_SECONDS (4.0 * 3600)
#define BP_VIDEO_MAX_FRAMES  1000000

/* What a file may ask of this machine; 0 is the limit above. */
struct bp_video_limits {
    int64_t max_pixels; /* of a frame */
    double max_seconds; /* of the video */
    int64_t max_frames;
    int32_t max_streams; /* 0: 32 */
    int32_t threads;     /* to decode with; 0: as many as there are cores, at most 16 */
    int32_t engine;      /* BP_ENGINE_*: the GPU's decoder finds less of what is damaged */
};

struct bp_video_info {
    int32_t width, height;      /* of every frame as it comes, not turned */
    int32_t depth;              /* 8 or 10; more bits are rounded to 10 */
    struct bp_ratio time_base;  /* of the frames' times */
    struct bp_ratio frame_rate; /* on the average; {0, 1}: the file does not say */
    int64_t frames;             /* what the file says or what duration and rate come to; 0: unknown */
    int64_t duration;           /* of the video, in time_base; 0: unknown */
    /* What the file does not say of colours is filled in as players guess it: BT.601 up to 576 lines, else BT.709. */
    struct bp_video_meta meta;
    int32_t video_streams, audio_streams, other_streams; /* in the file; others: subtitles, data, cover pictures */
    int32_t interlaced;                                  /* 1: of its first frame; fields are not taken apart */
    int32_t converted;             /* 1: it was no 4:2:0 of 8 or 10 bits (RGB becomes BT.709, alpha is dropped) */
    int32_t dynamic_hdr;           /* 1: has Dolby Vision or HDR10+ beside what meta says */
    char container[32], codec[32]; /* FFmpeg's names: "mov,mp4,m4a", "hevc" */
    char decoder[32];              /* what decodes it: "h264", "h264_cuvid" */
    char passed_over[160];         /* why the GPU's decoder, which was tried, does not; "" */
};

struct bp_video_reader;

/*
 * Opens a video file of whatever name: MP4/MOV, Matroska/WebM, AVI, MPEG-TS and -PS, FLV, Ogg, ASF, IVF, GIF or APNG.
 * Only this one file is read: no network, no playlists, no other files it names. A thread of the reader decodes a few
 * frames ahead; frames are taken from a pool. The first frame is decoded here already.
 * BP_BADINPUT with a sentence for the tenant: no such video, no picture in it, damaged, cut short, over the limits.
 * BP_IO: the file cannot be read. BP_NOMEM. On error *out is NULL. limits may be NULL.
 */
int32_t bp_video_reader_open(const char *path, const struct bp_video_limits *limits, struct bp_video_reader **out,
                             struct bp_err *err);
/* Borrowed until the close. */
const struct bp_video_info *bp_video_reader_info(const struct bp_video_reader *reader);
/*
 * The next frame in the order of showing; times grow strictly. Its pixels are borrowed until the next call with this
 * reader. BP_NOTFOUND: there is none left (err is not set). BP_BADINPUT: damaged or cut short from here on, of another
 * shape than the first frame (another size of the same shape is scaled to the first one's), or over the limits.
 * After an error every further call gives the same.
 */
int32_t bp_video_reader_next(struct bp_video_reader *reader, struct bp_video_frame *frame, struct bp_err *err);
/* Passes over n frames; BP_NOTFOUND when there are not that many. */
int32_t bp_video_reader_skip(struct bp_video_reader *reader, int64_t n, struct bp_err *err);
/* Stops the thread, frees all and sets *reader to NULL; accepts NULL in it. */
void bp_video_reader_close(struct bp_video_reader **reader);

#ifdef __cplusplus
}
#endif
#endif
