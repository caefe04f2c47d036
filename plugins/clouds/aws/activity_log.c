/* SPDX-License-Identifier: Apache-2.0 */
#include "activity_log.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* FNV-1a; 0 is no hash. */
static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037ULL;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211ULL;
    return h ? h : 1;
}

static int was_seen(const struct activity_log *l, uint64_t id)
{
    for (uint32_t i = 0; i < ACTIVITY_SEEN; i++)
        if (l->seen[i] == id)
            return 1;
    return 0;
}

static struct activity_open *find_open(struct activity_log *l, const char *id)
{
    for (uint32_t i = 0; i < l->n_open; i++)
        if (strcmp(l->open[i].id, id) == 0)
            return &l->open[i];
    return NULL;
}

static void close_one(struct activity_log *l, struct activity_open *o)
{
    if (o)
        *o = l->open[--l->n_open];
}

/* The oldest makes room. */
static void open_one(struct activity_log *l, const char *id, int64_t began_ms)
{
    if (l->n_open == ACTIVITY_OPEN) {
        struct activity_open *oldest = &l->open[0];
        for (uint32_t i = 1; i < l->n_open; i++)
            oldest = l->open[i].began_ms < oldest->began_ms ? &l->open[i] : oldest;
        close_one(l, oldest);
    }
    struct activity_open *o = &l->open[l->n_open++];
    snprintf(o->id, sizeof o->id, "%s", id);
    o->began_ms = began_ms;
    o->round = l->round;
}

void activity_log_begin(struct activity_log *l)
{
    l->round++;
}

uint32_t activity_log_missed(const struct activity_log *l, char ids[ACTIVITY_OPEN][ACTIVITY_ID])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n_open; i++)
        if (l->open[i].round != l->round)
            memcpy(ids[n++], l->open[i].id, ACTIVITY_ID);
    return n;
}

uint32_t activity_log_waiting(struct activity_log *l, int64_t now_ms)
{
    for (uint32_t i = 0; i < l->n_open;) {
        if (l->open[i].began_ms + ACTIVITY_OLD_MS < now_ms)
            close_one(l, &l->open[i]);
        else
            i++;
    }
    return l->n_open;
}

/* ---- the ring ---- */

static struct bp_activity *add(struct activity_log *l, const char *group, int64_t at_ms)
{
    struct activity_entry *e = &l->ring[l->next];
    l->next = (l->next + 1) % ACTIVITY_KEPT;
    l->n += l->n < ACTIVITY_KEPT;
    memset(e, 0, sizeof *e);
    e->group = hash(group);
    l->last_ms = at_ms > l->last_ms ? at_ms : l->last_ms + 1;
    e->activity.at_ms = l->last_ms;
    return &e->activity;
}

uint32_t activity_log_list(const struct activity_log *l, const char *group, int64_t since_ms, struct bp_activity *out,
                           uint32_t room)
{
    uint64_t name = hash(group);
    uint32_t n = 0;
    for (uint32_t k = 1; k <= l->n && n < room; k++) {
        const struct activity_entry *e = &l->ring[(l->next + ACTIVITY_KEPT - k) % ACTIVITY_KEPT];
        if (e->activity.at_ms < since_ms)
            break; /* so are all before it */
        if (e->group == name)
            out[n++] = e->activity;
    }
    return n;
}

/* ---- scaling activities ---- */

static int has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (; *text; text++)
        if (strncasecmp(text, word, n) == 0)
            return 1;
    return 0;
}

/* "i-0123456789abcdef0" out of "Launching a new EC2 instance: i-0123456789abcdef0"; out stays "" without one. */
static void take_instance(const char *text, char *out, size_t size)
{
    const char *at = strstr(text, "i-");
    size_t n = at ? 2 + strspn(at + 2, "0123456789abcdef") : 0;
    if (n > 2 && n < size)
        snprintf(out, size, "%.*s", (int)n, at);
}

/* ---- subnets ---- */

static const char *zone_of(const struct activity_log *l, const char *subnet)
{
    for (uint32_t i = 0; i < l->n_subnets; i++)
        if (strcmp(l->subnets[i].subnet, subnet) == 0)
            return l->subnets[i].zone;
    return "";
}

static void learn_subnet(struct activity_log *l, const char *subnet, const char *zone)
{
    if (!subnet[0] || !zone[0] || zone_of(l, subnet)[0])
        return;
    struct activity_subnet *s = &l->subnets[l->n_subnets < ACTIVITY_SUBNETS ? l->n_subnets++ : 0];
    snprintf(s->subnet, sizeof s->subnet, "%s", subnet);
    snprintf(s->zone, sizeof s->zone, "%s", zone);
}

int activity_log_is_out(const struct activity_log *l, const char *group, const char *subnet, const char *types,
                        int64_t now_ms)
{
    struct failure pool = {.market = MARKET_ANY};
    const char *zone = zone_of(l, subnet);
    snprintf(pool.zone, sizeof pool.zone, "%s", zone[0] ? zone : subnet);
    if (penalty_is_out(&l->box, group, &pool, now_ms))
        return 1; /* the whole zone */
    size_t n;
    int out = 0;
    for (const char *t = types; *t; t += n) {
        n = strcspn(t, " ");
        snprintf(pool.type, sizeof pool.type, "%.*s", (int)n, t);
        out = penalty_is_out(&l->box, group, &pool, now_ms);
        if (!out)
            return 0;
        n += t[n] == ' ';
    }
    return out;
}

