/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - the facet's table, and the fleets as they are. */
#include "fleet.h"

#include "activities.h"
#include "err.h"
#include "groups.h"
#include "prices.h"
#include "rollout.h"

#include <stdlib.h>
#include <string.h>

struct fleets *fleets_open(struct aws *a, struct bp_err *err)
{
    struct fleets *f = calloc(1, sizeof *f);
    if (!f || !(f->groups = groups_new())) {
        err_set(err, BP_NOMEM, "no memory for the fleets");
        free(f);
        return NULL;
    }
    f->aws = a;
    if (fleet_settings_read(&f->set, a, err) == 0 && (f->activities = activities_open(f, err)) &&
        (f->prices = prices_open(f, err)))
        return f;
    fleets_close(f);
    return NULL;
}

void fleets_close(struct fleets *f)
{
    if (!f)
        return;
    activities_close(f->activities);
    prices_close(f->prices);
    groups_free(f->groups);
    free(f);
}

/* ---- describe ---- */

/* The host's struct may be longer than ours: its size word says how far apart they lie. */
static struct bp_fleet_state *state_at(struct bp_fleet_state *out, size_t stride, uint32_t i)
{
    return (struct bp_fleet_state *)(void *)((char *)out + i * stride);
}

static int describe_one(struct fleets *f, const char *slug, struct bp_fleet_state *out, struct bp_err *err)
{
    const struct group *g = groups_at(f, slug);
    if (!g || !g->exists)
        return g ? 0 : err_set(err, BP_NOMEM, "no memory to describe fleet %.120s", slug);
    out->exists = 1;
    out->desired = g->desired;
    out->min_size = g->min_size;
    out->max_size = g->spec_max >= 0 && g->spec_max < g->max_size ? g->spec_max : g->max_size;
    if (!g->n)
        return 0;
    out->memory = f->aws->host->alloc(g->n * sizeof *out->instances);
    if (!out->memory)
        return err_set(err, BP_NOMEM, "no memory to describe fleet %.120s", slug);
    out->instances = out->memory;
    for (uint32_t k = 0; k < g->n; k++)
        out->instances[out->n_instances++] = g->members[k].pub;
    return 0;
}

int32_t fleet_describe(void *inst, const char *const *slugs, uint32_t n, struct bp_fleet_state *out, struct bp_err *err)
{
    struct fleets *f = ((struct aws *)inst)->fleets;
    size_t stride = n && out[0].size > sizeof *out ? out[0].size : sizeof *out;
    for (uint32_t i = 0; i < n; i++) {
        struct bp_fleet_state *s = state_at(out, stride, i);
        *s = (struct bp_fleet_state){.size = s->size};
    }
    int rc = groups_look(f, slugs, n, f->set.describe_ms, 1, err);
    if (rc < 0)
        return rc;
    groups_lock(f->groups);
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = describe_one(f, slugs[i], state_at(out, stride, i), err);
    groups_unlock(f->groups);
    for (uint32_t i = 0; i < n && rc < 0; i++) {
        struct bp_fleet_state *s = state_at(out, stride, i);
        f->aws->host->free(s->memory);
        *s = (struct bp_fleet_state){.size = s->size};
    }
    return rc;
}

/* ---- the table ---- */

static int32_t inject(void *inst, const char *slug, const char *what, const char *arg, struct bp_err *err)
{
    (void)inst, (void)slug, (void)arg;
    return err_set(err, BP_UNSUPPORTED, "AWS makes trouble of its own: \"%.40s\" is for the local cloud", what);
}

/* Groups outlive the controller. */
static int32_t leave(void *inst, struct bp_err *err)
{
    (void)inst, (void)err;
    return 0;
}

const struct bp_fleet fleet_facet = {
    .size = sizeof(struct bp_fleet),
    .ensure = fleet_ensure,
    .describe = fleet_describe,
    .grow = fleet_grow,
    .terminate = fleet_terminate,
    .protect = fleet_protect,
    .activities = fleet_activities,
    .inject = inject,
    .leave = leave,
    .protect_many = fleet_protect_many,
    .image = fleet_image,
    .rollout = fleet_rollout,
    .afford = fleet_afford,
    .penalties = fleet_penalties,
    .prices = fleet_prices,
    .learned = fleet_learned,
    .recall = fleet_recall,
};
