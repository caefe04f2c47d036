/* SPDX-License-Identifier: Apache-2.0 */
/* learn.c - feeds each workflow's history from events: what came, what ran for how long, how instances come and go. */
#include "scale_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

static void learn_instance(struct scale *s, const struct event_msg *e, struct json_object *f)
{
    struct scale_item *item = scale_item_find(s, json_str(f, "workflow", ""));
    if (item && strcmp(json_str(f, "reason", ""), "interruption notice") == 0)
        history_interrupted(item->history, e->at_ms);
}

/* How far a new instance has come, wherever its worker registers and takes jobs. */
static void learn_boot(struct scale *s, const struct event_msg *e, struct json_object *f)
{
    struct scale_item *item = scale_item_find(s, json_str(f, "workflow", ""));
    const char *stage = json_str(f, "stage", "");
    double after_s = (double)json_int(f, "after_ms", 0) / 1000;
    if (!item)
        return;
    if (strcmp(stage, "requested") == 0)
        history_launched(item->history, e->at_ms, 1);
    if (strcmp(stage, "ready") == 0)
        history_ready(item->history, e->at_ms, after_s);
    for (int k = 0; k < HISTORY_STAGES; k++)
        if (strcmp(stage, history_stage_names[k]) == 0)
            history_staged(item->history, e->at_ms, (enum history_stage)k, after_s);
}

static void came(struct scale_item *item, int64_t at_ms, uint32_t n)
{
    history_arrived(item->history, at_ms, n);
    shadow_arrived(item, at_ms, n);
}

/* A bin of the forecast more than the window of the statistics: what is in both is never taken for missed. Nor is what
 * was missed in one round only: its event may be on its way. */
void learn_missed(struct scale *s, struct scale_item *item, int64_t now_ms)
{
    uint32_t heard = forecast_count(&item->history->forecast, STATS_WINDOW_MS / 1000.0 + FORECAST_BIN_S);
    int64_t missed = item->stats.submitted_recent - heard, surely = missed < item->missed ? missed : item->missed;
    if (!item->recalled || recall_is_of(s, item))
        missed = surely = 0;
    if (surely > 0)
        came(item, now_ms, (uint32_t)surely);
    item->missed = missed > 0 ? missed - surely : 0;
}

static void learn_end(struct scale_item *item, const struct event_msg *e, struct json_object *f)
{
    history_finished(item->history, e->at_ms, (double)json_int(f, "run_ms", 0) / 1000.0);
    runs_ended_here(item, json_int(f, "job", 0), e->at_ms);
}

void learn_event(struct scale *s, const struct event_msg *e)
{
    if (e->id == EVENT_FLEET_INSTANCE)
        learn_instance(s, e, event_fields(e));
    if (e->id == EVENT_FLEET_BOOT)
        learn_boot(s, e, event_fields(e));
    if (e->id != EVENT_JOB_SUBMITTED && e->id != EVENT_JOB_COMPLETED && e->id != EVENT_FLEET_LAUNCH_FAILED)
        return;
    struct json_object *f = event_fields(e);
    struct scale_item *item = scale_item_find(s, json_str(f, "workflow", ""));
    if (!item)
        return;
    if (e->id == EVENT_JOB_SUBMITTED) {
        came(item, e->at_ms, 1);
        promise_came(&item->promises, json_int(f, "job", 0));
    } else if (e->id == EVENT_JOB_COMPLETED)
        learn_end(item, e, f);
    else
        history_launch_failed(item->history, e->at_ms);
}
