/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the packets of a finished video as MP4, with sound beside it. */
#include "av.h"
#include "meta.h"
#include "video.h"

#include <bp/workflow.h>
#include <stdlib.h>

/* One file being written. */
struct writer {
    const struct bp_video *video;
    AVFormatContext *mp4;
    AVStream *stream;
    struct sound *sound; /* NULL: none */
    int64_t *times;      /* when each frame is shown */
    uint8_t *room;       /* for the largest packet */
    int64_t ahead;       /* frames that decoding runs ahead of showing */
};

static int add_stream(struct writer *w)
{
    const struct bp_video *v = w->video;
    AVStream *stream = lavf.avformat_new_stream(w->mp4, NULL);
    if (!stream)
        return AVERROR(ENOMEM);
    w->stream = stream;
    stream->time_base = v->base;
    stream->avg_frame_rate = v->codec->framerate;
    int r = avcodec_parameters_from_context(stream->codecpar, v->codec);
    if (v->codec->codec_id == AV_CODEC_ID_HEVC)
        stream->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1'); /* the one all players know */
    return r < 0 ? r : meta_attach(&v->spec.meta, stream);
}

/*
 * Packet i is decoded when frame i - ahead is shown; the encoder's own times have a gap where a video was interrupted,
 * and know of no times but numbers.
 */
static int plan_times(struct writer *w)
{
    const struct packets *p = &w->video->packets;
    uint32_t largest = 1;
    for (uint64_t i = 0; i < p->n; i++) {
        if ((int64_t)i - p->list[i].frame > w->ahead)
            w->ahead = (int64_t)i - p->list[i].frame;
        largest = p->list[i].bytes > largest ? p->list[i].bytes : largest;
    }
    w->room = malloc(largest);
    w->times = malloc((p->n + 1) * sizeof *w->times);
    if (!w->room || !w->times)
        return AVERROR(ENOMEM);
    for (uint64_t i = 0; i < p->n; i++)
        w->times[p->list[i].frame] = p->list[i].time;
    return 0;
}

static int64_t decoded_at(const struct writer *w, uint64_t i)
{
    int64_t frame = (int64_t)i - w->ahead;
    int64_t step = w->video->packets.n > 1 ? w->times[1] - w->times[0] : 1;
    return frame >= 0 ? w->times[frame] : w->times[0] + frame * step;
}

/* How long a frame is shown: until the next; the last one as long as it says, or as the one before it. */
static int64_t shown_for(const struct writer *w, const struct packet *k)
{
    int64_t last = (int64_t)w->video->packets.n - 1;
    if (k->frame < last)
        return w->times[k->frame + 1] - k->time;
    if (k->duration > 0)
        return k->duration;
    return last > 0 ? k->time - w->times[last - 1] : 1;
}

static int32_t mux_result(const struct writer *w, int r, struct bp_err *err)
{
    if (r >= 0)
        return BP_OK;
    return w->sound ? sound_fail(err, r) : av_fail(err, BP_IO, "writing the MP4 file", r);
}

static int32_t write_packet(struct writer *w, uint64_t i, uint64_t offset, struct bp_err *err)
{
    const struct bp_video *v = w->video;
    const struct packet *k = &v->packets.list[i];
    AVRational to = w->stream->time_base;
    AVPacket *packet = v->packet;
    const uint8_t *data = NULL;
    int32_t rc = packets_read(&v->packets, offset, k->bytes, w->room, &data, err);
    if (rc != BP_OK)
        return rc;
    av_packet_unref(packet);
    packet->data = (uint8_t *)(uintptr_t)data; /* not counted: the muxer copies what it keeps */
    packet->size = (int)k->bytes;
    packet->pts = av_rescale_q(k->time, v->base, to);
    packet->dts = av_rescale_q(decoded_at(w, i), v->base, to);
    packet->duration = av_rescale_q(shown_for(w, k), v->base, to);
    packet->flags = k->key ? AV_PKT_FLAG_KEY : 0;
    packet->stream_index = w->stream->index;
    return mux_result(w, lavf.av_write_frame(w->mp4, packet), err);
}

/* The MP4's edit lists, which say where a stream starts, count in units as fine as the video's. */
static int32_t write_head(struct writer *w, struct bp_err *err)
{
    AVDictionary *options = NULL;
    int64_t units = w->video->base.den;
    while (units < 10000)
        units *= 2;
    av_dict_set(&options, "movflags", "+faststart", 0);
    av_dict_set_int(&options, "movie_timescale", units, 0);
    int r = lavf.avformat_write_header(w->mp4, &options);
    av_dict_free(&options);
    return mux_result(w, r, err);
}

static int32_t write_all(struct writer *w, struct bp_err *err)
{
    const struct packets *p = &w->video->packets;
    int32_t rc = write_head(w, err);
    uint64_t offset = 0;
    for (uint64_t i = 0; rc == BP_OK && i < p->n; i++) {
        if (w->sound)
            rc = sound_write_until(w->sound, (double)decoded_at(w, i) * av_q2d(w->video->base), err);
        if (rc == BP_OK)
            rc = write_packet(w, i, offset, err);
        offset += p->list[i].bytes;
    }
    if (rc == BP_OK && w->sound)
        rc = sound_write_until(w->sound, 1e18, err);
    if (rc != BP_OK)
        return rc;
    return mux_result(w, lavf.av_write_trailer(w->mp4), err);
}

static int32_t write_file(struct writer *w, const char *path, struct bp_err *err)
{
    int r = lavf.avio_open(&w->mp4->pb, path, AVIO_FLAG_WRITE);
    if (r < 0)
        return av_fail(err, BP_IO, "creating the MP4 file", r);
    int32_t rc = write_all(w, err);
    int closed = lavf.avio_closep(&w->mp4->pb);
    if (rc == BP_OK && closed < 0)
        rc = av_fail(err, BP_IO, "writing the MP4 file", closed);
    return rc;
}

int32_t bp_video_write_with(const struct bp_video *v, const char *path, struct bp_video_sound *sound,
                            const struct bp_video_limits *limits, struct bp_err *err)
{
    if (!v->finished || v->packets.n == 0)
        return bp_error(err, BP_INVALID, "a video must be finished and have a frame before it is written");
    int32_t rc = format_load(err);
    if (rc != BP_OK)
        return rc;
    struct writer w = {.video = v};
    int r = lavf.avformat_alloc_output_context2(&w.mp4, NULL, "mp4", path);
    if (r >= 0)
        r = add_stream(&w);
    if (r >= 0)
        r = plan_times(&w);
    if (r < 0)
        rc = av_fail(err, BP_IO, "writing the MP4 file", r);
    if (rc == BP_OK && sound)
        rc = sound_open(sound, limits, w.mp4, &w.sound, err);
    if (rc == BP_OK)
        rc = write_file(&w, path, err);
    sound_close(&w.sound);
    lavf.avformat_free_context(w.mp4);
    free(w.times);
    free(w.room);
    return rc;
}

int32_t bp_video_write(const struct bp_video *v, const char *path, struct bp_err *err)
{
    return bp_video_write_with(v, path, NULL, NULL, err);
}
