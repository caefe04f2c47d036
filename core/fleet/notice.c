/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notice.c - instances under an interruption notice are going: no job is given to them, and they count for nothing, so
 * that what is needed in their place is launched at once and not when they are lost. As in scale-in they are ended when
 * they have handed back what they ran; that lowers desired by one, and growth raised it by one.
 */
#include "fleet_priv.h"

#include "log/json.h"
#include <string.h>

void notice_follow(struct fleets *f, struct fleet *fl)
{
    if (config_bool(f->config, CONFIG_SCALE_DRY_RUN))
        return;
    for (struct instance *i = fl->instances; i; i = i->next) {
        if (!i->now.interrupting || !instance_is_live(i))
            continue;
        i->given_up = 1;
        if (i->drain == DRAIN_NONE)
            drain_instance(f, fl, i, "interruption notice");
    }
}

void notice_heard(struct fleets *f, const struct event_msg *gone)
{
    struct json_object *e = event_fields(gone);
    if (strcmp(json_str(e, "reason", ""), "spot_interruption") != 0)
        return;
    for (struct fleet *fl = f->list; fl; fl = fl->next) {
        struct instance *i = instance_find(fl, json_str(e, "worker", ""));
        if (i && i->now.spot)
            i->noticed = 1;
    }
}
