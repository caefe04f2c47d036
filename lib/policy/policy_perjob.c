/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_kit.h"

/* perjob: an instance per job that is queued or runs. One that ends its job takes another if there is one, else goes.
 */
int32_t policy_perjob_plan(const struct policy_now *now, void *memory, struct bp_plan *p)
{
    (void)memory;
    const struct bp_view *v = now->view;
    p->desired = instances_for(v, 1);
    SAY(p, "%lld queued and %lld running: an instance each", (long long)v->queued, (long long)v->leased);
    return 0;
}
