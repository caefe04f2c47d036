/* SPDX-License-Identifier: Apache-2.0 */
/* One video in, each frame through the device, one video out with the source's sound. */
#include <bp/video_checkpoint.h>
#include <bp/video_filter.h>

#include <math.h>
#include <stdlib.h>

#define MIN_SIDE    16 /* what every encoder takes */
#define KEY_SECONDS 2

/* One job while it runs. */
struct work {
    const struct bp_video_filter *filter;
    const struct bp_job *job;
    struct bp_video_reader *reader;
    const struct bp_video_info *info;
    struct bp_video *video;
    struct bp_video_planes in, out;
    struct {
        int64_t time, duration;
    } shown[BP_PIPELINE_SLOTS_MAX];        /* of the frame in each slot */
    int32_t engine;                        /* BP_ENGINE_* */
    struct bp_video_checkpoint checkpoint; /* of the video and the request */
    int64_t restored;                      /* frames of the checkpoint */
};

/* ---- before the first frame ---- */

static int32_t make_tag(struct work *w, struct bp_err *err)
{
    const char *drawing = w->filter->drawing;
    uint8_t *tag = w->checkpoint.tag;
    memcpy(tag, "bp_video_filter.", sizeof w->checkpoint.tag);
    bp_video_tag_add(tag, drawing, strlen(drawing));
    bp_video_tag_add(tag, w->filter->request, w->filter->request_bytes);
    return bp_video_tag_add_file(tag, w->job->inputs[0].path, err);
}

/* What will not be in the result, in words for whoever misses it. */
static void log_losses(const struct work *w)
{
    const struct bp_video_info *i = w->info;
    if (i->other_streams)
        bp_job_log(w->job, BP_LOG_INFO, "leaves out %d streams that are neither picture nor sound, like subtitles",
                   i->other_streams);
    if (i->video_streams > 1)
        bp_job_log(w->job, BP_LOG_INFO, "takes one of %d pictures that run side by side", i->video_streams);
    if (i->dynamic_hdr)
        bp_job_log(w->job, BP_LOG_INFO, "leaves out Dolby Vision or HDR10+ data; static HDR data is kept");
    if (i->interlaced)
        bp_job_log(w->job, BP_LOG_WARN, "the video is interlaced; its fields are not taken apart, so they will show");
    if (i->converted)
        bp_job_log(w->job, BP_LOG_INFO, "the video's pixels (%s) are taken as 4:2:0 of %d bits", i->codec, i->depth);
}

static int32_t whole_rate(const struct bp_video_info *info)
{
    double rate = info->frame_rate.num > 0 ? (double)info->frame_rate.num / info->frame_rate.den : 25;
    return rate < 1 ? 1 : rate > 240 ? 240 : (int32_t)lround(rate);
}

static int32_t open_video(struct work *w, struct bp_err *err)
{
    int32_t rate = whole_rate(w->info);
    struct bp_video_spec spec = {.width = w->out.width,
                                 .height = w->out.height,
                                 .fps = rate,
                                 .quality = w->filter->quality,
                                 .key_interval = rate * KEY_SECONDS,
                                 .format = w->out.depth == 10 ? BP_VIDEO_PLANAR10 : BP_VIDEO_PLANAR8,
                                 .content = BP_VIDEO_FOOTAGE,
                                 .time_base = w->info->time_base,
                                 .meta = w->info->meta,
                                 .temp_dir = w->job->temp_dir,
                                 .engine = w->engine};
    return bp_video_open(&spec, &w->video, err);
}

/* Who decodes and encodes, and where a GPU was passed over, why: it costs time that an operator may wonder about. */
static void log_engines(const struct work *w)
{
    const char *decoder = w->info->passed_over, *encoder = bp_video_passed_over(w->video);
    bp_job_log(w->job, w->engine == BP_ENGINE_SOFTWARE ? BP_LOG_DEBUG : BP_LOG_INFO,
               "decodes with %s%s%s%s, encodes with %s%s%s%s", w->info->decoder, *decoder ? " (" : "", decoder,
               *decoder ? ")" : "", bp_video_encoder(w->video), *encoder ? " (" : "", encoder, *encoder ? ")" : "");
}

/* The first frame that is drawn: some before the first new one. */
static int64_t first_drawn(const struct work *w)
{
    return w->restored > w->filter->warmup ? w->restored - w->filter->warmup : 0;
}

/* Whatever is wrong with a checkpoint, the job can do without. */
static int32_t restore(struct work *w, struct bp_err *err)
{
    w->checkpoint.job = w->job;
    w->checkpoint.video = w->video;
    w->restored = bp_video_checkpoint_restore(&w->checkpoint);
    int32_t rc = bp_video_reader_skip(w->reader, first_drawn(w), err);
    return rc == BP_NOTFOUND ? bp_error(err, BP_FAIL, "the video has fewer frames than its checkpoint") : rc;
}

static int32_t check_size(const struct work *w, struct bp_err *err)
{
    if (w->out.width >= MIN_SIDE && w->out.height >= MIN_SIDE)
        return BP_OK;
    return bp_error(err, BP_BADINPUT,
                    "the video has only %d by %d pixels, which makes %d by %d; it must be at least %d by %d",
                    w->info->width, w->info->height, w->out.width, w->out.height, MIN_SIDE, MIN_SIDE);
}

