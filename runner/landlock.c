/* SPDX-License-Identifier: Apache-2.0 */
/* landlock.c - which files a runner may touch, by the kernel's Landlock. The numbers are the kernel's; headers of the
 * distributions we build on do not have the later ones. */
#include "runner/sandbox.h"

#include "log/err.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FS_EXECUTE    (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE  (1ULL << 2)
#define FS_READ_DIR   (1ULL << 3)
#define FS_VERSION_1  ((1ULL << 13) - 1)
#define FS_REFER      (1ULL << 13) /* since version 2 */
#define FS_TRUNCATE   (1ULL << 14) /* since version 3 */
#define FS_OF_FILES   (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

#define NET_BIND_TCP    (1ULL << 0) /* since version 4 */
#define NET_CONNECT_TCP (1ULL << 1)

#define SCOPE_ABSTRACT_SOCKETS (1ULL << 0) /* since version 6 */
#define SCOPE_SIGNALS          (1ULL << 1)

#define VERSION_QUESTION     1U
#define RESTRICT_ALL_THREADS (1U << 3) /* since version 8 */
#define RULE_PATH            1

struct ruleset_attr {
    uint64_t fs, net, scoped;
};

struct path_attr {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/* What every program needs to start and to find its libraries, fonts and time zone, and what a GPU's driver reads. */
static const char *const readable[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/run/opengl-driver",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/openssl.cnf",
    "/etc/fonts",
    "/etc/OpenCL",
    "/etc/vulkan",
    "/etc/nvidia",
    "/etc/python3*",
    "/proc",
    "/sys/bus",
    "/sys/class",
    "/sys/dev",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/sys/module",
};

static const char *const devices[] = {
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/nvidia*", "/dev/dri", "/dev/dxg",
};

struct ruleset {
    int fd, version, exec;
    uint64_t handled;
};

/* What is not there needs no rule. */
static int allow(const struct ruleset *r, const char *path, uint64_t rights, struct bp_err *err)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ENXIO
                   ? BP_OK
                   : err_set(err, BP_FAIL, "sandbox: open %s: %s", path, strerror(errno));
    struct path_attr rule = {.allowed = rights & r->handled, .parent = fd};
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed &= FS_OF_FILES;
    long rc = syscall(SYS_landlock_add_rule, r->fd, RULE_PATH, &rule, 0);
    int why = errno;
    close(fd);
    return rc == 0 ? BP_OK : err_set(err, BP_FAIL, "sandbox: allow %s: %s", path, strerror(why));
}

static int allow_pattern(const struct ruleset *r, const char *pattern, uint64_t rights, struct bp_err *err)
{
    glob_t found = {0};
    int rc = BP_OK;
    if (!strchr(pattern, '*'))
        return allow(r, pattern, rights, err);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
        for (size_t i = 0; rc == BP_OK && i < found.gl_pathc; i++)
            rc = allow(r, found.gl_pathv[i], rights, err);
    }
    globfree(&found);
    return rc;
}

static int allow_all(const struct ruleset *r, const char *const *paths, size_t n, uint64_t rights, struct bp_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (allow_pattern(r, paths[i], rights, err) < 0)
            return err->rc;
    }
    return BP_OK;
}

/* Where the loader was told to look for libraries, by whoever started the worker. */
static int allow_libraries(const struct ruleset *r, uint64_t rights, struct bp_err *err)
{
    const char *given = getenv("LD_LIBRARY_PATH");
    char *list = strdup(given ? given : ""), *save = NULL;
    int rc = list ? BP_OK : err_set(err, BP_NOMEM, "no memory for the sandbox");
    for (char *dir = rc == BP_OK ? strtok_r(list, ":", &save) : NULL; dir && rc == BP_OK;
         dir = strtok_r(NULL, ":", &save)) {
        if (*dir == '/')
            rc = allow(r, dir, rights, err);
    }
    free(list);
    return rc;
}

