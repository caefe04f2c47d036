/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/guard.h"

#include "runner/tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT_AGAIN_MS 10

static void answer(int listener, uint64_t id, int error, uint32_t flags)
{
    struct seccomp_notif_resp a = {.id = id, .error = -error, .flags = flags};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &a); /* the caller may be gone by now */
}

/* ---- births ---- */

static int may_be_born(struct guard *g)
{
    if (g->rules->processes <= 0 || g->estimate + 1 <= g->rules->processes)
        return 1;
    if (g->full && tree_now_ms() - g->counted_ms < COUNT_AGAIN_MS)
        return 0; /* a bomb does not get a count for each of its tries */
    g->estimate = tree_count(g->root);
    g->counted_ms = tree_now_ms();
    g->full = g->estimate + 1 > g->rules->processes;
    return !g->full;
}

static void on_birth(struct guard *g, const struct seccomp_notif *call)
{
    if (may_be_born(g)) {
        g->estimate++;
        answer(g->listener, call->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    } else {
        g->told->births++;
        answer(g->listener, call->id, EAGAIN, 0);
    }
}

/* ---- sockets ---- */

/* A copy of the caller's file, or -errno. The caller is a thread; files are those of its process. */
static int copy_file(int listener, const struct seccomp_notif *call, int fd)
{
    int process = (int)syscall(SYS_pidfd_open, tree_leader((pid_t)call->pid), 0);
    if (process < 0)
        return -errno;
    int copy = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) == 0
                   ? (int)syscall(SYS_pidfd_getfd, process, fd, 0)
                   : -1;
    int why = errno;
    close(process);
    return copy < 0 ? -why : copy;
}

static int domain_of(int fd)
{
    int domain = 0;
    socklen_t n = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 ? domain : -1;
}

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage room;
    } as;
    socklen_t n;
};

static int read_address(const struct seccomp_notif *call, struct address *a)
{
    uint64_t n = call->data.args[2];
    memset(a, 0, sizeof(*a));
    if (n < sizeof(a->as.any.sa_family) || n >= sizeof(a->as))
        return -EINVAL;
    struct iovec to = {.iov_base = &a->as, .iov_len = n};
    struct iovec from = {.iov_base = (void *)(uintptr_t)call->data.args[1], .iov_len = n};
    if (process_vm_readv((pid_t)call->pid, &to, 1, &from, 1, 0) != (ssize_t)n)
        return -EFAULT;
    a->n = (socklen_t)n;
    return 0;
}

static int is_loopback(const struct address *a)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    const unsigned char *six = a->as.in6.sin6_addr.s6_addr;
    if (a->as.any.sa_family == AF_INET)
        return a->n >= sizeof(a->as.in) && (ntohl(a->as.in.sin_addr.s_addr) >> 24) == 127;
    if (a->as.any.sa_family != AF_INET6 || a->n < sizeof(a->as.in6))
        return 0;
    return IN6_IS_ADDR_LOOPBACK(&a->as.in6.sin6_addr) || (memcmp(six, mapped, sizeof(mapped)) == 0 && six[12] == 127);
}

static void note_refused(struct guard *g, const struct address *a)
{
    char host[INET6_ADDRSTRLEN] = "another machine";
    int port = 0;
    if (a->as.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->as.in.sin_addr, host, sizeof(host));
        port = ntohs(a->as.in.sin_port);
    } else if (a->as.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->as.in6.sin6_addr, host, sizeof(host));
        port = ntohs(a->as.in6.sin6_port);
    }
    if (a->as.any.sa_family == AF_UNIX)
        snprintf(g->told->connect_to, sizeof(g->told->connect_to), "the local socket %.90s", a->as.un.sun_path);
    else
        snprintf(g->told->connect_to, sizeof(g->told->connect_to), "%s port %d", host, port);
}

/* The socket file that the caller names, as a file of ours that stays that socket; or -errno. */
static int open_socket_file(pid_t caller, const char *path)
{
    char cwd[64];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    snprintf(cwd, sizeof(cwd), "/proc/%d/cwd", (int)caller);
    int at = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -errno;
    int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));
    int why = errno;
    close(at);
    return fd < 0 ? -why : fd;
}

