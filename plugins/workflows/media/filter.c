/* SPDX-License-Identifier: Apache-2.0 */
/* One picture in, a pass of kernels over it, one picture out. */
#include <bp/filter.h>

#include <stdlib.h>

static uint64_t canvas_bytes(const struct bp_canvas *c)
{
    return (uint64_t)c->width * (uint64_t)c->height * 4;
}

/* BP_STOPPED when the job shall go no further. */
static int32_t step(const struct bp_job *job, double fraction, const char *words, struct bp_err *err)
{
    if (job->progress(job->ctx, fraction, words) == BP_STOPPED)
        return bp_error(err, BP_STOPPED, "stopped before %s", words);
    return BP_OK;
}

int32_t bp_filter_resize(struct bp_filter *f, int32_t width, int32_t height, struct bp_err *err)
{
    const struct bp_device *dev = f->kernels->dev;
    if (width < 1 || height < 1 || (int64_t)width * height > BP_IMAGE_MAX_PIXELS)
        return bp_error(err, BP_INVALID, "the result would have %d by %d pixels; it must have 1 to %lld", width, height,
                        BP_IMAGE_MAX_PIXELS);
    dev->free(dev, &f->to_buffer);
    f->to = (struct bp_canvas){NULL, width, height};
    int32_t rc = dev->alloc(dev, canvas_bytes(&f->to), &f->to_buffer, err);
    f->to.pixels = f->to_buffer.at;
    return rc;
}

static int32_t upload(struct bp_filter *f, const struct bp_image *image, struct bp_err *err)
{
    const struct bp_device *dev = f->kernels->dev;
    f->from = (struct bp_canvas){NULL, image->width, image->height};
    uint64_t bytes = canvas_bytes(&f->from);
    int32_t rc = dev->alloc(dev, bytes, &f->from_buffer, err);
    if (rc == BP_OK)
        rc = dev->upload(dev, &f->from_buffer, 0, image->pixels, bytes, err);
    f->from.pixels = f->from_buffer.at;
    return rc == BP_OK ? bp_filter_resize(f, image->width, image->height, err) : rc;
}

/* Waits for what the pass launched. */
static int32_t download(struct bp_filter *f, struct bp_image *image, struct bp_err *err)
{
    const struct bp_device *dev = f->kernels->dev;
    uint64_t bytes = canvas_bytes(&f->to);
    *image = (struct bp_image){f->to.width, f->to.height, malloc(bytes)};
    if (!image->pixels)
        return bp_error(err, BP_NOMEM, "no memory for a picture of %llu MiB", (unsigned long long)(bytes >> 20));
    return dev->download(dev, &f->to_buffer, 0, image->pixels, bytes, err);
}

static int32_t filter(struct bp_filter *f, bp_filter_pass pass, struct bp_image *image, struct bp_err *err)
{
    int32_t rc = step(f->job, 0.3, "computing", err);
    if (rc == BP_OK)
        rc = upload(f, image, err);
    bp_image_free(image);
    if (rc == BP_OK)
        rc = pass(f, err);
    return rc == BP_OK ? download(f, image, err) : rc;
}

int32_t bp_image_filter(const struct bp_kernels *kernels, const struct bp_job *job, bp_filter_pass pass,
                        struct bp_err *err)
{
    struct bp_filter f = {.job = job, .kernels = kernels};
    struct bp_image image = {0};
    if (job->n_inputs != 1)
        return bp_error(err, BP_BADINPUT, "%u files were given, exactly one picture is needed", job->n_inputs);
    int32_t rc = step(job, 0, "reading the picture", err);
    if (rc == BP_OK)
        rc = bp_image_read(job->inputs[0].path, &image, err);
    if (rc == BP_OK)
        rc = filter(&f, pass, &image, err);
    if (rc == BP_OK)
        rc = step(job, 0.7, "writing the picture", err);
    if (rc == BP_OK)
        rc = bp_image_write(&image, job->output_path, err);
    kernels->dev->free(kernels->dev, &f.to_buffer);
    kernels->dev->free(kernels->dev, &f.from_buffer);
    bp_image_free(&image);
    return rc;
}
