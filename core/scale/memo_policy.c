/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo_policy.c - what policies have learned, and the figures of a shadow, as text that outlives the process: the
 * numbers that a policy names, by the policy's name, and both fleets in thought as they are.
 */
#include "scale_priv.h"

#include "policy/number.h"
#include <stdio.h>
#include <string.h>

/* ---- numbers ---- */

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
        number_put(o, n->name, v);
    }
    if (any)
        return o;
    json_object_put(o);
    return NULL;
}

void learned_take(const struct policy *p, void *memory, struct json_object *o)
{
    for (const struct policy_number *n = p && o && memory ? p->learned : NULL; n && n->name; n++)
        *number_at(memory, n) = number_within(json_num(o, n->name, 0), n->least, n->most);
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

/* ---- a shadow ---- */

/* Of a list with the newest first. */
static void take_decisions(struct shadow *sh, struct json_object *list)
{
    sh->n_decisions = 0;
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t k = n < SCALE_DECISIONS ? n : SCALE_DECISIONS; k-- > 0;) {
        struct json_object *o = json_object_array_get_idx(list, k);
        struct scale_decision *d = &sh->decisions[sh->n_decisions++];
        *d = (struct scale_decision){.at_ms = json_int(o, "at_ms", 0),
                                     .from = (int32_t)number_within(json_num(o, "from", 0), 0, INT32_MAX),
                                     .to = (int32_t)number_within(json_num(o, "to", 0), 0, INT32_MAX)};
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
    number_put(one, "hours", sh->hours);
    number_put(one, "live_hours", sh->live_hours);
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
    sh->hours = number_within(json_num(o, "hours", 0), 0, 1e15);
    sh->live_hours = number_within(json_num(o, "live_hours", 0), 0, 1e15);
    learned_take(sh->policy, sh->memory, json_member(o, "learned"));
    take_decisions(sh, json_member(o, "decisions"));
    if (!json_member(o, "modelled") || at_ms <= 0) /* as an older version wrote it: the fleets in thought begin anew */
        return;
    sh->at_ms = at_ms;
    mirror_memo_take(&sh->its, json_member(o, "modelled"), at_ms);
    mirror_memo_take(&sh->live, json_member(o, "live_modelled"), at_ms);
}
