/* SPDX-License-Identifier: Apache-2.0 */
#include "sound.h"

#include "sound_reader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LENGTH_SLACK_S 0.1 /* encoders fill up their last block */

static double greatest(double a, double b)
{
    return a > b ? a : b;
}

void sound_difference_end(struct sound_difference *d)
{
    if (d->samples == 0)
        return;
    double n = (double)d->samples;
    double loud = greatest(sqrt(greatest(d->square_a, d->square_b) / n), SOUND_FLOOR);
    d->worst = greatest(d->worst, sqrt(d->square_by / n) / loud);
    d->square_a = d->square_b = d->square_by = 0;
    d->samples = 0;
}

void sound_difference_take(struct sound_difference *d, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = isfinite(a[i]) ? a[i] : 0, y = isfinite(b[i]) ? b[i] : 0;
        d->square_a += x * x;
        d->square_b += y * y;
        d->square_by += (x - y) * (x - y);
        if (++d->samples >= d->window)
            sound_difference_end(d);
    }
}

/* ---- two streams ---- */

struct side {
    struct sound_reader *reader;
    const float *samples; /* not yet compared */
    int64_t n, total;     /* of each channel: those, and all that were read */
    int32_t rc;
};

static void fill(struct side *s, struct bp_err *err)
{
    if (s->n > 0 || s->rc != BP_OK)
        return;
    s->rc = sound_reader_next(s->reader, &s->samples, &s->n, err);
    if (s->rc == BP_OK)
        s->total += s->n;
    else
        s->n = 0;
}

/* To the end of both. The result of whichever cannot be read, else BP_NOTFOUND. */
static int32_t run_through(struct side *a, struct side *b, struct sound_difference *d, struct bp_err *err)
{
    int32_t channels = sound_reader_channels(a->reader);
    for (;;) {
        fill(a, err);
        fill(b, err);
        if ((a->rc != BP_OK && a->rc != BP_NOTFOUND) || (b->rc != BP_OK && b->rc != BP_NOTFOUND))
            return a->rc != BP_OK && a->rc != BP_NOTFOUND ? a->rc : b->rc;
        if (a->rc != BP_OK && b->rc != BP_OK)
            break;
        int64_t n = a->rc != BP_OK ? b->n : b->rc != BP_OK || a->n < b->n ? a->n : b->n;
        if (a->rc == BP_OK && b->rc == BP_OK)
            sound_difference_take(d, a->samples, b->samples, n * channels);
        for (struct side *s = a; s; s = s == a ? b : NULL) {
            s->samples += s->rc == BP_OK ? n * channels : 0;
            s->n -= s->rc == BP_OK ? n : 0;
        }
    }
    sound_difference_end(d);
    return BP_NOTFOUND;
}

static int fit(const struct side *a, const struct side *b, char why[300])
{
    int32_t rate = sound_reader_rate(a->reader), channels = sound_reader_channels(a->reader);
    if (sound_reader_rate(b->reader) != rate || sound_reader_channels(b->reader) != channels)
        snprintf(why, 300, "its sound has %d channels of %d samples a second instead of %d of %d",
                 sound_reader_channels(b->reader), sound_reader_rate(b->reader), channels, rate);
    return why[0] == '\0';
}

static int32_t compare(struct side *a, struct side *b, double *worst, char why[300], struct bp_err *err)
{
    if (!fit(a, b, why))
        return BP_OK;
    double rate = sound_reader_rate(a->reader);
    struct sound_difference d = {.window = (int64_t)(SOUND_WINDOW_S * rate) * sound_reader_channels(a->reader)};
    int32_t rc = run_through(a, b, &d, err);
    double first = (double)a->total / rate, second = (double)b->total / rate;
    if (rc == BP_BADINPUT)
        snprintf(why, 300, "%.250s", err->text);
    else if (rc == BP_NOTFOUND && fabs(first - second) > LENGTH_SLACK_S)
        snprintf(why, 300, "its sound lasts %.2f s instead of %.2f s", second, first);
    *worst = greatest(*worst, d.worst);
    return rc == BP_NOTFOUND || rc == BP_BADINPUT ? BP_OK : rc;
}

static int has_stream(const char *path, int32_t nth)
{
    struct bp_err none = {0};
    struct sound_reader *r = NULL;
    int has = sound_reader_open(path, nth, &r, &none) == BP_OK;
    sound_reader_close(&r);
    return has;
}

int32_t sounds_compare(const char *a, const char *b, double *worst, int32_t *streams, char why[300], struct bp_err *err)
{
    int32_t rc = BP_OK;
    *worst = 0;
    why[0] = '\0';
    for (*streams = 0; rc == BP_OK && !why[0]; ++*streams) {
        struct side x = {0}, y = {0};
        rc = sound_reader_open(a, *streams, &x.reader, err);
        if (rc != BP_OK)
            break;
        int32_t second = sound_reader_open(b, *streams, &y.reader, err);
        if (second != BP_OK)
            snprintf(why, 300, "its sound cannot be read: %.250s", err->text);
        else
            rc = compare(&x, &y, worst, why, err);
        sound_reader_close(&x.reader);
        sound_reader_close(&y.reader);
    }
    if (rc == BP_NOTFOUND && has_stream(b, *streams))
        snprintf(why, 300, "it has more than %d streams of sound", *streams);
    return rc == BP_NOTFOUND ? BP_OK : rc;
}
