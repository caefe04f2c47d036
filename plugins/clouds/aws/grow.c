/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grow.c - more instances: LaunchInstances, subnet after subnet, where the endpoint has it, and it says at once what
 * could not be had; else a higher desired capacity, which the group works towards by itself, those that it has launched
 * beyond its old one counted.
 */
#include "activities.h"
#include "client.h"
#include "err.h"
#include "form.h"
#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_MS    5000  /* a description that a launch may be decided on */
#define LAUNCH_MAX  100   /* instances of one LaunchInstances */
#define REST_MS     10000 /* after launches that failed in every subnet; doubles */
#define REST_MAX_MS 300000
#define SUBNETS_MAX 32

/* One wish to grow, and how it goes. */
struct growth {
    struct fleets *f;
    const char *slug;
    char what[FLEET_NAME_SIZE + 8], name[FLEET_NAME_SIZE];
    int32_t target, more, launched;
    int beyond; /* there are more than are desired: capacity rebalancing has launched for one that will be taken */
    char subnets[GROUPS_SUBNETS_SIZE], types[GROUPS_TYPES_SIZE];
    char *list[SUBNETS_MAX]; /* into subnets */
    int out[SUBNETS_MAX];    /* launches failed there so lately that the others are tried instead */
    uint32_t n_subnets, first;
    char why[128]; /* the last launch that failed */
};

/* ---- where we are ---- */

static void split_subnets(struct growth *w)
{
    char *rest = NULL;
    for (char *s = strtok_r(w->subnets, ", ", &rest); s && w->n_subnets < SUBNETS_MAX; s = strtok_r(NULL, ", ", &rest))
        w->list[w->n_subnets++] = s;
}

/* When all are out, all are tried: something must be. */
static void leave_out(struct growth *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_subnets; i++)
        n += (uint32_t)(w->out[i] = activities_is_out(w->f, w->slug, w->list[i], w->types));
    if (n == w->n_subnets)
        memset(w->out, 0, sizeof w->out);
}

static int32_t count_live(const struct group *g)
{
    int32_t n = 0;
    for (uint32_t k = 0; k < g->n; k++)
        n += g->members[k].pub.state == BP_INSTANCE_PENDING || g->members[k].pub.state == BP_INSTANCE_RUNNING;
    return n;
}

static int read_group(struct growth *w, int32_t to, struct bp_err *err)
{
    int rc = 0;
    groups_lock(w->f->groups);
    const struct group *g = groups_at(w->f, w->slug);
    int64_t rest_ms = g ? g->rests_until_ms - AWS_NOW(w->f->aws) : 0;
    if (!g || !g->exists) {
        rc = err_set(err, BP_NOTFOUND, "there is no %.120s; ensure it first", w->what);
    } else {
        int32_t max = g->spec_max >= 0 && g->spec_max < g->max_size ? g->spec_max : g->max_size;
        w->target = to < max ? to : max;
        w->more = w->target - g->desired;
        w->beyond = count_live(g) > g->desired;
        w->first = g->subnet;
        memcpy(w->subnets, g->subnets, sizeof w->subnets);
        memcpy(w->types, g->types, sizeof w->types);
        memcpy(w->name, g->name, sizeof w->name);
        if (w->more > 0 && rest_ms > 0 && rest_ms <= REST_MAX_MS)
            rc = err_set(err, BP_LATER, "%.120s: launches failed in every subnet, the next try is in %lld s", w->what,
                         (long long)(rest_ms / 1000) + 1);
    }
    groups_unlock(w->f->groups);
    split_subnets(w);
    leave_out(w);
    return rc;
}

/* ---- LaunchInstances ---- */

