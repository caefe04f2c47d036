/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_host.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bp_self {
    char state_dir[512];
    char settings[4096];
};

struct fake_host {
    struct bp_self self;
    const struct bp_plugin *plugin;
    const struct bp_queue *queue;
    void *inst;
};

static long blocks, fail_in;
static int verbose;

BP_PRINTF(3, 4)
static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    (void)self;
    if (!verbose)
        return;
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "plugin[%d]: ", level);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

static int64_t host_now_ms(struct bp_self *self)
{
    struct timespec t;
    (void)self;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *host_config(struct bp_self *self)
{
    return self->settings;
}

static const char *host_state_dir(struct bp_self *self)
{
    return self->state_dir;
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
    if (fail_in > 0 && --fail_in == 0)
        return NULL;
    void *p = calloc(1, bytes ? bytes : 1);
    blocks += p != NULL;
    return p;
}

static void host_free(void *memory)
{
    blocks -= memory != NULL;
    free(memory);
}

static int32_t (*on_early)(struct bp_op *op);

static int32_t host_op_early(struct bp_self *self, struct bp_op *op)
{
    (void)self;
    return on_early ? on_early(op) : BP_UNSUPPORTED;
}

static const struct bp_host HOST = {
    .size = sizeof HOST,
    .abi = BP_ABI_VERSION,
    .log = host_log,
    .now_ms = host_now_ms,
    .config = host_config,
    .state_dir = host_state_dir,
    .emit = host_emit,
    .alloc = host_alloc,
    .free = host_free,
    .op_early = host_op_early,
};

static struct fake_host *refuse(struct fake_host *h, struct bp_err *err, int32_t rc, const char *why)
{
    err->rc = rc;
    snprintf(err->text, sizeof err->text, "%s", why);
    free(h);
    return NULL;
}

struct fake_host *fake_host_open(const char *plugin, const char *state_dir, const char *settings, struct bp_err *err)
{
    struct fake_host *h = calloc(1, sizeof *h);
    void *so = h ? dlopen(plugin, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    if (!so)
        return refuse(h, err, BP_NOTFOUND, h ? dlerror() : "out of memory");
    h->plugin = dlsym(so, BP_ENTRY_SYMBOL);
    if (!h->plugin)
        return refuse(h, err, BP_INVALID, "the file has no " BP_ENTRY_SYMBOL);
    snprintf(h->self.state_dir, sizeof h->self.state_dir, "%s", state_dir);
    snprintf(h->self.settings, sizeof h->self.settings, "%s", settings ? settings : "{}");
    memset(err, 0, sizeof *err);
    if (h->plugin->start(&h->self, &HOST, &h->inst, err) != BP_OK) {
        free(h);
        return NULL;
    }
    return h;
}

static struct fake_host *start(const char *plugin, const char *state_dir, const char *settings, int check,
                               struct bp_err *err)
{
    struct fake_host *h = fake_host_open(plugin, state_dir, settings, err);
    if (!h)
        return NULL;
    h->queue = fake_host_facet(h, BP_QUEUE_FACET);
    if (!h->queue) {
        h->plugin->stop(h->inst);
        return refuse(h, err, BP_UNSUPPORTED, "the plugin does not offer " BP_QUEUE_FACET);
    }
    const struct bp_migrate ready = {sizeof ready, BP_MIGRATE_CHECK, NULL};
    if (check && h->queue->migrate(h->inst, &ready, NULL, err) != BP_OK) {
        fake_host_stop(h);
        return NULL;
    }
    return h;
}

struct fake_host *fake_host_start(const char *plugin, const char *state_dir, const char *settings, struct bp_err *err)
{
    return start(plugin, state_dir, settings, 1, err);
}

struct fake_host *fake_host_load(const char *plugin, const char *state_dir, const char *settings, struct bp_err *err)
{
    return start(plugin, state_dir, settings, 0, err);
}

void fake_host_stop(struct fake_host *h)
{
    if (!h)
        return;
    h->plugin->stop(h->inst);
    free(h);
}

const void *fake_host_facet(struct fake_host *h, const char *id)
{
    return h->plugin->facet(h->inst, id);
}

const struct bp_queue *fake_host_queue(struct fake_host *h)
{
    return h->queue;
}

void *fake_host_instance(struct fake_host *h)
{
    return h->inst;
}

long fake_host_blocks(void)
{
    return blocks;
}

void fake_host_free(void *memory)
{
    host_free(memory);
}

void fake_host_fail_alloc(long n)
{
    fail_in = n;
}

void fake_host_on_early(int32_t (*fn)(struct bp_op *op))
{
    on_early = fn;
}

void fake_host_verbose(int on)
{
    verbose = on;
}
