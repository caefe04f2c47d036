/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#include "av.h"

#include <bp/workflow.h>
#include <errno.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <sys/stat.h>

#define MAX_STREAMS   32
#define MOST_STREAMS  128
#define MAX_TICKS     1000000   /* a second; finer time bases are rounded to microseconds */
#define PROBE_BYTES   "5000000" /* read, at most, to find out what is in a file */
#define PROBE_MICROS  "5000000"
#define TAKEN_FORMATS "MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG-PS, FLV, Ogg, WMV, IVF, GIF and APNG"

/* One of the names a demuxer goes by. None of these opens other files. */
static const char *const formats[] = {"mov", "matroska", "avi", "mpegts", "mpeg", "flv",
                                      "ogg", "asf",      "ivf", "gif",    "apng"};

/* And of those that hold sound alone. */
static const char *const sound_formats[] = {"wav", "mp3", "flac", "aac", "aiff", "w64", "caf"};

/* What else a file may be that somebody takes for a video. */
static const struct {
    const char *demuxer, *what;
} others[] = {{"hls", "a playlist"},   {"concat", "a list of files"},
              {"dash", "a playlist"},  {"sdp", "a session description"},
              {"tty", "text"},         {"srt", "subtitles"},
              {"webvtt", "subtitles"}, {"ass", "subtitles"},
              {"mp3", "sound"},        {"wav", "sound"},
              {"flac", "sound"},       {"aac", "sound"}};

static int goes_by(const AVInputFormat *format, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = format->name; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == 0 || at[n] == ','))
            return 1;
    return 0;
}

static int32_t check_format(const AVInputFormat *format, int32_t sound, struct bp_err *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (goes_by(format, formats[i]))
            return BP_OK;
    for (size_t i = 0; sound && i < sizeof sound_formats / sizeof sound_formats[0]; i++)
        if (goes_by(format, sound_formats[i]))
            return BP_OK;
    const char *what = strstr(format->name, "_pipe") || goes_by(format, "image2") ? "a picture" : format->long_name;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (goes_by(format, others[i].demuxer))
            what = others[i].what;
    return bp_error(err, BP_BADINPUT, "the file is not a video but %.60s; videos are taken as %s",
                    what ? what : format->name, TAKEN_FORMATS);
}

struct bp_video_limits container_limits(const struct bp_video_limits *limits)
{
    struct bp_video_limits l = limits ? *limits : (struct bp_video_limits){0};
    if (l.max_pixels <= 0)
        l.max_pixels = BP_VIDEO_MAX_PIXELS;
    if (!(l.max_seconds > 0))
        l.max_seconds = BP_VIDEO_MAX_SECONDS;
    if (l.max_frames <= 0)
        l.max_frames = BP_VIDEO_MAX_FRAMES;
    if (l.max_streams <= 0)
        l.max_streams = MAX_STREAMS;
    if (l.max_streams > MOST_STREAMS)
        l.max_streams = MOST_STREAMS;
    return l;
}

static int32_t open_io(const char *path, AVIOContext **io, struct bp_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return bp_error(err, BP_IO, "opening %.120s failed: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return bp_error(err, BP_IO, "opening %.120s failed: not a regular file", path);
    if (st.st_size == 0)
        return bp_error(err, BP_BADINPUT, "the file is empty, a video is needed");
    char url[4200];
    AVDictionary *options = NULL;
    snprintf(url, sizeof url, "file:%.4090s", path); /* a name with a colon is no protocol */
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int r = lavf.avio_open2(io, url, AVIO_FLAG_READ, NULL, &options);
    av_dict_free(&options);
    return r < 0 ? av_fail(err, BP_IO, "opening the video's file", r) : BP_OK;
}

/* Whatever else a file wants opened. */
static int refuse_to_open(AVFormatContext *s, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)s, (void)url, (void)flags, (void)options;
    *pb = NULL;
    return AVERROR(EACCES);
}

static int32_t demux(struct container *c, int32_t sound, struct bp_err *err)
{
    const AVInputFormat *found = NULL;
    int r = lavf.av_probe_input_buffer2(c->io, &found, "", NULL, 0, 0);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to look at a video");
    if (r < 0 || !found)
        return bp_error(err, BP_BADINPUT,
                        "the file is not a video, or its beginning is damaged; videos are taken as %s", TAKEN_FORMATS);
    int32_t rc = check_format(found, sound, err);
    if (rc != BP_OK)
        return rc;
    c->format = lavf.avformat_alloc_context();
    if (!c->format)
        return bp_error(err, BP_NOMEM, "no memory to look at a video");
    c->format->pb = c->io;
    c->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    c->format->io_open = refuse_to_open;
    AVDictionary *options = NULL;
    av_dict_set(&options, "probesize", PROBE_BYTES, 0);
    av_dict_set(&options, "analyzeduration", PROBE_MICROS, 0);
    r = lavf.avformat_open_input(&c->format, "", found, &options); /* frees c->format when it fails */
    av_dict_free(&options);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to open a video");
    if (r < 0)
        return bp_error(err, BP_BADINPUT, "the video file (%.32s) is damaged or cut short: its index cannot be read",
                        found->name);
    return BP_OK;
}

static int32_t check_size(const AVStream *s, const struct bp_video_limits *limits, struct bp_err *err)
{
    const AVCodecParameters *p = s->codecpar;
    int64_t pixels = (int64_t)p->width * p->height;
    if (p->codec_type != AVMEDIA_TYPE_VIDEO || pixels <= limits->max_pixels)
        return BP_OK;
    return bp_error(err, BP_BADINPUT, "the video has %d by %d pixels, at most %.1f megapixels a frame are taken",
                    p->width, p->height, (double)limits->max_pixels / 1e6);
}

