/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silent.c - instances that cost and do nothing: no worker of theirs is registered. After a limit they are drained and
 * ended as in scale-in, and the policy asks for others. The limit doubles with each time in a row, so that an image
 * that cannot work does not launch machines without end; one registration ends that.
 */
#include "fleet_priv.h"

#include <stdio.h>

#define DOUBLINGS 4

/* Longer than a boot takes, whatever the setting. */
static int64_t limit_ms(const struct fleets *f, const struct fleet *fl)
{
    double s = config_num(f->config, CONFIG_SCALE_REGISTER_S), boot_s = fl->boot_s;
    if (boot_s < fl->warmup_s)
        boot_s = fl->warmup_s;
    if (s < boot_s * 2)
        s = boot_s * 2;
    return (int64_t)(s * 1000) << (fl->silences < DOUBLINGS ? fl->silences : DOUBLINGS);
}

static void give_up(struct fleets *f, struct fleet *fl, struct instance *i, int64_t silent_ms)
{
    struct bp_activity a = {.at_ms = fleets_now(f), .failed = 1, .reason = "silent"};
    snprintf(a.instance, sizeof a.instance, "%s", i->now.id);
    snprintf(a.type, sizeof a.type, "%s", i->now.type);
    snprintf(a.text, sizeof a.text,
             "no worker registered for %.0f s (scale.registerSeconds): replaced; see its console for image, fleet "
             "secret and network",
             (double)silent_ms / 1000.0);
    activities_note(f, fl, &a);
    i->given_up = 1;
    drain_instance(f, fl, i, "no worker of it registered");
}

void silent_follow(struct fleets *f, struct fleet *fl)
{
    int64_t now = mono_ms(), limit = limit_ms(f, fl);
    int never = config_num(f->config, CONFIG_SCALE_REGISTER_S) <= 0 || config_bool(f->config, CONFIG_SCALE_DRY_RUN);
    int32_t given_up = 0;
    for (struct instance *i = fl->instances; i; i = i->next) {
        if (i->has_worker) {
            if (i->silent_since_ms)
                fl->silences = 0;
            i->silent_since_ms = 0;
            i->given_up &= i->drain != DRAIN_NONE;
        } else if (!i->silent_since_ms) {
            i->silent_since_ms = now;
        } else if (!never && instance_is_live(i) && i->drain == DRAIN_NONE && now - i->silent_since_ms >= limit) {
            give_up(f, fl, i, now - i->silent_since_ms);
            given_up++;
        }
    }
    fl->silences += given_up > 0 && fl->silences < DOUBLINGS;
}