static int lies_in_own_dirs(const struct sandbox_rules *rules, int fd)
{
    char link[64], path[4096], dir[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return 0;
    path[n] = '\0';
    for (const char *const *w = rules->write; w && *w; w++) {
        size_t len = realpath(*w, dir) ? strlen(dir) : 0;
        if (len > 0 && strncmp(path, dir, len) == 0 && path[len] == '/')
            return 1;
    }
    return 0;
}

/* Connects the socket to a local one of the job itself; the errno. */
static int connect_local(struct guard *g, const struct seccomp_notif *call, int fd, struct address *a)
{
    char path[sizeof(a->as.un.sun_path) + 1] = "";
    if (a->n > sizeof(a->as.un))
        return EINVAL;
    memcpy(path, a->as.un.sun_path, a->n - offsetof(struct sockaddr_un, sun_path));
    int file = a->as.any.sa_family == AF_UNIX && path[0] ? open_socket_file((pid_t)call->pid, path) : -EACCES;
    if (file < 0 || !lies_in_own_dirs(g->rules, file)) {
        if (file >= 0)
            close(file);
        note_refused(g, a);
        return file < 0 ? -file : EACCES;
    }
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", file);
    int why = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
    close(file);
    return why;
}

/* A connect that may take its time, on its own thread. */
struct connecting {
    int listener, fd;
    uint64_t id;
    struct address to;
};

static void *connect_run(void *arg)
{
    struct connecting *c = arg;
    answer(c->listener, c->id, connect(c->fd, &c->to.as.any, c->to.n) == 0 ? 0 : errno, 0);
    close(c->fd);
    free(c);
    return NULL;
}

static int connect_begin(struct guard *g, const struct seccomp_notif *call, int fd, const struct address *to)
{
    pthread_t thread;
    struct connecting *c = malloc(sizeof(*c));
    if (!c)
        return ENOMEM;
    *c = (struct connecting){.listener = g->listener, .fd = fd, .id = call->id, .to = *to};
    int why = pthread_create(&thread, NULL, connect_run, c);
    if (why)
        free(c);
    else
        pthread_detach(thread);
    return why;
}

/* The errno, or -1: it is answered later, with fd. */
static int connect_errno(struct guard *g, const struct seccomp_notif *call, int fd)
{
    struct address a;
    int domain = domain_of(fd), bad = read_address(call, &a);
    if (bad)
        return -bad;
    if (domain == AF_UNIX)
        return g->rules->exec ? connect_local(g, call, fd, &a) : EACCES;
    if (domain != AF_INET && domain != AF_INET6)
        return EACCES;
    if (a.as.any.sa_family != AF_UNSPEC && !(g->rules->loopback && is_loopback(&a))) {
        note_refused(g, &a);
        return EACCES;
    }
    int why = connect_begin(g, call, fd, &a);
    return why ? why : -1;
}

static void on_connect(struct guard *g, const struct seccomp_notif *call)
{
    int fd = copy_file(g->listener, call, (int)call->data.args[0]);
    int why = fd < 0 ? -fd : connect_errno(g, call, fd);
    if (why < 0)
        return;
    answer(g->listener, call->id, why, 0);
    if (fd >= 0)
        close(fd);
}

/* Only local sockets take connections: nobody comes in from another machine. */
static void on_listen(struct guard *g, const struct seccomp_notif *call)
{
    int fd = copy_file(g->listener, call, (int)call->data.args[0]);
    int why = fd < 0 ? -fd : EACCES;
    if (fd >= 0 && domain_of(fd) == AF_UNIX)
        why = listen(fd, (int)call->data.args[1]) == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    answer(g->listener, call->id, why, 0);
}

/* ---- all ---- */

int guard_serve(struct guard *g)
{
    union {
        struct seccomp_notif call;
        char room[512]; /* a later kernel may tell more */
    } in;
    memset(&in, 0, sizeof(in));
    if (ioctl(g->listener, SECCOMP_IOCTL_NOTIF_RECV, &in.call) < 0)
        return errno == EINTR || errno == ENOENT ? 0 : -1;
    if (in.call.data.nr == SYS_connect)
        on_connect(g, &in.call);
    else if (in.call.data.nr == SYS_listen)
        on_listen(g, &in.call);
    else
        on_birth(g, &in.call);
    return 0;
}
