/* SPDX-License-Identifier: Apache-2.0 */
#include "activities.h"

#include "activity_log.h"
#include "client.h"
#include "err.h"
#include "fleet.h"
#include "form.h"
#include "groups.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_EVERY_MS 5000
#define AFTER_MS      60000 /* reads go on for so long after the last group was short, for the last outcomes */
#define PAGES         2
#define PAGE          100

struct activities {
    pthread_mutex_t mutex; /* of all below; not held during a call */
    int reading;
    int64_t read_ms, wanted_until_ms; /* of the host's clock */
    char told[256];                   /* the last error of a read, "" when it went well */
    struct activity_log log;
};

struct activities *activities_open(struct fleets *f, struct bp_err *err)
{
    (void)f;
    struct activities *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(err, BP_NOMEM, "no memory for the fleets' activities");
        return NULL;
    }
    pthread_mutex_init(&a->mutex, NULL);
    return a;
}

void activities_close(struct activities *a)
{
    if (a)
        pthread_mutex_destroy(&a->mutex);
    free(a);
}

/* ---- reading ---- */

/* A group that bpd looks after: by its name, or named in the settings. */
static int is_ours(const struct fleets *f, const char *group)
{
    char prefix[FLEET_NAME_SIZE];
    struct json_object *groups = NULL;
    int n = snprintf(prefix, sizeof prefix, "asg-%.100s-", f->aws->settings.stage);
    if (strncmp(group, prefix, (size_t)n) == 0)
        return 1;
    if (!json_object_is_type(f->set.json, json_type_object) ||
        !json_object_object_get_ex(f->set.json, "groups", &groups) || !json_object_is_type(groups, json_type_object))
        return 0;
    json_object_object_foreach(groups, slug, name)
    {
        (void)slug;
        if (json_object_is_type(name, json_type_string) && strcmp(json_object_get_string(name), group) == 0)
            return 1;
    }
    return 0;
}

/* Returns how many of the answer's activities were known before. */
static uint32_t take(struct fleets *f, const struct xml *result)
{
    struct activities *a = f->activities;
    int64_t now = AWS_NOW(f->aws);
    uint32_t known = 0;
    pthread_mutex_lock(&a->mutex);
    for (const struct xml *m = xml_first(result, "Activities/member"); m; m = xml_next(m))
        known += activity_log_take(&a->log, m, is_ours(f, xml_text(m, "AutoScalingGroupName")), now) != 0;
    pthread_mutex_unlock(&a->mutex);
    return known;
}

static int ask(struct fleets *f, const struct form *form, struct reply *r, struct bp_err *err)
{
    return client_query(f->aws->client, AWS_OP_AUTOSCALING_DESCRIBE_SCALING_ACTIVITIES, form,
                        "the scaling activities of all groups", r, err);
}

/* The newest, until one is met that was seen before. The first read ever is one page: what is older is history. */
static int read_newest(struct fleets *f, int first, struct bp_err *err)
{
    char next[2048] = "";
    int rc = 0;
    for (int page = 0; rc == 0 && page < (first ? 1 : PAGES); page++) {
        struct reply r = {0};
        struct form *form = form_new();
        if (!form)
            return err_set(err, BP_NOMEM, "no memory to read activities");
        form_put_int(form, PAGE, "MaxRecords");
        form_put(form, next[0] ? next : NULL, "NextToken");
        rc = ask(f, form, &r, err);
        form_free(form);
        uint32_t known = rc == 0 ? take(f, xml_result(r.xml)) : 0;
        snprintf(next, sizeof next, "%s", rc == 0 ? xml_text(xml_result(r.xml), "NextToken") : "");
        reply_free(&r);
        if (known > 0 || !next[0])
            break;
    }
    return rc;
}

