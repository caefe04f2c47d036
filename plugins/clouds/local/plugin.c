/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - the entry point: brings the parts up in order, takes them down in the reverse one, names the facets. */
#include "err.h"
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *local_text(const struct local *l, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = l->host->alloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static void close_all(struct local *l)
{
    fleets_close(l->fleets);
    node_close(l->node);
    notify_close(l->notify);
    logs_close(l->logs);
    metrics_close(l->metrics);
    params_close(l->params);
    objects_close(l->objects);
    settings_close(&l->settings);
    free(l);
}

/* The fleets come last: from then on they act by themselves. */
static int open_parts(struct local *l, struct bp_err *err)
{
    if (!(l->objects = objects_open(l, err)) || !(l->params = params_open(l, err)) ||
        !(l->metrics = metrics_open(l, err)) || !(l->logs = logs_open(l, err)) || !(l->notify = notify_open(l, err)) ||
        !(l->node = node_open(l, err)))
        return err->rc;
    if (l->settings.in_worker)
        return 0;
    l->fleets = fleets_open(l, err);
    return l->fleets ? 0 : err->rc;
}

static int open_base(struct local *l, struct bp_err *err)
{
    const char *dir = l->host->state_dir(l->self);
    if (!dir || dir[0] != '/' || strlen(dir) > PATH_DIR_MAX)
        return err_set(err, BP_INVALID, "the state directory must be an absolute path of at most %d bytes",
                       PATH_DIR_MAX);
    snprintf(l->dir, sizeof l->dir, "%s", dir);
    return settings_open(&l->settings, l->host->config(l->self), err);
}

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct local *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, BP_NOMEM, "no memory to start the local cloud");
    l->self = self;
    l->host = host;
    int rc = open_base(l, err);
    if (rc == 0)
        rc = open_parts(l, err);
    if (rc < 0) {
        close_all(l);
        return rc;
    }
    *inst = l;
    return 0;
}

static void stop(void *inst)
{
    close_all(inst);
}

static const void *facet(void *inst, const char *id)
{
    static const struct {
        const char *id;
        const void *table;
    } rows[] = {
        {BP_FLEET_FACET, &fleet_facet},     {BP_OBJECTS_FACET, &objects_facet}, {BP_PARAMS_FACET, &params_facet},
        {BP_METRICS_FACET, &metrics_facet}, {BP_LOGS_FACET, &logs_facet},       {BP_NOTIFY_FACET, &notify_facet},
        {BP_NODE_FACET, &node_facet},       {BP_CHECK_FACET, &check_facet},
    };
    (void)inst;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].id, id) == 0)
            return rows[i].table;
    return NULL;
}

extern BP_EXPORT const struct bp_plugin bp_plugin_v1;
BP_EXPORT const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof(struct bp_plugin),
    .abi = BP_ABI_VERSION,
    .name = "local",
    .start = start,
    .stop = stop,
    .facet = facet,
};
