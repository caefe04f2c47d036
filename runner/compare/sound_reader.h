/* SPDX-License-Identifier: Apache-2.0 */
/* sound_reader.h - one stream of sound of a file, decoded from the file's time 0 on without gaps. */
#ifndef COMPARE_SOUND_READER_H
#define COMPARE_SOUND_READER_H

#include <bp/plugin.h>

struct sound_reader;

/* The nth stream of sound. BP_NOTFOUND: it has no such, BP_BADINPUT, BP_IO, BP_NOMEM; then *out is NULL. */
int32_t sound_reader_open(const char *path, int32_t nth, struct sound_reader **out, struct bp_err *err);
int32_t sound_reader_rate(const struct sound_reader *r);
int32_t sound_reader_channels(const struct sound_reader *r);
/* The next samples, *n of each channel, one channel beside the other, -1..1; borrowed until the next call. BP_NOTFOUND:
 * there are no more. What is damaged is left out, and silence comes for it. */
int32_t sound_reader_next(struct sound_reader *r, const float **samples, int64_t *n, struct bp_err *err);
void sound_reader_close(struct sound_reader **r);

#endif
