/* SPDX-License-Identifier: Apache-2.0 */
/* The queue in MariaDB: one connection, one transaction per batch, any number of controllers on one database. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "migrate.h"
#include "store.h"

static int32_t queue_apply(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    return store_apply(inst, ops, n, err);
}

static const struct bp_queue QUEUE = {.size = sizeof QUEUE, .migrate = store_migrate, .apply = queue_apply};

/* ---- lifecycle ---- */

static void plugin_stop(void *inst)
{
    struct store *s = inst;
    store_close(s);
    pools_free(s);
    settings_free(&s->settings);
    s->magic = 0;
    free(s);
    mysql_thread_end();
}

static void tables_init(struct store *s)
{
    s->tenants.table = "tenants";
    s->tenants.marked = true;
    s->effects.table = "effects";
    s->workers.table = "worker_names";
    s->workflows.table = "workflows";
    s->batch.last = &s->batch.first;
    s->rules.version = -1;
    if (getrandom(&s->writer_id, sizeof s->writer_id, 0) != (ssize_t)sizeof s->writer_id)
        s->writer_id = s->host->now_ms(s->self);
    s->writer_id &= INT64_MAX;
    s->shard = (int32_t)(s->writer_id % 64);
}

/* Reads the settings only: migrate() with CHECK, which the host calls next, connects. */
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
    tables_init(s);
    int32_t rc = settings_read(&s->settings, host->config(self), err);
    rc = rc ? rc : pools_read(s, host->config(self), err);
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
    return strcmp(id, BP_QUEUE_FACET) == 0 ? &QUEUE : NULL;
}

extern const struct bp_plugin bp_plugin_v1;
BP_EXPORT const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof bp_plugin_v1,
    .abi = BP_ABI_VERSION,
    .name = "mariadb",
    .start = plugin_start,
    .stop = plugin_stop,
    .facet = plugin_facet,
};
