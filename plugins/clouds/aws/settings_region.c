/* SPDX-License-Identifier: Apache-2.0 */
/* settings_region.c - the region that the profile names, where neither the settings nor the environment name one. */
#include "profile.h"
#include "settings.h"

#include <stdio.h>

void settings_region_of_profile(struct settings *s)
{
    struct profiles p;
    struct bp_err ignored; /* who needs these files for more than this says what is wrong with them */
    if (s->region[0])
        return;
    profiles_open(&p, &ignored);
    const char *v = profiles_get(&p, s->profile[0] ? s->profile : "default", "region");
    snprintf(s->profile_region, sizeof s->profile_region, "%s", v ? v : "");
    profiles_close(&p);
    s->region = s->profile_region;
    s->region_from = s->region[0] ? "the profile" : "no setting";
}
