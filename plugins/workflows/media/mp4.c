/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the packets of a finished video as MP4. */
#include "av.h"
#include "video.h"

#include <bp/workflow.h>
#include <libavformat/avformat.h>

static int add_stream(const struct bp_video *v, AVFormatContext *mp4, AVStream **out)
{
    AVStream *stream = avformat_new_stream(mp4, NULL);
    if (!stream)
        return AVERROR(ENOMEM);
    stream->time_base = v->codec->time_base;
    stream->avg_frame_rate = v->codec->framerate;
    *out = stream;
    return avcodec_parameters_from_context(stream->codecpar, v->codec);
}

/*
 * How many frames decoding runs ahead of showing. Packet i is decoded at i - ahead; the encoder's own times have a gap
 * where a video was interrupted.
 */
static int64_t frames_ahead(const struct packets *p)
{
    int64_t ahead = 0;
    for (uint64_t i = 0; i < p->n; i++)
        if ((int64_t)i - p->list[i].pts > ahead)
            ahead = (int64_t)i - p->list[i].pts;
    return ahead;
}

static int write_packet(const struct bp_video *v, AVFormatContext *mp4, uint64_t i, uint64_t offset, int64_t dts)
{
    const struct packet *k = &v->packets.list[i];
    AVRational base = v->codec->time_base, to = mp4->streams[0]->time_base;
    AVPacket *packet = v->packet;
    av_packet_unref(packet);
    packet->data = v->packets.data + offset;
    packet->size = (int)k->bytes;
    packet->pts = av_rescale_q(k->pts, base, to);
    packet->dts = av_rescale_q(dts, base, to);
    packet->duration = av_rescale_q(1, base, to);
    packet->flags = k->key ? AV_PKT_FLAG_KEY : 0;
    return av_write_frame(mp4, packet);
}

static int write_all(const struct bp_video *v, AVFormatContext *mp4)
{
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    int r = avformat_write_header(mp4, &options);
    av_dict_free(&options);
    uint64_t offset = 0;
    int64_t ahead = frames_ahead(&v->packets);
    for (uint64_t i = 0; r >= 0 && i < v->packets.n; i++) {
        r = write_packet(v, mp4, i, offset, (int64_t)i - ahead);
        offset += v->packets.list[i].bytes;
    }
    return r < 0 ? r : av_write_trailer(mp4);
}

int32_t bp_video_write(const struct bp_video *v, const char *path, struct bp_err *err)
{
    if (!v->finished || v->packets.n == 0)
        return bp_error(err, BP_INVALID, "a video must be finished and have a frame before it is written");
    AVFormatContext *mp4 = NULL;
    AVStream *stream = NULL;
    int r = avformat_alloc_output_context2(&mp4, NULL, "mp4", path);
    if (r >= 0)
        r = add_stream(v, mp4, &stream);
    if (r >= 0)
        r = avio_open(&mp4->pb, path, AVIO_FLAG_WRITE);
    if (r >= 0) {
        r = write_all(v, mp4);
        int closed = avio_closep(&mp4->pb);
        r = r < 0 ? r : closed;
    }
    avformat_free_context(mp4);
    return r < 0 ? av_fail(err, BP_IO, "writing the MP4 file", r) : BP_OK;
}
