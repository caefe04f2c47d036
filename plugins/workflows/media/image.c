/* SPDX-License-Identifier: Apache-2.0 */
#include "av.h"
#include "picture.h"

#include <bp/media.h>
#include <bp/workflow.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/cpu.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HUGE_PAGE           (2UL << 20)
#define VECTOR_PIXELS       16
#define SHARED_PIXELS       (256 * 1024) /* fewer are not worth a thread */
#define CONVERT_THREADS_MAX 8

static const char *const format_names[] = {[PICTURE_JPEG] = "JPEG", [PICTURE_PNG] = "PNG", [PICTURE_WEBP] = "WebP"};
static const enum AVCodecID format_codecs[] = {
    [PICTURE_JPEG] = AV_CODEC_ID_MJPEG, [PICTURE_PNG] = AV_CODEC_ID_PNG, [PICTURE_WEBP] = AV_CODEC_ID_WEBP};

/* All of a regular file with the zero padding that decoders may read past its end. *bytes: free(). */
static int32_t read_open_file(FILE *f, const char *path, uint8_t **bytes, size_t *n, struct bp_err *err)
{
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        return bp_error(err, BP_IO, "reading %.120s failed: not a regular file", path);
    if (st.st_size > BP_IMAGE_MAX_FILE_BYTES)
        return bp_error(err, BP_BADINPUT, "the picture's file has %lld MiB, at most %lld MiB are taken",
                        (long long)st.st_size >> 20, BP_IMAGE_MAX_FILE_BYTES >> 20);
    *n = (size_t)st.st_size;
    *bytes = calloc(1, *n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!*bytes)
        return bp_error(err, BP_NOMEM, "no memory to read a picture of %zu bytes", *n);
    if (fread(*bytes, 1, *n, f) == *n)
        return BP_OK;
    free(*bytes);
    *bytes = NULL;
    return bp_error(err, BP_IO, "reading %.120s failed: it ended early", path);
}

static int32_t read_file(const char *path, uint8_t **bytes, size_t *n, struct bp_err *err)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return bp_error(err, BP_IO, "opening %.120s failed: %s", path, strerror(errno));
    int32_t rc = read_open_file(f, path, bytes, n, err);
    fclose(f);
    return rc;
}

/*
 * Can n bytes hold that many pixels at all? PNG: one bit a pixel, deflated at most 1032 to 1. JPEG: one bit for each
 * block of 8 by 8. WebP has no such bound. What fails this would cost memory for nothing.
 */
static int is_plausible(const struct picture *p, size_t n, int64_t pixels)
{
    int64_t per_byte = p->format == PICTURE_PNG ? 8 * 1032 : 64 * 8;
    return p->format == PICTURE_WEBP || pixels / per_byte <= (int64_t)n;
}

static int32_t check_limits(const struct picture *p, size_t n, struct bp_err *err)
{
    if (p->animated)
        return bp_error(err, BP_BADINPUT, "the %s file is an animation, a single picture is needed",
                        format_names[p->format]);
    if (p->width < 1 || p->height < 1)
        return bp_error(err, BP_BADINPUT, "the %s file is damaged: it does not say how large the picture is",
                        format_names[p->format]);
    int64_t pixels = (int64_t)p->width * p->height;
    if (pixels > BP_IMAGE_MAX_PIXELS)
        return bp_error(err, BP_BADINPUT, "the picture has %lld megapixels (%d by %d), at most %lld are taken",
                        (long long)(pixels / 1000000), p->width, p->height, BP_IMAGE_MAX_PIXELS / 1000000);
    if (!is_plausible(p, n, pixels))
        return bp_error(err, BP_BADINPUT, "the %s file is damaged or cut short: %zu bytes cannot hold %d by %d pixels",
                        format_names[p->format], n, p->width, p->height);
    return BP_OK;
}

static int receive_picture(AVCodecContext *codec, const uint8_t *bytes, size_t n, AVFrame *frame)
{
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return AVERROR(ENOMEM);
    packet->data = (uint8_t *)(uintptr_t)bytes; /* not counted: the decoder copies what it keeps */
    packet->size = (int)n;
    int r = avcodec_send_packet(codec, packet);
    if (r >= 0)
        r = avcodec_send_packet(codec, NULL);
    if (r >= 0)
        r = avcodec_receive_frame(codec, frame);
    if (r >= 0 && (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT)))
        r = AVERROR_INVALIDDATA;
    av_packet_free(&packet);
    return r;
}

