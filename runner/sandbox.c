/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/sandbox.h"

#include "log/err.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* A sanitized runner reserves terabytes of addresses, and traces its own threads when it looks for leaks at its end. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int limit(int what, int64_t value)
{
    struct rlimit r = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};
    return setrlimit((__rlimit_resource_t)what, &r);
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    memset(none, 0, sizeof(none));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &head, none);
}

int sandbox_privileges(int keep_fd, int64_t file_bytes, struct bp_err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_set(err, BP_FAIL, "tie the runner to its worker: %s", strerror(errno));
    if (close_range((unsigned)keep_fd + 1, ~0U, 0) < 0 && errno != ENOSYS)
        return err_set(err, BP_FAIL, "close inherited files: %s", strerror(errno));
    if (limit(RLIMIT_CORE, 0) < 0)
        return err_set(err, BP_FAIL, "forbid core files: %s", strerror(errno));
    if (file_bytes > 0 && limit(RLIMIT_FSIZE, file_bytes) < 0)
        return err_set(err, BP_FAIL, "limit files to %lld bytes: %s", (long long)file_bytes, strerror(errno));
    signal(SIGXFSZ, SIG_IGN); /* a file too large is an error of write(), not the end */
    signal(SIGPIPE, SIG_IGN);
    if (drop_capabilities() < 0)
        return err_set(err, BP_FAIL, "drop capabilities: %s", strerror(errno));
    return BP_OK;
}

#ifdef OWN_ARCH

#define LOAD(member)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ANSWER(value)      BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE(e)          ANSWER(SECCOMP_RET_ERRNO | ((e)&SECCOMP_RET_DATA))
#define UNLESS(value)      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1) /* skips the next when it differs */
#define REFUSE_CALL(nr, e) UNLESS((uint32_t)(nr)), REFUSE(e)

/*
 * Returns to the caller of socket() an error for every family but AF_UNIX. io_uring could open sockets past this
 * filter, so it is refused too; the calls of another ABI (32 bit, x32) have other numbers and are refused as a whole.
 */
static const struct sock_filter network_filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
    REFUSE(ENOSYS),
    LOAD(nr),
#if defined(__x86_64__)
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1), /* x32 */
    REFUSE(ENOSYS),
#endif
    REFUSE_CALL(SYS_io_uring_setup, ENOSYS),
    REFUSE_CALL(SYS_io_uring_enter, ENOSYS),
    REFUSE_CALL(SYS_pidfd_getfd, EPERM),
#if !SANITIZED
    REFUSE_CALL(SYS_ptrace, EPERM),
    REFUSE_CALL(SYS_process_vm_readv, EPERM),
    REFUSE_CALL(SYS_process_vm_writev, EPERM),
#endif
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
    ANSWER(SECCOMP_RET_ALLOW),
    LOAD(args[0]), /* the low half: families are small numbers, and this is a little-endian machine */
    UNLESS(AF_UNIX),
    ANSWER(SECCOMP_RET_ALLOW),
    REFUSE(EACCES),
};

static int filter_install(struct bp_err *err)
{
    struct sock_fprog program = {
        .len = sizeof(network_filter) / sizeof(network_filter[0]),
        .filter = (struct sock_filter *)network_filter,
    };
    long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (rc != 0)
        return err_set(err, BP_UNSUPPORTED, "the network stays open to the job: seccomp: %s",
                       rc < 0 ? strerror(errno) : "a thread has a filter of its own");
    return BP_OK;
}
#else
static int filter_install(struct bp_err *err)
{
    return err_set(err, BP_UNSUPPORTED,
                   "the network stays open to the job: no system call filter for this architecture");
}
#endif

int sandbox_network(int64_t memory_bytes, struct bp_err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, BP_FAIL, "forbid new privileges: %s", strerror(errno));
    if (memory_bytes > 0 && !SANITIZED && limit(RLIMIT_AS, memory_bytes) < 0)
        return err_set(err, BP_FAIL, "limit memory to %lld bytes: %s", (long long)memory_bytes, strerror(errno));
    return filter_install(err);
}