static int fill(const struct ruleset *r, const struct sandbox_rules *rules, struct bp_err *err)
{
    uint64_t reads = FS_READ_FILE | FS_READ_DIR | (rules->exec ? FS_EXECUTE : 0);
    int rc = allow_all(r, readable, sizeof(readable) / sizeof(readable[0]), reads, err);
    rc = rc ? rc : allow_all(r, devices, sizeof(devices) / sizeof(devices[0]), reads | FS_WRITE_FILE, err);
    rc = rc ? rc : allow_libraries(r, reads, err);
    /* POSIX semaphores and shared memory, which programs of several processes need, have no other place. */
    if (rc == BP_OK && rules->exec)
        rc = allow(r, "/dev/shm", r->handled, err);
#ifdef BP_COVERAGE_DIR
    rc = rc ? rc : allow(r, BP_COVERAGE_DIR, r->handled, err);
#endif
    for (const char *const *p = rules->read; p && *p && rc == BP_OK; p++)
        rc = allow(r, *p, reads, err);
    for (const char *const *p = rules->write; p && *p && rc == BP_OK; p++)
        rc = allow(r, *p, r->handled, err);
    return rc;
}

/* The tables by version: a kernel refuses bits and members that it does not know. */
static int ruleset_make(struct ruleset *r, const struct sandbox_rules *rules)
{
    struct ruleset_attr a = {.fs = FS_VERSION_1};
    size_t size = sizeof(a.fs);
    if (r->version >= 2)
        a.fs |= FS_REFER;
    if (r->version >= 3)
        a.fs |= FS_TRUNCATE;
    if (r->version >= 4) {
        a.net = NET_BIND_TCP | (rules->loopback ? 0 : NET_CONNECT_TCP);
        size += sizeof(a.net);
    }
    if (r->version >= 6) {
        a.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
        size += sizeof(a.scoped);
    }
    r->handled = a.fs;
    r->fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
    return r->fd < 0 ? -1 : 0;
}

/* What this version leaves open, for the words. */
static int lacking(const struct ruleset *r, const struct sandbox_rules *rules, struct bp_err *err)
{
    if (r->version < 3)
        return err_set(err, BP_UNSUPPORTED,
                       "the job may cut short files that its user may write: Landlock %d of this kernel knows no "
                       "truncate; Linux 6.2 does",
                       r->version);
    if (r->version < 6 && rules->exec)
        return err_set(err, BP_UNSUPPORTED,
                       "programs of the job may send signals to other processes of its user: Landlock %d of this "
                       "kernel knows no scopes; Linux 6.12 does",
                       r->version);
    return BP_OK;
}

/* Threads of a GPU's driver are there already: a kernel that can takes them in, too. */
static long restrict_all(const struct ruleset *r)
{
    if (r->version >= 8 && syscall(SYS_landlock_restrict_self, r->fd, RESTRICT_ALL_THREADS) == 0)
        return 0;
    return syscall(SYS_landlock_restrict_self, r->fd, 0);
}

int sandbox_files(const struct sandbox_rules *rules, struct bp_err *err)
{
    struct ruleset r = {.fd = -1};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, BP_FAIL, "forbid new privileges: %s", strerror(errno));
    r.version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_QUESTION);
    if (r.version < 1)
        return err_set(err, BP_UNSUPPORTED,
                       "the job may read and write every file that its user may: no Landlock in this kernel (%s); "
                       "Linux 5.13 with it among the boot option lsm= has it",
                       strerror(errno));
    if (ruleset_make(&r, rules) < 0)
        return err_set(err, BP_FAIL, "sandbox: make a Landlock ruleset: %s", strerror(errno));
    int rc = fill(&r, rules, err);
    if (rc == BP_OK && restrict_all(&r) != 0)
        rc = err_set(err, BP_FAIL, "sandbox: enforce the Landlock ruleset: %s", strerror(errno));
    close(r.fd);
    return rc == BP_OK ? lacking(&r, rules, err) : rc;
}
