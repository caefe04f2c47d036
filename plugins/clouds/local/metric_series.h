/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_series.h - samples in memory: one ring a series (metric, workflow, stage), oldest overwritten.
 *
 * A ring holds SERIES_SAMPLES samples (a day of minutes); there are at most SERIES_MAX series. Not thread-safe.
 */
#ifndef LOCAL_METRIC_SERIES_H
#define LOCAL_METRIC_SERIES_H

#include <bp/cloud.h>

#define SERIES_SAMPLES 1440
#define SERIES_MAX     2048

struct series_set;

struct series_set *series_set_new(void);
void series_set_free(struct series_set *s);
/* BP_NOSPACE when it were one series too many. */
int series_add(struct series_set *s, const struct bp_metric *sample, struct bp_err *err);
/* Adds to `into` what `from` has and it does not: samples later than its last one of the series. */
void series_merge(struct series_set *into, const struct series_set *from);
/* Up to `room` samples at or after since_ms, oldest first, of all stages; returns their number. */
uint32_t series_read(const struct series_set *s, const char *name, const char *workflow, int64_t since_ms,
                     struct bp_metric *out, uint32_t room);

#endif
