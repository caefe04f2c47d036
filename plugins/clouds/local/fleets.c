/* SPDX-License-Identifier: Apache-2.0 */
#include "fleets.h"

#include "err.h"
#include "owner.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_MAX_MS   1000 /* the host's clock may jump, another generation may take over */
#define CLEAN_EVERY_MS 60000
#define STOP_POLL_MS   20
#define KILL_WAIT_MS   3000

struct fleets {
    struct local *local;
    pthread_mutex_t lock;
    pthread_t thread;
    struct owner owner;
    struct fleet *list;
    int64_t clean_ms; /* when instance_files_clean() is due */
    int wake;         /* eventfd */
    int quit;         /* under the lock */
    int lost;         /* under the lock; 1: another generation has the fleets */
};

/* ---- the lock ---- */

static int enter_locked(struct fleets *fs, struct bp_err *err)
{
    int rc = owner_enter(&fs->owner, err);
    if (rc == BP_LATER)
        fs->lost = 1;
    return rc;
}

int fleets_enter(struct fleets *fs, struct bp_err *err)
{
    if (!fs)
        return err_set(err, BP_UNSUPPORTED, "a worker has no fleets; ask the controller");
    pthread_mutex_lock(&fs->lock);
    int rc = enter_locked(fs, err);
    if (rc < 0)
        pthread_mutex_unlock(&fs->lock);
    return rc;
}

/* A full disk must not keep a fleet from changing: it is written again at the next step. */
static void save_all(struct fleets *fs)
{
    struct bp_err err;
    for (struct fleet *f = fs->list; f; f = f->next)
        if (fleet_save(f, fs->local, &err) < 0)
            LOCAL_LOG(fs->local, BP_LOG_WARN, "fleet %s: %s; after a crash its instances would be forgotten", f->slug,
                      err.text);
}

void fleets_leave(struct fleets *fs, int wake)
{
    save_all(fs);
    owner_leave(&fs->owner);
    pthread_mutex_unlock(&fs->lock);
    if (wake)
        eventfd_write(fs->wake, 1);
}

struct fleet *fleets_find(struct fleets *fs, const char *slug)
{
    for (struct fleet *f = fs->list; f; f = f->next)
        if (strcmp(f->slug, slug) == 0)
            return f;
    return NULL;
}

void fleets_add(struct fleets *fs, struct fleet *f)
{
    f->next = fs->list;
    fs->list = f;
}

/* ---- the thread ---- */

/* Everything that is due; returns how long to sleep at the most. */
static int step(struct fleets *fs)
{
    int64_t now = LOCAL_NOW(fs->local), due = INT64_MAX;
    int32_t all = 0;
    for (struct fleet *f = fs->list; f; f = f->next)
        all += fleet_live(f);
    for (struct fleet *f = fs->list; f; f = f->next) {
        int64_t at = fleet_step(f, fs->local, now, &all);
        due = at < due ? at : due;
    }
    if (now >= fs->clean_ms) {
        fs->clean_ms = now + CLEAN_EVERY_MS;
        instance_files_clean(fs->local, fs->list);
    }
    save_all(fs);
    if (due <= now)
        return 0;
    return due - now < SLEEP_MAX_MS ? (int)(due - now) : SLEEP_MAX_MS;
}

/* Descriptors to wait for: the wake-up and each process. Only this thread closes them. free() it. */
static struct pollfd *wait_list(const struct fleets *fs, nfds_t *n)
{
    size_t room = 1;
    for (const struct fleet *f = fs->list; f; f = f->next)
        for (const struct instance *i = f->instances; i; i = i->next)
            room++;
    struct pollfd *fds = calloc(room, sizeof *fds);
    *n = 0;
    if (!fds)
        return NULL;
    fds[(*n)++] = (struct pollfd){.fd = fs->wake, .events = POLLIN};
    for (const struct fleet *f = fs->list; f; f = f->next)
        for (const struct instance *i = f->instances; i; i = i->next)
            if (i->process.fd >= 0)
                fds[(*n)++] = (struct pollfd){.fd = i->process.fd, .events = POLLIN};
    return fds;
}

static void *run(void *arg)
{
    struct fleets *fs = arg;
    struct bp_err err;
    eventfd_t count;
    for (;;) {
        nfds_t n = 0;
        int sleep_ms = SLEEP_MAX_MS;
        pthread_mutex_lock(&fs->lock);
        if (fs->quit || fs->lost)
            break;
        if (enter_locked(fs, &err) == 0) {
            sleep_ms = step(fs);
            owner_leave(&fs->owner);
        } else if (!fs->lost) {
            LOCAL_LOG(fs->local, BP_LOG_ERROR, "%s", err.text);
        }
        struct pollfd *fds = wait_list(fs, &n);
        pthread_mutex_unlock(&fs->lock);
        poll(fds, n, sleep_ms);
        free(fds);
        eventfd_read(fs->wake, &count);
    }
    pthread_mutex_unlock(&fs->lock);
    return NULL;
}

/* Signals are the daemon's business: none is delivered to this thread. */
static int start_thread(struct fleets *fs)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&fs->thread, NULL, run, fs);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number;
}

static void stop_thread(struct fleets *fs)
{
    pthread_mutex_lock(&fs->lock);
    fs->quit = 1;
    pthread_mutex_unlock(&fs->lock);
    eventfd_write(fs->wake, 1);
    pthread_join(fs->thread, NULL);
}

/* ---- coming up ---- */

static void load_all(struct fleets *fs)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    path_format(folder, "%s/fleets", fs->local->dir);
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        struct bp_err err;
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        path_format(path, "%s/%s", folder, e->d_name);
        struct fleet *f = fleet_load(fs->local, path, &err);
        if (f)
            fleets_add(fs, f);
        else
            LOCAL_LOG(fs->local, BP_LOG_ERROR, "a fleet is left out: %s", err.text);
    }
    closedir(d);
}

