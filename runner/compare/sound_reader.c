/* SPDX-License-Identifier: Apache-2.0 */
#include "sound_reader.h"

#include "av.h"
#include "container.h"

#include <bp/workflow.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CHANNELS 64
#define MAX_RATE     768000
#define BLOCK        4096           /* samples of silence given at once */
#define SLACK_S      0.01           /* times that jump by less are rounded ones */
#define GAP_MAX_S    (4.0 * 3600.0) /* a longer gap is a wrong time */

struct sound_reader {
    struct container file;
    const AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame; /* decoded and not yet given, when `held` */
    int32_t held, ended;
    int32_t rate, channels;
    int64_t given; /* samples so far */
    int64_t skip;  /* of the held frame: what lies before time 0 */
    float *block;
    int64_t room; /* samples of all channels in it */
};

static const AVStream *find(const struct container *c, int32_t nth)
{
    const AVStream *found = NULL;
    for (unsigned i = 0; i < c->format->nb_streams; i++) {
        AVStream *s = c->format->streams[i];
        int is_it = s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && nth-- == 0;
        s->discard = is_it ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
        found = is_it ? s : found;
    }
    return found;
}

static int32_t open_codec(struct sound_reader *r, struct bp_err *err)
{
    const AVCodecParameters *p = r->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(p->codec_id);
    r->codec = codec ? avcodec_alloc_context3(codec) : NULL;
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    if (!codec)
        return bp_error(err, BP_BADINPUT, "this machine's FFmpeg has no decoder for its sound (%s)",
                        avcodec_get_name(p->codec_id));
    if (!r->codec || !r->packet || !r->frame)
        return bp_error(err, BP_NOMEM, "no memory to decode sound");
    int e = avcodec_parameters_to_context(r->codec, p);
    r->codec->pkt_timebase = r->stream->time_base;
    r->codec->thread_count = 1;
    if (e >= 0)
        e = avcodec_open2(r->codec, codec, NULL);
    if (e < 0)
        return av_fail(err, BP_BADINPUT, "decoding its sound", e);
    r->rate = r->codec->sample_rate;
    r->channels = r->codec->ch_layout.nb_channels;
    if (r->rate < 1 || r->rate > MAX_RATE || r->channels < 1 || r->channels > MAX_CHANNELS)
        return bp_error(err, BP_BADINPUT, "its sound has %d channels of %d samples a second", r->channels, r->rate);
    return BP_OK;
}

int32_t sound_reader_open(const char *path, int32_t nth, struct sound_reader **out, struct bp_err *err)
{
    struct bp_video_limits limits = container_limits(NULL);
    struct sound_reader *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return bp_error(err, BP_NOMEM, "no memory to decode sound");
    int32_t rc = container_open_sound(path, &limits, &r->file, err);
    if (rc == BP_OK) {
        r->stream = find(&r->file, nth);
        rc = r->stream ? open_codec(r, err) : bp_error(err, BP_NOTFOUND, "it has no sound");
    }
    if (rc != BP_OK)
        sound_reader_close(&r);
    *out = r;
    return rc;
}

void sound_reader_close(struct sound_reader **reader)
{
    struct sound_reader *r = *reader;
    if (!r)
        return;
    *reader = NULL;
    avcodec_free_context(&r->codec);
    av_packet_free(&r->packet);
    av_frame_free(&r->frame);
    container_close(&r->file);
    free(r->block);
    free(r);
}

int32_t sound_reader_rate(const struct sound_reader *r)
{
    return r->rate;
}

int32_t sound_reader_channels(const struct sound_reader *r)
{
    return r->channels;
}

/* Gives the decoder the stream's next packet, or the end. */
static int32_t feed(struct sound_reader *r, struct bp_err *err)
{
    int e;
    do {
        av_packet_unref(r->packet);
        e = av_read_frame(r->file.format, r->packet);
    } while (e >= 0 && r->packet->stream_index != r->stream->index);
    r->ended = e < 0;
    if (e != AVERROR(ENOMEM))
        e = avcodec_send_packet(r->codec, e < 0 ? NULL : r->packet);
    av_packet_unref(r->packet);
    return e == AVERROR(ENOMEM) ? bp_error(err, BP_NOMEM, "no memory to decode sound") : BP_OK;
}

/* Where the frame stands, in samples from the file's time 0. */
static int64_t place_of(const struct sound_reader *r)
{
    AVRational samples = {1, r->rate};
    if (r->frame->best_effort_timestamp == AV_NOPTS_VALUE)
        return r->given;
    return av_rescale_q(r->frame->best_effort_timestamp, r->stream->time_base, samples) -
           av_rescale_q(r->file.origin_us, AV_TIME_BASE_Q, samples);
}

static int32_t hold(struct sound_reader *r, struct bp_err *err)
{
    for (;;) {
        int e = avcodec_receive_frame(r->codec, r->frame);
        if (e == AVERROR(ENOMEM))
            return bp_error(err, BP_NOMEM, "no memory to decode sound");
        if (e >= 0 && (r->frame->sample_rate != r->rate || r->frame->ch_layout.nb_channels != r->channels))
            return bp_error(err, BP_BADINPUT, "its sound changes its rate or channels on the way");
        if (e >= 0) {
            r->held = 1;
            r->skip = 0;
            return BP_OK;
        }
        if (e == AVERROR_EOF || r->ended)
            return BP_NOTFOUND;
        int32_t rc = feed(r, err);
        if (rc != BP_OK)
            return rc;
    }
}

static int32_t make_room(struct sound_reader *r, int64_t n, struct bp_err *err)
{
    if (n <= r->room || n < 1)
        return BP_OK;
    float *grown = realloc(r->block, (size_t)n * sizeof *grown);
    if (!grown)
        return bp_error(err, BP_NOMEM, "no memory to decode sound");
    r->block = grown;
    r->room = n;
    return BP_OK;
}

/* Samples of silence that come before the held frame; what of the frame lies before time 0 is to be skipped. */
static int64_t silence_before(struct sound_reader *r)
{
    int64_t place = place_of(r), gap = place - r->given;
    if (place < 0 && r->given == 0)
        r->skip = -place < r->frame->nb_samples ? -place : r->frame->nb_samples;
    return gap > (int64_t)(SLACK_S * r->rate) && (double)gap < GAP_MAX_S * r->rate ? gap : 0;
}

int32_t sound_reader_next(struct sound_reader *r, const float **samples, int64_t *n, struct bp_err *err)
{
    for (*n = 0; *n == 0;) {
        int32_t rc = r->held ? BP_OK : hold(r, err);
        int64_t gap = rc == BP_OK ? silence_before(r) : 0;
        *n = gap > BLOCK ? BLOCK : gap > 0 ? gap : rc == BP_OK ? r->frame->nb_samples - r->skip : 0;
        rc = rc == BP_OK ? make_room(r, *n * r->channels, err) : rc;
        if (rc != BP_OK)
            return rc;
        if (gap > 0) {
            memset(r->block, 0, (size_t)(*n * r->channels) * sizeof *r->block);
        } else {
            for (int64_t i = 0; i < *n; i++)
                for (int32_t c = 0; c < r->channels; c++)
                    r->block[i * r->channels + c] = av_sample_at(r->frame, c, (int)(r->skip + i));
            av_frame_unref(r->frame);
            r->held = 0;
        }
        r->given += *n;
    }
    *samples = r->block;
    return BP_OK;
}
