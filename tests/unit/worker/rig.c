/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <bp/cloud.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the host, as far as a worker asks it ---- */

static int faults;
static const char *quarantine;
static struct json_object *report;

static const struct workflow *test_copy(void)
{
    static char file[4096];
    static struct workflow w = {.slug = "test-copy",
                                .plugin = "test-copy",
                                .listed = "test-copy",
                                .version = "1.0",
                                .generation = 1,
                                .timeout_s = 600};
    if (!w.manifest) {
        w.manifest = json_tokener_parse("{\"settings\": {\"command\": [\"true\", 7]}}");
        w.settings_dir = "/srv/workflows.d";
    }
    snprintf(file, sizeof(file), "%s/tests/workflows/test-copy.so", getenv("BP_BUILD_DIR"));
    w.file = file;
    w.sha = "5ha";
    w.quarantine = quarantine;
    return &w;
}

const struct workflow *host_workflow(struct host *h, const char *slug)
{
    (void)h;
    return !strcmp(slug, "test-copy") ? test_copy() : NULL;
}

void host_each_workflow(struct host *h, void (*fn)(const struct workflow *w, void *arg), void *arg)
{
    (void)h;
    fn(test_copy(), arg);
}

void host_workflow_fault(struct host *h, const char *slug, const char *sha, int64_t job, const char *what)
{
    static int64_t counted; /* the real one counts each job once, too */
    (void)h, (void)what;
    assert_string_equal(slug, "test-copy");
    assert_string_equal(sha, "5ha");
    faults += !job || faults == 0 || job != counted;
    counted = job;
}

void host_release(struct host *h, const char *name, host_done done, void *arg)
{
    (void)h, (void)done, (void)arg;
    assert_string_equal(name, "test-copy");
    quarantine = NULL;
}

void rig_quarantine(const char *why)
{
    quarantine = why;
}

int rig_faults(void)
{
    return faults;
}

/* ---- the node service ---- */

static int32_t node_identity(void *inst, struct bp_node_identity *out, struct bp_err *err)
{
    (void)inst, (void)err;
    snprintf(out->instance_id, sizeof(out->instance_id), "i-0123456789");
    snprintf(out->capacity_type, sizeof(out->capacity_type), "spot");
    return BP_OK;
}

static int32_t node_notice(void *inst, int32_t *kind, int64_t *deadline_ms, struct bp_err *err)
{
    struct rig *r = inst;
    (void)err;
    *kind = __atomic_load_n(&r->notice, __ATOMIC_SEQ_CST);
    *deadline_ms = 0;
    return BP_OK;
}

static int32_t node_ending(void *inst, int32_t done, struct bp_err *err)
{
    struct rig *r = inst;
    (void)err;
    __atomic_add_fetch(done ? &r->released : &r->held_up, 1, __ATOMIC_SEQ_CST);
    return BP_OK;
}

static const struct bp_node node_table = {
    .size = sizeof(node_table), .identity = node_identity, .notice = node_notice, .ending = node_ending};

static void add_node(struct rig *r)
{
    struct bp_err err = {0};
    struct actor_spec spec = {.name = "node", .threads = 1, .batch_max = 1, .capacity = 8};
    r->node = actor_new(r->bus, &spec, &err);
    assert_non_null(r->node);
    bus_route(r->bus, "node", r->node, &node_table, r);
}

/* ---- the rig ---- */

static void ended(int exit_status, void *arg)
{
    struct rig *r = arg;
    r->ended++;
    r->exit_status = exit_status;
}

static struct config *make_config(const char *url, const char *const *settings)
{
    static char worker_url[128];
    struct bp_err err = {0};
    const char *sets[32] = {worker_url,
                            "worker.fleet=test-copy",
                            "worker.fleetSecret=s3cret-of-the-fleet",
                            "worker.device=cpu",
                            "worker.waitSeconds=20",
                            "worker.heartbeatSeconds=5",
                            "worker.noticeSeconds=0.1"};
    uint32_t n = 7;
    snprintf(worker_url, sizeof(worker_url), "worker.url=%s", url);
    while (settings && *settings)
        sets[n++] = *settings++;
    struct config_sources src = {.sets = sets, .n_sets = n};
    struct config *c = config_load(&src, &err);
    if (!c)
        print_error("%s\n", err.text);
    assert_non_null(c);
    return c;
}