static void token(char out[33])
{
    unsigned char bytes[16];
    arc4random_buf(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void take_launches(struct growth *w, const struct xml *result)
{
    for (const struct xml *i = xml_first(result, "Instances/member"); i; i = xml_next(i))
        for (const struct xml *id = xml_first(i, "InstanceIds/member"); id; id = xml_next(id))
            w->launched++;
    for (const struct xml *e = xml_first(result, "Errors/member"); e; e = xml_next(e)) {
        const struct launch_error error = {.code = xml_text(e, "ErrorCode"),
                                           .message = xml_text(e, "ErrorMessage"),
                                           .type = xml_text(e, "InstanceType"),
                                           .zone = xml_text(e, "AvailabilityZone"),
                                           .subnet = xml_text(e, "SubnetId"),
                                           .market = xml_text(e, "MarketType")};
        activities_note_launch_error(w->f, w->slug, &error);
        snprintf(w->why, sizeof w->why, "%.40s of %.20s in %.30s", error.code, error.type,
                 error.zone[0] ? error.zone : error.subnet);
    }
}

/* The endpoint, or this kind of group, cannot be asked so. */
static int is_unknown(const struct aws_error *e)
{
    static const char *const codes[] = {"InvalidAction", "UnknownOperation", "UnknownOperationException",
                                        "NotImplemented", "UnsupportedOperation"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(e->code, codes[i]) == 0)
            return 1;
    return (e->http_status == 500 || e->http_status == 501) && !e->code[0]; /* endpoints that are not AWS */
}

static int launch_in(struct growth *w, const char *subnet, int32_t n, struct reply *r, struct bp_err *err)
{
    char once[33];
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to grow %.120s", w->what);
    token(once);
    form_put(form, w->name, "AutoScalingGroupName");
    form_put_int(form, n, "RequestedCapacity");
    form_put(form, once, "ClientToken");
    form_put(form, subnet, "SubnetIds.member.1");
    form_put(form, "none", "RetryStrategy");
    int rc = client_query(w->f->aws->client, AWS_OP_AUTOSCALING_LAUNCH_INSTANCES, form, w->what, r, err);
    form_free(form);
    if (rc == 0)
        take_launches(w, xml_result(r->xml));
    return rc;
}

/* Remembers, once, that the other way is taken from now on. */
static void give_up_launching(struct growth *w, const struct aws_error *e, const struct bp_err *err)
{
    if (e->denied)
        AWS_LOG(w->f->aws, BP_LOG_WARN, "fleets grow by SetDesiredCapacity, which tells of failures later: %s",
                err->text);
    else
        AWS_LOG(w->f->aws, BP_LOG_INFO, "fleets grow by SetDesiredCapacity: this endpoint knows no LaunchInstances");
    atomic_store(&w->f->no_launch, 1);
}

/* The next subnet to be tried, at `tried` or after it: as far from the first as that; n_subnets: none is left. */
static uint32_t next_open(const struct growth *w, uint32_t tried)
{
    while (tried < w->n_subnets && w->out[(w->first + tried) % w->n_subnets])
        tried++;
    return tried;
}

/* 1: what it could it did (w->launched, or err); 0: the other way is to be taken. */
static int launch(struct growth *w, int *rc, struct bp_err *err)
{
    uint32_t tried = 0;
    *rc = 0;
    while ((tried = next_open(w, tried)) < w->n_subnets && w->launched < w->more) {
        struct reply r = {0};
        int32_t before = w->launched, left = w->more - before, n = left < LAUNCH_MAX ? left : LAUNCH_MAX;
        const char *subnet = w->list[(w->first + tried) % w->n_subnets];
        *rc = launch_in(w, subnet, n, &r, err);
        int unknown = *rc < 0 && is_unknown(&r.error), invalid = *rc == BP_INVALID, denied = *rc == BP_DENIED;
        if (unknown || (denied && r.error.denied))
            give_up_launching(w, &r.error, err);
        reply_free(&r);
        if (unknown || denied || (invalid && !w->launched))
            return 0;
        if (*rc < 0)
            break;
        if (w->launched - before < n)
            tried++; /* there is no more here */
    }
    if (w->launched > 0 && w->n_subnets > 0)
        w->first = (w->first + tried) % w->n_subnets;
    if (*rc == 0 && w->launched == 0)
        *rc = err_set(err, BP_LATER, "%.100s: no instance could be launched in any of %u subnets: %.80s", w->what,
                      w->n_subnets, w->why[0] ? w->why : "AWS gave no reason");
    return 1;
}

/* ---- SetDesiredCapacity ---- */

static int set_desired(struct growth *w, struct bp_err *err)
{
    struct reply r = {0};
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to grow %.120s", w->what);
    form_put(form, w->name, "AutoScalingGroupName");
    form_put_int(form, w->target, "DesiredCapacity");
    form_put_bool(form, 0, "HonorCooldown");
    int rc = client_query(w->f->aws->client, AWS_OP_AUTOSCALING_SET_DESIRED_CAPACITY, form, w->what, &r, err);
    form_free(form);
    if (rc == BP_CONFLICT)
        rc = err->rc = BP_LATER; /* the group is busy with itself */
    reply_free(&r);
    return rc;
}

/* ---- */

static void note_outcome(struct growth *w, int rc, int launching)
{
    groups_lock(w->f->groups);
    struct group *g = groups_at(w->f, w->slug);
    if (g) {
        groups_touch(w->f->groups, g);
        g->subnet = w->first;
        if (rc == 0)
            g->rest_ms = g->rests_until_ms = 0;
        else if (launching && rc == BP_LATER && w->why[0]) {
            g->rest_ms = g->rest_ms ? g->rest_ms * 2 : REST_MS;
            g->rest_ms = g->rest_ms < REST_MAX_MS ? g->rest_ms : REST_MAX_MS;
            g->rests_until_ms = AWS_NOW(w->f->aws) + g->rest_ms;
        }
        if (rc == 0 && launching)
            g->desired += w->launched;
        else if (rc == 0 && g->desired < w->target)
            g->desired = w->target;
    }
    groups_unlock(w->f->groups);
}

int32_t fleet_grow(void *inst, const char *slug, int32_t to, struct bp_err *err)
{
    struct fleets *f = ((struct aws *)inst)->fleets;
    struct growth w = {.f = f, .slug = slug};
    fleet_what(f, slug, w.what);
    int rc = groups_look(f, &slug, 1, FRESH_MS, 0, err);
    if (rc < 0 || (rc = read_group(&w, to, err)) < 0 || w.more <= 0)
        return rc;
    int may = f->set.launch_instances && !atomic_load(&f->no_launch) && w.n_subnets > 0 && !w.beyond;
    int launching = may && launch(&w, &rc, err);
    if (!launching)
        rc = set_desired(&w, err);
    note_outcome(&w, rc, launching);
    return rc;
}
