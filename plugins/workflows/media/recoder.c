/* SPDX-License-Identifier: Apache-2.0 */
#include "recoder.h"

#include "av.h"

#include <bp/workflow.h>
#include <libavcodec/avcodec.h>
#include <libavutil/audio_fifo.h>
#include <stdlib.h>

#define MAX_CHANNELS    8
#define BITS_A_CHANNEL  96000 /* a second */
#define MAX_GAP_SECONDS 600   /* a longer one is a wrong time */
#define BLOCK           4096  /* samples converted at once */

struct recoder {
    AVCodecContext *decoder, *encoder;
    AVAudioFifo *fifo; /* planar floats */
    AVFrame *decoded, *chunk;
    AVPacket *packet;
    float *planes[MAX_CHANNELS]; /* BLOCK each */
    int64_t queued;              /* samples put into the fifo so far, silence included */
    int64_t encoded;             /* given to the encoder */
    int64_t start;               /* time of the first sample, in samples */
    int32_t started, ended;
};

static const enum AVCodecID codecs[] = {
    AV_CODEC_ID_PCM_S16LE, AV_CODEC_ID_PCM_S16BE,  AV_CODEC_ID_PCM_S24LE,     AV_CODEC_ID_PCM_S24BE,
    AV_CODEC_ID_PCM_S32LE, AV_CODEC_ID_PCM_S32BE,  AV_CODEC_ID_PCM_F32LE,     AV_CODEC_ID_PCM_F32BE,
    AV_CODEC_ID_PCM_U8,    AV_CODEC_ID_PCM_S8,     AV_CODEC_ID_PCM_ALAW,      AV_CODEC_ID_PCM_MULAW,
    AV_CODEC_ID_WMAV1,     AV_CODEC_ID_WMAV2,      AV_CODEC_ID_WMAPRO,        AV_CODEC_ID_AMR_NB,
    AV_CODEC_ID_AMR_WB,    AV_CODEC_ID_ADPCM_MS,   AV_CODEC_ID_ADPCM_IMA_WAV, AV_CODEC_ID_ADPCM_IMA_QT,
    AV_CODEC_ID_SPEEX,     AV_CODEC_ID_NELLYMOSER, AV_CODEC_ID_GSM_MS,        AV_CODEC_ID_VORBIS};

static const AVCodec *find_decoder(const AVCodecParameters *p)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (codecs[i] == p->codec_id)
            return avcodec_find_decoder(p->codec_id);
    return NULL;
}

static int32_t takes_rate(const AVCodec *encoder, int32_t rate)
{
    for (const int *r = encoder->supported_samplerates; r && *r; r++)
        if (*r == rate)
            return 1;
    return 0;
}

static int open_decoder(struct recoder *r, const AVStream *from, const AVCodec *codec)
{
    r->decoder = avcodec_alloc_context3(codec);
    if (!r->decoder)
        return AVERROR(ENOMEM);
    int e = avcodec_parameters_to_context(r->decoder, from->codecpar);
    r->decoder->thread_count = 1;
    return e < 0 ? e : avcodec_open2(r->decoder, codec, NULL);
}

static int open_encoder(struct recoder *r, const AVCodec *codec)
{
    AVCodecContext *c = r->encoder = avcodec_alloc_context3(codec);
    if (!c)
        return AVERROR(ENOMEM);
    int channels = r->decoder->ch_layout.nb_channels;
    av_channel_layout_default(&c->ch_layout, channels);
    c->sample_rate = r->decoder->sample_rate;
    c->sample_fmt = AV_SAMPLE_FMT_FLTP;
    c->time_base = (AVRational){1, c->sample_rate};
    c->bit_rate = (int64_t)BITS_A_CHANNEL * channels;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    return avcodec_open2(c, codec, NULL);
}

static int make_rooms(struct recoder *r)
{
    int channels = r->encoder->ch_layout.nb_channels;
    r->fifo = av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, channels, BLOCK);
    r->decoded = av_frame_alloc();
    r->chunk = av_frame_alloc();
    r->packet = av_packet_alloc();
    for (int i = 0; i < channels; i++) {
        r->planes[i] = malloc(BLOCK * sizeof *r->planes[i]);
        if (!r->planes[i])
            return AVERROR(ENOMEM);
    }
    return r->fifo && r->decoded && r->chunk && r->packet ? 0 : AVERROR(ENOMEM);
}

int32_t recoder_open(const AVStream *from, struct recoder **out, struct bp_err *err)
{
    const AVCodec *decoder = find_decoder(from->codecpar), *encoder = avcodec_find_encoder(AV_CODEC_ID_AAC);
    int channels = from->codecpar->ch_layout.nb_channels;
    *out = NULL;
    if (!decoder || !encoder || channels < 1 || channels > MAX_CHANNELS ||
        !takes_rate(encoder, from->codecpar->sample_rate))
        return bp_error(err, BP_UNSUPPORTED, "sound of %s with %d channels and %d samples/s cannot be encoded anew",
                        avcodec_get_name(from->codecpar->codec_id), channels, from->codecpar->sample_rate);
    struct recoder *r = calloc(1, sizeof *r);
    if (!r)
        return bp_error(err, BP_NOMEM, "no memory to encode a video's sound");
    int e = open_decoder(r, from, decoder);
    if (e >= 0)
        e = open_encoder(r, encoder);
    if (e >= 0)
        e = make_rooms(r);
    if (e < 0) {
        recoder_close(&r);
        return av_fail(err, BP_UNSUPPORTED, "encoding the video's sound anew", e);
    }
    *out = r;
    return BP_OK;
}