static int32_t check_streams(const struct container *c, const struct bp_video_limits *limits, struct bp_err *err)
{
    if (c->format->nb_streams > (unsigned)limits->max_streams)
        return bp_error(err, BP_BADINPUT, "the file has %u streams, at most %d are taken", c->format->nb_streams,
                        limits->max_streams);
    for (unsigned i = 0; i < c->format->nb_streams; i++)
        if (check_size(c->format->streams[i], limits, err) != BP_OK)
            return BP_BADINPUT;
    return BP_OK;
}

/* Looks into the streams. A decoder that helps with that gets no more pixels and threads than the real one. */
static int32_t look_inside(struct container *c, const struct bp_video_limits *limits, struct bp_err *err)
{
    AVDictionary *options[MOST_STREAMS] = {NULL};
    unsigned n = c->format->nb_streams;
    int32_t rc = check_streams(c, limits, err);
    if (rc != BP_OK)
        return rc;
    for (unsigned i = 0; i < n; i++) {
        av_dict_set_int(&options[i], "max_pixels", limits->max_pixels, 0);
        av_dict_set_int(&options[i], "threads", 1, 0);
    }
    int r = lavf.avformat_find_stream_info(c->format, options);
    for (unsigned i = 0; i < n; i++)
        av_dict_free(&options[i]);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to look into a video");
    if (r < 0)
        return bp_error(err, BP_BADINPUT, "the video file is damaged or cut short: nothing in it can be read");
    return check_streams(c, limits, err); /* some show only now */
}

static int32_t pick_video(struct container *c, struct bp_err *err)
{
    int r = lavf.av_find_best_stream(c->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (r >= 0 && !(c->format->streams[r]->disposition & AV_DISPOSITION_ATTACHED_PIC)) {
        c->video = c->format->streams[r];
        return BP_OK;
    }
    int sound = lavf.av_find_best_stream(c->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0;
    return bp_error(err, BP_BADINPUT,
                    sound ? "the file has sound but no picture, a video is needed"
                          : "the file has no picture in it, a video is needed");
}

/* Streams whose clock starts anywhere start at 0 here; all others keep their times. */
static void set_clock(struct container *c)
{
    AVRational base = c->video->time_base;
    c->base = base.num < 1 || base.den < 1 || base.den / base.num > MAX_TICKS ? (AVRational){1, MAX_TICKS} : base;
    if ((c->format->iformat->flags & AVFMT_TS_DISCONT) && c->format->start_time != AV_NOPTS_VALUE)
        c->origin_us = c->format->start_time;
}

double container_seconds(const struct container *c)
{
    double own = c->video->duration > 0 ? (double)c->video->duration * av_q2d(c->video->time_base) : 0;
    double all = c->format->duration > 0 ? (double)c->format->duration / AV_TIME_BASE : 0;
    return own > 0 ? own : all;
}

static int32_t check_length(const struct container *c, const struct bp_video_limits *limits, struct bp_err *err)
{
    double seconds = container_seconds(c);
    if (seconds > limits->max_seconds)
        return bp_error(err, BP_BADINPUT, "the video lasts %.0f s, at most %.0f s are taken", seconds,
                        limits->max_seconds);
    if (c->video->nb_frames > limits->max_frames)
        return bp_error(err, BP_BADINPUT, "the video has %lld frames, at most %lld are taken",
                        (long long)c->video->nb_frames, (long long)limits->max_frames);
    int64_t missing = container_missing_bytes(c);
    if (missing > 0)
        return bp_error(err, BP_BADINPUT, "the video file is cut short: %lld bytes that its index names are missing",
                        (long long)missing);
    return check_size(c->video, limits, err);
}

int64_t container_missing_bytes(const struct container *c)
{
    int64_t size = lavf.avio_size(c->io), end = 0;
    if (size <= 0 || !goes_by(c->format->iformat, "mov")) /* elsewhere positions are not always of the file */
        return 0;
    for (int i = 0; i < lavf.avformat_index_get_entries_count(c->video); i++) {
        const AVIndexEntry *e = lavf.avformat_index_get_entry(c->video, i);
        if (e->pos + e->size > end)
            end = e->pos + e->size;
    }
    return end > size ? end - size : 0;
}

/* Opened, and what is in it known, but for whether it is of use. */
static int32_t open_any(const char *path, const struct bp_video_limits *limits, int32_t sound, struct container *out,
                        struct bp_err *err)
{
    *out = (struct container){0};
    av_quiet();
    int32_t rc = format_load(err);
    if (rc == BP_OK)
        rc = open_io(path, &out->io, err);
    if (rc == BP_OK)
        rc = demux(out, sound, err);
    return rc == BP_OK ? look_inside(out, limits, err) : rc;
}

int32_t container_open(const char *path, const struct bp_video_limits *limits, struct container *out,
                       struct bp_err *err)
{
    int32_t rc = open_any(path, limits, 0, out, err);
    if (rc == BP_OK)
        rc = pick_video(out, err);
    if (rc == BP_OK)
        set_clock(out);
    if (rc == BP_OK)
        rc = check_length(out, limits, err);
    if (rc != BP_OK)
        container_close(out);
    return rc;
}

int32_t container_open_sound(const char *path, const struct bp_video_limits *limits, struct container *out,
                             struct bp_err *err)
{
    struct bp_err none = {0};
    int32_t rc = open_any(path, limits, 1, out, err);
    if (rc == BP_OK && pick_video(out, &none) == BP_OK)
        set_clock(out);
    if (rc != BP_OK)
        container_close(out);
    return rc;
}

void container_close(struct container *c)
{
    if (c->format)
        lavf.avformat_close_input(&c->format);
    if (c->io)
        lavf.avio_closep(&c->io);
    *c = (struct container){0};
}
