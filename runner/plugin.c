/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/plugin.h"

#include "log/err.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);
static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    self->log(level, text);
}

static int64_t host_now_ms(struct bp_self *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *host_config(struct bp_self *self)
{
    return self->config ? self->config : "{}";
}

static const char *host_state_dir(struct bp_self *self)
{
    return self->state_dir;
}

/* A runner has no bus: what it has to say goes with the job's progress and result. */
static int32_t host_emit(struct bp_self *self, const char *event, const char *fields, struct bp_err *err)
{
    (void)fields;
    return err_set(err, BP_UNSUPPORTED, "%s cannot publish %s: there are no events in a runner", self->name, event);
}

static void *host_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

static const struct bp_host host = {
    .size = sizeof(host),
    .abi = BP_ABI_VERSION,
    .log = host_log,
    .now_ms = host_now_ms,
    .config = host_config,
    .state_dir = host_state_dir,
    .emit = host_emit,
    .alloc = host_alloc,
    .free = free,
};

static int check_table(const struct bp_plugin *t, const char *name, struct bp_err *err)
{
    if (BP_ABI_MAJOR(t->abi) != BP_ABI_MAJOR(BP_ABI_VERSION))
        return err_set(err, BP_INVALID, "built for plugin ABI %u.%u, this runner speaks %u.%u: rebuild the plugin",
                       BP_ABI_MAJOR(t->abi), BP_ABI_MINOR(t->abi), BP_ABI_MAJOR(BP_ABI_VERSION),
                       BP_ABI_MINOR(BP_ABI_VERSION));
    // cppcheck-suppress arithOperationsOnVoidPointer ; no arithmetic: the size of a member
    if (!BP_HAS(t, name) || !BP_HAS(t, start) || !BP_HAS(t, stop) || !BP_HAS(t, facet))
        return err_set(err, BP_INVALID, "its table " BP_ENTRY_SYMBOL " lacks name, start, stop or facet");
    if (strcmp(t->name, name) != 0)
        return err_set(err, BP_INVALID, "its code calls itself %.64s, its manifest %.64s", t->name, name);
    return BP_OK;
}

int plugin_load(struct plugin *p, const char *file, const char *name, struct bp_err *err)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return err_set(err, BP_INVALID, "load: %s", dlerror());
    const struct bp_plugin *t = dlsym(handle, BP_ENTRY_SYMBOL);
    if (!t)
        return err_set(err, BP_INVALID, "%s exports no symbol " BP_ENTRY_SYMBOL ": it is no plugin", file);
    if (check_table(t, name, err) < 0)
        return BP_INVALID;
    p->table = t;
    snprintf(p->self.name, sizeof(p->self.name), "%s", name);
    return BP_OK;
}

static int find_job(struct plugin *p, struct bp_err *err)
{
    const struct bp_job_facet *f = p->table->facet(p->inst, BP_JOB_FACET);
    if (!f)
        return err_set(err, BP_INVALID, "%s offers no facet " BP_JOB_FACET ": it cannot run jobs", p->self.name);
    // cppcheck-suppress arithOperationsOnVoidPointer ; no arithmetic: the size of a member
    if (!BP_HAS(f, open) || !BP_HAS(f, run) || !BP_HAS(f, close))
        return err_set(err, BP_INVALID, "the facet " BP_JOB_FACET " of %s lacks open, run or close", p->self.name);
    p->job = f;
    return BP_OK;
}

int plugin_begin(struct plugin *p, struct bp_err *err)
{
    int rc = p->table->start(&p->self, &host, &p->inst, err);
    if (rc < 0 && err->text[0] == '\0')
        err_set(err, rc, "start failed without a reason");
    p->started = rc >= 0;
    return rc;
}

int plugin_start(struct plugin *p, struct bp_err *err)
{
    int rc = plugin_begin(p, err);
    if (rc < 0)
        return rc;
    rc = find_job(p, err);
    if (rc < 0)
        plugin_stop(p);
    return rc;
}

void plugin_stop(struct plugin *p)
{
    if (p->started)
        p->table->stop(p->inst);
    p->started = 0;
    p->inst = NULL;
    p->job = NULL;
}