/* Any fault in the data is an error: half a picture must not become a video. */
static int32_t decode(const struct picture *p, const uint8_t *bytes, size_t n, AVFrame *frame, struct bp_err *err)
{
    const AVCodec *decoder = avcodec_find_decoder(format_codecs[p->format]);
    AVCodecContext *codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    if (!codec)
        return bp_error(err, BP_FAIL, "this machine's FFmpeg cannot decode %s", format_names[p->format]);
    codec->err_recognition = AV_EF_CRCCHECK | AV_EF_BUFFER | AV_EF_EXPLODE;
    codec->max_pixels = BP_IMAGE_MAX_PIXELS;
    codec->thread_count = 1;
    int r = avcodec_open2(codec, decoder, NULL);
    if (r >= 0)
        r = receive_picture(codec, bytes, n, frame);
    avcodec_free_context(&codec);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to decode a picture of %d by %d", p->width, p->height);
    if (r < 0)
        return bp_error(err, BP_BADINPUT, "the %s file is damaged or cut short and cannot be decoded",
                        format_names[p->format]);
    if ((int64_t)frame->width * frame->height > BP_IMAGE_MAX_PIXELS)
        return bp_error(err, BP_BADINPUT, "the picture has more than %lld megapixels", BP_IMAGE_MAX_PIXELS / 1000000);
    return BP_OK;
}

/* What is larger than a huge page comes in such ones: a fault for each of 512 small ones takes longer than all else. */
static void *pixels_alloc(size_t bytes)
{
    if (bytes < HUGE_PAGE)
        return malloc(bytes);
    size_t room = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *at = aligned_alloc(HUGE_PAGE, room);
    if (at)
        madvise(at, room, MADV_HUGEPAGE);
    return at;
}

static int32_t image_alloc(struct bp_image *image, int32_t width, int32_t height, struct bp_err *err)
{
    /* swscale's vector code may write a little past the last row */
    *image = (struct bp_image){width, height, pixels_alloc((size_t)width * (size_t)height * 4 + 64)};
    if (image->pixels)
        return BP_OK;
    *image = (struct bp_image){0};
    return bp_error(err, BP_NOMEM, "no memory for a picture of %d by %d pixels", width, height);
}

/* Formats with a J say by their name that they use the full range. */
static int is_full_range(const AVFrame *f)
{
    return f->color_range == AVCOL_RANGE_JPEG || f->format == AV_PIX_FMT_YUVJ420P || f->format == AV_PIX_FMT_YUVJ422P ||
           f->format == AV_PIX_FMT_YUVJ444P || f->format == AV_PIX_FMT_YUVJ440P || f->format == AV_PIX_FMT_YUVJ411P;
}

/*
 * How many threads convert it: each takes some rows. Vectors may write past a row's end, into the next one's beginning,
 * which may be another thread's; not where a row is of whole vectors.
 */
static int convert_threads(const AVFrame *f)
{
    int cores = av_cpu_count();
    if (f->width % VECTOR_PIXELS != 0 || (int64_t)f->width * f->height < SHARED_PIXELS)
        return 1;
    return cores < CONVERT_THREADS_MAX ? cores : CONVERT_THREADS_MAX;
}

/* JPEG and WebP are BT.601 by their standards. */
static struct SwsContext *open_converter(const AVFrame *f)
{
    struct SwsContext *sws = sws_alloc_context();
    if (!sws)
        return NULL;
    av_opt_set_int(sws, "srcw", f->width, 0);
    av_opt_set_int(sws, "srch", f->height, 0);
    av_opt_set_int(sws, "src_format", f->format, 0);
    av_opt_set_int(sws, "dstw", f->width, 0);
    av_opt_set_int(sws, "dsth", f->height, 0);
    av_opt_set_int(sws, "dst_format", AV_PIX_FMT_RGBA, 0);
    av_opt_set_int(sws, "sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, 0);
    av_opt_set_int(sws, "threads", convert_threads(f), 0);
    if (sws_init_context(sws, NULL, NULL) < 0) {
        sws_freeContext(sws);
        return NULL;
    }
    const int *bt601 = sws_getCoefficients(SWS_CS_ITU601);
    sws_setColorspaceDetails(sws, bt601, is_full_range(f), bt601, 1, 0, 1 << 16, 1 << 16);
    return sws;
}

static void keep(void *opaque, uint8_t *data)
{
    (void)opaque, (void)data; /* the image's memory */
}

static int convert_into(struct SwsContext *sws, const AVFrame *f, struct bp_image *out)
{
    AVFrame *to = av_frame_alloc();
    if (!to)
        return AVERROR(ENOMEM);
    to->format = AV_PIX_FMT_RGBA;
    to->width = f->width;
    to->height = f->height;
    to->data[0] = out->pixels;
    to->linesize[0] = f->width * 4;
    to->buf[0] = av_buffer_create(out->pixels, (size_t)f->width * (size_t)f->height * 4, keep, NULL, 0);
    int r = to->buf[0] ? sws_scale_frame(sws, to, f) : AVERROR(ENOMEM);
    av_frame_free(&to);
    return r;
}

/* Pixels as RGBA, not yet turned. */
static int32_t convert(const AVFrame *f, struct bp_image *out, struct bp_err *err)
{
    int32_t rc = image_alloc(out, f->width, f->height, err);
    if (rc != BP_OK)
        return rc;
    struct SwsContext *sws = open_converter(f);
    if (!sws) {
        bp_image_free(out);
        return bp_error(err, BP_BADINPUT, "the picture's pixel format (number %d) is not supported", f->format);
    }
    int r = convert_into(sws, f, out);
    sws_freeContext(sws);
    if (r >= 0)
        return BP_OK;
    bp_image_free(out);
    return av_fail(err, BP_FAIL, "converting the picture's colours", r);
}

/* Where the stored pixel (x, y) of a picture w by h goes, for EXIF orientations 2..8. */
static size_t turned_index(int32_t orientation, int32_t w, int32_t h, int32_t x, int32_t y)
{
    int32_t mx = w - 1 - x, my = h - 1 - y;
    switch (orientation) {
    case 2:
        return (size_t)y * (size_t)w + (size_t)mx;
    case 3:
        return (size_t)my * (size_t)w + (size_t)mx;
    case 4:
        return (size_t)my * (size_t)w + (size_t)x;
    case 5:
        return (size_t)x * (size_t)h + (size_t)y;
    case 6:
        return (size_t)x * (size_t)h + (size_t)my;
    case 7:
        return (size_t)mx * (size_t)h + (size_t)my;
    default: /* 8 */
        return (size_t)mx * (size_t)h + (size_t)y;
    }
}

static int32_t turn(struct bp_image *image, int32_t orientation, struct bp_err *err)
{
    if (orientation <= 1)
        return BP_OK;
    struct bp_image turned;
    int32_t w = image->width, h = image->height;
    int32_t rc = image_alloc(&turned, orientation < 5 ? w : h, orientation < 5 ? h : w, err);
    if (rc != BP_OK)
        return rc;
    const uint8_t *from = image->pixels;
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++, from += 4)
            memcpy(turned.pixels + turned_index(orientation, w, h, x, y) * 4, from, 4);
    bp_image_free(image);
    *image = turned;
    return BP_OK;
}