static struct rig *make(const char *const *settings, int with_node)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct bp_err err = {0};
    char runner[4096];
    faults = 0;
    quarantine = NULL;
    setenv("BPD_WORKER_FLEETSECRET", "s3cret-of-the-fleet", 1); /* must not reach a runner */
    r->loop = loop_new();
    r->bus = bus_new(r->loop);
    r->fake = fake_new(r->loop);
    r->config = make_config(r->fake->url, settings);
    if (with_node)
        add_node(r);
    mkdir("state", 0700);
    snprintf(runner, sizeof(runner), "%s/bin/bp-runner", getenv("BP_BUILD_DIR"));
    struct worker_spec spec = {
        .bus = r->bus, .config = r->config, .state_dir = "state", .runner = runner, .ended = ended, .arg = r};
    r->worker = worker_new(&spec, &err);
    if (!r->worker)
        print_error("%s\n", err.text);
    assert_non_null(r->worker);
    return r;
}

struct rig *rig_new(const char *const *settings)
{
    return make(settings, 0);
}

struct rig *rig_new_with_node(const char *const *settings)
{
    return make(settings, 1);
}

static void drained(struct actor *a, void *arg)
{
    struct rig *r = arg;
    (void)a;
    r->ended = 1000;
}

static int is_drained(struct rig *r)
{
    return r->ended == 1000;
}

void rig_free(struct rig *r)
{
    worker_free(r->worker);
    if (r->node) {
        bus_route(r->bus, "node", NULL, NULL, NULL);
        actor_drain(r->node, drained, r);
        rig_until(r, is_drained);
        actor_free(r->node);
    }
    fake_free(r->fake);
    bus_free(r->bus);
    loop_free(r->loop);
    config_free(r->config);
    json_object_put(report);
    report = NULL;
    free(r);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* A timer wakes the loop, so that the test is looked at and time passes. */
static void run_while(struct rig *r, int (*test)(struct rig *r), int64_t until_ms)
{
    struct loop_timer *tick = loop_timer_new(r->loop, "test.tick", nothing, NULL);
    loop_timer_every(tick, 10);
    while (mono_ms() < until_ms && !(test && test(r)))
        event_base_loop(loop_base(r->loop), EVLOOP_ONCE);
    loop_timer_free(tick);
}

void rig_until_(struct rig *r, int (*test)(struct rig *r), const char *what, const char *file, int line)
{
    run_while(r, test, mono_ms() + 60000);
    if (!test(r)) {
        for (int i = 0; i < r->fake->n_calls; i++)
            print_error("call %s -> %d: %s\n", r->fake->calls[i].name, r->fake->calls[i].status,
                        r->fake->calls[i].body ? json_text(r->fake->calls[i].body) : "");
        print_error("%s did not come true\n", what);
        _fail(file, line);
    }
}

void rig_run_ms(struct rig *r, int64_t ms)
{
    run_while(r, NULL, mono_ms() + ms);
}

int rig_has_ended(struct rig *r)
{
    return r->ended > 0;
}

int rig_polls(struct rig *r)
{
    return r->fake->waiting != NULL;
}

int rig_completed(struct rig *r)
{
    return fake_count(r->fake, "complete") > 0;
}

int rig_failed(struct rig *r)
{
    return fake_count(r->fake, "fail") > 0;
}

int rig_requeued(struct rig *r)
{
    return fake_count(r->fake, "requeue") > 0;
}

struct json_object *rig_report(struct rig *r)
{
    struct bp_err err;
    struct fake_object *o = fake_object(r->fake, "output");
    json_object_put(report);
    report = o ? json_parse(o->bytes, o->n, &err) : NULL;
    assert_non_null(report);
    return report;
}
