/* SPDX-License-Identifier: Apache-2.0 */
#include "host/watch.h"
#include "log/err.h"
#include "log/log.h"
#include "pluginfile/signature.h"
#include "vetting/definition.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_MS  30
#define RESCAN_MS  5000
#define TIMEOUT_MS 60000
#define MASK       (IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB)

struct watch {
    struct watch_spec spec;
    struct loop_timer *soon, *regular;
    struct loop_fd *reader;
    int fd;
    int *wd;
    int armed, scanning, again, closed;
};

/* One scan on its way through the actor. */
struct job {
    struct watch *watch;
    char **dirs;
    uint32_t n_dirs, n_plugin_dirs, room;
    unsigned char *dir_ok;
    struct scan scan;
};

static int is_plugin(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 3 && strcmp(name + n - 3, ".so") == 0;
}

/* Whose change may change what a plugin is: itself, or its signature. */
static int matters(const char *name)
{
    char plain[NAME_MAX + 1];
    size_t n = strlen(name), end = strlen(SIGNATURE_ENDING);
    if (n <= end || n > NAME_MAX || strcmp(name + n - end, SIGNATURE_ENDING) != 0)
        return is_plugin(name);
    snprintf(plain, sizeof(plain), "%.*s", (int)(n - end), name);
    return is_plugin(plain);
}

static void print_take(const char *path, const struct stat *st, struct fingerprint *out)
{
    char sig[PATH_MAX];
    struct stat other;
    memset(out, 0, sizeof(*out));
    if (snprintf(sig, sizeof(sig), "%s" SIGNATURE_ENDING, path) < (int)sizeof(sig) && lstat(sig, &other) == 0)
        out->signature_ns = other.st_ctim.tv_sec * 1000000000LL + other.st_ctim.tv_nsec;
    out->mtime_ns = st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec;
    out->ctime_ns = st->st_ctim.tv_sec * 1000000000LL + st->st_ctim.tv_nsec;
    out->bytes = st->st_size;
    out->device = st->st_dev;
    out->inode = st->st_ino;
}

void watch_print(const char *path, struct fingerprint *out)
{
    struct stat st;
    memset(out, 0, sizeof(*out));
    if (lstat(path, &st) == 0)
        print_take(path, &st, out);
}

static void found_add(struct job *j, int dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    if (snprintf(path, sizeof(path), "%s/%s", j->dirs[dir], name) >= (int)sizeof(path) || lstat(path, &st))
        return;
    if (S_ISDIR(st.st_mode))
        return;
    if (j->scan.n == j->room) {
        j->room = j->room ? j->room * 2 : 16;
        j->scan.files = realloc(j->scan.files, j->room * sizeof(*j->scan.files));
        assert(j->scan.files);
    }
    struct found *f = &j->scan.files[j->scan.n++];
    f->path = strdup(path);
    f->dir = dir;
    assert(f->path);
    print_take(path, &st, &f->print);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

/* On the actor's thread. */
static int scan_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct job *j = args;
    (void)table, (void)inst, (void)err;
    for (uint32_t i = 0; i < j->n_dirs; i++) {
        DIR *d = opendir(j->dirs[i]);
        if (!d)
            continue;
        j->dir_ok[i] = 1;
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
            if (i < j->n_plugin_dirs ? is_plugin(e->d_name) : definition_is_name(e->d_name))
                found_add(j, (int)i, e->d_name);
        }
        closedir(d);
    }
    if (j->scan.n > 1)
        qsort(j->scan.files, j->scan.n, sizeof(*j->scan.files), by_path);
    j->scan.dir_ok = j->dir_ok;
    return BP_OK;
}

static void scan_free(void *args)
{
    struct job *j = args;
    for (uint32_t i = 0; i < j->scan.n; i++)
        free(j->scan.files[i].path);
    for (uint32_t i = 0; i < j->n_dirs; i++)
        free(j->dirs[i]);
    free(j->dirs);
    free(j->dir_ok);
    free(j->scan.files);
    free(j);
}

