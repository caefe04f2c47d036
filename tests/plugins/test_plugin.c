/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_plugin.c - one source for the plugins of the host's tests. T_NAME, T_VERSION and the T_ switches come from
 * CMakeLists.txt; without a switch it is a sound plugin that offers every facet its manifest may list.
 */
#include <bp/cloud.h>
#include <bp/job.h>
#include <bp/queue.h>
#include <bp/scaling.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef T_ABI
#define T_ABI BP_ABI_VERSION
#endif
#ifndef T_START_MS
#define T_START_MS 0
#endif
#ifndef T_START_RC
#define T_START_RC BP_OK
#endif
#ifndef T_MIGRATE_RC
#define T_MIGRATE_RC BP_OK
#endif

struct plugin {
    struct bp_self *self;
    const struct bp_host *host;
};

static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    if (T_START_MS)
        usleep(T_START_MS * 1000);
    if (T_START_RC) {
        snprintf(err->text, sizeof(err->text), "open the test door: it is locked; bring the key");
        return T_START_RC;
    }
    struct plugin *p = calloc(1, sizeof(*p));
    p->self = self;
    p->host = host;
    *inst = p;
    host->log(self, BP_LOG_INFO, "started, settings %s, state %s, at %lld", host->config(self), host->state_dir(self),
              (long long)host->now_ms(self));
    return BP_OK;
}

static void stop(void *inst)
{
    struct plugin *p = inst;
    p->host->log(p->self, BP_LOG_INFO, "stopped");
    free(p);
}

/* ---- params: get("settings") gives the settings, get(FILE) the version once FILE exists, anything else the version
 * ---- */

static void wait_for(const char *file)
{
    while (access(file, F_OK) != 0)
        usleep(1000);
}

static int32_t get(void *inst, const char *name, char **value, struct bp_err *err)
{
    struct plugin *p = inst;
    const char *text = strcmp(name, "settings") == 0 ? p->host->config(p->self) : T_VERSION;
    (void)err;
    if (name[0] == '/')
        wait_for(name);
    *value = p->host->alloc(strlen(text) + 1);
    strcpy(*value, text);
    return BP_OK;
}

static int32_t put(void *inst, const char *name, const char *value, int32_t secret, struct bp_err *err)
{
    struct plugin *p = inst;
    (void)secret;
    return p->host->emit(p->self, name, value, err); /* put(event, fields) publishes it */
}

static const struct bp_params params = {.size = sizeof(params), .get = get, .put = put};
#ifdef T_SHORT_TABLE
static const struct bp_params short_params = {.size = 16, .get = get, .put = put};
#endif

/* ---- queue: the tenant of a submit says how to misbehave ---- */

/* NOLINTBEGIN(misc-redundant-expression): what is compared depends on how the plugin is built */
static int32_t migrate(void *inst, const struct bp_migrate *what, char **report, struct bp_err *err)
{
    struct plugin *p = inst;
    if (report && what->mode != BP_MIGRATE_CHECK)
        *report = p->host->alloc(3);
    char there[1024];
    snprintf(there, sizeof(there), "%s/there", p->host->state_dir(p->self));
    if ((T_MIGRATE_RC == BP_LATER || T_MIGRATE_RC == BP_NOSPACE) && access(there, F_OK) != 0)
        snprintf(err->text, sizeof(err->text),
                 T_MIGRATE_RC == BP_LATER ? "there is no server at db.example.com" : "the disk is full");
    else if (T_MIGRATE_RC != BP_LATER && T_MIGRATE_RC != BP_NOSPACE && T_MIGRATE_RC)
        snprintf(err->text, sizeof(err->text), "the schema is newer than this plugin");
    if (err->text[0])
        return T_MIGRATE_RC;
    return BP_OK;
}
/* NOLINTEND(misc-redundant-expression) */

static void submit(struct bp_op *op)
{
    const char *how = op->u.submit.tenant;
    op->u.submit.id = T_VERSION[0] - '0';
    if (how[0] == '/')
        wait_for(how);
    if (strcmp(how, "unknown-rc") == 0)
        op->err.rc = 77;
    if (strcmp(how, "conflict") == 0) {
        op->err.rc = BP_CONFLICT;
        snprintf(op->err.text, sizeof(op->err.text), "another job has this key");
    }
}

