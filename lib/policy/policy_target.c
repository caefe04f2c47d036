/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"

/*
 * target: ceil(depth / T) instances at once when that is more, and less only when nothing asked for more within
 * cooldown_s (the stabilisation window of the Kubernetes autoscaler, so that a short lull does not end warm instances).
 */
int32_t policy_target_plan(const struct policy_now *now, void *memory, struct bp_plan *p)
{
    const struct bp_view *v = now->view;
    int64_t depth = depth_of(v);
    int32_t target = v->backlog_target > 0 ? v->backlog_target : 1;
    int32_t want = instances_for(v, target);
    int32_t high = window_high(memory, v, v->cooldown_s, want);
    if (depth == 0 && (v->desired == 0 || v->scale_to_zero_s > v->cooldown_s || high == 0))
        return plan_empty(v, p);
    p->desired = want > v->desired ? want : high < v->desired ? high : v->desired;
    if (want >= v->desired)
        SAY(p, "%lld jobs at %d per instance: %d instances", (long long)depth, target, want);
    else
        SAY(p, "%lld jobs need %d instances; the last %.0f s needed %d", (long long)depth, want, v->cooldown_s, high);
    return 0;
}
