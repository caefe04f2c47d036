/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/filter.h"

#include "log/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif

#ifdef OWN_ARCH

#define CODE_MAX  256
#define TYPE_MASK 0xfU                  /* of a socket's type; the rest are flags */
#define SPACES    (0x7e020000U | 0x80U) /* CLONE_NEW* */
#define X32_CALLS 0x40000000U

struct program {
    struct sock_filter code[CODE_MAX];
    unsigned short n;
};

static void add(struct program *p, struct sock_filter instruction)
{
    if (p->n < CODE_MAX)
        p->code[p->n] = instruction;
    p->n++;
}

#define STATEMENT(what, value)          ((struct sock_filter)BPF_STMT(what, value))
#define JUMP(what, value, then, orelse) ((struct sock_filter)BPF_JUMP(what, value, then, orelse))

static uint32_t refusal(int error)
{
    return SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA);
}

static void load(struct program *p, size_t offset)
{
    add(p, STATEMENT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *p, uint32_t value)
{
    add(p, STATEMENT(BPF_RET | BPF_K, value));
}

/* The accumulator holds the number of the call before and after. */
static void answer_call(struct program *p, long nr, uint32_t value)
{
    add(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1));
    answer(p, value);
}

/* Begins what is only looked at for call nr; end_call() ends it: from there on the number is in the accumulator again.
 */
static unsigned short begin_call(struct program *p, long nr)
{
    unsigned short at = p->n;
    add(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 0));
    return at;
}

static void end_call(struct program *p, unsigned short begun, uint32_t value)
{
    answer(p, value);
    if (p->n <= CODE_MAX)
        p->code[begun].jf = (unsigned char)(p->n - begun - 1);
}

/* The low half of an argument: a number of a family, a type, a process or flags, on a little-endian machine. */
static void load_arg(struct program *p, unsigned i)
{
    load(p, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t));
}

static void answer_if_equal(struct program *p, uint32_t k, uint32_t value)
{
    add(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1));
    answer(p, value);
}

static void answer_if_bits(struct program *p, uint32_t bits, uint32_t value)
{
    add(p, JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    answer(p, value);
}

/* ---- the rules ---- */

/* The calls of another ABI (32 bit, x32) have other numbers and are refused as a whole. */
static void add_abi(struct program *p)
{
    load(p, offsetof(struct seccomp_data, arch));
    add(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0));
    answer(p, refusal(ENOSYS));
    load(p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    add(p, JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1));
    answer(p, refusal(ENOSYS));
#endif
}

/* What no job needs: ways around this filter (io_uring opens sockets), into other processes, into the kernel. */
static void add_never(struct program *p)
{
    static const struct {
        long nr;
        int error;
    } never[] = {
        {SYS_io_uring_setup, ENOSYS},
        {SYS_io_uring_enter, ENOSYS},
        {SYS_io_uring_register, ENOSYS},
        {SYS_clone3, ENOSYS}, /* its flags lie in memory; without it clone() is used */
        {SYS_pidfd_getfd, EPERM},
        {SYS_pidfd_send_signal, EPERM},
        {SYS_unshare, EPERM},
        {SYS_setns, EPERM},
        {SYS_bpf, EPERM},
        {SYS_perf_event_open, EPERM},
        {SYS_userfaultfd, EPERM},
        {SYS_keyctl, EPERM},
        {SYS_add_key, EPERM},
        {SYS_request_key, EPERM},
        {SYS_kcmp, EPERM},
#if !SANDBOX_SANITIZED
        {SYS_ptrace, EPERM},
        {SYS_process_vm_readv, EPERM},
        {SYS_process_vm_writev, EPERM},
#endif
    };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        answer_call(p, never[i].nr, refusal(never[i].error));
}

/* Allowed when the first argument is this process, or (zero) what stands for it. */
static void add_own_only(struct program *p, long nr, int zero)
{
    unsigned short begun = begin_call(p, nr);
    load_arg(p, 0);
    answer_if_equal(p, (uint32_t)getpid(), SECCOMP_RET_ALLOW);
    if (zero)
        answer_if_equal(p, 0, SECCOMP_RET_ALLOW);
    end_call(p, begun, refusal(EPERM));
}

/* Signals and limits of other processes. Programs signal each other: there only landlock can tell whose they are. */
static void add_others(struct program *p, int exec)
{
    add_own_only(p, SYS_prlimit64, 1);
    unsigned short begun = begin_call(p, SYS_fcntl);
    load_arg(p, 1);
    answer_if_equal(p, F_SETOWN, refusal(EPERM));
    answer_if_equal(p, F_SETOWN_EX, refusal(EPERM));
    answer_if_equal(p, F_SETSIG, refusal(EPERM));
    end_call(p, begun, SECCOMP_RET_ALLOW);
    if (exec)
        return;
    add_own_only(p, SYS_kill, 0);
    add_own_only(p, SYS_tgkill, 0);
    add_own_only(p, SYS_rt_sigqueueinfo, 0);
    add_own_only(p, SYS_rt_tgsigqueueinfo, 0);
    answer_call(p, SYS_tkill, refusal(EPERM));
}

