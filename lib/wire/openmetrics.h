/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openmetrics.h - families and samples in the text form of OpenMetrics 1.0. Pure: it appends to a text.
 */
#ifndef WIRE_OPENMETRICS_H
#define WIRE_OPENMETRICS_H

#include "wire/text.h"

/* Begins a family; its samples must follow, and no other's. help NULL: none. */
void metric_family(struct text *t, const char *name, const char *type, const char *help);
/* Makes `t` the labels of a sample. pairs: name, value, ..., NULL; values are escaped. */
void metric_labels(struct text *t, const char *const *pairs);
/* labels NULL: none. A counter's name ends in _total. */
void metric_sample(struct text *t, const char *name, const struct text *labels, double value);
/* A family of one sample without labels, the name of a counter's sample gets its _total. */
void metric_gauge(struct text *t, const char *name, const char *help, double value);
void metric_counter(struct text *t, const char *name, const char *help, uint64_t value);

#endif
