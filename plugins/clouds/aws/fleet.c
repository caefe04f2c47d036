/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include "activities.h"
#include "err.h"

#include <stdlib.h>

struct fleets *fleets_open(struct aws *a, struct bp_err *err)
{
    struct fleets *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(err, BP_NOMEM, "no memory for the fleets");
        return NULL;
    }
    f->aws = a;
    if (fleet_settings_read(&f->set, a, err) == 0 && (f->activities = activities_open(f, err)))
        return f;
    fleets_close(f);
    return NULL;
}

void fleets_close(struct fleets *f)
{
    if (f)
        activities_close(f->activities);
    free(f);
}
