/* SPDX-License-Identifier: Apache-2.0 */
/* Sound beside a video: copied packet by packet from the file the video was made of, or encoded anew where an MP4
 * cannot hold it. */
#include "av.h"
#include "container.h"
#include "recoder.h"
#include "video.h"

#include <bp/workflow.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_COPIED 16
#define TIME_MAX   (1LL << 53) /* further from 0 no packet is meant to be */

/* One stream and where it goes. */
struct copied {
    const AVStream *from;
    AVStream *to;
    struct recoder *recoder; /* NULL: packets go as they are */
    int64_t origin;          /* what its times lose, in its own time base */
    int64_t next;            /* decoding time that the next packet may have at the least, in `to`'s */
    int64_t expected;        /* when it is likely, in `from`'s, for packets that do not say */
};

struct sound {
    struct container file;
    AVFormatContext *mp4;
    struct bp_video_sound *what;
    struct copied streams[MAX_COPIED];
    int32_t n;
    AVPacket *packet; /* read and not yet written, when `held` */
    int32_t held, ended, finished;
};

/* recoder: moves into the stream, also after an error. */
static int32_t add_stream(struct sound *s, const AVStream *from, struct recoder *recoder, struct bp_err *err)
{
    s->streams[s->n].recoder = recoder;
    AVStream *to = lavf.avformat_new_stream(s->mp4, NULL);
    if (!to || avcodec_parameters_copy(to->codecpar, from->codecpar) < 0)
        return bp_error(err, BP_NOMEM, "no memory to copy the video's sound");
    to->codecpar->codec_tag = 0; /* an MP4 has its own */
    to->time_base = from->time_base;
    if (recoder && recoder_describe(recoder, to, err) != BP_OK)
        return BP_NOMEM;
    to->disposition = from->disposition;
    av_dict_copy(&to->metadata, from->metadata, 0);
    int64_t origin_us = s->file.origin_us + (int64_t)(s->what->from_s * 1e6);
    s->streams[s->n++] = (struct copied){.from = from,
                                         .to = to,
                                         .recoder = recoder,
                                         .origin = av_rescale_q(origin_us, AV_TIME_BASE_Q, from->time_base),
                                         .next = INT64_MIN,
                                         .expected = AV_NOPTS_VALUE};
    return BP_OK;
}

static void note_dropped(struct bp_video_sound *what, enum AVCodecID id)
{
    size_t n = strlen(what->dropped_codecs);
    what->dropped++;
    snprintf(what->dropped_codecs + n, sizeof what->dropped_codecs - n, "%s%s", n ? ", " : "", avcodec_get_name(id));
}

/* Can the MP4 hold it, and does the file say enough of it? */
static int32_t fits(const struct sound *s, const AVCodecParameters *p)
{
    int needs_head = p->codec_id == AV_CODEC_ID_OPUS || p->codec_id == AV_CODEC_ID_FLAC ||
                     p->codec_id == AV_CODEC_ID_ALAC || p->codec_id == AV_CODEC_ID_VORBIS;
    return p->sample_rate > 0 && p->ch_layout.nb_channels > 0 && (p->extradata_size > 0 || !needs_head) &&
           lavf.avformat_query_codec(s->mp4->oformat, p->codec_id, FF_COMPLIANCE_NORMAL) == 1;
}

