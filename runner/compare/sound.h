/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sound.h - the samples of one stream of sound of a file, from the file's time 0 on: what begins later, and every gap,
 * is silence. And by how much two such streams differ.
 */
#ifndef COMPARE_SOUND_H
#define COMPARE_SOUND_H

#include <bp/plugin.h>

/*
 * How much two sounds differ: the root mean square of what their samples differ by, as a part of that of the louder
 * one, in the worst half second; 0 is the same, 1 that one of them is silent. What is softer than SOUND_FLOOR counts as
 * if it were as loud: the noise of two encoders in a pause is no difference.
 */
#define SOUND_WINDOW_S 0.5
#define SOUND_FLOOR    0.01 /* 40 dB below full scale */

struct sound_difference {
    double worst;
    double square_a, square_b, square_by; /* of the window that is under way */
    int64_t samples, window;              /* in it, and how many make it full */
};

/* n samples of one channel after another, -1..1, of both. */
void sound_difference_take(struct sound_difference *d, const float *a, const float *b, int64_t n);
/* Counts what is left of the last window. */
void sound_difference_end(struct sound_difference *d);

/* Holds the streams of sound of file b against those of a, which are as many. `why` of 300 bytes: what cannot be
 * compared, "" when *worst is how much they differ; *streams how many there are. BP_NOMEM, or that a cannot be read. */
int32_t sounds_compare(const char *a, const char *b, double *worst, int32_t *streams, char why[300],
                       struct bp_err *err);

#endif
