/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEEN_MAX 1024 /* different unlinked files; more are counted as often as they are open */

struct process {
    pid_t pid, parent;
    int marked;
};

int64_t tree_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A whole file of /proc as text; its length, -1: not there. */
static ssize_t read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n;
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_text(path, text, sizeof(text)) <= 0)
        return -1;
    const char *end = strrchr(text, ')'); /* of its name, which may hold anything */
    return end && strlen(end) > 4 ? (pid_t)atoi(end + 4) : -1;
}

/* All processes of the machine that are seen; free(). *n: how many. */
static struct process *list_all(size_t *n)
{
    struct process *all = NULL;
    size_t room = 0;
    DIR *d = opendir("/proc");
    *n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        pid_t pid = (pid_t)atoi(e->d_name);
        pid_t parent = pid > 0 ? parent_of(pid) : -1;
        if (parent < 0)
            continue;
        if (*n == room) {
            room = room ? 2 * room : 256;
            struct process *more = realloc(all, room * sizeof(*all));
            if (!more)
                break;
            all = more;
        }
        all[(*n)++] = (struct process){.pid = pid, .parent = parent};
    }
    if (d)
        closedir(d);
    return all;
}

static int is_marked(const struct process *all, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++) {
        if (all[i].pid == pid)
            return all[i].marked;
    }
    return 0;
}

/* Marks the descendants of root: as many passes as they are deep. */
static int64_t mark(struct process *all, size_t n, pid_t root)
{
    int64_t marked = 0, before;
    do {
        before = marked;
        for (size_t i = 0; i < n; i++) {
            if (!all[i].marked && (all[i].parent == root || is_marked(all, n, all[i].parent))) {
                all[i].marked = 1;
                marked++;
            }
        }
    } while (marked > before);
    return marked;
}

int64_t tree_count(pid_t root)
{
    size_t n;
    struct process *all = list_all(&n);
    int64_t count = mark(all, n, root);
    free(all);
    return count;
}

/* ---- measuring ---- */

static int64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? atoll(at + strlen(name)) : 0;
}

struct seen {
    dev_t dev;
    ino_t ino;
};

struct measuring {
    struct tree_usage *out;
    int64_t shared_bytes, memfd_bytes; /* the latter may be mapped, and is shared then */
    struct seen seen[SEEN_MAX];
    size_t n_seen;
};

static int is_new(struct measuring *m, const struct stat *st)
{
    for (size_t i = 0; i < m->n_seen; i++) {
        if (m->seen[i].dev == st->st_dev && m->seen[i].ino == st->st_ino)
            return 0;
    }
    if (m->n_seen < SEEN_MAX)
        m->seen[m->n_seen++] = (struct seen){st->st_dev, st->st_ino};
    return 1;
}

static void measure_files(struct measuring *m, pid_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (fstatat(dirfd(d), e->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 0)
            continue;
        if (!is_new(m, &st))
            continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, path, sizeof(path));
        int64_t *to = n > 7 && memcmp(path, "/memfd:", 7) == 0 ? &m->memfd_bytes : &m->out->unlinked_bytes;
        *to += (int64_t)st.st_blocks * 512;
    }
    if (d)
        closedir(d);
}

static void measure_one(struct measuring *m, pid_t pid)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (read_text(path, text, sizeof(text)) <= 0)
        return;
    int64_t shared = field(text, "\nRssShmem:") * 1024;
    m->out->processes++;
    m->out->threads += field(text, "\nThreads:");
    m->out->memory_bytes += (field(text, "\nRssAnon:") + field(text, "\nVmSwap:")) * 1024;
    if (shared > m->shared_bytes)
        m->shared_bytes = shared;
    measure_files(m, pid);
}

void tree_measure(pid_t root, struct tree_usage *out)
{
    static struct measuring m;
    size_t n;
    memset(out, 0, sizeof(*out));
    m = (struct measuring){.out = out};
    struct process *all = list_all(&n);
    mark(all, n, root);
    for (size_t i = 0; i < n; i++) {
        if (all[i].marked)
            measure_one(&m, all[i].pid);
    }
    free(all);
    out->memory_bytes += m.shared_bytes > m.memfd_bytes ? m.shared_bytes : m.memfd_bytes;
}

/* ---- ending ---- */

/* One that is born between the look and the kill is met by the next: they are fewer each time. */
static void kill_all(void)
{
    size_t n;
    struct process *all = list_all(&n);
    mark(all, n, getpid());
    for (size_t i = 0; i < n; i++) {
        if (all[i].marked)
            kill(all[i].pid, SIGKILL);
    }
    free(all);
}

static int reap_all(void)
{
    pid_t pid;
    do {
        pid = waitpid(-1, NULL, WNOHANG);
    } while (pid > 0 || (pid < 0 && errno == EINTR));
    return pid < 0 && errno == ECHILD;
}

int tree_end(int64_t limit_ms)
{
    int64_t until = tree_now_ms() + limit_ms;
    while (!reap_all()) {
        if (tree_now_ms() > until)
            return -1;
        kill_all();
        struct timespec rest = {.tv_nsec = 1000000};
        nanosleep(&rest, NULL);
    }
    return 0;
}

pid_t tree_leader(pid_t thread)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
    if (read_text(path, text, sizeof(text)) <= 0)
        return thread;
    pid_t leader = (pid_t)field(text, "\nTgid:");
    return leader > 0 ? leader : thread;
}
