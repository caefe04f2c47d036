/* SPDX-License-Identifier: Apache-2.0 */
#include "pictures.h"

#include <assert.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t level(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

struct bp_image picture_make(int32_t width, int32_t height)
{
    struct bp_image image = {width, height, malloc((size_t)width * (size_t)height * 4)};
    assert(image.pixels);
    uint8_t *p = image.pixels;
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++, p += 4) {
            double u = (double)x / width, v = (double)y / height, lines = 40 * ((x / 3 + y / 5) % 2);
            double disc = hypot(u - 0.6, v - 0.4) < 0.15 ? 90 : 0;
            p[0] = level(60 + 120 * u + lines + disc);
            p[1] = level(50 + 100 * v + lines + disc);
            p[2] = level(180 - 120 * u * v + disc / 2);
            p[3] = 255;
        }
    return image;
}

static AVFrame *frame_of(const struct bp_image *image, enum AVPixelFormat format)
{
    AVFrame *f = av_frame_alloc();
    f->format = format;
    f->width = image->width;
    f->height = image->height;
    assert(av_frame_get_buffer(f, 0) >= 0);
    struct SwsContext *sws = sws_getContext(image->width, image->height, AV_PIX_FMT_RGBA, image->width, image->height,
                                            format, SWS_BICUBIC, NULL, NULL, NULL);
    const uint8_t *rows[4] = {image->pixels};
    int strides[4] = {image->width * 4};
    sws_scale(sws, rows, strides, 0, image->height, f->data, f->linesize);
    sws_freeContext(sws);
    return f;
}

int picture_write(const struct bp_image *image, const char *encoder, const char *path)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    if (!codec)
        return 0;
    AVCodecContext *c = avcodec_alloc_context3(codec);
    c->width = image->width;
    c->height = image->height;
    c->pix_fmt = codec->pix_fmts[0];
    c->time_base = (AVRational){1, 25};
    c->flags |= AV_CODEC_FLAG_QSCALE;
    c->global_quality = 2 * FF_QP2LAMBDA;
    if (strcmp(encoder, "libwebp") == 0)
        c->global_quality = 95 * FF_QP2LAMBDA;
    assert(avcodec_open2(c, codec, NULL) >= 0);
    AVFrame *f = frame_of(image, c->pix_fmt);
    f->quality = c->global_quality;
    AVPacket *packet = av_packet_alloc();
    assert(avcodec_send_frame(c, f) >= 0 && avcodec_send_frame(c, NULL) >= 0);
    assert(avcodec_receive_packet(c, packet) >= 0);
    file_write(path, packet->data, (size_t)packet->size);
    av_packet_free(&packet);
    av_frame_free(&f);
    avcodec_free_context(&c);
    return 1;
}

uint8_t *file_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "re");
    assert(f);
    assert(fseek(f, 0, SEEK_END) == 0);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*n + 1);
    assert(bytes && fread(bytes, 1, *n, f) == *n);
    fclose(f);
    return bytes;
}

void file_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "we");
    assert(f && fwrite(bytes, 1, n, f) == n);
    assert(fclose(f) == 0);
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffffU;
    for (; n > 0; n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
    }
    return ~crc;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void png_insert(const char *path, const char type[4], const void *body, size_t n)
{
    size_t size, head = 8 + 25; /* signature and IHDR */
    uint8_t *png = file_read(path, &size), *out = malloc(size + n + 12);
    assert(out && size > head);
    memcpy(out, png, head);
    put_be32(out + head, (uint32_t)n);
    memcpy(out + head + 4, type, 4);
    if (n)
        memcpy(out + head + 8, body, n);
    put_be32(out + head + 8 + n, crc32_of(out + head + 4, n + 4));
    memcpy(out + head + 12 + n, png + head, size - head);
    file_write(path, out, size + n + 12);
    free(png);
    free(out);
}

void video_make(const char *how, const char *path)
{
    char command[1200];
    int n = snprintf(command, sizeof command, "ffmpeg -v error -nostdin -y %s '%s'", how, path);
    assert(n > 0 && (size_t)n < sizeof command);
    assert(system(command) == 0); /* NOLINT(cert-env33-c): words of the tests themselves */
}

/* A video opened for decoding. */
struct reader {
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int draining, errors;
};

static void reader_open(struct reader *r, const char *path)
{
    memset(r, 0, sizeof *r);
    av_log_set_level(AV_LOG_QUIET);
    assert(avformat_open_input(&r->file, path, NULL, NULL) >= 0);
    assert(avformat_find_stream_info(r->file, NULL) >= 0 && r->file->nb_streams == 1);
    const AVCodec *decoder = avcodec_find_decoder(r->file->streams[0]->codecpar->codec_id);
    r->codec = avcodec_alloc_context3(decoder);
    assert(avcodec_parameters_to_context(r->codec, r->file->streams[0]->codecpar) >= 0);
    r->codec->err_recognition = AV_EF_EXPLODE;
    assert(avcodec_open2(r->codec, decoder, NULL) >= 0);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
}

/* 1: the next frame is in r->frame; 0: the end. */
static int reader_next(struct reader *r)
{
    for (;;) {
        int got = avcodec_receive_frame(r->codec, r->frame);
        if (got >= 0)
            return 1;
        if (got != AVERROR(EAGAIN) || r->draining)
            return 0;
        r->draining = av_read_frame(r->file, r->packet) < 0;
        if (avcodec_send_packet(r->codec, r->draining ? NULL : r->packet) < 0)
            r->errors++;
        av_packet_unref(r->packet);
    }
}

static void reader_close(struct reader *r)
{
    av_packet_free(&r->packet);
    av_frame_free(&r->frame);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->file);
}

static double mean_luma(const AVFrame *f)
{
    double sum = 0;
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++)
            sum += f->data[0][y * f->linesize[0] + x];
    return sum / (f->width * f->height);
}

static int index_is_first(const char *path)
{
    size_t n;
    uint8_t *bytes = file_read(path, &n);
    uint8_t *moov = memmem(bytes, n, "moov", 4), *mdat = memmem(bytes, n, "mdat", 4);
    int first = moov && mdat && moov < mdat;
    free(bytes);
    return first;
}

struct video_facts video_look(const char *path)
{
    struct reader r;
    struct video_facts v = {0};
    reader_open(&r, path);
    v.width = r.codec->width;
    v.height = r.codec->height;
    v.fps = r.file->streams[0]->avg_frame_rate.num / r.file->streams[0]->avg_frame_rate.den;
    while (reader_next(&r)) {
        v.luma = realloc(v.luma, sizeof(double) * (size_t)(v.frames + 1));
        assert(v.luma);
        v.luma[v.frames++] = mean_luma(r.frame);
        if (r.frame->decode_error_flags)
            r.errors++;
    }
    v.errors = r.errors;
    reader_close(&r);
    v.index_first = index_is_first(path);
    return v;
}

double video_difference(const char *a, const char *b, int i)
{
    struct reader r[2];
    double sum = 0;
    int ok = 1;
    reader_open(&r[0], a);
    reader_open(&r[1], b);
    for (int k = 0; k <= i && ok; k++)
        ok = reader_next(&r[0]) && reader_next(&r[1]);
    const AVFrame *f = r[0].frame, *g = r[1].frame;
    for (int y = 0; ok && y < f->height; y++)
        for (int x = 0; x < f->width; x++)
            sum += abs(f->data[0][y * f->linesize[0] + x] - g->data[0][y * g->linesize[0] + x]);
    sum /= ok ? f->width * f->height : 1;
    reader_close(&r[0]);
    reader_close(&r[1]);
    return ok ? sum : -1;
}
