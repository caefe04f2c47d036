/* SPDX-License-Identifier: Apache-2.0 */
#include "photo.h"

#include <bp/workflow.h>
#include <math.h>
#include <stdlib.h>

#define LOBES     3   /* of the Lanczos filter */
#define BAND_ROWS 256 /* of the photo that are on the device at a time while it is shrunk */
#define OVERREAD  64  /* bytes the CPU's vectors read past the last pixel */

static double lanczos(double x)
{
    if (x == 0)
        return 1;
    if (fabs(x) >= LOBES)
        return 0;
    double a = M_PI * x;
    return sin(a) * sin(a / LOBES) * LOBES / (a * a);
}

/* A resampling table of n outputs on the device, and its host copies while it is made. */
struct table {
    int32_t n, taps;
    int32_t *starts;
    float *weights;
    struct bp_buffer on_device[2];
};

static void table_free(const struct bp_device *dev, struct table *t)
{
    free(t->starts);
    free(t->weights);
    dev->free(dev, &t->on_device[0]);
    dev->free(dev, &t->on_device[1]);
}

/* Weights of output i of n over m inputs. At the edge the taps move inward, the weights of what is missing go to the
 * outermost. */
static void fill_row(struct table *t, int32_t i, int32_t m)
{
    double step = (double)m / t->n, centre = (i + 0.5) * step - 0.5, sum = 0;
    int32_t first = (int32_t)floor(centre) - t->taps / 2 + 1;
    if (t->taps == 1)
        first = i;
    int32_t start = first < 0 ? 0 : first > m - t->taps ? m - t->taps : first;
    float *w = t->weights + (size_t)i * (size_t)t->taps;
    t->starts[i] = start;
    for (int32_t k = 0; k < t->taps; k++) {
        int32_t at = first + k;
        int32_t slot = (at < 0 ? 0 : at >= m ? m - 1 : at) - start;
        double v = t->taps == 1 ? 1 : lanczos((at - centre) / step);
        w[slot] += (float)v;
        sum += v;
    }
    for (int32_t k = 0; k < t->taps; k++)
        w[k] = (float)(w[k] / sum);
}

static int32_t table_upload(const struct bp_device *dev, struct table *t, struct bp_err *err)
{
    const void *from[2] = {t->starts, t->weights};
    uint64_t bytes[2] = {(uint64_t)t->n * sizeof(int32_t), (uint64_t)t->n * (uint64_t)t->taps * sizeof(float)};
    int32_t rc = BP_OK;
    for (int i = 0; i < 2 && rc == BP_OK; i++) {
        rc = dev->alloc(dev, bytes[i], &t->on_device[i], err);
        if (rc == BP_OK)
            rc = dev->upload(dev, &t->on_device[i], 0, from[i], bytes[i], err);
    }
    return rc;
}

/* From m inputs to n outputs, n <= m. Free with table_free() in any case. */
static int32_t table_make(const struct bp_device *dev, int32_t n, int32_t m, struct table *t, struct bp_err *err)
{
    int32_t taps = n == m ? 1 : 2 * (int32_t)ceil(LOBES * (double)m / n);
    *t = (struct table){.n = n, .taps = taps < m ? taps : m};
    t->starts = calloc((size_t)n, sizeof t->starts[0]);
    t->weights = calloc((size_t)n * (size_t)t->taps, sizeof t->weights[0]);
    if (!t->starts || !t->weights)
        return bp_error(err, BP_NOMEM, "no memory to shrink the photo");
    for (int32_t i = 0; i < n; i++)
        fill_row(t, i, m);
    return table_upload(dev, t, err);
}

static struct resample table_view(const struct table *t)
{
    return (struct resample){t->on_device[0].at, t->on_device[1].at, t->taps};
}

/* sRGB (IEC 61966-2-1) to linear, scaled to 16 bits. */
static void fill_to_linear(uint16_t table[256])
{
    for (int i = 0; i < 256; i++) {
        double v = i / 255.0;
        table[i] = (uint16_t)lround(65535 * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4)));
    }
}

/* All that lives only while the photo is made. */
struct making {
    struct table columns, rows;
    struct bp_buffer rgba, to_linear, linear, narrow; /* rgba and linear: a band of rows */
};

static int32_t upload_to_linear(const struct bp_device *dev, struct making *m, struct bp_err *err)
{
    uint16_t to_linear[256];
    fill_to_linear(to_linear);
    int32_t rc = dev->alloc(dev, sizeof to_linear, &m->to_linear, err);
    return rc == BP_OK ? dev->upload(dev, &m->to_linear, 0, to_linear, sizeof to_linear, err) : rc;
}

