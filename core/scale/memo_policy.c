/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo_policy.c - what policies have learned, and the figures of a shadow, as text that outlives the process: the
 * numbers that a policy names, by the policy's name, and both fleets in thought as they are.
 */
#include "scale_priv.h"

#include "log/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WAITING_KEPT 256 /* of a fleet in thought; of more, the latest are taken to have come together */

/* ---- numbers ---- */

static void put_exact(struct json_object *o, const char *key, double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", v);
    json_object_object_add(o, key, json_object_new_double_s(v, text));
}

static double within(double v, double least, double most)
{
    return !isfinite(v) || v < least ? least : fmin(v, most);
}

static double *number_at(void *memory, const struct policy_number *n)
{
    return (double *)(void *)((char *)memory + n->offset);
}

struct json_object *learned_json(const struct policy *p, const void *memory)
{
    int any = 0;
    if (!p || !p->learned || !memory)
        return NULL;
    struct json_object *o = json_object_new_object();
    for (const struct policy_number *n = p->learned; n->name; n++) {
        double v = *number_at((void *)(uintptr_t)memory, n);
        any |= v != 0;
        put_exact(o, n->name, v);
    }
    if (any)
        return o;
    json_object_put(o);
    return NULL;
}

void learned_take(const struct policy *p, void *memory, struct json_object *o)
{
    for (const struct policy_number *n = p && o && memory ? p->learned : NULL; n && n->name; n++)
        *number_at(memory, n) = within(json_num(o, n->name, 0), n->least, n->most);
}

void learned_keep(struct scale_item *i)
{
    struct json_object *o = learned_json(policy_find(i->policy), i->memory);
    if (!o)
        return;
    if (!i->learned)
        i->learned = json_object_new_object();
    json_object_object_add(i->learned, i->policy, o);
}

void learned_give(struct scale_item *i)
{
    learned_take(policy_find(i->policy), i->memory, json_member(i->learned, i->policy));
}

struct json_object *learned_by_all(const struct scale_item *i)
{
    struct json_object *o = json_object_new_object();
    struct json_object *now = learned_json(policy_find(i->policy), i->memory);
    for (const struct policy *p = policies; p->name; p++) {
        struct json_object *one = json_member(i->learned, p->name);
        if (one && strcmp(p->name, i->policy) != 0)
            json_object_object_add(o, p->name, json_object_get(one));
    }
    if (now)
        json_object_object_add(o, i->policy, now);
    if (json_object_object_length(o))
        return o;
    json_object_put(o);
    return NULL;
}

/* ---- a fleet in thought ---- */

/* Times go as milliseconds after the last step, negative before it: short, and right whatever clock reads them. */
static void add_int(struct json_object *list, int64_t n)
{
    json_object_array_add(list, json_object_new_int64(n));
}

static struct json_object *mirror_memo(const struct mirror *m)
{
    struct json_object *o = json_object_new_object(), *live = json_object_new_array();
    struct json_object *waiting = json_object_new_array(), *buckets = json_object_new_array();
    uint32_t told = m->waiting < WAITING_KEPT ? m->waiting : WAITING_KEPT;
    for (int32_t k = 0; k < m->live; k++)
        add_int(live, m->free_ms[k] - m->at_ms);
    for (uint32_t k = 0; k < told; k++)
        add_int(waiting, m->waiting_ms[(m->first + k) % MIRROR_WAITING] - m->at_ms);
    for (uint32_t k = 0; m->jobs && k < MIRROR_BUCKETS; k++)
        add_int(buckets, m->buckets[k]);
    put_exact(o, "instance_s", m->instance_s);
    put_exact(o, "wait_s", m->wait_s);
    json_object_object_add(o, "buckets", buckets);
    json_put_int(o, "run", m->run);
    json_object_object_add(o, "free_ms", live);
    json_object_object_add(o, "waiting_ms", waiting);
    json_put_int(o, "crowd", (int64_t)m->crowd + m->waiting - told);
    return o;
}

static size_t length_of(struct json_object *list, size_t most)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return n < most ? n : most;
}

/* A time of the list, at most a month away from at_ms. */
static int64_t time_in(struct json_object *list, size_t k, int64_t at_ms)
{
    const double month_ms = 30 * 86400000.0;
    return at_ms + (int64_t)within(json_object_get_double(json_object_array_get_idx(list, k)), -month_ms, month_ms);
}

