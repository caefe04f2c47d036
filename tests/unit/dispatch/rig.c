/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/rig.h"

#include "host/queue_batch.h"
#include "log/err.h"

#include <bp/cloud.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MAX 256

/* ---- the queue: the real plugin behind an actor whose batches the test can count, hold and fail ---- */

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    (void)self;
    (void)level;
    (void)fmt;
}

static int64_t host_now(struct bp_self *self)
{
    (void)self;
    return 0;
}

static const char *host_config(struct bp_self *self)
{
    (void)self;
    return "{\"path\":\"\",\"synchronous\":\"off\",\"maxBytes\":0,\"cacheBytes\":1048576}";
}

static char state_dir[256];

static const char *host_state_dir(struct bp_self *self)
{
    (void)self;
    return state_dir;
}

static int32_t host_emit(struct bp_self *self, const char *event, const char *fields, struct bp_err *err)
{
    (void)self;
    (void)event;
    (void)fields;
    (void)err;
    return BP_OK;
}

static void *host_alloc(size_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

static struct rig *the_rig; /* of this process */

static int32_t host_op_early(struct bp_self *self, struct bp_op *op)
{
    int32_t rc = queue_op_early(self, op);
    atomic_fetch_add(&the_rig->early, rc == BP_OK);
    while (atomic_load(&the_rig->commit_closed))
        usleep(1000);
    return rc;
}

static const struct bp_host plugin_host = {.size = sizeof plugin_host,
                                           .abi = BP_ABI_VERSION,
                                           .log = host_log,
                                           .now_ms = host_now,
                                           .config = host_config,
                                           .state_dir = host_state_dir,
                                           .emit = host_emit,
                                           .alloc = host_alloc,
                                           .free = free,
                                           .op_early = host_op_early};

static int tell_lead(struct rig *r, struct bp_op_lead *lead)
{
    uint32_t n = (uint32_t)atomic_load(&r->others) + 1;
    if (lead->resign) {
        snprintf(r->resigned_id, sizeof r->resigned_id, "%s", lead->id);
        atomic_fetch_add(&r->resigned, 1);
    }
    if (atomic_load(&r->lead_rc))
        return atomic_load(&r->lead_rc);
    lead->leader = atomic_load(&r->leads);
    lead->epoch = atomic_load(&r->epoch);
    lead->count = n;
    lead->memory = lead->controllers = calloc(n, sizeof *lead->controllers);
    for (uint32_t i = 0; i < n; i++)
        lead->controllers[i] = (struct bp_controller_row){.size = sizeof lead->controllers[i],
                                                          .leader = (i == 0) == lead->leader,
                                                          .id = i == 0 ? lead->id : "other",
                                                          .name = i == 0 ? lead->name : "elsewhere",
                                                          .url = "http://elsewhere",
                                                          .version = "1"};
    return BP_OK;
}

static int tell_watch(struct rig *r, struct bp_op_watch *watch)
{
    watch->count = 1;
    watch->memory = watch->rows = calloc(1, sizeof *watch->rows);
    snprintf(watch->rows[0].workflow, sizeof watch->rows[0].workflow, "noop");
    watch->rows[0].arrivals = atomic_load(&r->arrivals);
    watch->rows[0].queued = atomic_load(&r->queued);
    return BP_OK;
}

/* 1 when the test tells instead of the plugin. */
static int told(struct rig *r, struct bp_op *op)
{
    int rc = BP_OK;
    atomic_fetch_add(&r->worker_lists, op->kind == BP_OP_WORKER_LIST);
    if (op->kind == BP_OP_SWEEP) {
        atomic_store(&r->sweep_epoch, op->u.sweep.epoch);
        rc = atomic_load(&r->sweep_rc);
        if (atomic_load(&r->told))
            op->u.sweep.epoch = 0; /* the plugin does not know of the test's leaders */
        if (!rc)
            return 0;
    } else if (op->kind == BP_OP_LEAD && atomic_load(&r->told)) {
        rc = tell_lead(r, &op->u.lead);
    } else if (op->kind == BP_OP_WATCH && atomic_load(&r->told)) {
        rc = tell_watch(r, &op->u.watch);
    } else {
        return 0;
    }
    err_set(&op->err, rc, "the test said so");
    atomic_fetch_add(&r->asks, op->kind == BP_OP_LEAD);
    atomic_fetch_add(&r->looks, op->kind == BP_OP_WATCH);
    return 1;
}

static void count_kinds(struct rig *r, struct request **batch, uint32_t n)
{
    unsigned of[32] = {0};
    for (uint32_t i = 0; i < n; i++)
        for (struct queue_call *q = request_args(batch[i]); q; q = q->then)
            of[queue_call_op(q)->kind & 31]++;
    for (int k = 0; k < 32; k++) {
        atomic_fetch_add(&r->asked[k], of[k]);
        if (of[k] > atomic_load(&r->together[k]))
            atomic_store(&r->together[k], of[k]);
    }
}

static void look_at(struct rig *r, struct request **batch, uint32_t n)
{
    int submit = 0;
    count_kinds(r, batch, n);
    uint32_t ops = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t kind = queue_call_op(request_args(batch[i]))->kind;
        ops += kind != BP_OP_LEAD && kind != BP_OP_WATCH && kind != BP_OP_TENANT_LIST; /* the engine's own */
        ops += ((struct queue_call *)request_args(batch[i]))->then != NULL;
    }
    atomic_fetch_add(&r->batches, ops > 0);
    atomic_fetch_add(&r->ops, ops);
    if (ops > atomic_load(&r->biggest))
        atomic_store(&r->biggest, ops);
    for (uint32_t i = 0; i < n; i++) {
        int32_t kind = queue_call_op(request_args(batch[i]))->kind;
        submit |= kind == BP_OP_SUBMIT;
        if (kind == BP_OP_LEASE && submit)
            atomic_fetch_add(&r->submits_with_lease, 1);
    }
}

