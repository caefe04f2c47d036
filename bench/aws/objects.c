/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.c - one transfer through the AWS plugin, measured: what bench/aws/transfer runs against curl's own.
 *
 *   aws_objects PLUGIN.so SETTINGS put|get KEY FILE      SETTINGS: JSON; endpoint and keys come from the environment
 *   aws_objects PLUGIN.so SETTINGS presign KEY N         signs N URLs
 *
 * Prints wall seconds, CPU seconds and the greatest resident size in KiB: of the transfer, the start included.
 */
#include <bp/cloud.h>
#include <bp/plugin.h>

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char *settings;

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    va_list ap;
    (void)self;
    if (level > BP_LOG_WARN)
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static int64_t host_now_ms(struct bp_self *self)
{
    struct timespec t;
    (void)self;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *host_config(struct bp_self *self)
{
    (void)self;
    return settings;
}

static const char *host_state_dir(struct bp_self *self)
{
    (void)self;
    return getenv("BENCH_STATE_DIR");
}

static int32_t host_emit(struct bp_self *self, const char *event, const char *fields, struct bp_err *err)
{
    (void)self, (void)event, (void)fields, (void)err;
    return 0;
}

static void *host_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

static const struct bp_host host = {.size = sizeof host,
                                    .abi = BP_ABI_VERSION,
                                    .log = host_log,
                                    .now_ms = host_now_ms,
                                    .config = host_config,
                                    .state_dir = host_state_dir,
                                    .emit = host_emit,
                                    .alloc = host_alloc,
                                    .free = free};

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* The greatest resident size of this program: getrusage() would count what its parent had before it became this one. */
static long peak_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static int sign_many(const struct bp_objects *o, void *inst, const char *key, long n, struct bp_err *err)
{
    int rc = 0;
    for (long i = 0; rc == 0 && i < n; i++) {
        char name[1100], *url = NULL;
        snprintf(name, sizeof name, "%.1000s/%ld", key, i);
        rc = o->presign(inst, i % 2 ? "GET" : "PUT", name, "video/mp4", 0, 900, &url, err);
        free(url);
    }
    return rc;
}

static int run(const struct bp_plugin *p, char **argv, struct bp_err *err)
{
    void *inst = NULL;
    int rc = p->start(NULL, &host, &inst, err);
    if (rc < 0)
        return rc;
    const struct bp_objects *o = p->facet(inst, BP_OBJECTS_FACET);
    if (!o)
        rc = BP_UNSUPPORTED;
    else if (strcmp(argv[3], "presign") == 0)
        rc = sign_many(o, inst, argv[4], strtol(argv[5], NULL, 10), err);
    else if (strcmp(argv[3], "put") == 0)
        rc = o->put(inst, argv[4], "application/octet-stream", argv[5], err);
    else
        rc = o->get(inst, argv[4], argv[5], err);
    p->stop(inst);
    return rc;
}

int main(int argc, char **argv)
{
    struct bp_err err = {0};
    struct rusage u;
    struct timespec from, to;
    void *lib = argc == 6 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    const struct bp_plugin *p = lib ? dlsym(lib, BP_ENTRY_SYMBOL) : NULL;
    if (!p || !getenv("BENCH_STATE_DIR")) {
        fprintf(stderr, "usage: BENCH_STATE_DIR=DIR aws_objects PLUGIN.so SETTINGS put|get|presign KEY FILE|N%s%s\n",
                argc == 6 ? ": " : "", argc == 6 && !lib ? dlerror() : "");
        return 2;
    }
    settings = argv[2];
    clock_gettime(CLOCK_MONOTONIC, &from);
    int rc = run(p, argv, &err);
    clock_gettime(CLOCK_MONOTONIC, &to);
    getrusage(RUSAGE_SELF, &u);
    if (rc < 0) {
        fprintf(stderr, "aws_objects: %s\n", err.text);
        return 1;
    }
    printf("%.6f %.6f %ld\n", (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9,
           seconds(&u.ru_utime) + seconds(&u.ru_stime), peak_kib());
    return 0;
}
