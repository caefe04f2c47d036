/* SPDX-License-Identifier: Apache-2.0 */
#include "pluginfile/facet.h"
#include "log/err.h"
#include <bp/check.h>
#include <bp/cloud.h>
#include <bp/fleet.h>
#include <bp/job.h>
#include <bp/queue.h>
#include <bp/scaling.h>
#include <string.h>

#define SLOT(type, fn) (1U << ((offsetof(struct type, fn) - 8) / sizeof(void *)))

const struct facet facets[FACETS] = {
    {BP_QUEUE_FACET, "queue", KIND_QUEUE, sizeof(struct bp_queue), 0, 0},
    {BP_FLEET_FACET, "fleet", KIND_CLOUD, offsetof(struct bp_fleet, leave), SLOT(bp_fleet, inject), 0},
    {BP_METRICS_FACET, "metrics", KIND_CLOUD, offsetof(struct bp_metrics, watch), SLOT(bp_metrics, get), 0},
    {BP_OBJECTS_FACET, "objects", KIND_CLOUD, offsetof(struct bp_objects, put_new),
     SLOT(bp_objects, open_local) | SLOT(bp_objects, commit_local), 1},
    {BP_PARAMS_FACET, "params", KIND_CLOUD, offsetof(struct bp_params, get_fresh), 0, 1},
    {BP_LOGS_FACET, "logs", KIND_CLOUD, offsetof(struct bp_logs, put_at), 0, 1},
    {BP_NOTIFY_FACET, "notify", KIND_CLOUD, sizeof(struct bp_notify), 0, 0},
    {BP_NODE_FACET, "node", KIND_CLOUD, offsetof(struct bp_node, ending), 0, 1},
    {"bp.stacks/1", "stacks", KIND_CLOUD, 16, 0, 0},
    {BP_SCALING_FACET, NULL, KIND_WORKFLOW, sizeof(struct bp_scaling), 0, 0},
    {BP_JOB_FACET, NULL, KIND_WORKFLOW, offsetof(struct bp_job_facet, check), 0, 0},
    {BP_CHECK_FACET, NULL, KIND_ACTOR, sizeof(struct bp_check), 0, 0},
};

int facet_find(const char *id)
{
    for (int i = 0; i < FACETS; i++) {
        if (strcmp(facets[i].id, id) == 0)
            return i;
    }
    return -1;
}

int facet_is_for(const struct facet *f, enum plugin_kind kind)
{
    return f->kind == kind || (f->kind == KIND_ACTOR && kind != KIND_WORKFLOW);
}

int facet_check(const struct facet *f, const void *table, struct bp_err *err)
{
    uint32_t size;
    memcpy(&size, table, sizeof(size));
    if (size < f->size)
        return err_set(err, BP_INVALID, "its table of %s has %u bytes, but 1.0 has %u", f->id, size, f->size);
    void *const *slots = (void *const *)((const char *)table + 8);
    for (uint32_t i = 0; i < (f->size - 8) / sizeof(void *); i++) {
        if (!slots[i] && !(f->optional & 1U << i))
            return err_set(err, BP_INVALID, "function %u of its table of %s is missing", i + 1, f->id);
    }
    return BP_OK;
}

static int facet_fits(const struct manifest *m, const char *id, int *known, struct bp_err *err)
{
    int i = facet_find(id);
    if (i < 0)
        return BP_OK;
    *known |= facets[i].kind != KIND_ACTOR; /* it serves nobody by itself */
    if (facet_is_for(&facets[i], m->kind))
        return BP_OK;
    return err_set(err, BP_INVALID, "wrong kind: %s is offered by %s plugins, but \"kind\" is \"%s\"", id,
                   facets[i].kind == KIND_ACTOR ? "queue and cloud" : kind_name(facets[i].kind), kind_name(m->kind));
}

int facet_check_manifest(const struct manifest *m, struct bp_err *err)
{
    struct json_object *list = json_member(m->json, "facets");
    int known = !manifest_lists_facets(m);
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        if (facet_fits(m, json_object_get_string(json_object_array_get_idx(list, i)), &known, err))
            return BP_INVALID;
    }
    if (known)
        return BP_OK;
    return err_set(err, BP_INVALID, "manifest: none of its \"facets\" is known to this bpd; a %s plugin offers %s, say",
                   kind_name(m->kind),
                   m->kind == KIND_WORKFLOW ? BP_JOB_FACET
                   : m->kind == KIND_QUEUE  ? BP_QUEUE_FACET
                                            : BP_FLEET_FACET);
}