static struct job *job_new(struct watch *w)
{
    struct job *j = calloc(1, sizeof(*j));
    assert(j);
    j->watch = w;
    j->n_dirs = w->spec.n_dirs;
    j->n_plugin_dirs = j->n_dirs - w->spec.n_definition_dirs;
    j->dirs = calloc(j->n_dirs + 1, sizeof(*j->dirs));
    j->dir_ok = calloc(j->n_dirs + 1, 1);
    assert(j->dirs && j->dir_ok);
    for (uint32_t i = 0; i < j->n_dirs; i++)
        j->dirs[i] = strdup(w->spec.dirs[i]);
    return j;
}

/* A directory that was replaced by another of the same name has lost its watch: ask again, which is free when it has
 * one. */
static void dirs_watch(struct watch *w)
{
    for (uint32_t i = 0; i < w->spec.n_dirs; i++) {
        int wd = inotify_add_watch(w->fd, w->spec.dirs[i], MASK | IN_ONLYDIR);
        int may_lack = i >= w->spec.n_dirs - w->spec.n_definition_dirs && errno == ENOENT;
        if (wd < 0 && w->wd[i] >= 0 && !may_lack)
            log_warn(LOG_HOST, "cannot watch %s: %s; its plugins stay as they are", w->spec.dirs[i], strerror(errno));
        w->wd[i] = wd;
    }
}

static void watch_release(struct watch *w)
{
    free(w->wd);
    free(w);
}

static void scan_begin(void *arg);

static void scan_done(void *args, const struct bp_err *err, void *arg)
{
    struct watch *w = arg;
    if (!w->closed && err->rc == BP_OK)
        w->spec.scanned(&((struct job *)args)->scan, w->spec.arg); /* may call watch_free() */
    if (w->closed) {
        watch_release(w);
        return;
    }
    w->scanning = 0;
    if (err->rc)
        log_warn(LOG_HOST, "looking for plugins failed: %s", err->text);
    if (w->again) {
        w->again = 0;
        scan_begin(w);
    }
}

static void scan_begin(void *arg)
{
    struct watch *w = arg;
    struct bp_err err = {0};
    w->armed = 0;
    if (w->scanning) {
        w->again = 1;
        return;
    }
    dirs_watch(w);
    struct request_spec spec = {.service = w->spec.service,
                                .name = "host.scan",
                                .run = scan_run,
                                .args = job_new(w),
                                .args_free = scan_free,
                                .reply = scan_done,
                                .arg = w,
                                .timeout_ms = TIMEOUT_MS};
    w->scanning = bus_request(w->spec.bus, &spec, &err) == 0;
    if (!w->scanning)
        log_warn(LOG_HOST, "looking for plugins failed: %s", err.text);
}

static void changed(int fd, short what, void *arg)
{
    _Alignas(struct inotify_event) char buf[8192];
    struct watch *w = arg;
    int ours = 0;
    (void)what;
    for (ssize_t n = read(fd, buf, sizeof(buf)); n > 0; n = read(fd, buf, sizeof(buf))) {
        const struct inotify_event *e;
        for (char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
            e = (const struct inotify_event *)(const void *)p;
            ours |= e->len == 0 || matters(e->name) || definition_is_name(e->name);
        }
    }
    if (!ours || w->armed)
        return;
    w->armed = 1;
    loop_timer_after(w->soon, SETTLE_MS);
}

struct watch *watch_new(const struct watch_spec *spec, struct bp_err *err)
{
    struct loop *l = bus_loop(spec->bus);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        err_set(err, BP_FAIL, "cannot watch plugin directories: %s", strerror(errno));
        return NULL;
    }
    struct watch *w = calloc(1, sizeof(*w));
    assert(w);
    w->spec = *spec;
    w->fd = fd;
    w->wd = calloc(spec->n_dirs + 1, sizeof(*w->wd));
    assert(w->wd);
    w->reader = loop_fd_new(l, "host.inotify", fd, EV_READ, changed, w);
    w->soon = loop_timer_new(l, "host.scan", scan_begin, w);
    w->regular = loop_timer_new(l, "host.rescan", scan_begin, w);
    loop_timer_every(w->regular, RESCAN_MS);
    scan_begin(w);
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    loop_fd_free(w->reader);
    loop_timer_free(w->soon);
    loop_timer_free(w->regular);
    close(w->fd);
    w->closed = 1;
    if (!w->scanning)
        watch_release(w);
}