/* The band in m->rgba into rows y and on of m->narrow. A photo that keeps its width is only made linear. */
static int32_t shrink_band(const struct kernels *k, struct making *m, const struct photo *p, int32_t in_width,
                           int32_t y, int32_t rows, struct bp_err *err)
{
    uint16_t *narrow = (uint16_t *)m->narrow.at + (size_t)y * (size_t)p->width * 4;
    int keeps = p->width == in_width;
    struct linearize_args linear = {m->rgba.at, m->to_linear.at, keeps ? (void *)narrow : m->linear.at, in_width};
    struct shrink_columns_args columns = {m->linear.at, narrow, table_view(&m->columns), in_width, p->width};
    int32_t rc = bp_launch2d(k->dev, k->linearize, in_width, rows, &linear, err);
    return rc < 0 || keeps ? rc : bp_launch2d(k->dev, k->shrink_columns, p->width, rows, &columns, err);
}

/* Fills m->narrow. Row bands, so that the device never holds the photo as it came: that may be 400 MB. */
static int32_t shrink_columns(const struct kernels *k, const struct bp_image *image, struct making *m,
                              const struct photo *p, struct bp_err *err)
{
    const struct bp_device *dev = k->dev;
    uint64_t row_bytes = (uint64_t)image->width * 4;
    int32_t band = image->height < BAND_ROWS ? image->height : BAND_ROWS;
    int32_t rc = dev->alloc(dev, row_bytes * (uint64_t)band, &m->rgba, err);
    if (rc == BP_OK && p->width != image->width)
        rc = dev->alloc(dev, 2 * row_bytes * (uint64_t)band, &m->linear, err);
    for (int32_t y = 0; y < image->height && rc == BP_OK; y += band) {
        int32_t rows = image->height - y < band ? image->height - y : band;
        rc = dev->upload(dev, &m->rgba, 0, image->pixels + (uint64_t)y * row_bytes, (uint64_t)rows * row_bytes, err);
        if (rc == BP_OK)
            rc = shrink_band(k, m, p, image->width, y, rows, err);
    }
    return rc;
}

static int32_t shrink_rows(const struct kernels *k, struct making *m, const struct device_photo *out,
                           struct bp_err *err)
{
    const struct photo *p = &out->view;
    struct shrink_rows_args rows = {m->narrow.at, out->pixels.at, table_view(&m->rows), p->width, p->height, p->stride};
    int32_t rc = bp_launch2d(k->dev, k->shrink_rows, p->stride, p->height + 2 * PAD, &rows, err);
    return rc == BP_OK ? k->dev->sync(k->dev, err) : rc;
}

static int32_t make(const struct kernels *k, const struct bp_image *image, struct making *m, struct device_photo *out,
                    struct bp_err *err)
{
    const struct bp_device *dev = k->dev;
    struct photo *p = &out->view;
    int32_t rc = table_make(dev, p->width, image->width, &m->columns, err);
    if (rc == BP_OK)
        rc = table_make(dev, p->height, image->height, &m->rows, err);
    if (rc == BP_OK)
        rc = upload_to_linear(dev, m, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, (uint64_t)p->width * (uint64_t)image->height * 8, &m->narrow, err);
    if (rc == BP_OK)
        rc = shrink_columns(k, image, m, p, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, (uint64_t)p->stride * (uint64_t)(p->height + 2 * PAD) * 8 + OVERREAD, &out->pixels, err);
    if (rc == BP_OK)
        rc = shrink_rows(k, m, out, err);
    return rc;
}

/* `from` shrunk, at least 4 pixels where there are as many: the filters want them. */
static int32_t shrunk(int32_t from, double factor)
{
    int32_t n = (int32_t)lround(from / factor), least = from < 4 ? from : 4;
    return n < least ? least : n > from ? from : n;
}

int32_t photo_make(const struct kernels *k, const struct bp_image *image, double factor, struct device_photo *out,
                   struct bp_err *err)
{
    struct making m = {0};
    *out = (struct device_photo){0};
    out->view.width = shrunk(image->width, factor);
    out->view.height = shrunk(image->height, factor);
    out->view.stride = out->view.width + 2 * PAD;
    int32_t rc = make(k, image, &m, out, err);
    out->view.pixels = out->pixels.at;
    table_free(k->dev, &m.columns);
    table_free(k->dev, &m.rows);
    k->dev->free(k->dev, &m.rgba);
    k->dev->free(k->dev, &m.to_linear);
    k->dev->free(k->dev, &m.linear);
    k->dev->free(k->dev, &m.narrow);
    if (rc != BP_OK)
        photo_free(k, out);
    return rc;
}

void photo_free(const struct kernels *k, struct device_photo *photo)
{
    k->dev->free(k->dev, &photo->pixels);
    *photo = (struct device_photo){0};
}