/* new_process: the answer to a call that makes one. */
static void add_processes(struct program *p, int exec, uint32_t new_process)
{
#ifdef SYS_fork
    answer_call(p, SYS_fork, new_process);
    answer_call(p, SYS_vfork, new_process);
#endif
    unsigned short begun = begin_call(p, SYS_clone);
    load_arg(p, 0);
    answer_if_bits(p, SPACES, refusal(EPERM));
    answer_if_bits(p, CLONE_THREAD, SECCOMP_RET_ALLOW);
    if (SANDBOX_SANITIZED && !exec) /* the leak checker's, which shares the memory */
        answer_if_bits(p, CLONE_VM, SECCOMP_RET_ALLOW);
    end_call(p, begun, new_process);
    if (exec)
        return;
    answer_call(p, SYS_execve, refusal(EPERM));
    answer_call(p, SYS_execveat, refusal(EPERM));
}

/* A connected pair of a kind that cannot be pointed elsewhere later. */
static void add_pairs(struct program *p)
{
    unsigned short begun = begin_call(p, SYS_socketpair);
    load_arg(p, 1);
    add(p, STATEMENT(BPF_ALU | BPF_AND | BPF_K, TYPE_MASK));
    answer_if_equal(p, SOCK_STREAM, SECCOMP_RET_ALLOW);
    answer_if_equal(p, SOCK_SEQPACKET, SECCOMP_RET_ALLOW);
    end_call(p, begun, refusal(EACCES));
}

/* TCP can connect with its first bytes, past connect(). */
static void add_no_fast_open(struct program *p, long nr, unsigned flags_arg)
{
    unsigned short begun = begin_call(p, nr);
    load_arg(p, flags_arg);
    answer_if_bits(p, MSG_FASTOPEN, refusal(EOPNOTSUPP));
    end_call(p, begun, SECCOMP_RET_ALLOW);
}

/* socket(): streams of the families that are left open. */
static void add_sockets(struct program *p, const struct sandbox_rules *rules)
{
    unsigned short begun = begin_call(p, SYS_socket);
    load_arg(p, 1);
    add(p, STATEMENT(BPF_ALU | BPF_AND | BPF_K, TYPE_MASK));
    add(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0));
    answer(p, refusal(EACCES));
    load_arg(p, 2); /* no MPTCP, which connects again by itself */
    add(p, JUMP(BPF_JMP | BPF_JGT | BPF_K, IPPROTO_TCP, 0, 1));
    answer(p, refusal(EACCES));
    load_arg(p, 0);
    if (rules->exec)
        answer_if_equal(p, AF_UNIX, SECCOMP_RET_ALLOW);
    if (rules->loopback) {
        answer_if_equal(p, AF_INET, SECCOMP_RET_ALLOW);
        answer_if_equal(p, AF_INET6, SECCOMP_RET_ALLOW);
    }
    end_call(p, begun, refusal(EACCES));
}

static void add_network(struct program *p, const struct sandbox_rules *rules, uint32_t ask)
{
    add_pairs(p);
    if (!rules->loopback && !rules->exec) {
        answer_call(p, SYS_socket, refusal(EACCES));
        return;
    }
    add_sockets(p, rules);
    add_no_fast_open(p, SYS_sendto, 3);
    add_no_fast_open(p, SYS_sendmsg, 2);
    add_no_fast_open(p, SYS_sendmmsg, 3);
    answer_call(p, SYS_connect, ask);
    answer_call(p, SYS_listen, rules->exec ? ask : refusal(EACCES));
}

/* ask: what a call gets that must be looked at: a question to the warden, or leave when there is none to ask. */
static void build(struct program *p, const struct sandbox_rules *rules, uint32_t ask)
{
    p->n = 0;
    add_abi(p);
    add_never(p);
    add_others(p, rules->exec);
    add_processes(p, rules->exec, rules->exec ? ask : refusal(EPERM));
    add_network(p, rules, ask);
    answer(p, SECCOMP_RET_ALLOW);
}

static long install(struct program *p, unsigned long flags)
{
    struct sock_fprog program = {.len = p->n, .filter = p->code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int filter_install(const struct sandbox_rules *rules, int *listener, struct bp_err *err)
{
    static struct program p;
    int asks = rules->loopback || rules->exec, why = 0;
    long rc = -1;
    build(&p, rules, SECCOMP_RET_USER_NOTIF);
    if (p.n > CODE_MAX)
        return err_set(err, BP_FAIL, "the filter of system calls is too long");
    if (asks) {
        rc =
            install(&p, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
        if (rc >= 0) {
            *listener = (int)rc;
            return BP_OK;
        }
        why = errno;
        build(&p, rules, SECCOMP_RET_ALLOW);
    }
    rc = install(&p, SECCOMP_FILTER_FLAG_TSYNC);
    if (rc != 0)
        return err_set(err, BP_UNSUPPORTED, "the network and other processes stay open to the job: seccomp: %s",
                       rc < 0 ? strerror(errno) : "a thread has a filter of its own");
    if (asks)
        return err_set(err, BP_UNSUPPORTED,
                       "the job may connect to any address and start any number of processes: this kernel cannot ask "
                       "about calls (%s); Linux 5.7 can",
                       strerror(why));
    return BP_OK;
}
#else
int filter_install(const struct sandbox_rules *rules, int *listener, struct bp_err *err)
{
    (void)rules, (void)listener;
    return err_set(err, BP_UNSUPPORTED,
                   "the network and other processes stay open to the job: no system call filter for this architecture");
}
#endif
