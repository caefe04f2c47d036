/* SPDX-License-Identifier: Apache-2.0 */
/* cron.h - the five fields of crontab(5): minute, hour, day of month, month, day of week. */
#ifndef POLICY_CRON_H
#define POLICY_CRON_H

#include <bp/plugin.h>
#include <time.h>

struct cron {
    uint64_t minutes;
    uint32_t hours, mdays, months, wdays; /* bit n: n; wdays: 0 is Sunday */
    int any_mday, any_wday;               /* the field begins with a star */
};

/* Lists, ranges, steps; names of months and days by three letters. BP_INVALID with the field. */
int cron_parse(struct cron *c, const char *text, struct bp_err *err);
/* Does this minute match? When both day fields are given, one of them is enough, as crontab(5) says. */
int cron_matches(const struct cron *c, const struct tm *local);

#endif