static void mirror_take(struct mirror *m, struct json_object *o, int64_t at_ms)
{
    struct json_object *live = json_member(o, "free_ms"), *waiting = json_member(o, "waiting_ms"),
                       *buckets = json_member(o, "buckets");
    memset(m, 0, sizeof *m);
    m->at_ms = at_ms;
    m->instance_s = within(json_num(o, "instance_s", 0), 0, 1e15);
    m->wait_s = within(json_num(o, "wait_s", 0), 0, 1e15);
    m->run = (uint32_t)memo_count(o, "run");
    for (size_t k = 0; k < length_of(buckets, MIRROR_BUCKETS); k++) {
        int64_t n = json_object_get_int64(json_object_array_get_idx(buckets, k));
        m->buckets[k] = n > 0 && n < UINT32_MAX ? (uint32_t)n : 0;
        m->jobs += m->buckets[k];
    }
    m->live = (int32_t)length_of(live, MIRROR_INSTANCES);
    for (int32_t k = 0; k < m->live; k++)
        m->free_ms[k] = time_in(live, (size_t)k, at_ms);
    m->waiting = (uint32_t)length_of(waiting, WAITING_KEPT);
    for (uint32_t k = 0; k < m->waiting; k++)
        m->waiting_ms[k] = time_in(waiting, k, at_ms);
    m->crowd = m->waiting ? (uint32_t)memo_count(o, "crowd") : 0;
}

/* Of a list with the newest first. */
static void take_decisions(struct shadow *sh, struct json_object *list)
{
    sh->n_decisions = 0;
    for (size_t k = length_of(list, SCALE_DECISIONS); k-- > 0;) {
        struct json_object *o = json_object_array_get_idx(list, k);
        struct scale_decision *d = &sh->decisions[sh->n_decisions++];
        *d = (struct scale_decision){.at_ms = json_int(o, "at_ms", 0),
                                     .from = (int32_t)within(json_num(o, "from", 0), 0, INT32_MAX),
                                     .to = (int32_t)within(json_num(o, "to", 0), 0, INT32_MAX)};
        snprintf(d->policy, sizeof d->policy, "%s", sh->policy->name);
        snprintf(d->reason, sizeof d->reason, "%s", json_str(o, "reason", ""));
    }
}

struct json_object *memo_shadow(const struct shadow *sh)
{
    struct json_object *one = json_object_new_object(), *learned = learned_json(sh->policy, sh->memory);
    json_put_str(one, "policy", sh->policy->name);
    json_put_int(one, "desired", sh->desired);
    json_put_int(one, "since_ms", sh->since_ms);
    json_put_int(one, "at_ms", sh->at_ms);
    json_put_int(one, "last_scale_ms", sh->last_scale_ms);
    put_exact(one, "hours", sh->hours);
    put_exact(one, "live_hours", sh->live_hours);
    if (learned)
        json_object_object_add(one, "learned", learned);
    json_object_object_add(one, "modelled", mirror_memo(&sh->its));
    json_object_object_add(one, "live_modelled", mirror_memo(&sh->live));
    json_object_object_add(one, "decisions", decisions_json(sh->decisions, sh->n_decisions));
    return one;
}

void memo_shadow_take(struct shadow *sh, struct json_object *o, int64_t now_ms)
{
    int64_t at_ms = json_int(o, "at_ms", 0), desired = json_int(o, "desired", 0);
    if (!o || strcmp(json_str(o, "policy", ""), sh->policy->name) != 0)
        return;
    at_ms = at_ms < now_ms ? at_ms : now_ms;
    sh->since_ms = json_int(o, "since_ms", 0);
    sh->last_scale_ms = json_int(o, "last_scale_ms", 0);
    sh->desired = desired > 0 && desired < INT32_MAX ? (int32_t)desired : 0;
    sh->hours = within(json_num(o, "hours", 0), 0, 1e15);
    sh->live_hours = within(json_num(o, "live_hours", 0), 0, 1e15);
    learned_take(sh->policy, sh->memory, json_member(o, "learned"));
    take_decisions(sh, json_member(o, "decisions"));
    if (!json_member(o, "modelled") || at_ms <= 0) /* as an older version wrote it: the fleets in thought begin anew */
        return;
    sh->at_ms = at_ms;
    mirror_take(&sh->its, json_member(o, "modelled"), at_ms);
    mirror_take(&sh->live, json_member(o, "live_modelled"), at_ms);
}
