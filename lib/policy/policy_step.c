/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"

/*
 * step: from zero to one at the first job; then one more when the backlog per ready instance exceeds
 * T = backlog_target, two more above 2.5 T, with a rest of cooldown_s after each change; in only to zero.
 */
int32_t policy_step_plan(const struct policy_now *now, void *memory, struct bp_plan *p)
{
    (void)memory;
    const struct bp_view *v = now->view;
    int64_t depth = depth_of(v);
    double target = v->backlog_target > 0 ? v->backlog_target : 1;
    if (depth == 0)
        return plan_empty(v, p);
    p->desired = v->desired;
    if (v->desired == 0) {
        p->desired = 1;
        SAY(p, "%lld queued and no instance: start the first", (long long)v->queued);
        return 0;
    }
    int32_t ready = ready_of(v);
    double backlog = (double)depth / (ready > 0 ? ready : 1);
    double rest = v->cooldown_s - since_s(v, v->last_scale_ms);
    int32_t more = backlog > 2.5 * target ? 2 : backlog > target ? 1 : 0;
    if (more == 0) {
        SAY(p, "backlog %.1f per instance, at most %.0f wanted", backlog, target);
    } else if (ready == 0) {
        SAY(p, "%lld jobs wait for the first of %d starting instances", (long long)depth, v->pending);
    } else if (rest > 0) {
        SAY(p, "backlog %.1f per instance over %.0f, but resting %.0f s more after the last change", backlog, target,
            rest);
    } else {
        p->desired = v->desired + more;
        SAY(p, "backlog %.1f per instance over %.1f: %d more", backlog, more == 2 ? 2.5 * target : target, more);
    }
    return 0;
}