static void lease(struct plugin *p, struct bp_op *op)
{
    struct bp_op_lease *l = &op->u.lease;
    l->count = strcmp(l->worker_id, "greedy") == 0 ? l->max + 1 : 1;
    if (strcmp(l->worker_id, "empty") == 0)
        return;
    l->memory = p->host->alloc(sizeof(struct bp_job_row));
    l->jobs = l->memory;
    l->jobs[0].id = 41;
}

/* Workers of these names are told early; the batch of the second is lost. BP_OK: go on. */
static int32_t lease_early(struct plugin *p, struct bp_op *op, struct bp_err *err)
{
    const char *how = op->u.lease.worker_id;
    if (strncmp(how, "early", 5) != 0)
        return BP_OK;
    void *memory = op->u.lease.memory;
    int32_t rc = p->host->op_early(p->self, op);
    p->host->log(p->self, BP_LOG_INFO, "early: %d, again: %d", rc, p->host->op_early(p->self, op));
    if (strcmp(how, "early-lost") != 0)
        return BP_OK;
    if (rc != BP_OK)
        p->host->free(memory);
    snprintf(err->text, sizeof(err->text), "the disk is full");
    return BP_NOSPACE;
}

static int32_t apply(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i]->kind == BP_OP_SUBMIT && strcmp(ops[i]->u.submit.tenant, "disk-full") == 0) {
            snprintf(err->text, sizeof(err->text), "the disk is full");
            return BP_NOSPACE;
        }
        if (ops[i]->kind == BP_OP_SUBMIT && strcmp(ops[i]->u.submit.tenant, "odd-batch") == 0)
            return 5;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ops[i]->kind == BP_OP_SUBMIT)
            submit(ops[i]);
        else if (ops[i]->kind == BP_OP_LEASE)
            lease(inst, ops[i]);
        else
            ops[i]->err.rc = BP_UNSUPPORTED;
    }
    int32_t rc = BP_OK;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = ops[i]->kind == BP_OP_LEASE ? lease_early(inst, ops[i], err) : BP_OK;
    return rc;
}

static const struct bp_queue queue = {.size = sizeof(queue), .migrate = migrate, .apply = apply};

/* ---- workflow ---- */

static int32_t plan(void *inst, const struct bp_view *view, void *memory, struct bp_plan *out, struct bp_err *err)
{
    (void)inst, (void)memory, (void)err;
    out->desired = (int32_t)view->queued;
    snprintf(out->reason, sizeof(out->reason), "as many as are queued");
    return BP_OK;
}
static const struct bp_scaling scaling = {.size = sizeof(scaling), .plan = plan};

static const void *facet(void *inst, const char *id)
{
    (void)inst;
#ifdef T_NO_FACET
    return NULL;
#endif
#ifdef T_SHORT_TABLE
    if (strcmp(id, BP_PARAMS_FACET) == 0)
        return &short_params;
#endif
    if (strcmp(id, BP_PARAMS_FACET) == 0)
        return &params;
    if (strcmp(id, BP_QUEUE_FACET) == 0)
        return &queue;
    return strcmp(id, BP_SCALING_FACET) == 0 ? &scaling : NULL;
}

#ifdef T_UNRESOLVED
int nobody_defines_this(void);
int (*const refers_to_it)(void) = nobody_defines_this;
#endif

#ifndef T_NO_SYMBOL
BP_EXPORT extern const struct bp_plugin bp_plugin_v1;
const struct bp_plugin bp_plugin_v1 = {
    .size = sizeof(bp_plugin_v1), .abi = T_ABI, .name = T_NAME, .start = start, .stop = stop, .facet = facet};
#else
__attribute__((used)) static const struct bp_plugin hidden = {
    .size = sizeof(hidden), .abi = T_ABI, .name = T_NAME, .start = start, .stop = stop, .facet = facet};
#endif