static int open_all(struct fleets *fs, struct bp_err *err)
{
    char path[PATH_SIZE];
    path_format(path, "%s/instances", fs->local->dir);
    int rc = file_make_dirs(path, err);
    if (rc < 0)
        return rc;
    path_format(path, "%s/fleets", fs->local->dir);
    if ((rc = file_make_dirs(path, err)) < 0 || (rc = owner_open(&fs->owner, path, err)) < 0)
        return rc;
    fs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fs->wake < 0)
        return err_errno(err, "make", "an eventfd", errno);
    /* Last, since it takes the fleets from the generation before. */
    if ((rc = owner_take(&fs->owner, err)) < 0)
        return rc;
    load_all(fs);
    owner_leave(&fs->owner);
    int number = start_thread(fs);
    return number ? err_errno(err, "start", "the thread of the fleets", number) : 0;
}

static void release(struct fleets *fs)
{
    while (fs->list) {
        struct fleet *f = fs->list;
        fs->list = f->next;
        fleet_free(f);
    }
    owner_close(&fs->owner);
    if (fs->wake >= 0)
        close(fs->wake);
    pthread_mutex_destroy(&fs->lock);
    free(fs);
}

struct fleets *fleets_open(struct local *l, struct bp_err *err)
{
    struct fleets *fs = calloc(1, sizeof *fs);
    if (!fs) {
        err_set(err, BP_NOMEM, "no memory for fleets");
        return NULL;
    }
    fs->local = l;
    fs->wake = fs->owner.lock = fs->owner.file = -1;
    pthread_mutex_init(&fs->lock, NULL);
    if (open_all(fs, err) == 0)
        return fs;
    release(fs);
    return NULL;
}

/* ---- going down ---- */

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Asks every instance to end, and each to be gone within stopGraceSeconds; returns how many ran. */
static int32_t begin_end(struct fleets *fs, int64_t now)
{
    int32_t n = 0;
    int64_t last = now + (int64_t)(fs->local->settings.stop_grace_s * 1000);
    for (struct fleet *f = fs->list; f; f = f->next) {
        f->desired = 0;
        f->dirty = 1;
        for (struct instance *i = f->instances; i; i = i->next) {
            int runs = i->pub.state == BP_INSTANCE_RUNNING;
            if (runs || i->pub.state == BP_INSTANCE_PENDING)
                instance_terminate(f, i, fs->local, now);
            if (i->kill_at_ms > last)
                i->kill_at_ms = last;
            n += runs;
        }
    }
    return n;
}

/* Steps every instance, kill = 1: after SIGKILL; returns how many still have a process. */
static int32_t step_end(struct fleets *fs, int kill)
{
    int32_t left = 0;
    int64_t now = LOCAL_NOW(fs->local);
    for (struct fleet *f = fs->list; f; f = f->next)
        for (struct instance *i = f->instances; i; i = i->next) {
            if (kill && i->process.fd >= 0)
                process_kill(&i->process);
            instance_step(f, i, fs->local, now);
            left += i->pub.state == BP_INSTANCE_TERMINATING;
        }
    return left;
}

static void wait_end(struct fleets *fs, int64_t limit_ms, int kill)
{
    int64_t until = mono_ms() + limit_ms;
    while (step_end(fs, kill) > 0 && mono_ms() < until) {
        nfds_t n;
        struct pollfd *fds = wait_list(fs, &n);
        poll(fds, n, STOP_POLL_MS);
        free(fds);
    }
}

static void end_instances(struct fleets *fs)
{
    int32_t n = begin_end(fs, LOCAL_NOW(fs->local));
    if (n)
        LOCAL_LOG(fs->local, BP_LOG_INFO, "ending %d instances", n);
    wait_end(fs, (int64_t)(fs->local->settings.stop_grace_s * 1000), 0);
    wait_end(fs, KILL_WAIT_MS, 1);
}

/* Instances that have not come to their end. */
static int32_t count_ending(struct fleets *fs)
{
    int32_t n = 0;
    for (struct fleet *f = fs->list; f; f = f->next)
        for (const struct instance *i = f->instances; i; i = i->next)
            n += i->pub.state == BP_INSTANCE_TERMINATING;
    return n;
}

/* Under the lock: asks them to end the first time, counts those that have not in the end. */
static int32_t look_at_end(struct fleets *fs, int first)
{
    int32_t n = first ? begin_end(fs, LOCAL_NOW(fs->local)) : 0;
    if (n)
        LOCAL_LOG(fs->local, BP_LOG_INFO, "ending %d instances", n);
    return count_ending(fs);
}

int fleets_end(struct fleets *fs, struct bp_err *err)
{
    const struct timespec pause = {0, STOP_POLL_MS * 1000000L};
    int64_t until = mono_ms() + (int64_t)(fs->local->settings.stop_grace_s * 1000) + KILL_WAIT_MS;
    if (!fs->local->settings.stop_on_exit)
        return 0;
    for (int first = 1; mono_ms() < until; first = 0) {
        int rc = fleets_enter(fs, err);
        if (rc < 0)
            return rc;
        int32_t left = look_at_end(fs, first);
        fleets_leave(fs, 1);
        if (!left)
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(err, BP_TIMEOUT, "not every instance ended in %g s", fs->local->settings.stop_grace_s);
}

void fleets_close(struct fleets *fs)
{
    if (!fs)
        return;
    stop_thread(fs);
    if (fleets_enter(fs, NULL) == 0) {
        if (fs->local->settings.stop_on_exit)
            end_instances(fs);
        fleets_leave(fs, 0);
    }
    release(fs);
}
