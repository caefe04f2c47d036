/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - facet bp.node/1, on the instance: who it is and whether its end was announced, by the instance metadata.
 *
 * A look is at most four GETs on one connection with one token. What is not found there is no notice; what cannot be
 * asked now leaves things as they were.
 */
#include "aws.h"
#include "err.h"
#include "imds.h"
#include "node_notice.h"
#include "node_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META           "/latest/meta-data/"
#define BODY_MAX       4096
#define PAST_GRACE_MS  10000
#define REBALANCE_HOLD 900

struct node {
    struct aws *aws;
    pthread_mutex_t mutex;
    struct bp_node_identity identity;
    int known;                               /* identity was read */
    int64_t rebalance_hold_ms, rebalance_ms; /* rebalance_ms: when it was recommended, 0: it is not */
    int64_t first_ms;                        /* when an interruption was first seen */
    int odd_told;
};

/* What one look found. */
struct view {
    int32_t kind;
    int64_t deadline_ms;
};

/* ---- the metadata ---- */

/* 1: found, n bytes in body; 0: there is no such path; or an error. */
static int ask(struct node *n, const char *path, char body[BODY_MAX], size_t *len, struct bp_err *err)
{
    char whole[128];
    snprintf(whole, sizeof whole, META "%s", path);
    int rc = imds_get(n->aws->imds, whole, body, BODY_MAX, len, err);
    return rc == BP_NOTFOUND ? 0 : rc < 0 ? rc : 1;
}

static void say_odd(struct node *n, const char *path)
{
    if (!n->odd_told++)
        AWS_LOG(n->aws, BP_LOG_WARN, "the instance metadata says something at %s that is no notice; it is ignored",
                path);
}

/* ---- who ---- */

/* One word: letters, digits and "-._". */
static int take_word(const char *body, size_t len, char *out, size_t size)
{
    while (len && (body[len - 1] == '\n' || body[len - 1] == '\r'))
        len--;
    if (len == 0 || len >= size)
        return BP_INVALID;
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", body[i]) || !body[i])
            return BP_INVALID;
    memcpy(out, body, len);
    out[len] = '\0';
    return 0;
}

static int word_at(struct node *n, const char *path, char *out, size_t size, struct bp_err *err)
{
    char body[BODY_MAX];
    size_t len = 0;
    int rc = ask(n, path, body, &len, err);
    if (rc == 0)
        return err_set(err, BP_NOTFOUND, "the instance metadata has no %s: is this an EC2 instance?", path);
    if (rc < 0)
        return rc;
    if (take_word(body, len, out, size) == 0)
        return 0;
    return err_set(err, BP_INVALID, "the instance metadata says something odd at %s", path);
}

static int read_identity(struct node *n, struct bp_err *err)
{
    struct bp_node_identity *id = &n->identity;
    int rc = word_at(n, "instance-id", id->instance_id, sizeof id->instance_id, err);
    if (rc == 0)
        rc = word_at(n, "instance-type", id->instance_type, sizeof id->instance_type, err);
    if (rc == 0)
        rc = word_at(n, "placement/availability-zone", id->zone, sizeof id->zone, err);
    if (rc == 0)
        rc = word_at(n, "instance-life-cycle", id->capacity_type, sizeof id->capacity_type, err);
    if (rc == BP_NOTFOUND && id->zone[0]) { /* an endpoint without it */
        snprintf(id->capacity_type, sizeof id->capacity_type, "on-demand");
        rc = 0;
    }
    if (rc == 0 && strcmp(id->capacity_type, "spot") != 0) /* "scheduled" and capacity blocks are paid for */
        snprintf(id->capacity_type, sizeof id->capacity_type, "on-demand");
    n->known = rc == 0;
    return rc;
}

static int32_t identity(void *inst, struct bp_node_identity *out, struct bp_err *err)
{
    struct node *n = ((struct aws *)inst)->node;
    pthread_mutex_lock(&n->mutex);
    int rc = n->known ? 0 : read_identity(n, err);
    if (rc == 0)
        *out = n->identity;
    pthread_mutex_unlock(&n->mutex);
    return rc;
}

/* ---- notices ---- */

/* The announced end; a clock that runs ahead must not cost the checkpoint, so an end that is past is in a while. */
static void interrupted(struct node *n, int64_t at_ms, struct view *v)
{
    int64_t now = AWS_NOW(n->aws);
    if (!n->first_ms)
        n->first_ms = now;
    v->kind = BP_NOTICE_INTERRUPTION;
    v->deadline_ms = at_ms > now ? at_ms : n->first_ms + PAST_GRACE_MS;
}

