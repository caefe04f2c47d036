/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recoder.h - sound of a kind that an MP4 cannot hold (PCM, WMA, AMR and the like), encoded as AAC. Its times go on
 * from where the first packet is: a gap in the source becomes silence.
 */
#ifndef MEDIA_RECODER_H
#define MEDIA_RECODER_H

#include <bp/plugin.h>
#include <libavformat/avformat.h>

struct recoder;

/* BP_UNSUPPORTED: sound of this codec, rate or number of channels cannot be encoded anew; BP_NOMEM. On error *out is
 * NULL. */
int32_t recoder_open(const AVStream *from, struct recoder **out, struct bp_err *err);
/* What an MP4's stream needs to know. */
int32_t recoder_describe(const struct recoder *r, AVStream *to, struct bp_err *err);
/* Takes a packet whose pts is in `base`, NULL: the last one was given. Sound that cannot be decoded becomes silence. */
int32_t recoder_put(struct recoder *r, const AVPacket *packet, AVRational base, struct bp_err *err);
/* Gives the next packet, its times in samples; BP_NOTFOUND: put more first. */
int32_t recoder_take(struct recoder *r, AVPacket *packet, struct bp_err *err);
/* Samples a second: the time base of what is taken is one of them. */
int32_t recoder_rate(const struct recoder *r);
void recoder_close(struct recoder **r);

#endif