void recoder_close(struct recoder **recoder)
{
    struct recoder *r = *recoder;
    if (!r)
        return;
    *recoder = NULL;
    avcodec_free_context(&r->decoder);
    avcodec_free_context(&r->encoder);
    if (r->fifo)
        av_audio_fifo_free(r->fifo);
    av_frame_free(&r->decoded);
    av_frame_free(&r->chunk);
    av_packet_free(&r->packet);
    for (int i = 0; i < MAX_CHANNELS; i++)
        free(r->planes[i]);
    free(r);
}

int32_t recoder_rate(const struct recoder *r)
{
    return r->encoder->sample_rate;
}

int32_t recoder_describe(const struct recoder *r, AVStream *to, struct bp_err *err)
{
    to->time_base = r->encoder->time_base;
    if (avcodec_parameters_from_context(to->codecpar, r->encoder) < 0)
        return bp_error(err, BP_NOMEM, "no memory to encode a video's sound");
    return BP_OK;
}

/* n samples from `from` on of the frame, or of silence (NULL), behind what is queued. */
static int queue(struct recoder *r, const AVFrame *f, int64_t n)
{
    int channels = r->encoder->ch_layout.nb_channels;
    for (int64_t from = 0; from < n; from += BLOCK) {
        int k = (int)(n - from < BLOCK ? n - from : BLOCK);
        for (int c = 0; c < channels; c++)
            for (int i = 0; i < k; i++)
                r->planes[c][i] = f ? av_sample_at(f, c, (int)from + i) : 0;
        int e = av_audio_fifo_write(r->fifo, (void **)r->planes, k);
        if (e < 0)
            return e;
        r->queued += k;
    }
    return 0;
}

/* Silence up to `time`, in samples; a time before what is queued changes nothing. */
static int catch_up(struct recoder *r, int64_t time)
{
    if (!r->started) {
        r->started = 1;
        r->start = time;
    }
    int64_t gap = time - r->start - r->queued, limit = (int64_t)MAX_GAP_SECONDS * r->encoder->sample_rate;
    return gap > r->encoder->sample_rate / 10 && gap < limit ? queue(r, NULL, gap) : 0;
}

static int take_decoded(struct recoder *r)
{
    for (;;) {
        int e = avcodec_receive_frame(r->decoder, r->decoded);
        if (e < 0)
            return e == AVERROR(ENOMEM) ? e : 0;
        if (r->decoded->ch_layout.nb_channels == r->encoder->ch_layout.nb_channels)
            e = queue(r, r->decoded, r->decoded->nb_samples);
        av_frame_unref(r->decoded);
        if (e < 0)
            return e;
    }
}

int32_t recoder_put(struct recoder *r, const AVPacket *packet, AVRational base, struct bp_err *err)
{
    int e = 0;
    if (packet)
        e = catch_up(r, av_rescale_q(packet->pts, base, r->encoder->time_base));
    if (e >= 0)
        e = avcodec_send_packet(r->decoder, packet);
    if (e != AVERROR(ENOMEM)) /* what is damaged is left out, and silence comes for it */
        e = take_decoded(r);
    r->ended = !packet;
    return e < 0 ? av_fail(err, BP_FAIL, "decoding the video's sound", e) : BP_OK;
}

/* Gives the encoder a whole chunk, at the end what is left, then the end. 0: done so; 1: there is not enough yet. */
static int feed(struct recoder *r)
{
    AVFrame *f = r->chunk;
    int waiting = av_audio_fifo_size(r->fifo), whole = r->encoder->frame_size;
    if (waiting < whole && !r->ended)
        return 1;
    if (waiting == 0) {
        int e = avcodec_send_frame(r->encoder, NULL);
        return e == AVERROR_EOF ? 1 : e;
    }
    f->nb_samples = waiting < whole ? waiting : whole;
    f->format = AV_SAMPLE_FMT_FLTP;
    f->sample_rate = r->encoder->sample_rate;
    int e = av_channel_layout_copy(&f->ch_layout, &r->encoder->ch_layout);
    if (e >= 0)
        e = av_frame_get_buffer(f, 0);
    if (e >= 0)
        e = av_audio_fifo_read(r->fifo, (void **)f->extended_data, f->nb_samples);
    f->pts = r->start + r->encoded;
    r->encoded += f->nb_samples;
    if (e >= 0)
        e = avcodec_send_frame(r->encoder, f);
    av_frame_unref(f);
    return e < 0 ? e : 0;
}

int32_t recoder_take(struct recoder *r, AVPacket *packet, struct bp_err *err)
{
    for (;;) {
        int e = avcodec_receive_packet(r->encoder, packet);
        if (e == 0)
            return BP_OK;
        if (e == AVERROR_EOF)
            return BP_NOTFOUND;
        if (e == AVERROR(EAGAIN))
            e = feed(r);
        if (e < 0)
            return av_fail(err, BP_FAIL, "encoding the video's sound", e);
        if (e > 0)
            return BP_NOTFOUND;
    }
}
