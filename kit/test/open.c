/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping a plugin under test. */
#include "test.h"

#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

void test_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int32_t load(struct bp_test *t, const char *so, struct bp_err *err)
{
    void *lib = dlopen(so, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!lib)
        return bp_error(err, BP_INVALID, "cannot load it: %s", dlerror());
    const struct bp_plugin *p = dlsym(lib, BP_ENTRY_SYMBOL);
    if (!p)
        return bp_error(err, BP_INVALID, "%s exports no " BP_ENTRY_SYMBOL ": it is no plugin", so);
    if (BP_ABI_MAJOR(p->abi) != BP_ABI_MAJOR(BP_ABI_VERSION))
        return bp_error(err, BP_INVALID, "%s is of plugin ABI %u, this is %u: build it anew", so, BP_ABI_MAJOR(p->abi),
                        BP_ABI_MAJOR(BP_ABI_VERSION));
    if (!BP_HAS(p, name) || !BP_HAS(p, start) || !BP_HAS(p, stop) || !BP_HAS(p, facet))
        return bp_error(err, BP_INVALID, "the table " BP_ENTRY_SYMBOL " of %s lacks name, start, stop or facet", so);
    t->plugin = p;
    return BP_OK;
}

static int32_t make_dir(struct bp_test *t, struct bp_err *err)
{
    char here[DIR_BYTES - 32];
    if (!getcwd(here, sizeof here))
        return bp_error(err, BP_IO, "the current directory cannot be read: %s", strerror(errno));
    snprintf(t->dir, sizeof t->dir, "%s/bp-test.XXXXXX", here);
    if (!mkdtemp(t->dir)) {
        t->dir[0] = 0;
        return bp_error(err, BP_IO, "cannot make a state directory in %.150s: %s", here, strerror(errno));
    }
    return BP_OK;
}

static int32_t start(struct bp_test *t, const char *so, const char *settings, struct bp_err *err)
{
    int32_t rc = load(t, so, err);
    if (rc == BP_OK)
        rc = make_dir(t, err);
    if (rc != BP_OK)
        return rc;
    t->settings = strdup(settings ? settings : "{}");
    if (!t->settings)
        return bp_error(err, BP_NOMEM, "no memory to test a plugin");
    test_host_of(t);
    return t->plugin->start((struct bp_self *)(void *)t, &test_host, &t->inst, err);
}

static void end(struct bp_test *t)
{
    if (t->dir[0])
        test_remove(t->dir);
    pthread_mutex_destroy(&t->lock);
    free(t->settings);
    free(t->shown);
    free(t->checkpoint);
    free(t);
}

int32_t bp_test_open(const char *so, const char *settings, struct bp_test **out, struct bp_err *err)
{
    struct bp_err own = {0};
    err = err ? err : &own;
    *out = NULL;
    struct bp_test *t = calloc(1, sizeof *t);
    if (!t)
        return bp_error(err, BP_NOMEM, "no memory to test a plugin");
    pthread_mutex_init(&t->lock, NULL);
    int32_t rc = start(t, so, settings, err);
    if (rc != BP_OK) {
        end(t);
        return rc;
    }
    *out = t;
    return BP_OK;
}

int32_t bp_test_close(struct bp_test **out, struct bp_err *err)
{
    struct bp_test *t = *out;
    int32_t rc = BP_OK;
    if (!t)
        return BP_OK;
    *out = NULL;
    if (t->facet)
        t->facet->close(t->state);
    t->plugin->stop(t->inst);
    if (t->buffers || t->host_blocks || t->modules || t->queues || t->events_open || t->blocks)
        rc = bp_error(
            err, BP_FAIL,
            "%.60s has not given back: of the device %lld buffers, %lld page-locked blocks, %lld modules, %lld "
            "queues, %lld events; of the host %lld blocks",
            t->plugin->name, (long long)t->buffers, (long long)t->host_blocks, (long long)t->modules,
            (long long)t->queues, (long long)t->events_open, (long long)t->blocks);
    test_device_close(t);
    end(t);
    return rc;
}

const void *bp_test_facet(struct bp_test *t, const char *id)
{
    return t->plugin->facet(t->inst, id);
}

void *bp_test_inst(struct bp_test *t)
{
    return t->inst;
}

const char *bp_test_state_dir(const struct bp_test *t)
{
    return t->dir;
}
