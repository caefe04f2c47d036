/* SPDX-License-Identifier: Apache-2.0 */
/* afford.c - on-demand instances for want of Spot: what the trouble is, and what the provider is told. */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/log.h"
#include <stdio.h>
#include <string.h>

#define WINDOW_MS 600000

static int is_stock(const struct bp_activity *a)
{
    return a->failed && (strcmp(a->reason, "capacity") == 0 || strcmp(a->reason, "quota") == 0);
}

int fleet_trouble(struct fleets *f, const char *slug, struct fleet_trouble *out)
{
    const struct fleet *fl = fleet_find(f, slug);
    int64_t now = fleets_now(f);
    memset(out, 0, sizeof *out);
    if (!fl || !fl->described_ms || !fl->exists || fl->affords_not)
        return BP_NOTFOUND;
    for (uint32_t k = 0; k < fl->n_activities; k++) {
        const struct bp_activity *a = &fl->activities[k];
        if (!is_stock(a))
            continue;
        out->failures += a->at_ms > now - WINDOW_MS;
        out->last_failure_ms = a->at_ms > out->last_failure_ms ? a->at_ms : out->last_failure_ms;
    }
    for (const struct instance *i = fl->instances; i; i = i->next) {
        if (i->now.state != BP_INSTANCE_PENDING && i->now.state != BP_INSTANCE_RUNNING)
            continue;
        out->on_demand += !i->now.spot;
        if (i->now.spot && i->now.launched_ms > out->last_spot_ms)
            out->last_spot_ms = i->now.launched_ms;
    }
    return 0;
}

/* On the provider's thread. */
static int run_afford(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct fleet_call *c = args;
    if (!BP_HAS(t, afford))
        return err_set(err, BP_UNSUPPORTED, "its provider cannot be given an on-demand allowance");
    return t->afford(inst, c->slug, c->number, err);
}

static void told(void *args, const struct bp_err *err, void *arg)
{
    const struct fleet_call *c = args;
    struct fleet *fl = fleet_find(arg, c->slug);
    if (!fl)
        return;
    fl->affording = 0;
    fl->affords_not = err->rc == BP_UNSUPPORTED;
    if (err->rc == 0) {
        fl->afforded = c->number;
    } else if (err->rc != BP_UNSUPPORTED && strcmp(fl->error, err->text) != 0) {
        log_warn(LOG_FLEET, "%s: its on-demand allowance stays as it was: %s", c->slug, err->text);
        snprintf(fl->error, sizeof fl->error, "%s", err->text);
    }
}

void fleet_afford(struct fleets *f, const char *slug, int32_t on_demand, const char *reason)
{
    struct fleet *fl = fleet_find(f, slug);
    if (!fl || fl->affording || fl->affords_not || fl->afforded == on_demand)
        return;
    struct fleet_call *c = fleet_call_new(f, slug, NULL);
    if (!c)
        return;
    c->number = on_demand;
    snprintf(c->text, sizeof c->text, "%s", reason);
    fl->affording = 1;
    fleet_call_send(c, "fleet.afford", run_afford, told);
}