static int32_t prepare(struct work *w, struct bp_err *err)
{
    char wish[16];
    w->engine = bp_engine_for(w->filter->dev, bp_config_s("engine", wish, sizeof wish));
    struct bp_video_limits limits = {.engine = w->engine};
    int32_t rc = make_tag(w, err);
    if (rc == BP_OK)
        rc = bp_video_reader_open(w->job->inputs[0].path, &limits, &w->reader, err);
    if (rc != BP_OK)
        return rc;
    w->info = bp_video_reader_info(w->reader);
    log_losses(w);
    bp_video_planes_init(&w->in, w->info->width, w->info->height, w->info->depth);
    bp_video_planes_init(&w->out, w->info->width & ~1, w->info->height & ~1, w->info->depth);
    rc = w->filter->open(w->filter->arg, w->info, &w->in, &w->out, err);
    if (rc == BP_OK)
        rc = check_size(w, err);
    if (rc == BP_OK)
        rc = open_video(w, err);
    if (rc != BP_OK)
        return rc;
    log_engines(w);
    return restore(w, err);
}

static int32_t stop(struct work *w, struct bp_err *err)
{
    bp_video_checkpoint_stop(&w->checkpoint);
    return bp_error(err, BP_STOPPED, "stopped after frame %lld", (long long)bp_video_frames(w->video));
}

/* ---- frame by frame ---- */

/* How many there will be is what the file says, and never fewer than there are already. */
static int32_t begin_frame(void *arg, int64_t frame, struct bp_err *err)
{
    const struct work *w = arg;
    (void)err;
    frame = frame < w->restored ? w->restored : frame;
    return bp_job_progress(w->job, "frame", frame, w->info->frames > frame ? w->info->frames : frame + 1);
}

/* On a thread of its own, which alone touches the reader until the pipeline has ended. */
static int32_t read_frame(void *arg, struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    struct bp_video_frame frame;
    int32_t rc = bp_video_reader_next(w->reader, &frame, err);
    if (rc == BP_NOTFOUND) {
        slot->over = 1;
        return BP_OK;
    }
    if (rc != BP_OK)
        return rc;
    w->shown[slot->index].time = frame.time;
    w->shown[slot->index].duration = frame.duration;
    bp_video_planes_pack(&w->in, &frame, slot->in);
    return BP_OK;
}

static int32_t launch_frame(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    const struct work *w = arg;
    return w->filter->launch(w->filter->arg, slot, err);
}

/* On a thread of its own, which alone touches the video until the pipeline has ended. */
static int32_t encode_frame(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    if (slot->frame < w->restored)
        return BP_OK;
    struct bp_video_frame frame = bp_video_planes_frame(&w->out, slot->out);
    frame.time = w->shown[slot->index].time;
    frame.duration = w->shown[slot->index].duration;
    int32_t rc = bp_video_add_planar(w->video, &frame, err);
    if (rc == BP_OK)
        bp_video_checkpoint_save(&w->checkpoint);
    return rc;
}

static int32_t draw_all(struct work *w, struct bp_err *err)
{
    struct bp_pipeline pipeline = {.dev = w->filter->dev,
                                   .arg = w,
                                   .first = first_drawn(w),
                                   .end = -1,
                                   .in_bytes = w->in.bytes,
                                   .out_bytes = w->out.bytes,
                                   .begin = begin_frame,
                                   .source = read_frame,
                                   .launch = launch_frame,
                                   .sink = encode_frame};
    int32_t rc = bp_pipeline_run(&pipeline, NULL, err);
    if (rc == BP_STOPPED)
        return stop(w, err);
    return rc == BP_OK ? bp_video_finish(w->video, err) : rc;
}

static int32_t write_result(struct work *w, struct bp_err *err)
{
    struct bp_video_sound sound = {.source = w->job->inputs[0].path};
    int32_t rc = bp_video_write_with(w->video, w->job->output_path, &sound, NULL, err);
    if (rc != BP_OK)
        return rc;
    if (sound.dropped)
        bp_job_log(w->job, BP_LOG_WARN, "leaves out %d streams of sound that an MP4 cannot hold: %s", sound.dropped,
                   sound.dropped_codecs);
    if (sound.recoded)
        bp_job_log(w->job, BP_LOG_INFO, "encodes %d streams of sound as AAC, because an MP4 cannot hold theirs",
                   sound.recoded);
    int64_t n = bp_video_frames(w->video);
    (void)bp_job_progress(w->job, "frame", n, n); /* done: too late to stop */
    return BP_OK;
}

int32_t bp_video_filter_run(const struct bp_video_filter *filter, struct bp_err *err)
{
    struct work w = {.filter = filter, .job = filter->job};
    if (w.job->n_inputs != 1)
        return bp_error(err, BP_BADINPUT, "%u files were given, exactly one video is needed", w.job->n_inputs);
    int32_t rc = prepare(&w, err);
    if (rc == BP_OK)
        rc = draw_all(&w, err);
    if (rc == BP_OK)
        rc = write_result(&w, err);
    bp_video_close(&w.video);
    bp_video_reader_close(&w.reader);
    return rc;
}