/* What the script answers is taken out; the rest goes to the plugin, in its order. */
static uint32_t follow_script(struct rig *r, struct request **batch, uint32_t n)
{
    uint32_t rest = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct bp_op *op = queue_call_op(request_args(batch[i]));
        if (!told(r, op) && (!r->script || !r->script(r, op))) {
            batch[rest++] = batch[i];
            continue;
        }
        atomic_fetch_add(&r->scripted, 1);
        request_done(batch[i], op->err.rc, op->err.rc ? &op->err : NULL);
    }
    return rest;
}

static void serve(struct rig *r, struct request **batch, uint32_t n)
{
    struct request *rest[BATCH_MAX];
    assert_true(n <= BATCH_MAX);
    memcpy(rest, batch, n * sizeof *batch); /* the actor still needs its own */
    n = follow_script(r, rest, n);
    if (n > 0)
        queue_batch(rest, n, NULL);
}

static void batch(struct request **batch_, uint32_t n, void *arg)
{
    struct rig *r = arg;
    atomic_store(&r->queue_inside, 1);
    while (atomic_load(&r->queue_closed))
        usleep(1000);
    look_at(r, batch_, n);
    int rc = atomic_load(&r->queue_fail);
    for (uint32_t i = 0; rc && i < n; i++) {
        struct bp_err err = {0};
        err_set(&err, rc, "the test said so");
        request_done(batch_[i], rc, &err);
    }
    if (!rc)
        serve(r, batch_, n);
    atomic_store(&r->queue_inside, 0);
}

void rig_hold_queue(struct rig *r)
{
    struct bp_err err = {0};
    atomic_store(&r->queue_closed, 1);
    struct queue_call *q = queue_call_new(BP_OP_WORKER_LIST, loop_now_ms(r->loop));
    assert_int_equal(queue_call_send(r->bus, q, 20000, NULL, NULL, &err), BP_OK);
    while (!atomic_load(&r->queue_inside))
        usleep(500);
}

void rig_release_queue(struct rig *r)
{
    atomic_store(&r->queue_closed, 0);
}

