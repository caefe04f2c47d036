/* SPDX-License-Identifier: Apache-2.0 */
#include "video_jobs.h"

#include "odd_pictures.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int video_setup(void **state)
{
    struct driver *d = malloc(sizeof *d);
    struct bp_err err = {0};
    if (driver_open(d, PLUGIN_SO, "cpu", &err) != BP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    *state = d;
    return 0;
}

int video_teardown(void **state)
{
    driver_close(*state);
    free(*state);
    return 0;
}

void run_job(struct driver *d, const char *in, const char *params, const char *out)
{
    struct bp_err err;
    if (driver_run(d, in, params, out, &err) != BP_OK)
        fail_msg("%s: %s", in, err.text);
}

void refused(struct driver *d, const char *in, const char *params, int32_t rc, const char *words)
{
    struct bp_err err;
    int32_t got = driver_run(d, in, params, "refused.mp4", &err);
    if (got != rc || err.rc != rc || !strstr(err.text, words))
        fail_msg("%s: %d \"%s\", not %d \"%s\"", in, got, err.text, rc, words);
    assert_int_not_equal(access("refused.mp4", F_OK), 0);
}

int same_frames(const char *from, const char *to, int factor)
{
    struct bp_video_reader *r[2];
    struct bp_video_frame f[2];
    struct bp_err err;
    assert_int_equal(bp_video_reader_open(from, NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open(to, NULL, &r[1], &err), BP_OK);
    struct bp_ratio a = bp_video_reader_info(r[0])->time_base, b = bp_video_reader_info(r[1])->time_base;
    int n = 0;
    for (; bp_video_reader_next(r[0], &f[0], &err) == BP_OK; n++) {
        assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_OK);
        assert_int_equal(f[1].width, f[0].width * factor / 2 * 2);
        assert_int_equal(f[1].height, f[0].height * factor / 2 * 2);
        assert_int_equal(f[0].time * a.num * b.den, f[1].time * b.num * a.den);
    }
    assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_NOTFOUND);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
    return n;
}

void same_sound(const char *from, const char *to)
{
    char make[200];
    size_t n[2];
    snprintf(make, sizeof make, "-i %s -map 0:a -c copy -f framemd5", from);
    video_make(make, "from.sum");
    snprintf(make, sizeof make, "-i %s -map 0:a -c copy -f framemd5", to);
    video_make(make, "to.sum");
    uint8_t *sums[2] = {file_read("from.sum", &n[0]), file_read("to.sum", &n[1])};
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(sums[0], sums[1], n[0]);
    free(sums[0]);
    free(sums[1]);
}

/* ---- cases ---- */

void hdr_and_a_turn_are_passed_on(void **state)
{
    video_make(TEST "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:colorprim=bt2020:"
                    "transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:"
                    "master-display=G\\(8500,39850\\)B\\(6550,2300\\)R\\(35400,14600\\)WP\\(15635,16450\\)"
                    "L\\(10000000,50\\)",
               "h.mp4");
    video_make("-i h.mp4 -c copy -metadata:s:v rotate=90", "hdr.mp4");
    run_job(*state, "hdr.mp4", "{}", "o.mp4");
    assert_int_equal(same_frames("hdr.mp4", "o.mp4", FACTOR), 50);
    struct bp_video_reader *r[2];
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("hdr.mp4", NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open("o.mp4", NULL, &r[1], &err), BP_OK);
    const struct bp_video_info *a = bp_video_reader_info(r[0]), *b = bp_video_reader_info(r[1]);
    assert_true(a->meta.has_mastering && a->meta.rotation == 270);
    assert_memory_equal(&a->meta, &b->meta, sizeof a->meta);
    assert_int_equal(b->depth, 10);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
}

void an_animation_becomes_a_video(void **state)
{
    video_make(TEST, "a.gif");
    run_job(*state, "a.gif", "{}", "o.mp4");
    assert_int_equal(same_frames("a.gif", "o.mp4", FACTOR), 50);
}

