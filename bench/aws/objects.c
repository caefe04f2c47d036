/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.c - one transfer through the AWS plugin, measured: what bench/aws/transfer runs against curl's own.
 *
 *   aws_objects PLUGIN.so SETTINGS put|get KEY FILE      SETTINGS: JSON; endpoint and keys come from the environment
 *   aws_objects PLUGIN.so SETTINGS presign KEY N         signs N URLs
 *
 * Prints wall seconds, CPU seconds and the greatest resident size in KiB: of the transfer, the start included.
 */
#include "queue_conformance/fake_host.h"
#include <bp/cloud.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

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
        fake_host_free(url);
    }
    return rc;
}

static int run(char **argv, struct bp_err *err)
{
    struct fake_host *h = fake_host_open(argv[1], getenv("BENCH_STATE_DIR"), argv[2], err);
    if (!h)
        return err->rc;
    void *inst = fake_host_instance(h);
    const struct bp_objects *o = fake_host_facet(h, BP_OBJECTS_FACET);
    int rc = 0;
    if (!o)
        rc = BP_UNSUPPORTED;
    else if (strcmp(argv[3], "presign") == 0)
        rc = sign_many(o, inst, argv[4], strtol(argv[5], NULL, 10), err);
    else if (strcmp(argv[3], "put") == 0)
        rc = o->put(inst, argv[4], "application/octet-stream", argv[5], err);
    else
        rc = o->get(inst, argv[4], argv[5], err);
    fake_host_stop(h);
    return rc;
}

int main(int argc, char **argv)
{
    struct bp_err err = {0};
    struct rusage u;
    struct timespec from, to;
    if (argc != 6 || !getenv("BENCH_STATE_DIR")) {
        fprintf(stderr, "usage: BENCH_STATE_DIR=DIR aws_objects PLUGIN.so SETTINGS put|get|presign KEY FILE|N\n");
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    int rc = run(argv, &err);
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
