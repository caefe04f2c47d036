/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/health.h"

#include "bus/bus.h"
#include "dispatch/lacking.h"
#include "log/json.h"
#include "policy/fault.h"

#include <string.h>

void health_tell(struct bus *b, const char *worker_id, const char *before, const char *now)
{
    char was[FAULT_BYTES], is[FAULT_BYTES];
    fault_in(before, was, sizeof was);
    if (fault_in(now, is, sizeof is) && strcmp(was, is) != 0)
        bus_publish(b, EVENT_WORKER_UNHEALTHY, worker_id, is);
    else if (was[0] && !is[0])
        bus_publish(b, EVENT_WORKER_HEALTHY, worker_id);
    else if (!is[0] && fault_is_checked(now) && !fault_is_checked(before))
        bus_publish(b, EVENT_WORKER_READY, worker_id);
    lacking_tell(b, worker_id, before, now);
}

int health_is_broken(struct json_object *now, const char *last)
{
    char why[FAULT_BYTES];
    return fault_in(now ? json_text(now) : last, why, sizeof why);
}
