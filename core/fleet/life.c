/* SPDX-License-Identifier: Apache-2.0 */
/* life.c - what fleets teach about how long Spot instances live, and what that says of one (policy/risk.h). */
#include "fleet_priv.h"

#include "log/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NOTICE_LIFE_S 60.0   /* what is left on a notice, cautiously */
#define GAP_MS        600000 /* what is longer was not watched */
#define LIVES_VERSION 1

static double age_s(const struct instance *i, int64_t at_ms)
{
    int64_t age_ms = i->now.launched_ms && at_ms > i->now.launched_ms ? at_ms - i->now.launched_ms : 0;
    return (double)age_ms / 1000;
}

void life_follow(struct fleets *f, struct instance *i)
{
    int64_t now = fleets_now(f), since = i->lived_ms;
    i->lived_ms = 0;
    if (!i->now.spot || i->now.state != BP_INSTANCE_RUNNING)
        return;
    if (since && now > since && now - since <= GAP_MS)
        risk_lived(&f->risk, i->now.type, i->now.zone, age_s(i, since), age_s(i, now));
    i->lived_ms = now;
}

void life_taken(struct fleets *f, const struct instance *i)
{
    if (i->now.spot)
        risk_interrupted(&f->risk, i->now.type, i->now.zone, age_s(i, fleets_now(f)));
}

double life_s(const struct fleets *f, const struct instance *i)
{
    if (i->now.interrupting)
        return NOTICE_LIFE_S;
    return i->now.spot ? risk_life_s(&f->risk, i->now.type, i->now.zone, age_s(i, fleets_now(f))) : INFINITY;
}

double fleet_life_s(void *fleets, const char *workflow, const char *worker)
{
    struct fleets *f = fleets;
    struct fleet *fl = fleet_find(f, workflow);
    const struct instance *i = fl ? instance_find(fl, worker) : NULL;
    return i ? life_s(f, i) : INFINITY;
}

/* ---- as text that outlives the process ---- */

struct json_object *fleet_lives(void *fleets)
{
    const struct risk *r = &((struct fleets *)fleets)->risk;
    struct json_object *o = json_object_new_object(), *pools = json_object_new_array();
    for (uint32_t n = 0; n < r->n; n++) {
        const struct risk_pool *p = &r->pools[n];
        struct json_object *one = json_object_new_object(), *ages = json_object_new_array();
        for (int a = 0; a < RISK_AGES; a++) {
            struct json_object *age = json_object_new_object();
            json_put_num(age, "hours", round(p->hours[a] * 1000) / 1000);
            json_put_int(age, "interruptions", p->interruptions[a]);
            json_object_array_add(ages, age);
        }
        json_put_str(one, "type", p->type);
        json_put_str(one, "zone", p->zone);
        json_object_object_add(one, "ages", ages);
        json_object_array_add(pools, one);
    }
    json_put_int(o, "v", LIVES_VERSION);
    json_object_object_add(o, "pools", pools);
    if (lore_text(fleets))
        json_put_raw(o, "provider", lore_text(fleets));
    return o;
}

static void take_pool(struct risk *r, struct json_object *one)
{
    struct json_object *ages = json_member(one, "ages");
    struct risk_pool *p = &r->pools[r->n++];
    memset(p, 0, sizeof *p);
    snprintf(p->type, sizeof p->type, "%s", json_str(one, "type", ""));
    snprintf(p->zone, sizeof p->zone, "%s", json_str(one, "zone", ""));
    for (size_t a = 0; json_object_is_type(ages, json_type_array) && a < RISK_AGES; a++) {
        struct json_object *age = json_object_array_get_idx(ages, a);
        double hours = json_num(age, "hours", 0);
        int64_t taken = json_int(age, "interruptions", 0);
        p->hours[a] = isfinite(hours) && hours > 0 ? hours : 0;
        p->interruptions[a] = taken > 0 && taken < UINT32_MAX ? (uint32_t)taken : 0;
    }
}

void fleet_take_lives(void *fleets, struct json_object *lives)
{
    struct risk *r = &((struct fleets *)fleets)->risk;
    struct json_object *pools = json_member(lives, "pools");
    if (json_int(lives, "v", 0) != LIVES_VERSION || !json_object_is_type(pools, json_type_array))
        return;
    lore_take(fleets, json_member(lives, "provider"));
    r->n = 0;
    for (size_t n = 0; n < json_object_array_length(pools) && n < RISK_POOLS; n++)
        take_pool(r, json_object_array_get_idx(pools, n));
}
