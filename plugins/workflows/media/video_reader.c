/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding ahead: a thread fills slots, the caller empties them in the same order. */
#include "decoder.h"
#include "meta.h"

#include <bp/workflow.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 3 /* one with the caller, one ready, one being filled */

struct slot {
    AVFrame *raw, *converted;
    struct bp_video_frame frame;
};

struct bp_video_reader {
    struct decoder decoder; /* the thread's, once that is started */
    struct bp_video_info info;
    pthread_t thread;
    int32_t started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct slot slots[SLOTS];
    uint64_t filled, taken; /* slot i % SLOTS holds frame i while taken - 1 <= i < filled; that of taken - 1 is lent */
    int32_t stopping;
    int32_t rc; /* how the thread ended */
    struct bp_err err;
};

/* Waits for a slot to fill; NULL: told to stop. */
static struct slot *free_slot(struct bp_video_reader *r)
{
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && r->filled - r->taken >= SLOTS - 1)
        pthread_cond_wait(&r->changed, &r->lock);
    struct slot *s = r->stopping ? NULL : &r->slots[r->filled % SLOTS];
    pthread_mutex_unlock(&r->lock);
    return s;
}

static void *decode_ahead(void *arg)
{
    struct bp_video_reader *r = arg;
    struct slot *s = free_slot(r);
    for (int32_t rc = BP_OK; s && rc == BP_OK; s = rc == BP_OK ? free_slot(r) : NULL) {
        struct bp_err err = {0};
        av_frame_unref(s->raw);
        rc = decoder_next(&r->decoder, s->raw, s->converted, &s->frame, &err);
        pthread_mutex_lock(&r->lock);
        if (rc == BP_OK)
            r->filled++;
        r->rc = rc;
        r->err = err;
        pthread_cond_signal(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

static void count_streams(const struct container *c, struct bp_video_info *info)
{
    for (unsigned i = 0; i < c->format->nb_streams; i++) {
        const AVStream *s = c->format->streams[i];
        if (s->disposition & AV_DISPOSITION_ATTACHED_PIC)
            info->other_streams++;
        else if (s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO)
            info->video_streams++;
        else if (s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
            info->audio_streams++;
        else
            info->other_streams++;
    }
}

/* What the file and its first frame say. */
static void fill_info(struct bp_video_reader *r)
{
    const struct decoder *d = &r->decoder;
    const AVFrame *f = r->slots[0].raw;
    struct bp_video_info *info = &r->info;
    AVRational rate = d->file.video->avg_frame_rate;
    info->width = d->convert.width;
    info->height = d->convert.height;
    info->depth = d->convert.depth;
    info->time_base = (struct bp_ratio){d->file.base.num, d->file.base.den};
    info->frame_rate = rate.num > 0 && rate.den > 0 ? (struct bp_ratio){rate.num, rate.den} : (struct bp_ratio){0, 1};
    double seconds = container_seconds(&d->file);
    info->duration = (int64_t)(seconds / av_q2d(d->file.base));
    info->frames = d->file.video->nb_frames;
    if (info->frames <= 0 && info->frame_rate.num > 0)
        info->frames = (int64_t)(seconds * av_q2d(rate) + 0.5);
    info->interlaced = f->interlaced_frame;
    info->converted = !convert_is_needless(&d->convert, f);
    info->dynamic_hdr = meta_is_dynamic(&d->file, f);
    meta_read(&d->file, f, &info->meta);
    count_streams(&d->file, info);
    snprintf(info->container, sizeof info->container, "%s", d->file.format->iformat->name);
    snprintf(info->codec, sizeof info->codec, "%s", avcodec_get_name(d->codec->codec_id));
    snprintf(info->decoder, sizeof info->decoder, "%s", d->codec->codec->name);
    snprintf(info->passed_over, sizeof info->passed_over, "%s", d->passed_over);
}

static int32_t make_slots(struct bp_video_reader *r, struct bp_err *err)
{
    for (int i = 0; i < SLOTS; i++) {
        r->slots[i].raw = av_frame_alloc();
        r->slots[i].converted = av_frame_alloc();
        if (!r->slots[i].raw || !r->slots[i].converted)
            return bp_error(err, BP_NOMEM, "no memory to read a video");
    }
    return BP_OK;
}

static int32_t start(struct bp_video_reader *r, const char *path, const struct bp_video_limits *limits,
                     struct bp_err *err)
{
    int32_t rc = make_slots(r, err);
    if (rc == BP_OK)
        rc = decoder_open(&r->decoder, path, limits, err);
    if (rc == BP_OK)
        rc = decoder_next(&r->decoder, r->slots[0].raw, r->slots[0].converted, &r->slots[0].frame, err);
    if (rc != BP_OK)
        return rc;
    r->filled = 1;
    fill_info(r);
    if (pthread_create(&r->thread, NULL, decode_ahead, r) != 0)
        return bp_error(err, BP_NOMEM, "starting a thread to decode a video failed: too many threads or no memory");
    r->started = 1;
    return BP_OK;
}

int32_t bp_video_reader_open(const char *path, const struct bp_video_limits *limits, struct bp_video_reader **out,
                             struct bp_err *err)
{
    struct bp_err unused; /* what is decided by err->rc below needs one */
    *out = NULL;
    struct bp_video_reader *r = calloc(1, sizeof *r);
    if (!r)
        return bp_error(err, BP_NOMEM, "no memory to read a video");
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    int32_t rc = start(r, path, limits, err ? err : &unused);
    if (rc != BP_OK)
        bp_video_reader_close(&r);
    *out = r;
    return rc;
}

const struct bp_video_info *bp_video_reader_info(const struct bp_video_reader *r)
{
    return &r->info;
}

int32_t bp_video_reader_next(struct bp_video_reader *r, struct bp_video_frame *frame, struct bp_err *err)
{
    pthread_mutex_lock(&r->lock);
    while (r->taken == r->filled && r->rc == BP_OK)
        pthread_cond_wait(&r->changed, &r->lock);
    int32_t rc = r->taken < r->filled ? BP_OK : r->rc;
    if (rc == BP_OK)
        *frame = r->slots[r->taken++ % SLOTS].frame;
    else if (rc != BP_NOTFOUND && err)
        *err = r->err;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

int32_t bp_video_reader_skip(struct bp_video_reader *r, int64_t n, struct bp_err *err)
{
    struct bp_video_frame ignored;
    int32_t rc = BP_OK;
    for (int64_t i = 0; i < n && rc == BP_OK; i++)
        rc = bp_video_reader_next(r, &ignored, err);
    return rc;
}

void bp_video_reader_close(struct bp_video_reader **reader)
{
    struct bp_video_reader *r = *reader;
    if (!r)
        return;
    *reader = NULL;
    if (r->started) {
        pthread_mutex_lock(&r->lock);
        r->stopping = 1;
        pthread_cond_signal(&r->changed);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    for (int i = 0; i < SLOTS; i++) {
        av_frame_free(&r->slots[i].raw);
        av_frame_free(&r->slots[i].converted);
    }
    decoder_close(&r->decoder);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
