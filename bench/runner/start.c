/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_runner_start BUILD_DIR PHOTO [TIMES]: from the fork of a runner until it opened the CPU device and
 * image-to-video ("ready"), and until its first frame is about to be launched ("first kernel": the photo of a tiny job
 * was read and brought to the device by then); and until a runner of test-copy, which has no libraries of its own, is
 * ready. Prints the fastest and the median, by the clock and in processor time of the runner and its warden: on a
 * machine that does other things too, that says more.
 */
#include "peer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMES_MAX 1000

struct sample {
    double began_ms, ready_ms, kernel_ms, ready_cpu_ms, kernel_cpu_ms;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Processor time of all threads of a process so far. */
static double process_ms(pid_t pid)
{
    char path[300];
    unsigned long long ns;
    double ms = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') /* task/.. is the process: its first thread once more */
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid, e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%llu", &ns) == 1) /* NOLINT(cert-err34-c): the kernel's own number */
            ms += (double)ns / 1e6;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return ms;
}

/* The warden and the runner below it. */
static double runner_ms(pid_t warden)
{
    char path[64];
    int child;
    double ms = process_ms(warden);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)warden, (int)warden);
    FILE *f = fopen(path, "re");
    while (f && fscanf(f, "%d", &child) == 1) /* NOLINT(cert-err34-c) */
        ms += process_ms(child);
    if (f)
        fclose(f);
    return ms;
}

static void drop_frame(struct peer *p, const char *type)
{
    json_object_put(peer_hear(p, type));
}

/* Starts a runner of that plugin and waits until it is ready. */
static struct sample open_runner(struct peer *p, const char *file, const char *name, const char *photo)
{
    char text[9000], plugin[4096];
    struct sample s = {0};
    snprintf(plugin, sizeof plugin, "%s", peer_built(file));
    const char *rules[] = {"--write", ".", "--read", plugin, "--read", photo, NULL};
    s.began_ms = now_ms();
    peer_start(p, rules);
    snprintf(text, sizeof text,
             "{\"type\":\"open\",\"plugin\":\"%s\",\"name\":\"%s\",\"device\":\"cpu\",\"state_dir\":\".\"}", plugin,
             name);
    peer_tell(p, text);
    drop_frame(p, "ready");
    s.ready_ms = now_ms() - s.began_ms;
    s.ready_cpu_ms = runner_ms(p->pid);
    return s;
}

static struct sample start_once(const char *photo)
{
    char text[9000];
    struct peer p;
    struct sample s = open_runner(&p, "plugins/image-to-video.so", "image-to-video", photo);
    snprintf(
        text, sizeof text,
        "{\"type\":\"job\",\"id\":1,\"attempt\":1,\"params\":{\"width\":64,\"height\":64,\"duration\":0.5,\"fps\":10},"
        "\"inputs\":[{\"path\":\"%s\",\"mime\":\"image/jpeg\"}],\"output\":\"out.mp4\",\"temp_dir\":\".\","
        "\"checkpoint_out\":\"cp\"}",
        photo);
    peer_tell(&p, text);
    drop_frame(&p, "progress");
    s.kernel_ms = now_ms() - s.began_ms;
    s.kernel_cpu_ms = runner_ms(p.pid);
    drop_frame(&p, "result");
    peer_finish(&p);
    return s;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_size);
    printf("%-34s fastest %7.1f ms, median %7.1f ms\n", what, values[0], values[n / 2]);
}

int main(int argc, char **argv)
{
    static double bare[TIMES_MAX], bare_cpu[TIMES_MAX], ready[TIMES_MAX], kernel[TIMES_MAX], ready_cpu[TIMES_MAX],
        kernel_cpu[TIMES_MAX];
    int n = argc > 3 ? atoi(argv[3]) : 30;
    if (argc < 3 || n < 1 || n > TIMES_MAX) {
        fprintf(stderr, "usage: %s BUILD_DIR PHOTO [TIMES, 1 to %d]\n", argv[0], TIMES_MAX);
        return 2;
    }
    setenv("BP_BUILD_DIR", argv[1], 1);
    for (int i = 0; i < n; i++) {
        struct peer p;
        struct sample s = open_runner(&p, "tests/workflows/test-copy.so", "test-copy", argv[2]);
        peer_finish(&p);
        bare[i] = s.ready_ms;
        bare_cpu[i] = s.ready_cpu_ms;
        s = start_once(argv[2]);
        ready[i] = s.ready_ms;
        kernel[i] = s.kernel_ms;
        ready_cpu[i] = s.ready_cpu_ms;
        kernel_cpu[i] = s.kernel_cpu_ms;
    }
    print("test-copy: ready", bare, n);
    print("image-to-video: ready", ready, n);
    print("image-to-video: first kernel", kernel, n);
    print("processor time, test-copy ready", bare_cpu, n);
    print("processor time until ready", ready_cpu, n);
    print("processor time until first kernel", kernel_cpu, n);
    return 0;
}
