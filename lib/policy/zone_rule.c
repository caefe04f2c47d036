/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/zone_rule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

/* ---- reading ---- */

/* "CET" or "<+03>". */
static int skip_name(const char **at)
{
    const char *p = *at;
    if (*p == '<') {
        p = strchr(p, '>');
        *at = p ? p + 1 : *at;
        return p != NULL;
    }
    while (isalpha((unsigned char)*p))
        p++;
    int found = p - *at >= 3;
    *at = p;
    return found;
}

static int number(const char **at, int least, int most, int *out)
{
    const char *p = *at;
    int v = 0;
    if (!isdigit((unsigned char)*p))
        return 0;
    for (; isdigit((unsigned char)*p); p++)
        if ((v = v * 10 + (*p - '0')) > most)
            return 0;
    *at = p;
    *out = v;
    return v >= least;
}

/* [+-]h[h[h]][:mm[:ss]] */
static int clock_time(const char **at, int32_t *s)
{
    int sign = **at == '-' ? -1 : 1, h = 0, m = 0, sec = 0;
    *at += **at == '-' || **at == '+';
    if (!number(at, 0, 167, &h))
        return 0;
    if (**at == ':' && (++*at, !number(at, 0, 59, &m)))
        return 0;
    if (**at == ':' && (++*at, !number(at, 0, 59, &sec)))
        return 0;
    *s = sign * (h * 3600 + m * 60 + sec);
    return 1;
}

static int day(const char **at, struct zone_day *d)
{
    *d = (struct zone_day){.kind = 'n', .time_s = 7200};
    if (**at == 'M') {
        d->kind = *(*at)++;
        if (!number(at, 1, 12, &d->month) || *(*at)++ != '.' || !number(at, 1, 5, &d->week) || *(*at)++ != '.' ||
            !number(at, 0, 6, &d->day))
            return 0;
    } else {
        if (**at == 'J')
            d->kind = *(*at)++;
        if (!number(at, d->kind == 'J', 365, &d->day))
            return 0;
    }
    return **at != '/' || (++*at, clock_time(at, &d->time_s));
}

int zone_rule_parse(struct zone_rule *r, const char *text)
{
    memset(r, 0, sizeof *r);
    if (!skip_name(&text) || !clock_time(&text, &r->standard_s))
        return 0;
    r->standard_s = -r->standard_s; /* the text says what is to be added to get UTC */
    if (!*text)
        return 1;
    r->has_summer = 1;
    r->summer_s = r->standard_s + 3600;
    if (!skip_name(&text))
        return 0;
    if (*text != ',') {
        if (!clock_time(&text, &r->summer_s))
            return 0;
        r->summer_s = -r->summer_s;
    }
    return *text++ == ',' && day(&text, &r->from) && *text++ == ',' && day(&text, &r->to) && !*text;
}

/* ---- using ---- */

static int is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Seconds since 1970 of a day's begin, as if local time were UTC. */
static int64_t begin_of(int year, int month, int mday)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = mday};
    return timegm(&tm);
}

/* Local seconds since 1970. */
static int64_t moment(const struct zone_day *d, int year)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (d->kind != 'M') {
        int leap_after = d->kind == 'J' && is_leap(year) && d->day >= 60;
        return begin_of(year, 1, 1) + (int64_t)(d->day - (d->kind == 'J') + leap_after) * DAY_S + d->time_s;
    }
    int64_t first = begin_of(year, d->month, 1);
    int weekday = (int)((first / DAY_S % 7 + 7 + 4) % 7); /* 1970 began on a Thursday */
    int mday = 1 + (d->day - weekday + 7) % 7 + (d->week - 1) * 7;
    while (mday > days[d->month - 1] + (d->month == 2 && is_leap(year)))
        mday -= 7;
    return first + (int64_t)(mday - 1) * DAY_S + d->time_s;
}

int32_t zone_rule_offset_s(const struct zone_rule *r, int64_t at_s)
{
    struct tm tm;
    time_t local = (time_t)(at_s + r->standard_s);
    if (!r->has_summer || !gmtime_r(&local, &tm))
        return r->standard_s;
    int64_t from = moment(&r->from, tm.tm_year + 1900) - r->standard_s;
    int64_t to = moment(&r->to, tm.tm_year + 1900) - r->summer_s;
    int summer = from < to ? at_s >= from && at_s < to : at_s >= from || at_s < to; /* the south's goes over New Year */
    return summer ? r->summer_s : r->standard_s;
}