static const char *detail(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* Details is JSON text: {"Subnet ID":"subnet-1","Availability Zone":"us-east-1a"}. */
static void take_details(struct activity_log *l, const char *text, struct failure *pool)
{
    struct json_object *o = json_tokener_parse(text);
    snprintf(pool->zone, sizeof pool->zone, "%s", detail(o, "Availability Zone"));
    snprintf(pool->type, sizeof pool->type, "%s", detail(o, "Instance Type"));
    learn_subnet(l, detail(o, "Subnet ID"), pool->zone);
    json_object_put(o);
}

static int has_ended(const char *status)
{
    return strcmp(status, "Successful") == 0 || strcmp(status, "Failed") == 0 || strcmp(status, "Cancelled") == 0;
}

/* 1: what it teaches of its pool is in the box already, from before a start. */
static int was_recalled(struct activity_log *l, const struct xml *m)
{
    int64_t ended_ms = xml_time_ms(m, "EndTime");
    int known = ended_ms > 0 && ended_ms <= l->box.recalled_ms;
    if (ended_ms > l->box.as_of_ms)
        l->box.as_of_ms = ended_ms;
    return known;
}

static void tell_launch(struct activity_log *l, const struct xml *m, struct bp_activity *a, int64_t now_ms)
{
    const char *group = xml_text(m, "AutoScalingGroupName");
    const char *said = xml_text(m, "StatusMessage");
    struct failure pool = {.market = MARKET_ANY};
    int recalled = was_recalled(l, m);
    take_details(l, xml_text(m, "Details"), &pool);
    a->failed = strcmp(xml_text(m, "StatusCode"), "Successful") != 0;
    if (!a->failed) {
        snprintf(a->reason, sizeof a->reason, "launch");
        if (!recalled)
            penalty_clear(&l->box, group, &pool, now_ms);
        return;
    }
    failure_read("", said, &pool);
    if (!recalled)
        penalty_note(&l->box, group, &pool, now_ms);
    snprintf(a->reason, sizeof a->reason, "%s", failure_name(pool.cls));
    snprintf(a->type, sizeof a->type, "%s", pool.type);
    if (pool.zone[0] && !strstr(said, pool.zone))
        snprintf(a->text, sizeof a->text, "%s: %.150s", pool.zone, said);
    else
        snprintf(a->text, sizeof a->text, "%.191s", said[0] ? said : xml_text(m, "StatusCode"));
}

static void tell_end(const struct xml *m, struct bp_activity *a)
{
    const char *cause = xml_text(m, "Cause");
    int spot = has_word(cause, "interrupt") || has_word(cause, "Spot instance was") || has_word(cause, "rebalance rec");
    snprintf(a->reason, sizeof a->reason, "%s", spot ? "interruption" : "terminate");
    snprintf(a->text, sizeof a->text, "%.191s", cause[0] ? cause : xml_text(m, "Description"));
}

static void tell(struct activity_log *l, const struct xml *m, int64_t now_ms)
{
    const char *description = xml_text(m, "Description");
    int64_t ended_ms = xml_time_ms(m, "EndTime");
    struct bp_activity *a = add(l, xml_text(m, "AutoScalingGroupName"), ended_ms > 0 ? ended_ms : now_ms);
    take_instance(description, a->instance, sizeof a->instance);
    if (has_word(description, "launching"))
        tell_launch(l, m, a, now_ms);
    else if (has_word(description, "terminating"))
        tell_end(m, a);
    else
        snprintf(a->reason, sizeof a->reason, "other");
    if (!a->text[0])
        snprintf(a->text, sizeof a->text, "%.191s", description);
}

int activity_log_take(struct activity_log *l, const struct xml *m, int ours, int64_t now_ms)
{
    const char *id = xml_text(m, "ActivityId");
    int64_t began_ms = xml_time_ms(m, "StartTime");
    uint64_t h = hash(id);
    struct activity_open *open = find_open(l, id);
    int known = was_seen(l, h);
    if (open)
        open->round = l->round;
    if (!known) {
        l->seen[l->next_seen] = h;
        l->next_seen = (l->next_seen + 1) % ACTIVITY_SEEN;
    }
    if (!ours || (known && !open) || began_ms + ACTIVITY_OLD_MS < now_ms)
        return known;
    if (!has_ended(xml_text(m, "StatusCode"))) {
        if (!open)
            open_one(l, id, began_ms);
        return known;
    }
    close_one(l, open);
    tell(l, m, now_ms);
    return known;
}

/* ---- LaunchInstances ---- */

void activity_log_error(struct activity_log *l, const struct activity_error *e, int64_t now_ms)
{
    struct failure pool = {.market = strcmp(e->market, "spot") == 0        ? MARKET_SPOT
                                     : strcmp(e->market, "on-demand") == 0 ? MARKET_ON_DEMAND
                                                                           : MARKET_ANY};
    snprintf(pool.type, sizeof pool.type, "%s", e->type);
    const char *zone = e->zone[0] ? e->zone : zone_of(l, e->subnet);
    learn_subnet(l, e->subnet, e->zone);
    /* A subnet whose zone is not known stands for it: who asks about the subnet finds it all the same. */
    snprintf(pool.zone, sizeof pool.zone, "%s", zone[0] ? zone : e->subnet);
    failure_read(e->code, e->message, &pool);
    penalty_note(&l->box, e->group, &pool, now_ms);
    struct bp_activity *a = add(l, e->group, now_ms);
    a->failed = 1;
    snprintf(a->reason, sizeof a->reason, "%s", failure_name(pool.cls));
    snprintf(a->type, sizeof a->type, "%s", pool.type);
    snprintf(a->text, sizeof a->text, "%.60s%s%.30s: %.90s", e->code, pool.zone[0] ? " in " : "", pool.zone,
             e->message);
}
