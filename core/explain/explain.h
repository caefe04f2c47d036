/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - why a job or a fleet is as it is, read from every engine; changes nothing. All [loop]. */
#ifndef EXPLAIN_EXPLAIN_H
#define EXPLAIN_EXPLAIN_H

#include "dispatch/dispatch.h"
#include "fleet/fleet.h"
#include "policy/eta.h"
#include "scale/scale.h"

/* Whom it asks; borrowed for the call. */
struct explain_engines {
    struct loop *loop;
    struct host *host;
    struct fleets *fleets;
    struct scale *scale;
    const struct config *config;
    struct dispatch *dispatch;
    int draining; /* bpd leases nothing any more */
};

/* Of what dispatch_job_facts answered, as explain_job_words (explain/facts.h). for_tenant: 1 when the job's tenant
 * asks: of what is not the tenant's own there are counts and times only. The caller's. */
struct json_object *explain_job(const struct explain_engines *e, int for_tenant, struct json_object *facts);
/* When it starts and ends, as explain_job says it; of one that runs the end alone, INFINITY where nobody can say. With
 * fewer draws: 4 ms at the most. */
struct eta explain_eta(const struct explain_engines *e, struct json_object *facts);
/* As explain_fleet_words; the workflow may be one that nothing serves. The caller's. */
struct json_object *explain_fleet(const struct explain_engines *e, const char *slug);

#endif
