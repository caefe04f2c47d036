/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alerts.h - tells operators, by the notify service, of what should wake them: events of the bus, each with a key so
 * that a provider says the same thing once. What cannot be delivered is logged, kept (64 at most) and tried again.
 */
#ifndef CORE_ALERTS_H
#define CORE_ALERTS_H

#include "bus/bus.h"
#include "config/config.h"

struct alerts;

/* NULL without memory. [loop] */
struct alerts *alerts_new(struct bus *b, const struct config *c);
void alerts_reconfigure(struct alerts *a, const struct config *c);
void alerts_free(struct alerts *a); /* NULL is fine; before bus_free() */

#endif
