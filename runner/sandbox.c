/* SPDX-License-Identifier: Apache-2.0 */
#include "runner/sandbox.h"

#include "log/err.h"
#include "runner/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

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

void sandbox_first_to_go(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1000", 4) < 0)
        errno = 0;
    if (fd >= 0)
        close(fd);
}

int sandbox_privileges(int keep_fd, int64_t file_bytes, struct bp_err *err)
{
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

int sandbox_calls(const struct sandbox_rules *rules, int on_cpu, int *listener, struct bp_err *err)
{
    *listener = -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, BP_FAIL, "forbid new privileges: %s", strerror(errno));
    /* Of exec's programs some reserve far more addresses than they use. */
    int64_t addresses = on_cpu && !rules->exec && !SANDBOX_SANITIZED ? rules->address_bytes : 0;
    if (addresses > 0 && limit(RLIMIT_AS, addresses) < 0)
        return err_set(err, BP_FAIL, "limit addresses to %lld bytes: %s", (long long)addresses, strerror(errno));
    /* A GPU's driver maps what it likes; the warden looks at what is used. */
    if (on_cpu && rules->memory_bytes > 0 && !SANDBOX_SANITIZED && limit(RLIMIT_DATA, rules->memory_bytes) < 0)
        return err_set(err, BP_FAIL, "limit memory to %lld bytes: %s", (long long)rules->memory_bytes, strerror(errno));
    return filter_install(rules, listener, err);
}