/* Those under way that are too old for the first page. */
static int read_open(struct fleets *f, struct bp_err *err)
{
    char ids[ACTIVITY_OPEN][ACTIVITY_ID];
    struct activities *a = f->activities;
    struct reply r = {0};
    pthread_mutex_lock(&a->mutex);
    (void)activity_log_waiting(&a->log, AWS_NOW(f->aws));
    uint32_t n = activity_log_missed(&a->log, ids);
    pthread_mutex_unlock(&a->mutex);
    struct form *form = n ? form_new() : NULL;
    if (!form)
        return n ? err_set(err, BP_NOMEM, "no memory to read activities") : 0;
    for (uint32_t i = 0; i < n; i++)
        form_put(form, ids[i], "ActivityIds.member.%u", i + 1);
    int rc = ask(f, form, &r, err);
    form_free(form);
    if (rc == 0)
        (void)take(f, xml_result(r.xml));
    reply_free(&r);
    return rc;
}

/* Why launches fail is worth a word in the log, not the fleet's standing still. */
static void tell(const struct fleets *f, int rc, const struct bp_err *err)
{
    struct activities *a = f->activities;
    pthread_mutex_lock(&a->mutex);
    int is_new = rc < 0 && strcmp(a->told, err->text) != 0;
    snprintf(a->told, sizeof a->told, "%s", rc < 0 ? err->text : "");
    pthread_mutex_unlock(&a->mutex);
    if (is_new)
        AWS_LOG(f->aws, BP_LOG_WARN, "it is not known why launches fail: %s", err->text);
}

/* One reader at a time; the others are answered from what is known. */
static int may_read(struct activities *a, int64_t now, int *first)
{
    pthread_mutex_lock(&a->mutex);
    int64_t age = now - a->read_ms;
    int wanted = now < a->wanted_until_ms && a->wanted_until_ms - now <= AFTER_MS;
    int may = !a->reading && (wanted || a->log.n_open) && (age >= READ_EVERY_MS || age < 0);
    *first = a->read_ms == 0;
    if (may) {
        a->reading = 1;
        a->read_ms = now;
        activity_log_begin(&a->log);
    }
    pthread_mutex_unlock(&a->mutex);
    return may;
}

static void read_when_due(struct fleets *f)
{
    struct activities *a = f->activities;
    struct bp_err err = {0};
    int first;
    if (!may_read(a, AWS_NOW(f->aws), &first))
        return;
    int rc = read_newest(f, first, &err);
    if (rc == 0)
        rc = read_open(f, &err);
    tell(f, rc, &err);
    pthread_mutex_lock(&a->mutex);
    a->reading = 0;
    pthread_mutex_unlock(&a->mutex);
}

/* Does the group lack instances that it should have in service? */
static int is_short(struct fleets *f, const char *slug)
{
    int32_t running = 0;
    groups_lock(f->groups);
    const struct group *g = groups_at(f, slug);
    for (uint32_t i = 0; g && i < g->n; i++)
        running += g->members[i].pub.state == BP_INSTANCE_RUNNING;
    int lacks = g && g->exists && g->desired > running;
    groups_unlock(f->groups);
    return lacks;
}

/* ---- what is asked ---- */

int32_t fleet_activities(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                         struct bp_err *err)
{
    struct fleets *f = ((struct aws *)inst)->fleets;
    struct activities *a = f->activities;
    char group[FLEET_NAME_SIZE];
    (void)err;
    fleet_group_name(f, slug, group);
    if (is_short(f, slug)) {
        pthread_mutex_lock(&a->mutex);
        a->wanted_until_ms = AWS_NOW(f->aws) + AFTER_MS;
        pthread_mutex_unlock(&a->mutex);
    }
    read_when_due(f);
    pthread_mutex_lock(&a->mutex);
    *n = activity_log_list(&a->log, group, since_ms, out, *n);
    pthread_mutex_unlock(&a->mutex);
    return 0;
}

void activities_note_launch_error(struct fleets *f, const char *slug, const struct launch_error *e)
{
    struct activities *a = f->activities;
    char group[FLEET_NAME_SIZE];
    fleet_group_name(f, slug, group);
    const struct activity_error error = {.group = group,
                                         .code = e->code,
                                         .message = e->message,
                                         .type = e->type,
                                         .zone = e->zone,
                                         .subnet = e->subnet,
                                         .market = e->market};
    pthread_mutex_lock(&a->mutex);
    activity_log_error(&a->log, &error, AWS_NOW(f->aws));
    pthread_mutex_unlock(&a->mutex);
}

