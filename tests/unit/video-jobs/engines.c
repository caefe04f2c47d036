/* SPDX-License-Identifier: Apache-2.0 */
#include "engines.h"

#include <dlfcn.h>
#include <libavcodec/avcodec.h>
#include <string.h>

/* What the GPU's codecs are: not in FFmpeg, of another kind so that they do not open, or sound. */
enum engines { ABSENT, BROKEN, SOUND_ONES };
static enum engines engines;
static int asked;

#define ENCODES "libvpx-vp9" /* stands for h264_nvenc: the file says that it was used */
#define DECODES "libvpx-vp9" /* for vp9_cuvid, beside FFmpeg's own vp9 */

typedef const AVCodec *(*finder)(const char *name);

static const AVCodec *next(const char *function, const char *name)
{
    finder f = (finder)(uintptr_t)dlsym(RTLD_NEXT, function);
    assert_non_null(f);
    return f(name);
}

/* For one of the GPU's: `sound`, or `broken`, a codec of another kind, which libavcodec refuses to open for this video.
 */
static const AVCodec *find(const char *function, const char *name, const char *sound, const char *broken)
{
    if (!strstr(name, "_nvenc") && !strstr(name, "_cuvid"))
        return next(function, name);
    asked++;
    return engines == ABSENT ? NULL : next(function, engines == SOUND_ONES ? sound : broken);
}

__attribute__((visibility("default"))) const AVCodec *avcodec_find_encoder_by_name(const char *name)
{
    return find("avcodec_find_encoder_by_name", name, ENCODES, "qtrle");
}

__attribute__((visibility("default"))) const AVCodec *avcodec_find_decoder_by_name(const char *name)
{
    return find("avcodec_find_decoder_by_name", name, DECODES, "h264");
}

static void make_source(void)
{
    video_make(TEST "-pix_fmt yuv420p -c:v libvpx-vp9 -deadline realtime -cpu-used 8", "s.webm");
}

static void run_on_gpu(enum engines which, struct driver *d)
{
    struct bp_err err = {0};
    make_source();
    if (driver_open(d, PLUGIN_SO, "cuda", &err) != BP_OK)
        fail_msg("%s", err.text);
    engines = which;
    asked = 0;
    run_job(d, "s.webm", "{}", "engine.mp4");
    assert_int_equal(asked, 2);
    assert_int_equal(same_frames("s.webm", "engine.mp4", FACTOR), 50);
}

static void written_as(const char *codec)
{
    struct bp_video_reader *r = NULL;
    struct bp_err err = {0};
    assert_int_equal(bp_video_reader_open("engine.mp4", NULL, &r, &err), BP_OK);
    assert_string_equal(bp_video_reader_info(r)->codec, codec);
    bp_video_reader_close(&r);
}

static void logged(const struct driver *d, const char *words)
{
    if (!strstr(d->logs, words))
        fail_msg("\"%s\" is not in \"%s\"", words, d->logs);
}

void a_gpus_engines_that_open_are_used(void **state)
{
    struct driver d;
    (void)state;
    run_on_gpu(SOUND_ONES, &d);
    written_as("vp9");
    logged(&d, "decodes with " DECODES ", encodes with " ENCODES "\n");
    driver_close(&d);
}

void a_gpus_engines_that_do_not_open_are_left_in_words(void **state)
{
    struct driver d;
    (void)state;
    run_on_gpu(BROKEN, &d);
    written_as("h264");
    logged(&d, "decodes with vp9 (opening h264 failed: ");
    logged(&d, "), encodes with libx264 (opening the GPU's video encoder failed: ");
    driver_close(&d);
}

void engines_that_ffmpeg_lacks_are_left_in_words(void **state)
{
    struct driver d;
    (void)state;
    run_on_gpu(ABSENT, &d);
    written_as("h264");
    logged(&d, "decodes with vp9 (this machine's FFmpeg has no vp9_cuvid), encodes with libx264 (this machine's FFmpeg "
               "has no h264_nvenc; install libavcodec with NVENC)\n");
    driver_close(&d);
}

static const char *by_force(struct bp_self *self)
{
    (void)self;
    return "{\"engine\":\"hardware\"}";
}

void on_a_cpu_no_engine_is_asked_for_but_by_force(void **state)
{
    static const struct bp_host host = {.size = sizeof host, .abi = BP_ABI_VERSION, .config = by_force};
    struct driver *d = *state;
    struct bp_err err;
    void *inst;
    make_source();
    engines = SOUND_ONES;
    asked = 0;
    run_job(d, "s.webm", "{}", "engine.mp4");
    written_as("h264");
    assert_int_equal(asked, 0);
    assert_int_equal(d->plugin->start(NULL, &host, &inst, &err), BP_OK);
    run_job(d, "s.webm", "{}", "engine.mp4");
    written_as("vp9");
    engines = BROKEN;
    assert_int_equal(driver_run(d, "s.webm", "{}", "refused.mp4", &err), BP_UNSUPPORTED);
    assert_non_null(
        strstr(err.text, "the GPU's video decoder does not open for this video (vp9): opening h264 failed"));
    assert_int_equal(d->plugin->start(NULL, NULL, &inst, &err), BP_OK);
}