void bad_input_is_terminal_and_said_in_words(void **state)
{
    file_write("notes.mp4", "not a video", 11);
    refused(*state, "notes.mp4", "{}", BP_BADINPUT, "not a video");
    file_write("empty.mp4", "", 0);
    refused(*state, "empty.mp4", "{}", BP_BADINPUT, "empty");
    video_make(SOUND, "sound.m4a");
    refused(*state, "sound.m4a", "{}", BP_BADINPUT, "sound but no picture");
    video_make(TEST "-pix_fmt yuv420p -movflags faststart", "s.mp4");
    size_t n;
    uint8_t *bytes = file_read("s.mp4", &n);
    file_write("cut.mp4", bytes, n / 2);
    free(bytes);
    refused(*state, "cut.mp4", "{}", BP_BADINPUT, "cut short");
}

/* Deep, coloured as print or not at all, of 50 megapixels, a still, damaged in its middle. */
void odd_videos_come_out_right_or_are_refused_in_words(void **state)
{
    static const char *const good[][2] = {{"-pix_fmt rgb48le -c:v ffv1", "rgb16.mkv"},
                                          {"-pix_fmt gray16le -c:v ffv1", "grey16.mkv"},
                                          {"-pix_fmt yuv444p12le -c:v libx265 -x265-params log-level=none", "deep.mkv"},
                                          {"-c:v mjpeg -pix_fmt yuvj422p", "camera.avi"}};
    char how[200];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(how, sizeof how, "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 %s", good[i][0]);
        video_make(how, good[i][1]);
        run_job(*state, good[i][1], "{}", "o.mp4");
        assert_int_equal(same_frames(good[i][1], "o.mp4", FACTOR), 10);
    }
    video_make("-f lavfi -i color=gray:s=10000x5000:r=1:d=1 -frames:v 1 -c:v mjpeg", "huge.avi");
    long before = peak_kib();
    refused(*state, "huge.avi", "{}", BP_BADINPUT, "10000 by 5000 pixels");
    assert_in_range(peak_kib() - before, 0, 64 * 1024);
    video_make("-f lavfi -i testsrc2=s=64x48 -frames:v 1", "still.png");
    refused(*state, "still.png", "{}", BP_BADINPUT, "not a video but a picture");
    video_make(TEST "-pix_fmt yuv420p -movflags faststart", "s.mp4");
    size_t n;
    uint8_t *bytes = file_read("s.mp4", &n), *data = memmem(bytes, n, "mdat", 4);
    memset(data + (n - (size_t)(data - bytes)) / 2, 0x55, 1000);
    file_write("damaged.mp4", bytes, n);
    free(bytes);
    refused(*state, "damaged.mp4", "{}", BP_BADINPUT, "damaged after frame");
}

void what_would_have_other_files_opened_is_refused(void **state)
{
    static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:s.ts\n#EXT-X-ENDLIST\n";
    static const char files[] = "ffconcat version 1.0\nfile s.ts\n";
    video_make(TEST "-pix_fmt yuv420p", "s.ts");
    file_write("list.mp4", list, sizeof list - 1);
    refused(*state, "list.mp4", "{}", BP_BADINPUT, "a playlist");
    file_write("files.mp4", files, sizeof files - 1);
    refused(*state, "files.mp4", "{}", BP_BADINPUT, "a list of files");
}

void a_full_disk_is_not_the_tenants_fault(void **state)
{
    struct bp_err err;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(driver_run(*state, "s.mp4", "{}", "/dev/full", &err), BP_NOSPACE);
    assert_int_equal(driver_run(*state, "s.mp4", "{}", "nowhere/x.mp4", &err), BP_IO);
}

static const char *by_force(struct bp_self *self)
{
    (void)self;
    return "{\"engine\":\"hardware\"}";
}

/* There is no NVDEC and no NVENC here, so that the operator's word shows in what becomes of the job. */
void the_operator_says_who_decodes_and_encodes(void **state)
{
    static const struct bp_host host = {.size = sizeof host, .abi = BP_ABI_VERSION, .config = by_force};
    struct driver *d = *state;
    struct bp_err err;
    void *inst;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(d->plugin->start(NULL, &host, &inst, &err), BP_OK);
    assert_int_equal(driver_run(d, "s.mp4", "{}", "e.mp4", &err), BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "GPU's video decoder"));
    assert_int_equal(d->plugin->start(NULL, NULL, &inst, &err), BP_OK);
    run_job(d, "s.mp4", "{}", "e.mp4");
}

/* ---- a GPU ---- */

