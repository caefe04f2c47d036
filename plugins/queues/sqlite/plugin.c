/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded queue: one SQLite file, one connection, one transaction per batch. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "schema.h"
#include "store.h"

/* The file migrates by itself when it is opened; only looking at it must leave it as it is. */
static int32_t queue_migrate(void *inst, const struct bp_migrate *what, char **report, struct bp_err *err)
{
    struct store *s = inst;
    int before = 0;
    int32_t rc = BP_OK;
    if (report)
        *report = NULL;
    if (what->mode == BP_MIGRATE_CHECK)
        return s->db ? BP_OK : store_open(s, err);
    if (!what->target || strcmp(what->target, "central") != 0)
        return schema_other(s, what->target, report, err);
    if (what->mode == BP_MIGRATE_APPLY) {
        rc = schema_version(s, &before);
        rc = rc || s->db ? rc : store_open(s, err);
    }
    rc = rc ? rc : schema_report(s, what->mode, before, report);
    if (rc && s->failure.rc)
        *err = s->failure;
    return rc;
}

static int32_t queue_apply(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    return store_apply(inst, ops, n, err);
}

static const struct bp_queue QUEUE = {.size = sizeof QUEUE, .migrate = queue_migrate, .apply = queue_apply};

/* ---- settings ---- */

static const char *text_of(struct json_object *o, const char *key, const char *fallback)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
        return fallback;
    return json_object_get_string_len(v) ? json_object_get_string(v) : fallback;
}

static int64_t number_of(struct json_object *o, const char *key, int64_t fallback)
{
    struct json_object *v;
    return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_int) ? json_object_get_int64(v)
                                                                                          : fallback;
}

static char *default_path(const struct store *s)
{
    char *path = NULL;
    return asprintf(&path, "%s/queue.db", s->host->state_dir(s->self)) < 0 ? NULL : path;
}

static int32_t settings_read(struct store *s, struct bp_err *err)
{
    const char *json = s->host->config(s->self);
    struct json_object *o = json && *json ? json_tokener_parse(json) : json_object_new_object();
    const char *path = text_of(o, "path", NULL), *sync = text_of(o, "synchronous", "full");
    s->settings.path = path ? strdup(path) : default_path(s);
    snprintf(s->settings.synchronous, sizeof s->settings.synchronous, "%s", sync);
    s->settings.max_bytes = number_of(o, "maxBytes", 0);
    s->settings.cache_bytes = number_of(o, "cacheBytes", 2 << 20);
    json_object_put(o);
    sync = s->settings.synchronous;
    if (strcmp(sync, "full") != 0 && strcmp(sync, "normal") != 0 && strcmp(sync, "off") != 0) {
        err->rc = BP_INVALID;
        snprintf(err->text, sizeof err->text, "synchronous is '%s'; it must be full, normal or off", sync);
        return err->rc;
    }
    if (!s->settings.path) {
        err->rc = BP_NOMEM;
        snprintf(err->text, sizeof err->text, "out of memory starting the queue");
        return err->rc;
    }
    return BP_OK;
}

/* ---- lifecycle ---- */

static void plugin_stop(void *inst)
{
    struct store *s = inst;
    store_close(s);
    free(s->settings.path);
    s->magic = 0;
    free(s);
}

/* Reads the settings only: migrate() with CHECK, which the host calls next, opens the file. */
static int32_t plugin_start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s) {
        err->rc = BP_NOMEM;
        snprintf(err->text, sizeof err->text, "out of memory starting the queue");
        return err->rc;
    }
    s->magic = STORE_MAGIC;
    s->self = self;
    s->host = host;
    int32_t rc = settings_read(s, err);
    if (rc) {
        plugin_stop(s);
        return rc;
    }
    *inst = s;
    return BP_OK;
}

static const void *plugin_facet(void *inst, const char *id)
{
    (void)inst;
    if (strcmp(id, BP_CHECK_FACET) == 0)
        return &store_check;
    return strcmp(id, BP_QUEUE_FACET) == 0 ? &QUEUE : NULL;
}

extern const struct bp_plugin bp_plugin_v1;
BP_EXPORT const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof bp_plugin_v1,
    .abi = BP_ABI_VERSION,
    .name = "sqlite",
    .start = plugin_start,
    .stop = plugin_stop,
    .facet = plugin_facet,
};
