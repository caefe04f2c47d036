/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/cron.h"

#include "log/err.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct field {
    const char *name;
    int least, most;
    const char *names; /* three letters each, from `least` on; "" : none */
};

static const struct field fields[] = {{"minute", 0, 59, ""},
                                      {"hour", 0, 23, ""},
                                      {"day of month", 1, 31, ""},
                                      {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
                                      {"day of week", 0, 7, "sunmontuewedthufrisat"}};

static int value(const struct field *f, const char **at, int *out)
{
    int v = 0, digits = 0;
    for (int i = 0; f->names[i * 3]; i++)
        if (strncasecmp(*at, f->names + i * 3, 3) == 0) {
            *at += 3;
            *out = f->least + i;
            return 1;
        }
    for (; isdigit((unsigned char)**at) && digits < 3; (*at)++, digits++)
        v = v * 10 + (**at - '0');
    *out = v;
    return digits > 0 && v >= f->least && v <= f->most;
}

/* "*", "5", "1-5", each with "/2" behind it. */
static int part(const struct field *f, const char **at, uint64_t *bits)
{
    int from = f->least, to = f->most, step = 1;
    if (**at == '*') {
        (*at)++;
    } else {
        if (!value(f, at, &from))
            return 0;
        to = from;
        if (**at == '-' && (++*at, !value(f, at, &to)))
            return 0;
        if (**at == '/' && to == from)
            to = f->most;
    }
    if (**at == '/') {
        const struct field steps = {"step", 1, 99, ""};
        ++*at;
        if (!value(&steps, at, &step))
            return 0;
    }
    for (int i = from; i <= to; i += step)
        *bits |= 1ull << i;
    return from <= to;
}

static int take(const struct field *f, const char *text, uint64_t *bits)
{
    const char *at = text;
    *bits = 0;
    do {
        at += at != text;
        if (!part(f, &at, bits))
            return 0;
    } while (*at == ',');
    return *at == 0;
}

int cron_parse(struct cron *c, const char *text, struct bp_err *err)
{
    char word[5][64];
    uint64_t bits[5];
    int used = 0;
    int n = sscanf(text, " %63s %63s %63s %63s %63s %n", word[0], word[1], word[2], word[3], word[4], &used);
    if (n != 5 || text[used])
        return err_set(err, BP_INVALID,
                       "\"%.80s\" must be five fields: minute hour day-of-month month day-of-week, like "
                       "0 8 * * mon-fri",
                       text);
    for (int i = 0; i < 5; i++)
        if (!take(&fields[i], word[i], &bits[i]))
            return err_set(err, BP_INVALID,
                           "field %d (%s) is \"%.20s\"; it is made of *, numbers from %d to %d, a-b, */n and "
                           "commas",
                           i + 1, fields[i].name, word[i], fields[i].least, fields[i].most);
    bits[4] |= bits[4] >> 7; /* 7 is Sunday too */
    *c = (struct cron){bits[0],           (uint32_t)bits[1],       (uint32_t)bits[2],
                       (uint32_t)bits[3], (uint32_t)bits[4] & 127, word[2][0] == '*',
                       word[4][0] == '*'};
    return BP_OK;
}

int cron_matches(const struct cron *c, const struct tm *t)
{
    int mday = c->mdays >> t->tm_mday & 1, wday = c->wdays >> t->tm_wday & 1;
    int day = c->any_mday || c->any_wday ? mday && wday : mday || wday;
    return (c->minutes >> t->tm_min & 1) && (c->hours >> t->tm_hour & 1) && (c->months >> (t->tm_mon + 1) & 1) && day;
}