/* spot/instance-action, else the form from before it. 1: interrupted, 0: not, or an error. */
static int look_spot(struct node *n, struct view *v, struct bp_err *err)
{
    char body[BODY_MAX];
    size_t len = 0;
    int64_t at = 0;
    int rc = ask(n, "spot/instance-action", body, &len, err);
    if (rc > 0 && notice_action(body, len, &at)) {
        interrupted(n, at, v);
        return 1;
    }
    if (rc > 0)
        say_odd(n, "spot/instance-action");
    if (rc == BP_TIMEOUT)
        return rc;
    int old = ask(n, "spot/termination-time", body, &len, err);
    at = old > 0 ? notice_time(body, len) : -1;
    if (at >= 0) {
        interrupted(n, at, v);
        return 1;
    }
    return rc < 0 ? rc : old < 0 ? old : 0;
}

static int look_target(struct node *n, struct view *v, struct bp_err *err)
{
    char body[BODY_MAX];
    size_t len = 0;
    int rc = ask(n, "autoscaling/target-lifecycle-state", body, &len, err);
    if (rc <= 0 || !notice_target_ends(body, len))
        return rc < 0 ? rc : 0;
    v->kind = BP_NOTICE_TERMINATION;
    return 1;
}

/* A recommendation stays readable: most are followed by nothing, so it counts for a while only. */
static int look_rebalance(struct node *n, struct view *v, struct bp_err *err)
{
    char body[BODY_MAX];
    size_t len = 0;
    int64_t at = 0;
    int rc = ask(n, "events/recommendations/rebalance", body, &len, err);
    if (rc > 0 && notice_rebalance(body, len, &at))
        n->rebalance_ms = at;
    else if (rc > 0)
        say_odd(n, "events/recommendations/rebalance");
    else if (rc == 0)
        n->rebalance_ms = 0;
    if (n->rebalance_ms && AWS_NOW(n->aws) - n->rebalance_ms < n->rebalance_hold_ms)
        v->kind = BP_NOTICE_REBALANCE;
    return rc < 0 ? rc : 0;
}

static int is_spot(struct node *n)
{
    struct bp_err ignored;
    if (!n->known)
        read_identity(n, &ignored);
    return !n->known || strcmp(n->identity.capacity_type, "spot") == 0;
}

/* The worst first. Where nothing answers within the time, the rest is not asked either. */
static int look(struct node *n, struct view *v, struct bp_err *err)
{
    struct bp_err spot_err = {0};
    int spot = is_spot(n), rc = spot ? look_spot(n, v, &spot_err) : 0;
    if (rc > 0)
        return 0;
    if (rc == BP_TIMEOUT) {
        *err = spot_err;
        return rc;
    }
    int target = look_target(n, v, err);
    if (target > 0)
        return 0;
    if (target == BP_TIMEOUT)
        return target;
    int rebalance = spot ? look_rebalance(n, v, err) : 0;
    if (v->kind != BP_NOTICE_NONE)
        return 0;
    if (rc < 0)
        *err = spot_err;
    return rc < 0 ? rc : target < 0 ? target : rebalance;
}

static int32_t notice(void *inst, int32_t *kind, int64_t *deadline_ms, struct bp_err *err)
{
    struct node *n = ((struct aws *)inst)->node;
    struct view v = {.kind = BP_NOTICE_NONE};
    pthread_mutex_lock(&n->mutex);
    int rc = look(n, &v, err);
    pthread_mutex_unlock(&n->mutex);
    *kind = v.kind;
    *deadline_ms = v.deadline_ms;
    return rc;
}

/* ---- life ---- */

struct node *node_open(struct aws *a, struct bp_err *err)
{
    struct node *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(err, BP_NOMEM, "no memory for the node");
        return NULL;
    }
    n->aws = a;
    n->rebalance_hold_ms = (int64_t)(settings_num(&a->settings, "rebalanceSeconds", REBALANCE_HOLD) * 1000);
    pthread_mutex_init(&n->mutex, NULL);
    return n;
}

void node_close(struct node *n)
{
    if (n)
        pthread_mutex_destroy(&n->mutex);
    free(n);
}

const struct bp_node node_facet = {
    .size = sizeof(struct bp_node), .identity = identity, .notice = notice, .ending = node_ending};
