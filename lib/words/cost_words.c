/* SPDX-License-Identifier: Apache-2.0 */
/* cost_words.c - what work costs, and what it would cost to have it done sooner. */
#include "words/facts.h"

#include "log/json.h"
#include <math.h>
#include <stdio.h>

#define WORTH 0.05 /* of the time that is left, for a line of its own */

/* Nine digits are more than anybody knows. */
static void put(struct json_object *o, const char *name, double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", v);
    json_object_object_add(o, name, json_object_new_double_s(v, text));
}

/* "$1.25", "$0.0042". */
static const char *usd(double v, char out[32])
{
    snprintf(out, 32, v < 0.1 ? "$%.2g" : "$%.2f", v);
    return out;
}

static double cost_of(const struct fleet_facts *f, double instance_s)
{
    return instance_s / 3600 * f->price.usd;
}

void explain_cost(struct json_object *o, const struct fleet_facts *f, double work_s, const char *of)
{
    char much[32], hour[32], time[32];
    if (f->price.usd <= 0 || !isfinite(work_s) || work_s <= 0) {
        json_object_object_add(o, "cost", NULL);
        return;
    }
    struct json_object *cost = json_object_new_object();
    put(cost, "usd", cost_of(f, work_s));
    put(cost, "usd_per_hour", f->price.usd);
    put(cost, "instance_hours", work_s / 3600);
    json_put_str(cost, "from", f->price.from);
    json_object_object_add(o, "cost", cost);
    explain_line(o, 0, "cost", "%s costs about %s: %s of an instance at %s an hour (%s)", of,
                 usd(cost_of(f, work_s), much), explain_time(work_s, time), usd(f->price.usd, hour), f->price.from);
}

static void sooner_line(struct json_object *o, const struct fleet_facts *f, const struct sooner *s, double gain_s,
                        const char *it)
{
    char when[80], gain[32], much[32], extra[64] = "";
    int64_t at_ms = f->now_ms + (int64_t)(1000 * s->end.p50_s);
    double more = cost_of(f, s->instance_s);
    if (f->price.usd > 0)
        snprintf(extra, sizeof extra, more >= 0.0005 ? ", for about %s more" : ", at no more cost", usd(more, much));
    explain_line(o, at_ms, "sooner", "with %d more instance%s (bpctl scale hold %s %d) %s at about %s, %s sooner%s",
                 s->more, s->more == 1 ? "" : "s", f->workflow, f->idle + f->busy + f->booting + s->more, it,
                 explain_moment(at_ms, f->now_ms, when), explain_time(gain_s, gain), extra);
}

void explain_sooner(struct json_object *o, const struct fleet_facts *f, const struct eta_span *without, const char *it)
{
    struct json_object *list = json_object_new_array();
    for (uint32_t i = 0; i < f->n_sooner; i++) {
        const struct sooner *s = &f->sooner[i];
        struct json_object *one = json_object_new_object();
        json_put_int(one, "instances", s->more);
        if (isfinite(s->start.p50_s))
            explain_span(one, "start", f->now_ms, &s->start);
        explain_span(one, "finish", f->now_ms, &s->end);
        if (f->price.usd > 0)
            put(one, "usd_more", cost_of(f, s->instance_s));
        json_object_array_add(list, one);
        double gain_s = without->p50_s - s->end.p50_s;
        if (isfinite(without->p50_s) && gain_s > WORTH * without->p50_s && gain_s >= 1)
            sooner_line(o, f, s, gain_s, it);
    }
    json_object_object_add(o, "sooner", list);
}
