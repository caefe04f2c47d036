/* SPDX-License-Identifier: Apache-2.0 */
/* price.h - what an hour of a fleet's instances costs now: by the cloud's own Spot prices, else by the table in the
 * settings. Pure. */
#ifndef WORDS_PRICE_H
#define WORDS_PRICE_H

#include "words/facts.h"

/* table: the setting `prices`; fleet: a row of fleets_describe(); types: the workflow's instanceTypes; each may be
 * NULL. The mean of the instances that are there, or would be asked for first. */
struct price price_now(struct json_object *table, struct json_object *fleet, struct json_object *types);
/* What is wrong with the setting `prices`: BP_INVALID with the member and the remedy. */
int price_check(struct json_object *table, struct bp_err *err);

#endif
