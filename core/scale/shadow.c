/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow.c - a second policy beside the one that decides, on the same view, history and limits. What it would have done
 * is kept and shown; nothing is done. Adopting it makes it the one that decides.
 */
#include "scale_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP_MS 600000 /* most that passes between decisions; what is longer was not watched */

void shadow_free(struct scale_item *i)
{
    if (!i->shadow)
        return;
    free(i->shadow->memory);
    free(i->shadow);
    i->shadow = NULL;
}

static int refuse(const char *name, struct bp_err *err)
{
    const char *all[32];
    size_t n = 0;
    for (const struct policy *p = policies; p->name && n < 32; p++)
        all[n++] = p->name;
    const char *near = nearest_name(name, all, n);
    return err_set(err, BP_INVALID, "no policy %s%s%s%s", name, near ? "; did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

int shadow_begin(struct scale_item *i, const struct policy *p)
{
    struct shadow *sh = calloc(1, sizeof *sh);
    void *memory = sh ? calloc(1, p->memory_bytes + 1) : NULL;
    if (!memory) {
        free(sh);
        return 0;
    }
    shadow_free(i);
    sh->policy = p;
    sh->memory = memory;
    sh->desired = i->desired;
    i->shadow = sh;
    return 1;
}

int scale_shadow(struct scale *s, const char *slug, const char *name, struct bp_err *err)
{
    struct scale_item *i = scale_item_named(s, slug, err);
    const struct policy *p = policy_find(name);
    if (!i)
        return err->rc;
    if (strcmp(name, "off") == 0) {
        shadow_free(i);
        memos_changed(s, i);
        return 0;
    }
    if (!p)
        return refuse(name, err);
    if (!shadow_begin(i, p))
        return err_set(err, BP_NOMEM, "no memory for policy %s beside that of %s", name, slug);
    memos_changed(s, i);
    if (s->started)
        scale_look(s);
    return 0;
}

int scale_adopt(struct scale *s, const char *slug, const char **adopted, struct bp_err *err)
{
    struct scale_item *i = scale_item_named(s, slug, err);
    if (!i)
        return err->rc;
    if (!i->shadow)
        return err_set(err, BP_CONFLICT, "%s has no shadow to adopt; begin one: bpctl scale shadow %s POLICY", slug,
                       slug);
    i->adopted = i->shadow->policy;
    snprintf(i->adopted_over, sizeof i->adopted_over, "%s", policy_configured(s, host_workflow(s->host, slug)));
    *adopted = i->adopted->name;
    learned_keep(i);
    free(i->memory);
    i->memory = i->shadow->memory; /* it goes on where it was */
    i->shadow->memory = NULL;
    snprintf(i->policy, sizeof i->policy, "%s", i->adopted->name);
    log_info(LOG_SCALE, "%s: policy %s, which ran in the shadow, decides from now on", slug, i->adopted->name);
    shadow_free(i);
    memos_changed(s, i);
    if (s->started)
        scale_look(s);
    return 0;
}

int scale_disown(struct scale *s, const char *slug, struct bp_err *err)
{
    struct scale_item *i = scale_item_named(s, slug, err);
    if (!i)
        return err->rc;
    if (!i->adopted)
        return err_set(err, BP_CONFLICT, "%s has adopted no policy: the one of its settings decides", slug);
    log_info(LOG_SCALE, "%s: policy %s, which was adopted, decides no more", slug, i->adopted->name);
    i->adopted = NULL;
    memos_changed(s, i);
    if (s->started)
        scale_look(s);
    return 0;
}

static void count(struct shadow *sh, const struct bp_view *v)
{
    int64_t passed = v->now_ms - sh->at_ms;
    if (sh->at_ms && passed > 0 && passed <= GAP_MS) {
        sh->hours += sh->desired * (double)passed / 3600000;
        sh->live_hours += (v->pending + v->running) * (double)passed / 3600000;
    }
    if (!sh->since_ms)
        sh->since_ms = v->now_ms;
    sh->at_ms = v->now_ms;
}

/* Both fleets in thought begin with the instances and the jobs that there were, those that ran from their beginning, so
 * that what differs is the policies' doing. */
static void mirror_begin(struct mirror *m, const struct policy_now *now)
{
    const struct bp_view *v = now->view;
    mirror_step(m, now->history, v->now_ms, v->running, 0);
    mirror_arrived(m, v->now_ms, (uint32_t)(v->queued + v->leased));
}

static void mirror(struct shadow *sh, const struct policy_now *now, int64_t before_ms)
{
    const struct bp_view *v = now->view;
    double boot_s = history_boot_s(now->history, v->boot_s);
    if (before_ms == 0) {
        mirror_begin(&sh->its, now);
        mirror_begin(&sh->live, now);
        return;
    }
    mirror_step(&sh->its, now->history, v->now_ms, sh->desired, boot_s);
    mirror_step(&sh->live, now->history, v->now_ms, v->desired, boot_s);
}

void shadow_arrived(struct scale_item *i, int64_t at_ms, uint32_t n)
{
    if (!i->shadow || !i->shadow->at_ms)
        return;
    mirror_arrived(&i->shadow->its, at_ms, n);
    mirror_arrived(&i->shadow->live, at_ms, n);
}

static void remember(struct shadow *sh, const struct bp_view *v, const struct bp_plan *p)
{
    memcpy(sh->reason, p->reason, sizeof sh->reason);
    if (p->desired == sh->desired)
        return;
    struct scale_decision *d = &sh->decisions[sh->n_decisions++ % SCALE_DECISIONS];
    *d = (struct scale_decision){.at_ms = v->now_ms, .from = sh->desired, .to = p->desired};
    snprintf(d->policy, sizeof d->policy, "%s", sh->policy->name);
    memcpy(d->reason, p->reason, sizeof d->reason);
    sh->desired = p->desired;
    sh->last_scale_ms = v->now_ms;
}

void shadow_decide(struct scale_item *i, const struct decide_rules *rules, const struct policy_now *now)
{
    struct shadow *sh = i->shadow;
    if (!sh)
        return;
    struct bp_view v = *now->view;
    struct policy_now seen = *now;
    struct decide_planner by = decide_by(sh->policy, sh->memory);
    struct bp_plan p;
    int64_t before_ms = sh->at_ms;
    count(sh, &v);
    v.desired = sh->desired; /* what it asked for itself */
    v.draining = 0;
    v.last_scale_ms = sh->last_scale_ms;
    seen.view = &v;
    decide(rules, &by, &seen, &p);
    remember(sh, &v, &p);
    mirror(sh, now, before_ms);
}

static struct json_object *mirror_json(const struct mirror *m)
{
    struct mirror_sum s = mirror_sum(m);
    struct json_object *o = json_object_new_object();
    json_put_num(o, "instance_hours", s.hours);
    json_put_num(o, "wait_hours", s.wait_hours);
    json_put_num(o, "j", s.hours + s.wait_hours);
    json_put_num(o, "wait_mean_s", s.wait_mean_s);
    json_put_num(o, "wait_p95_s", s.wait_p95_s);
    json_put_int(o, "jobs", (int64_t)s.jobs);
    json_put_int(o, "waiting", s.waiting);
    return o;
}

void shadow_describe(const struct scale_item *i, struct json_object *o)
{
    const struct shadow *sh = i->shadow;
    if (i->adopted)
        json_put_str(o, "adopted", i->adopted->name);
    if (!sh)
        return;
    struct json_object *one = json_object_new_object();
    json_put_str(one, "policy", sh->policy->name);
    json_put_int(one, "desired", sh->desired);
    json_put_str(one, "reason", sh->reason);
    json_put_int(one, "since_ms", sh->since_ms);
    json_put_num(one, "instance_hours", sh->hours);
    json_put_num(one, "live_instance_hours", sh->live_hours);
    json_object_object_add(one, "modelled", mirror_json(&sh->its));
    json_object_object_add(one, "live_modelled", mirror_json(&sh->live));
    json_object_object_add(one, "decisions", decisions_json(sh->decisions, sh->n_decisions));
    json_object_object_add(o, "shadow", one);
}
