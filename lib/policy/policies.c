/* SPDX-License-Identifier: Apache-2.0 */
/* policies.c - the table of the built-in policies. */
#include "policy_kit.h"
#include "slo.h"

#include <stddef.h>
#include <string.h>

/* How many wait too long, and what that has made waiting cost. Where nothing was seen nothing is late. */
static const struct policy_number slo_learned[] = {
    {"price_log_factor", offsetof(struct slo_memory, price.log_factor), 0, 10},
    {"late_share", offsetof(struct slo_memory, price.late), 0, 1},
    {"jobs_seen", offsetof(struct slo_memory, price.seen), 0, 1e6},
    {0},
};

const struct policy policies[] = {
    {"step", "one or two more by the backlog of each instance, with a rest after each change; in only to zero",
     policy_step_plan, 0, NULL, 1},
    {"target", "as many as the queue needs at backlogTarget jobs each, at once out and slowly in", policy_target_plan,
     sizeof(struct window_memory), NULL, 0},
    {"direct", "the most that the last five minutes needed at two jobs each", policy_direct_plan,
     sizeof(struct direct_memory), NULL, 0},
    {"perjob", "an instance for each job that is queued or runs", policy_perjob_plan, 0, NULL, 0},
    {"deployed", "metrics and alarms as many run them: each minute, with an action a minute later; the yardstick",
     policy_deployed_plan, sizeof(struct deployed_memory), NULL, 1},
    {"slo", "the least of instances and waiting together, from what was measured; meets targetP95WaitSeconds if it can",
     policy_slo_plan, sizeof(struct slo_memory), slo_learned, 0},
    {0},
};

const struct policy *policy_find(const char *name)
{
    for (const struct policy *p = policies; name && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}