/* To whoever asked, a batch that is lost was never committed; what was handed over early stays the host's. */
static int32_t apply(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err)
{
    unsigned before = atomic_load(&the_rig->early);
    int32_t rc = the_rig->table->apply(inst, ops, n, err);
    int lost = atomic_load(&the_rig->early) != before && atomic_exchange(&the_rig->commit_fail, 0);
    return lost ? err_set(err, BP_NOSPACE, "the test lost it") : rc;
}

static void queue_open(struct rig *r)
{
    static struct bp_queue own;
    char path[512];
    struct bp_err err = {0};
    snprintf(state_dir, sizeof state_dir, "%s", "./queue-XXXXXX");
    assert_non_null(mkdtemp(state_dir));
    snprintf(path, sizeof path, "%s/plugins/sqlite.so", getenv("BP_BUILD_DIR"));
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!lib)
        fail_msg("%s", dlerror());
    r->plugin = dlsym(lib, BP_ENTRY_SYMBOL);
    assert_non_null(r->plugin);
    if (r->plugin->start(NULL, &plugin_host, &r->queue_inst, &err) != BP_OK)
        fail_msg("start sqlite: %s", err.text);
    const struct bp_queue *table = r->plugin->facet(r->queue_inst, BP_QUEUE_FACET);
    assert_non_null(table);
    const struct bp_migrate ready = {.size = sizeof ready, .mode = BP_MIGRATE_CHECK};
    if (table->migrate(r->queue_inst, &ready, NULL, &err) != BP_OK)
        fail_msg("open the queue: %s", err.text);
    struct actor_spec spec = {
        .name = "queue", .threads = 1, .batch_max = BATCH_MAX, .capacity = 64, .batch = batch, .arg = r};
    r->queue = actor_new(r->bus, &spec, &err);
    assert_non_null(r->queue);
    the_rig = r;
    r->table = table;
    own = *table;
    own.apply = apply;
    bus_route(r->bus, "queue", r->queue, &own, r->queue_inst);
}

/* ---- the object store's double ---- */

static int32_t presign(void *inst, const char *method, const char *key, const char *mime, int64_t max_bytes,
                       int32_t ttl_s, char **url, struct bp_err *err)
{
    struct rig *r = inst;
    (void)mime;
    (void)max_bytes;
    while (atomic_load(&r->presign_closed))
        usleep(1000);
    if (atomic_load(&r->presign_fail))
        return err_set(err, BP_IO, "sign %s: the test said so", key);
    char text[1200];
    snprintf(text, sizeof text, "http://objects/%s?m=%s&ttl=%d", key, method, ttl_s);
    *url = strdup(text);
    atomic_fetch_add(&r->urls_signed, 1);
    return BP_OK;
}

static int32_t head(void *inst, const char *key, struct bp_object_info *out, struct bp_err *err)
{
    struct rig *r = inst;
    atomic_fetch_add(&r->heads, 1);
    if (atomic_load(&r->head_fail))
        return err_set(err, atomic_load(&r->head_fail), "look for %s: the test said so", key);
    if (atomic_load(&r->head_missing))
        return err_set(err, BP_NOTFOUND, "no object %s", key);
    out->bytes = 4711;
    return BP_OK;
}

static int32_t remove_object(void *inst, const char *key, struct bp_err *err)
{
    struct rig *r = inst;
    if (atomic_load(&r->remove_fail))
        return err_set(err, atomic_load(&r->remove_fail), "remove %s: the test said so", key);
    unsigned n = atomic_fetch_add(&r->removed, 1);
    if (n < 64)
        snprintf(r->removed_keys[n], sizeof r->removed_keys[n], "%s", key);
    return BP_OK;
}

/* Two objects below any prefix, the first time it is asked for. */
static int32_t list(void *inst, const char *prefix, const char *after, struct bp_object_info *out, uint32_t *n,
                    struct bp_err *err)
{
    static char last[1025];
    (void)inst;
    (void)after;
    (void)err;
    *n = strcmp(last, prefix) == 0 ? 0 : 2;
    snprintf(last, sizeof last, "%s", prefix);
    for (uint32_t i = 0; i < *n; i++)
        snprintf(out[i].key, sizeof out[i].key, "%.900sattempt-%u/output.mp4", prefix, i + 1);
    return BP_OK;
}

