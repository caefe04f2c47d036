/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"

#define PERIOD_MS   60000  /* of metrics; an alarm's action comes one period later */
#define COOLDOWN_MS 180000 /* after an action that added instances */
#define EMPTY_MS    900000 /* of zeros until the fleet goes to zero */
#define TO_ZERO     (-1)

/* What the alarms make of one minute's metric: instances to add, or TO_ZERO. */
static int32_t alarm(struct deployed_memory *m, const struct bp_view *v)
{
    int64_t depth = depth_of(v);
    int32_t ready = ready_of(v);
    if (depth == 0) {
        if (!m->empty_ms)
            m->empty_ms = v->now_ms;
        return v->now_ms - m->empty_ms >= EMPTY_MS ? TO_ZERO : 0;
    }
    m->empty_ms = 0;
    if (v->desired == 0)
        return 1;
    double backlog = (double)depth / (ready > 0 ? ready : 1);
    return backlog > 5 ? 2 : backlog > 2 ? 1 : 0;
}

/*
 * deployed: what most fleets of this kind run: depth = queued + leased and backlog = depth / ready instances go out as
 * metrics each minute; alarms act a minute later: from zero to one at the first job, +1 above 2, +2 above 5, with a
 * cooldown of 180 s; to zero after 15 empty minutes; in no other way. The settings of the workflow do not change it.
 */
int32_t policy_deployed_plan(const struct policy_now *now, void *memory, struct bp_plan *p)
{
    const struct bp_view *v = now->view;
    struct deployed_memory *m = memory;
    p->desired = v->desired;
    if (v->now_ms < m->next_ms && m->next_ms - v->now_ms <= PERIOD_MS) {
        SAY(p, "%d instances; the next metric is due in %lld s", v->desired,
            (long long)(m->next_ms - v->now_ms + 999) / 1000);
        return 0;
    }
    m->next_ms = v->now_ms + PERIOD_MS;
    int resting = v->desired > 0 && m->changed_ms && v->now_ms - m->changed_ms < COOLDOWN_MS;
    if (m->action == TO_ZERO) {
        p->desired = 0;
    } else if (m->action > 0 && !resting) {
        p->desired = v->desired + m->action;
        m->changed_ms = v->now_ms;
    }
    struct bp_view after = *v;
    after.desired = p->desired;
    m->action = alarm(m, &after);
    SAY(p, "%lld jobs for %d ready instances%s", (long long)depth_of(v), ready_of(v),
        resting ? "; resting after the last change" : "");
    return 0;
}
