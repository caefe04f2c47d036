/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - numbers per workflow from the store, kept for a second, asked for once however many want them. [loop] */
#ifndef DISPATCH_STATS_H
#define DISPATCH_STATS_H

#include "dispatch/engine.h"

struct stats *stats_new(void);
void stats_free(struct stats *s);

#endif