static int32_t read_bytes(const uint8_t *bytes, size_t n, struct bp_image *out, struct bp_err *err)
{
    struct picture p;
    int32_t rc = picture_probe(bytes, n, &p, err);
    if (rc == BP_OK)
        rc = check_limits(&p, n, err);
    if (rc != BP_OK)
        return rc;
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return bp_error(err, BP_NOMEM, "no memory to decode a picture");
    rc = decode(&p, bytes, n, frame, err);
    if (rc == BP_OK)
        rc = convert(frame, out, err);
    av_frame_free(&frame);
    if (rc == BP_OK)
        rc = turn(out, p.orientation, err);
    if (rc != BP_OK)
        bp_image_free(out);
    return rc;
}

int32_t bp_image_read(const char *path, struct bp_image *out, struct bp_err *err)
{
    *out = (struct bp_image){0};
    av_quiet();
    uint8_t *bytes = NULL;
    size_t n = 0;
    int32_t rc = read_file(path, &bytes, &n, err);
    if (rc != BP_OK)
        return rc;
    rc = read_bytes(bytes, n, out, err);
    free(bytes);
    return rc;
}

static int encode_png(const struct bp_image *image, AVCodecContext *codec, AVPacket *packet)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return AVERROR(ENOMEM);
    frame->format = AV_PIX_FMT_RGBA;
    frame->width = image->width;
    frame->height = image->height;
    int r = av_frame_get_buffer(frame, 0);
    if (r >= 0) {
        const uint8_t *rows[4] = {image->pixels};
        int strides[4] = {image->width * 4};
        av_image_copy(frame->data, frame->linesize, rows, strides, AV_PIX_FMT_RGBA, image->width, image->height);
        r = avcodec_send_frame(codec, frame);
    }
    if (r >= 0)
        r = avcodec_receive_packet(codec, packet);
    av_frame_free(&frame);
    return r;
}

static int32_t write_file(const char *path, const AVPacket *packet, struct bp_err *err)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return bp_error(err, BP_IO, "creating %.120s failed: %s", path, strerror(errno));
    size_t written = fwrite(packet->data, 1, (size_t)packet->size, f);
    int closed = fclose(f);
    if (written == (size_t)packet->size && closed == 0)
        return BP_OK;
    return bp_error(err, errno == ENOSPC ? BP_NOSPACE : BP_IO, "writing %.120s failed: %s", path, strerror(errno));
}

int32_t bp_image_write(const struct bp_image *image, const char *path, struct bp_err *err)
{
    av_quiet();
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *codec = encoder ? avcodec_alloc_context3(encoder) : NULL;
    AVPacket *packet = av_packet_alloc();
    int r = AVERROR(ENOMEM);
    if (codec && packet) {
        codec->width = image->width;
        codec->height = image->height;
        codec->pix_fmt = AV_PIX_FMT_RGBA;
        codec->time_base = (AVRational){1, 25};
        r = avcodec_open2(codec, encoder, NULL);
    }
    if (r >= 0)
        r = encode_png(image, codec, packet);
    int32_t rc = r >= 0 ? write_file(path, packet, err) : av_fail(err, BP_FAIL, "encoding the PNG", r);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return rc;
}

void bp_image_free(struct bp_image *image)
{
    free(image->pixels);
    memset(image, 0, sizeof *image);
}
