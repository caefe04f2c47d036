/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prices.h - Spot prices as EC2 tells them: one question for the types of a fleet, at most every five minutes. They are
 * for words to operators alone: nothing is decided by them.
 */
#ifndef AWS_PRICES_H
#define AWS_PRICES_H

#include "fleet.h"

struct prices;

struct prices *prices_open(struct fleets *f, struct bp_err *err);
void prices_close(struct prices *p); /* accepts NULL */
/* As bp_fleet.prices; inst is struct aws. Any thread. */
int32_t fleet_prices(void *inst, const struct bp_fleet_spec *spec, char **out, struct bp_err *err);

#endif
