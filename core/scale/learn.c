/* SPDX-License-Identifier: Apache-2.0 */
/* learn.c - feeds each workflow's history from events: what came, what ran for how long, how instances come and go. */
#include "scale_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

static struct boot *boot_find(struct scale_item *item, const char *instance)
{
    for (int k = 0; k < SCALE_BOOTS; k++)
        if (item->boots[k].launched_ms && strcmp(item->boots[k].instance, instance) == 0)
            return &item->boots[k];
    return NULL;
}

/* A boot whose slot is taken by a later one is not followed any more. */
static void boot_end(struct scale *s, struct boot *b)
{
    s->first_jobs -= b->launched_ms && b->registered;
    memset(b, 0, sizeof *b);
}

static void launched(struct scale *s, struct scale_item *item, const char *instance, int64_t at_ms)
{
    struct boot *b = &item->boots[item->n_boots++ % SCALE_BOOTS];
    boot_end(s, b);
    snprintf(b->instance, sizeof b->instance, "%s", instance);
    b->launched_ms = at_ms;
    history_launched(item->history, at_ms, 1);
}

static double after_s(const struct boot *b, int64_t at_ms)
{
    return (double)(at_ms - b->launched_ms) / 1000.0;
}

static void learn_instance(struct scale *s, const struct event_msg *e, struct json_object *f)
{
    struct scale_item *item = scale_item_find(s, json_str(f, "workflow", ""));
    const char *instance = json_str(f, "instance", ""), *from = json_str(f, "from", ""), *to = json_str(f, "to", "");
    struct boot *b = item ? boot_find(item, instance) : NULL;
    if (!item)
        return;
    if (strcmp(json_str(f, "reason", ""), "interruption notice") == 0)
        history_interrupted(item->history, e->at_ms);
    else if (strcmp(from, "none") == 0 && strcmp(to, "pending") == 0)
        launched(s, item, instance, e->at_ms);
    else if (b && strcmp(to, "running") == 0)
        history_staged(item->history, e->at_ms, HISTORY_RUNNING, after_s(b, e->at_ms));
    else if (b && strncmp(to, "terminat", 8) == 0)
        boot_end(s, b);
}

/* A worker has the id of its instance. */
static void learn_worker(struct scale *s, const struct event_msg *e, struct json_object *f)
{
    for (struct scale_item *i = s->items; i; i = i->next) {
        struct boot *b = boot_find(i, json_str(f, "worker", ""));
        if (!b || b->registered)
            continue;
        b->registered = 1;
        s->first_jobs++;
        history_staged(i->history, e->at_ms, HISTORY_REGISTERED, after_s(b, e->at_ms));
        history_ready(i->history, e->at_ms, after_s(b, e->at_ms));
    }
}

/* Its worker has found its device sound, at once or after a while. */
static void learn_device(struct scale *s, const struct event_msg *e, struct json_object *f)
{
    for (struct scale_item *i = s->items; i; i = i->next) {
        struct boot *b = boot_find(i, json_str(f, "worker", ""));
        if (!b || b->device)
            continue;
        b->device = 1;
        history_staged(i->history, e->at_ms, HISTORY_DEVICE, after_s(b, e->at_ms));
    }
}

static void learn_first_job(struct scale *s, const struct event_msg *e, struct json_object *f)
{
    struct scale_item *item = scale_item_find(s, json_str(f, "workflow", ""));
    struct boot *b = item ? boot_find(item, json_str(f, "worker", "")) : NULL;
    if (!b || !b->registered)
        return;
    history_staged(item->history, e->at_ms, HISTORY_FIRST_JOB, after_s(b, e->at_ms));
    boot_end(s, b);
}

static void came(struct scale_item *item, int64_t at_ms, uint32_t n)
{
    history_arrived(item->history, at_ms, n);
    shadow_arrived(item, at_ms, n);
}

/* What came past this controller: as many as are queued more than it knew of. */
static void learn_arrived(struct scale_item *item, const struct event_msg *e, struct json_object *f)
{
    int64_t more = json_int(f, "queued", 0) - item->stats.queued;
    if (more > 0)
        came(item, e->at_ms, (uint32_t)more);
}

void learn_event(struct scale *s, const struct event_msg *e)
{
    if (e->id == EVENT_JOB_LEASED && s->first_jobs)
        learn_first_job(s, e, event_fields(e));
    if (e->id == EVENT_FLEET_INSTANCE)
        learn_instance(s, e, event_fields(e));
    if (e->id == EVENT_WORKER_REGISTERED)
        learn_worker(s, e, event_fields(e));
    if (e->id == EVENT_WORKER_READY || e->id == EVENT_WORKER_HEALTHY)
        learn_device(s, e, event_fields(e));
    if (e->id != EVENT_JOB_SUBMITTED && e->id != EVENT_JOB_COMPLETED && e->id != EVENT_QUEUE_ARRIVED &&
        e->id != EVENT_FLEET_LAUNCH_FAILED)
        return;
    struct json_object *f = event_fields(e);
    struct scale_item *item = scale_item_find(s, json_str(f, "workflow", ""));
    if (!item)
        return;
    if (e->id == EVENT_JOB_SUBMITTED)
        came(item, e->at_ms, 1);
    else if (e->id == EVENT_JOB_COMPLETED)
        history_finished(item->history, e->at_ms, (double)json_int(f, "run_ms", 0) / 1000.0);
    else if (e->id == EVENT_QUEUE_ARRIVED)
        learn_arrived(item, e, f);
    else
        history_launch_failed(item->history, e->at_ms);
}

void learn_forget(struct scale *s, struct scale_item *item)
{
    for (int k = 0; k < SCALE_BOOTS; k++)
        boot_end(s, &item->boots[k]);
}
