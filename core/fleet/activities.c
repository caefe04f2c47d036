/* SPDX-License-Identifier: Apache-2.0 */
/* activities.c - what happened to a fleet as its provider tells it: failed launches above all. */
#include "fleet_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct activities {
    char slug[128];
    int64_t since_ms;
    uint32_t n;
    struct bp_activity list[FLEET_ACTIVITIES];
    struct bp_fleet_spec spec; /* of slug and instance types alone */
    char types[512];
    char *penalties, *prices; /* JSON, or NULL */
};

static void activities_free(void *arg)
{
    struct activities *a = arg;
    free(a->penalties);
    free(a->prices);
    free(a);
}

/* On the provider's thread. */
static int run_activities(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    struct activities *a = args;
    a->n = FLEET_ACTIVITIES;
    int rc = t->activities(inst, a->slug, a->since_ms, a->list, &a->n, err);
    if (a->n > FLEET_ACTIVITIES)
        a->n = FLEET_ACTIVITIES;
    if (rc == 0 && BP_HAS(t, penalties))
        (void)t->penalties(inst, a->slug, &a->penalties, err);
    struct bp_err own = {0}; /* prices are for words alone: without them the rest is as good */
    if (rc == 0 && BP_HAS(t, prices) && t->prices(inst, &a->spec, &a->prices, &own) < 0)
        log_debug(LOG_FLEET, "%s: no prices of its instances: %s", a->slug, own.text);
    return rc;
}

static void take(struct json_object **to, const char *text)
{
    struct bp_err bad = {0};
    json_object_put(*to);
    *to = text ? json_parse(text, strlen(text), &bad) : NULL;
}

void activities_note(struct fleets *f, struct fleet *fl, const struct bp_activity *a)
{
    uint32_t keep = fl->n_activities < FLEET_ACTIVITIES ? fl->n_activities : FLEET_ACTIVITIES - 1;
    memmove(&fl->activities[1], &fl->activities[0], keep * sizeof fl->activities[0]);
    fl->activities[0] = *a;
    fl->n_activities = keep + 1;
    if (!a->failed)
        return;
    log_warn(LOG_FLEET, "%s: a launch of %s failed (%s): %s", fl->slug, a->type, a->reason, a->text);
    bus_publish(f->bus, EVENT_FLEET_LAUNCH_FAILED, fl->slug, a->type, a->reason, a->text);
}

static void got(void *args, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    const struct activities *a = args;
    if (err->rc == BP_TIMEOUT || !a) { /* args still belongs to the provider: every fleet may ask again */
        for (struct fleet *fl = f->list; fl; fl = fl->next)
            fl->asking_activities = 0;
        return;
    }
    struct fleet *fl = fleet_find(f, a->slug);
    if (!fl)
        return;
    fl->asking_activities = 0;
    if (err->rc == 0) {
        take(&fl->penalties, a->penalties);
        take(&fl->prices, a->prices);
    }
    for (uint32_t k = err->rc == 0 ? a->n : 0; k > 0; k--) /* newest first: add the oldest first */
        if (a->list[k - 1].at_ms > a->since_ms) {
            fl->activities_ms = a->list[k - 1].at_ms;
            activities_note(f, fl, &a->list[k - 1]);
        }
}

static void spec_fill(struct activities *a, const struct workflow *w)
{
    struct json_object *types = w ? json_member(w->manifest, "instanceTypes") : NULL;
    snprintf(a->types, sizeof a->types, "%s", types ? json_text(types) : "[]");
    a->spec = (struct bp_fleet_spec){.size = sizeof a->spec, .slug = a->slug, .instance_types = a->types};
}

void activities_ask(struct fleets *f, struct fleet *fl)
{
    struct bp_err err;
    if (fl->asking_activities || !fl->exists)
        return;
    struct activities *a = calloc(1, sizeof *a);
    if (!a)
        return;
    snprintf(a->slug, sizeof a->slug, "%s", fl->slug);
    a->since_ms = fl->activities_ms;
    spec_fill(a, host_workflow(f->host, fl->slug));
    fl->asking_activities = 1;
    struct request_spec spec = {.service = "fleet",
                                .name = "fleet.activities",
                                .run = run_activities,
                                .args = a,
                                .args_free = activities_free,
                                .reply = got,
                                .arg = f,
                                .timeout_ms = FLEET_CALL_MS};
    if (bus_request(f->bus, &spec, &err) < 0)
        fl->asking_activities = 0;
}