static const struct bp_objects objects_table = {
    .size = sizeof objects_table, .presign = presign, .head = head, .remove = remove_object, .list = list};

/* ---- the rig ---- */

static int64_t clock_of(void *arg)
{
    struct rig *r = arg;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + r->clock_ahead_ms;
}

static void on_event(const struct event_msg *e, void *arg)
{
    struct rig *r = arg;
    r->events[e->id]++;
    snprintf(r->last_event, sizeof r->last_event, "%s", json_text(event_fields(e)));
}

struct json_object *js(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c; c++) {
        if (*c == '\'')
            *c = '"';
    }
    struct bp_err err = {0};
    struct json_object *o = json_parse(copy, strlen(copy), &err);
    if (!o)
        fail_msg("%s: %s", copy, err.text);
    free(copy);
    return o;
}

static void objects_open(struct rig *r)
{
    struct bp_err err = {0};
    struct actor_spec spec = {.name = "objects", .threads = 1, .batch_max = 16, .capacity = 64};
    r->objects = actor_new(r->bus, &spec, &err);
    assert_non_null(r->objects);
    bus_route(r->bus, "objects", r->objects, &objects_table, r);
}

struct rig *rig_new(const char *const *sets)
{
    struct rig *r = test_calloc(1, sizeof *r);
    struct bp_err err = {0};
    struct config_sources src = {.sets = sets};
    while (sets && sets[src.n_sets])
        src.n_sets++;
    rig_workflows_make();
    r->loop = loop_new();
    loop_set_clock(r->loop, clock_of, r);
    r->bus = bus_new(r->loop);
    bus_subscribe(r->bus, "*", on_event, r);
    r->config = config_load(&src, &err);
    if (!r->config)
        fail_msg("config: %s", err.text);
    queue_open(r);
    objects_open(r);
    r->d = dispatch_new(r->bus, NULL, r->config);
    dispatch_start(r->d);
    rig_turn(r, 5); /* the first sweep is over */
    return r;
}

static void drained(struct actor *a, void *arg)
{
    (void)a;
    ++*(unsigned *)arg;
}

void rig_free(struct rig *r)
{
    unsigned n = 0;
    rig_release_queue(r);
    dispatch_drain(r->d);
    actor_drain(r->queue, drained, &n);
    actor_drain(r->objects, drained, &n);
    rig_until(r, &n, 2);
    rig_turn(r, 2); /* what was posted is run */
    dispatch_free(r->d);
    actor_free(r->queue);
    actor_free(r->objects);
    r->plugin->stop(r->queue_inst);
    bus_free(r->bus);
    loop_free(r->loop);
    config_free(r->config);
    rig_workflows_free();
    test_free(r);
}

/* ---- waiting ---- */

static void stop(void *arg)
{
    loop_stop(arg);
}

void rig_turn(struct rig *r, int64_t ms)
{
    struct loop_timer *t = loop_timer_new(r->loop, "test.turn", stop, r->loop);
    loop_timer_after(t, ms);
    loop_run(r->loop);
    loop_timer_free(t);
}

void rig_until(struct rig *r, const unsigned *flag, unsigned n)
{
    for (int i = 0; *flag < n; i++) {
        if (i >= 20000)
            fail_msg("waited 20 s in vain");
        rig_turn(r, 1);
    }
}

void rig_wait(struct rig *r, struct answer *a)
{
    for (int i = 0; !a->done; i++) {
        if (i >= 20000)
            fail_msg("no answer within 20 s");
        rig_turn(r, 1);
    }
}

void rig_waits(struct rig *r, uint32_t n)
{
    for (int i = 0; dispatch_waiting_polls(r->d) != n; i++) {
        if (i >= 20000)
            fail_msg("%u polls wait after 20 s, not %u", dispatch_waiting_polls(r->d), n);
        rig_turn(r, 1);
    }
}

void rig_sleep(struct rig *r, int64_t ms)
{
    r->clock_ahead_ms += ms;
}
