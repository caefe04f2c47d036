/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_clock.c - the wall clock of a program it is linked into, as a test moves it: BP_FAKE_CLOCK names a file of 8
 * bytes, the nanoseconds that the clock is ahead (tests/fakeaws/clock.py writes them at any time). Without it, and for
 * every other clock, nothing is changed. Libraries that the program loads follow it too.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define SEEN   __attribute__((visibility("default"))) /* by the libraries too */

static const _Atomic int64_t *ahead;

__attribute__((constructor)) static void follow(void)
{
    const char *path = getenv("BP_FAKE_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (at != MAP_FAILED)
        ahead = at;
    if (fd >= 0)
        close(fd);
}

static void wall(struct timespec *t)
{
    syscall(SYS_clock_gettime, CLOCK_REALTIME, t);
    int64_t ns = t->tv_nsec + (ahead ? atomic_load(ahead) % SECOND : 0);
    t->tv_sec += (ahead ? atomic_load(ahead) / SECOND : 0) + (ns >= SECOND) - (ns < 0);
    t->tv_nsec = (ns + SECOND) % SECOND;
}

SEEN int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, clock, t);
    wall(t);
    return 0;
}

SEEN time_t time(time_t *out)
{
    struct timespec t;
    wall(&t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

SEEN int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    wall(&t);
    out->tv_sec = t.tv_sec;
    out->tv_usec = t.tv_nsec / 1000;
    return 0;
}