static int32_t add_streams(struct sound *s, struct bp_err *err)
{
    int32_t rc = BP_OK;
    for (unsigned i = 0; i < s->file.format->nb_streams && rc == BP_OK; i++) {
        AVStream *from = s->file.format->streams[i];
        from->discard = AVDISCARD_ALL;
        if (from->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
            continue;
        struct recoder *recoder = NULL;
        struct bp_err why;
        if (s->n == MAX_COPIED || (!fits(s, from->codecpar) && recoder_open(from, &recoder, &why) != BP_OK)) {
            note_dropped(s->what, from->codecpar->codec_id);
            continue;
        }
        from->discard = AVDISCARD_DEFAULT;
        s->what->recoded += recoder != NULL;
        rc = add_stream(s, from, recoder, err);
    }
    s->what->streams = s->n;
    return rc;
}

int32_t sound_fail(struct bp_err *err, int av_result)
{
    int damaged = av_result == AVERROR_INVALIDDATA || av_result == AVERROR(EINVAL) || av_result == AVERROR_PATCHWELCOME;
    return av_fail(err, damaged ? BP_BADINPUT : BP_IO,
                   damaged ? "putting the video's sound into an MP4, which would take it undamaged,"
                           : "writing the MP4 file with its sound",
                   av_result);
}

int32_t sound_open(struct bp_video_sound *what, const struct bp_video_limits *limits, AVFormatContext *mp4,
                   struct sound **out, struct bp_err *err)
{
    struct bp_video_limits complete = container_limits(limits);
    what->streams = what->dropped = what->recoded = 0;
    what->dropped_codecs[0] = 0;
    struct sound *s = calloc(1, sizeof *s);
    if (!s)
        return bp_error(err, BP_NOMEM, "no memory to copy the video's sound");
    *out = s;
    s->mp4 = mp4;
    s->what = what;
    s->packet = av_packet_alloc();
    if (!s->packet)
        return bp_error(err, BP_NOMEM, "no memory to copy the video's sound");
    int32_t rc = container_open(what->source, &complete, &s->file, err);
    return rc == BP_OK ? add_streams(s, err) : rc;
}

static struct copied *stream_of(struct sound *s, const AVPacket *p)
{
    for (int32_t i = 0; i < s->n; i++)
        if (s->streams[i].from->index == p->stream_index)
            return &s->streams[i];
    return NULL;
}

/* Times of the video's clock; 0: the packet is before or behind the part that is wanted. */
static int place(const struct sound *s, struct copied *c, AVPacket *p)
{
    if (p->pts == AV_NOPTS_VALUE)
        p->pts = p->dts != AV_NOPTS_VALUE ? p->dts : c->expected != AV_NOPTS_VALUE ? c->expected : c->origin;
    if (p->dts == AV_NOPTS_VALUE)
        p->dts = p->pts;
    p->duration = p->duration < 0 || p->duration > TIME_MAX ? 0 : p->duration;
    if (p->pts < -TIME_MAX || p->pts > TIME_MAX || p->dts < -TIME_MAX || p->dts > TIME_MAX)
        return 0;
    c->expected = p->pts + p->duration;
    p->pts -= c->origin;
    p->dts -= c->origin;
    double from = (double)p->pts * av_q2d(c->from->time_base);
    double length = s->what->until_s > 0 ? s->what->until_s - s->what->from_s : 1e18;
    return (s->what->from_s <= 0 || from >= 0) && from < length;
}

/* Reads up to the next packet to be copied. */
static int32_t read_packet(struct sound *s, struct bp_err *err)
{
    while (!s->held && !s->ended) {
        int r = lavf.av_read_frame(s->file.format, s->packet);
        if (r == AVERROR(ENOMEM))
            return bp_error(err, BP_NOMEM, "no memory to copy the video's sound");
        s->ended = r < 0; /* the pictures were read to their end: what cannot be read here is behind it */
        struct copied *c = r < 0 ? NULL : stream_of(s, s->packet);
        s->held = c && place(s, c, s->packet);
        if (!s->held && r >= 0)
            av_packet_unref(s->packet);
    }
    return BP_OK;
}

/* Writes a packet whose times are in `base`; it is empty afterwards. */
static int32_t write_packet(struct sound *s, struct copied *c, AVPacket *p, AVRational base, struct bp_err *err)
{
    av_packet_rescale_ts(p, base, c->to->time_base);
    if (p->dts < c->next) /* a writer takes only times that grow */
        p->dts = c->next;
    if (p->pts < p->dts)
        p->pts = p->dts;
    c->next = p->dts + 1;
    p->stream_index = c->to->index;
    p->pos = -1;
    int r = lavf.av_write_frame(s->mp4, p);
    av_packet_unref(p);
    return r < 0 ? sound_fail(err, r) : BP_OK;
}

/* What of the stream is encoded by now. */
static int32_t write_recoded(struct sound *s, struct copied *c, struct bp_err *err)
{
    for (;;) {
        int32_t rc = recoder_take(c->recoder, s->packet, err);
        if (rc == BP_NOTFOUND)
            return BP_OK;
        if (rc == BP_OK)
            rc = write_packet(s, c, s->packet, (AVRational){1, recoder_rate(c->recoder)}, err);
        if (rc != BP_OK)
            return rc;
    }
}

/* Writes the packet that is held, or what becomes of it. */
static int32_t write_held(struct sound *s, struct bp_err *err)
{
    struct copied *c = stream_of(s, s->packet);
    s->held = 0;
    if (!c->recoder)
        return write_packet(s, c, s->packet, c->from->time_base, err);
    int32_t rc = recoder_put(c->recoder, s->packet, c->from->time_base, err);
    av_packet_unref(s->packet);
    return rc == BP_OK ? write_recoded(s, c, err) : rc;
}

/* The source has no more packets: what encoders still have. */
static int32_t finish(struct sound *s, struct bp_err *err)
{
    int32_t rc = BP_OK;
    for (int32_t i = 0; i < s->n && rc == BP_OK && !s->finished; i++)
        if (s->streams[i].recoder) {
            rc = recoder_put(s->streams[i].recoder, NULL, (AVRational){1, 1}, err);
            rc = rc == BP_OK ? write_recoded(s, &s->streams[i], err) : rc;
        }
    s->finished = 1;
    return rc;
}

int32_t sound_write_until(struct sound *s, double seconds, struct bp_err *err)
{
    for (;;) {
        int32_t rc = s->n ? read_packet(s, err) : BP_OK;
        if (rc != BP_OK || !s->held)
            return rc == BP_OK && s->ended ? finish(s, err) : rc;
        if ((double)s->packet->dts * av_q2d(stream_of(s, s->packet)->from->time_base) > seconds)
            return BP_OK;
        rc = write_held(s, err);
        if (rc != BP_OK)
            return rc;
    }
}

void sound_close(struct sound **sound)
{
    struct sound *s = *sound;
    if (!s)
        return;
    *sound = NULL;
    for (int32_t i = 0; i < MAX_COPIED; i++)
        recoder_close(&s->streams[i].recoder);
    av_packet_free(&s->packet);
    container_close(&s->file);
    free(s);
}
