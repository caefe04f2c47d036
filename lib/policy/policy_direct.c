/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"

#define DIRECT_JOBS_EACH 2
#define DIRECT_WINDOW_S  300

/* direct: the highest of ceil(depth / 2) over the last 300 s. Without alarms and steps between the queue and the fleet,
 * it is what any cleverer policy has to beat, and what replaces a policy that cannot be trusted. */
int32_t policy_direct_plan(const struct policy_now *now, void *memory, struct bp_plan *p)
{
    const struct bp_view *v = now->view;
    struct direct_memory *m = memory;
    int32_t want = instances_for(v, DIRECT_JOBS_EACH);
    p->desired = window_high(&m->window, v, DIRECT_WINDOW_S, want);
    SAY(p, "%lld jobs need %d instances at %d each; the last %d s needed %d", (long long)depth_of(v), want,
        DIRECT_JOBS_EACH, DIRECT_WINDOW_S, p->desired);
    return 0;
}
