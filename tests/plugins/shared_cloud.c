/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_cloud.c - a fleet provider that several controllers share, as they would share a real cloud: its fleets are
 * files in one directory, and every change is a line of `calls` there: time, process, call, arguments.
 *
 * Its instances run nothing; the test plays their workers. A call waits as long as there is a file `closed`.
 */
#include <bp/fleet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define MOST 64

struct plugin {
    struct bp_self *self;
    const struct bp_host *host;
    char dir[512];
    int grown; /* calls of grow() */
};

struct fleet {
    int32_t exists, desired, max_size, launched;
    uint32_t n;
    struct bp_instance instances[MOST];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int take(const struct plugin *p)
{
    char path[600];
    snprintf(path, sizeof path, "%s/lock", p->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        flock(fd, LOCK_EX);
    return fd;
}

static void give(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void wait_while_closed(const struct plugin *p)
{
    char path[600];
    snprintf(path, sizeof path, "%s/closed", p->dir);
    while (access(path, F_OK) == 0)
        usleep(1000);
}

static void note(const struct plugin *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct plugin *p, const char *fmt, ...)
{
    char path[600], text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(path, sizeof path, "%s/calls", p->dir);
    FILE *f = fopen(path, "ae");
    if (!f)
        return;
    fprintf(f, "%lld %d %s\n", (long long)now_ms(), (int)getpid(), text);
    fclose(f);
}

/* ---- fleets as files, read and written under the lock ---- */

static void fleet_path(const struct plugin *p, const char *slug, char *out, size_t n)
{
    snprintf(out, n, "%s/%s.fleet", p->dir, slug);
}

static void fleet_read(const struct plugin *p, const char *slug, struct fleet *f)
{
    char path[800];
    memset(f, 0, sizeof *f);
    fleet_path(p, slug, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, f, sizeof *f) != (ssize_t)sizeof *f)
        memset(f, 0, sizeof *f);
    close(fd);
}

static int fleet_write(const struct plugin *p, const char *slug, const struct fleet *f, struct bp_err *err)
{
    char path[800];
    fleet_path(p, slug, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, f, sizeof *f) != (ssize_t)sizeof *f) {
        err->rc = BP_IO;
        snprintf(err->text, sizeof err->text, "write %.100s: %s", slug, strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    return err->rc;
}

static struct bp_instance *find(struct fleet *f, const char *id)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (strcmp(f->instances[i].id, id) == 0)
            return &f->instances[i];
    return NULL;
}

/* ---- the facet ---- */

static int32_t ensure(void *inst, const struct bp_fleet_spec *spec, int32_t dry_run, char **diff, struct bp_err *err)
{
    struct plugin *p = inst;
    struct fleet f;
    wait_while_closed(p);
    int lock = take(p);
    fleet_read(p, spec->slug, &f);
    *diff = p->host->alloc(64);
    snprintf(*diff, 64, f.exists ? "[]" : "[\"made\"]");
    if (!dry_run) {
        note(p, "ensure %s %d", spec->slug, spec->max_size);
        f.exists = 1;
        f.max_size = spec->max_size;
        (void)fleet_write(p, spec->slug, &f, err);
    }
    give(lock);
    return err->rc;
}

static int32_t describe(void *inst, const char *const *slugs, uint32_t n, struct bp_fleet_state *out,
                        struct bp_err *err)
{
    struct plugin *p = inst;
    (void)err;
    int lock = take(p);
    for (uint32_t i = 0; i < n; i++) {
        struct fleet f;
        fleet_read(p, slugs[i], &f);
        out[i].exists = f.exists;
        out[i].desired = f.desired;
        out[i].max_size = f.max_size;
        out[i].n_instances = f.n;
        out[i].memory = p->host->alloc(sizeof f.instances);
        out[i].instances = out[i].memory;
        memcpy(out[i].memory, f.instances, sizeof f.instances);
    }
    give(lock);
    return BP_OK;
}

static int32_t grow(void *inst, const char *slug, int32_t to, struct bp_err *err)
{
    struct plugin *p = inst;
    struct fleet f;
    wait_while_closed(p);
    int lock = take(p);
    note(p, "grow %s %d", slug, to);
    p->grown++;
    fleet_read(p, slug, &f);
    f.desired = to > f.desired ? to < f.max_size ? to : f.max_size : f.desired;
    while ((int32_t)f.n < f.desired && f.n < MOST) {
        struct bp_instance *i = &f.instances[f.n++];
        memset(i, 0, sizeof *i);
        snprintf(i->id, sizeof i->id, "i-%d", ++f.launched);
        i->state = BP_INSTANCE_RUNNING;
        i->launched_ms = i->running_ms = now_ms();
    }
    (void)fleet_write(p, slug, &f, err);
    give(lock);
    return err->rc;
}

static int32_t terminate(void *inst, const char *slug, const char *instance, struct bp_err *err)
{
    struct plugin *p = inst;
    struct fleet f;
    wait_while_closed(p);
    int lock = take(p);
    note(p, "terminate %s %s", slug, instance);
    fleet_read(p, slug, &f);
    struct bp_instance *i = find(&f, instance);
    if (i) {
        *i = f.instances[--f.n];
        f.desired--;
        (void)fleet_write(p, slug, &f, err);
    } else {
        err->rc = BP_NOTFOUND;
    }
    give(lock);
    return err->rc;
}

static int32_t protect(void *inst, const char *slug, const char *instance, int32_t on, struct bp_err *err)
{
    struct plugin *p = inst;
    struct fleet f;
    wait_while_closed(p);
    int lock = take(p);
    note(p, "protect %s %s %d", slug, instance, on);
    fleet_read(p, slug, &f);
    struct bp_instance *i = find(&f, instance);
    if (i) {
        i->is_protected = on;
        (void)fleet_write(p, slug, &f, err);
    }
    give(lock);
    return err->rc;
}

static int32_t activities(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                          struct bp_err *err)
{
    (void)inst;
    (void)slug;
    (void)since_ms;
    (void)out;
    (void)err;
    *n = 0;
    return BP_OK;
}

/* What this process has grown and what it was told of others: enough to see what goes from one to the next. */
static int32_t learned(void *inst, char **out, struct bp_err *err)
{
    struct plugin *p = inst;
    (void)err;
    if (!p->grown)
        return BP_OK;
    *out = p->host->alloc(64);
    snprintf(*out, 64, "{\"grown\":%d}", p->grown);
    return BP_OK;
}

static int32_t recall(void *inst, const char *text, struct bp_err *err)
{
    struct plugin *p = inst;
    int grown = 0;
    (void)err;
    note(p, "recall %s", text);
    if (sscanf(text, "{\"grown\":%d}", &grown) == 1 && grown > p->grown)
        p->grown = grown;
    return BP_OK;
}

static const struct bp_fleet table = {.size = sizeof table,
                                      .ensure = ensure,
                                      .describe = describe,
                                      .grow = grow,
                                      .terminate = terminate,
                                      .protect = protect,
                                      .activities = activities,
                                      .learned = learned,
                                      .recall = recall};

/* ---- the plugin ---- */

/* The one setting, {"path":"..."}: a path without quotes or backslashes. */
static int32_t start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *err)
{
    struct plugin *p = calloc(1, sizeof *p);
    const char *at = strstr(host->config(self), "\"path\":");
    p->self = self;
    p->host = host;
    if (!at || sscanf(at, "\"path\": \"%511[^\"]\"", p->dir) != 1) {
        free(p);
        err->rc = BP_INVALID;
        snprintf(err->text, sizeof err->text, "shared-cloud needs its setting path: a directory all controllers share");
        return err->rc;
    }
    *inst = p;
    return BP_OK;
}

static void stop(void *inst)
{
    free(inst);
}

static const void *facet(void *inst, const char *id)
{
    (void)inst;
    return strcmp(id, BP_FLEET_FACET) == 0 ? &table : NULL;
}

BP_EXPORT extern const struct bp_plugin bp_plugin_v1;
const struct bp_plugin bp_plugin_v1 = {.size = sizeof bp_plugin_v1,
                                       .abi = BP_ABI_VERSION,
                                       .name = "shared-cloud",
                                       .start = start,
                                       .stop = stop,
                                       .facet = facet};