int activities_is_out(struct fleets *f, const char *slug, const char *subnet, const char *types)
{
    struct activities *a = f->activities;
    char group[FLEET_NAME_SIZE];
    fleet_group_name(f, slug, group);
    pthread_mutex_lock(&a->mutex);
    int out = activity_log_is_out(&a->log, group, subnet, types, AWS_NOW(f->aws));
    pthread_mutex_unlock(&a->mutex);
    return out;
}

/* ---- the penalty box, for people ---- */

static void put_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

static struct json_object *penalty_json(const struct penalty *p, int64_t now)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "type", p->type);
    put_text(o, "zone", p->zone);
    put_text(o, "market", market_name(p->market));
    put_text(o, "reason", failure_name(p->cls));
    json_object_object_add(o, "failures", json_object_new_int64(p->count));
    json_object_object_add(o, "last_ms", json_object_new_int64(p->last_ms));
    json_object_object_add(o, "until_ms", json_object_new_int64(p->until_ms > now ? p->until_ms : 0));
    put_text(o, "remedy", failure_remedy(p->cls));
    return o;
}

/* Is it about this group: its own, or a pool of a type that it has? */
static int is_about(const struct penalty *p, const char *group, const char *types)
{
    if (p->group[0])
        return strcmp(p->group, group) == 0;
    size_t n = strlen(p->type);
    for (const char *t = types; (t = strstr(t, p->type)); t += n)
        if ((t == types || t[-1] == ' ') && (t[n] == ' ' || t[n] == '\0'))
            return 1;
    return 0;
}

static void types_of(struct fleets *f, const char *slug, char out[GROUPS_TYPES_SIZE])
{
    groups_lock(f->groups);
    const struct group *g = groups_at(f, slug);
    snprintf(out, GROUPS_TYPES_SIZE, "%s", g ? g->types : "");
    groups_unlock(f->groups);
}

int32_t fleet_penalties(void *inst, const char *slug, char **out, struct bp_err *err)
{
    struct aws *aws = inst;
    struct activities *a = aws->fleets->activities;
    char group[FLEET_NAME_SIZE], types[GROUPS_TYPES_SIZE];
    struct json_object *list = json_object_new_array();
    int64_t now = AWS_NOW(aws);
    *out = NULL;
    fleet_group_name(aws->fleets, slug, group);
    types_of(aws->fleets, slug, types);
    pthread_mutex_lock(&a->mutex);
    penalty_expire(&a->log.box, now);
    for (uint32_t i = 0; i < a->log.box.n; i++)
        if (is_about(&a->log.box.list[i], group, types))
            json_object_array_add(list, penalty_json(&a->log.box.list[i], now));
    pthread_mutex_unlock(&a->mutex);
    int none = json_object_array_length(list) == 0;
    if (!none)
        *out = aws_text(aws, json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
    json_object_put(list);
    return none || *out ? 0 : err_set(err, BP_NOMEM, "no memory for the penalties of %.120s", slug);
}

/* ---- the same, to be known again after a start ---- */

int32_t fleet_learned(void *inst, char **out, struct bp_err *err)
{
    struct aws *aws = inst;
    struct activities *a = aws->fleets->activities;
    pthread_mutex_lock(&a->mutex);
    penalty_expire(&a->log.box, AWS_NOW(aws));
    struct json_object *o = penalty_text(&a->log.box);
    pthread_mutex_unlock(&a->mutex);
    *out = NULL;
    if (!o)
        return 0;
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    size_t n = strlen(text) + 1;
    if ((*out = aws->host->alloc(n)))
        memcpy(*out, text, n);
    json_object_put(o);
    return *out ? 0 : err_set(err, BP_NOMEM, "no memory for what was learned of pools");
}

int32_t fleet_recall(void *inst, const char *text, struct bp_err *err)
{
    struct aws *aws = inst;
    struct activities *a = aws->fleets->activities;
    struct json_object *o = json_tokener_parse(text);
    (void)err;
    pthread_mutex_lock(&a->mutex);
    penalty_recall(&a->log.box, o, AWS_NOW(aws));
    pthread_mutex_unlock(&a->mutex);
    json_object_put(o);
    return 0;
}
