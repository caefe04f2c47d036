/* SPDX-License-Identifier: Apache-2.0 */
/* zone_rule.h - the rule for the time after a zoneinfo file's last transition: a POSIX TZ text as "CET-1CEST,M3.5.0,
 * M10.5.0/3" (IEEE 1003.1, base definitions, chapter 8.3). */
#ifndef POLICY_ZONE_RULE_H
#define POLICY_ZONE_RULE_H

#include <stdint.h>

/* When a time begins, each year. */
struct zone_day {
    char kind;            /* 'M': month, week, day of week; 'J': day 1..365 without 29 February; 'n': day 0..365 */
    int month, week, day; /* week 5: the last; kinds J and n: only day */
    int32_t time_s;       /* local, of the time before it */
};

struct zone_rule {
    int32_t standard_s, summer_s; /* ahead of UTC */
    int has_summer;
    struct zone_day from, to; /* of summer time */
};

/* 1 when it is a rule. */
int zone_rule_parse(struct zone_rule *r, const char *text);
int32_t zone_rule_offset_s(const struct zone_rule *r, int64_t at_s);

#endif