/* What the fake GPU shall compute, and then so late that whoever does not wait gets something else. */
static void teach(const struct bp_kernel_image *kernels)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(lib);
    void (*fn)(const struct bp_kernel_image *) = (void (*)(const struct bp_kernel_image *))dlsym(lib, "fakecuda_teach");
    assert_non_null(fn);
    fn(kernels);
    dlclose(lib);
    setenv("FAKECUDA_ASYNC", "late", 1);
}

void gpu_gives_the_bytes(struct driver *cpu, const struct bp_kernel_image *kernels, const char *const *params)
{
    struct driver gpu;
    struct bp_err err = {0};
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(driver_open(&gpu, PLUGIN_SO, "cuda", &err), BP_OK);
    teach(kernels);
    for (; *params; params++) {
        size_t n[2];
        run_job(cpu, "s.mp4", *params, "cpu.mp4");
        run_job(&gpu, "s.mp4", *params, "gpu.mp4");
        uint8_t *wanted = file_read("cpu.mp4", &n[0]), *got = file_read("gpu.mp4", &n[1]);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(wanted, got, n[0]);
        free(wanted);
        free(got);
    }
    driver_close(&gpu);
    unsetenv("FAKECUDA_ASYNC");
}

void gpu_failure(struct driver *gpu, int which, const char *in, const char *params, int factor)
{
    static const struct {
        const char *fail;
        int32_t rc;
    } cases[GPU_FAILURES] = {
        {"cuMemAlloc_v2=2", BP_NOMEM}, {"cuLaunchKernel=700", BP_IO}, {"cuMemcpyDtoHAsync_v2=700", BP_IO}};
    struct bp_err err = {0};
    setenv("FAKECUDA_FAIL", cases[which].fail, 1);
    assert_int_equal(driver_run(gpu, in, params, "g.mp4", &err), cases[which].rc);
    assert_non_null(strstr(err.text, "CUDA_ERROR_"));
    unsetenv("FAKECUDA_FAIL");
    run_job(gpu, in, params, "g.mp4");
    assert_int_equal(same_frames(in, "g.mp4", factor), 50);
}

/* ---- with what differs ---- */

void odd_sides_and_times_are_kept(struct driver *d, const char *params, int factor)
{
    video_make("-f lavfi -i testsrc2=s=161x91:r=25:d=1 -vf setpts=N*N/500/TB -vsync passthrough -enc_time_base 1/90000 "
               "-c:v libx264 -pix_fmt yuv444p",
               "vfr.mkv");
    run_job(d, "vfr.mkv", params, "o.mp4");
    assert_int_equal(same_frames("vfr.mkv", "o.mp4", factor), 25);
}

void goes_on_at_its_frame(struct driver *d, int warmup)
{
    static const int stops[] = {2, 25, 50};
    struct bp_err err;
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    run_job(d, "s.mp4", "{}", "whole.mp4");
    int whole = d->n_progress;
    for (int i = 0; i < 3; i++) {
        int done = stops[i] - 1, again = done < warmup ? done : warmup;
        d->stop_after = stops[i];
        assert_int_equal(driver_run(d, "s.mp4", "{}", "r.mp4", &err), BP_STOPPED);
        assert_int_not_equal(access("r.mp4", F_OK), 0);
        d->stop_after = 0;
        run_job(d, "s.mp4", "{}", "r.mp4");
        assert_int_equal(d->n_progress, whole - done + again);
        assert_int_equal(same_frames("s.mp4", "r.mp4", FACTOR), 50);
        unlink("r.mp4");
        free(d->checkpoint);
        d->checkpoint = NULL;
    }
}

void other_checkpoints_are_not_used(struct driver *d, const char *other, int warmup)
{
    struct bp_err err;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    video_make(TEST "-vf negate -pix_fmt yuv420p", "t.mp4");
    d->stop_after = 10;
    assert_int_equal(driver_run(d, "s.mp4", "{}", "r.mp4", &err), BP_STOPPED);
    d->stop_after = 0;
    run_job(d, "t.mp4", "{}", "r.mp4");
    assert_non_null(strstr(d->last_log, "another job"));
    assert_int_equal(d->n_progress, 51);
    run_job(d, "s.mp4", other, "r.mp4");
    assert_int_equal(d->n_progress, 51);
    run_job(d, "s.mp4", "{}", "r.mp4");
    assert_int_equal(d->n_progress, 51 - 9 + warmup);
}
