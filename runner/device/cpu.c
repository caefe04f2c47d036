/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU device: a kernel's twin runs over pieces of the grid on all cores this process may use. */
#include "device/cpu.h"
#include "device/module.h"
#include "device/pool.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CPU_ALIGN     64 /* a cache line, and the widest vector */
#define HUGE_PAGE     (2ULL << 20)
#define CPU_PIECES    4    /* pieces of work per thread, so that a late thread costs little */
#define CPU_MIN_ITEMS 1024 /* pixels a piece should have at least */

/* Free memory that is kept is memory that nobody else has: little of it, unlike on a GPU, which is all ours. */
#define CPU_KEPT_MAX   (512LL << 20)
#define CPU_KEPT_SHARE 16

static void release(void *ctx, void *at)
{
    (void)ctx;
    free(at);
}

/* Large memory is of huge pages where it can be: small ones take longer to be given than the kernels that fill them. */
static void *large_alloc(uint64_t room)
{
    void *at = aligned_alloc(room < HUGE_PAGE ? CPU_ALIGN : HUGE_PAGE, room);
    if (at && room >= HUGE_PAGE)
        madvise(at, room, MADV_HUGEPAGE);
    return at;
}

/* A new block, made of what was kept when there is no other memory. */
static void *new_block(struct cpu *cpu, uint64_t room)
{
    void *at = large_alloc(room);
    if (!at && buffers_clear(&cpu->buffers) > 0)
        at = large_alloc(room);
    cpu->stats.allocations += at != NULL;
    return at;
}

static int32_t cpu_alloc(const struct bp_device *dev, uint64_t bytes, struct bp_buffer *out, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    *out = (struct bp_buffer){0};
    uint64_t room = buffers_room(bytes);
    if (bytes == 0 || room == 0)
        return device_fail(err, BP_INVALID, "buffer of %llu bytes", (unsigned long long)bytes);
    cpu_drain(cpu);
    void *at = room > (uint64_t)dev->memory ? NULL : buffers_take(&cpu->buffers, room);
    if (!at && room <= (uint64_t)dev->memory)
        at = new_block(cpu, room);
    if (!at)
        return device_fail(err, BP_NOMEM, "no memory for a buffer of %llu MiB", (unsigned long long)(bytes >> 20));
    buffers_used(&cpu->buffers, room);
    memset(at, 0, bytes);
    *out = (struct bp_buffer){at, bytes};
    return BP_OK;
}

static void cpu_free(const struct bp_device *dev, struct bp_buffer *buf)
{
    struct cpu *cpu = dev->ctx;
    if (buf->at) {
        cpu_drain(cpu);
        buffers_give(&cpu->buffers, buf->at, buffers_room(buf->bytes));
    }
    *buf = (struct bp_buffer){0};
}

static int32_t cpu_upload(const struct bp_device *dev, const struct bp_buffer *to, uint64_t offset, const void *from,
                          uint64_t n, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    int32_t rc = device_check_span(to, offset, n, "upload", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cpu->stats.uploads++;
    cpu->stats.uploaded_bytes += (int64_t)n;
    cpu_drain(cpu);
    memcpy((char *)to->at + offset, from, n);
    return BP_OK;
}

static int32_t cpu_download(const struct bp_device *dev, const struct bp_buffer *from, uint64_t offset, void *to,
                            uint64_t n, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    int32_t rc = device_check_span(from, offset, n, "download", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cpu->stats.downloads++;
    cpu->stats.downloaded_bytes += (int64_t)n;
    cpu_drain(cpu);
    memcpy(to, (const char *)from->at + offset, n);
    return BP_OK;
}

static int32_t cpu_host_alloc(const struct bp_device *dev, uint64_t bytes, void **out, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    uint64_t rounded = (bytes + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
    *out = NULL;
    if (bytes == 0 || rounded < bytes)
        return device_fail(err, BP_INVALID, "host memory of %llu bytes", (unsigned long long)bytes);
    if (rounded > (uint64_t)dev->memory || !(*out = aligned_alloc(CPU_ALIGN, rounded)))
        return device_fail(err, BP_NOMEM, "no memory for %llu MiB of host memory", (unsigned long long)(bytes >> 20));
    cpu->stats.host_allocations++;
    memset(*out, 0, rounded);
    return BP_OK;
}

static void cpu_host_free(const struct bp_device *dev, void **memory)
{
    if (*memory)
        cpu_drain(dev->ctx);
    free(*memory);
    *memory = NULL;
}

static void cpu_stats(const struct bp_device *dev, struct bp_device_stats *out)
{
    const struct cpu *cpu = dev->ctx;
    device_copy_stats(&cpu->stats, out);
}

static void cpu_module_free(const struct bp_device *dev, struct bp_module **module)
{
    (void)dev;
    module_delete(module);
}

/* The best twin this processor can run. */
static const struct bp_kernel_twin *choose_twin(const struct bp_kernel_image *image, uint32_t kernel, int32_t level)
{
    while (level > 0 && !image->twins[kernel * BP_CPU_LEVELS + (uint32_t)level])
        level--;
    return image->twins[kernel * BP_CPU_LEVELS + (uint32_t)level];
}

static int32_t cpu_module_load(const struct bp_device *dev, const struct bp_kernel_image *image, struct bp_module **out,
                               struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    struct bp_module *m = *out = module_new(image, err);
    if (!m)
        return BP_NOMEM;
    for (uint32_t i = 0; i < image->n_kernels; i++)
        m->kernels[i].twin = choose_twin(image, i, dev->cpu_level);
    cpu->stats.modules++;
    return BP_OK;
}

/* One launch: the grid cut into columns by rows of pieces. */
struct launch {
    const struct bp_kernel_twin *twin;
    const void *args;
    struct bp_grid grid;
    uint32_t columns, rows;
};

static int32_t cut(int32_t n, uint32_t pieces, uint32_t i)
{
    return (int32_t)((int64_t)n * i / pieces);
}

static void run_piece(void *arg, uint32_t i)
{
    const struct launch *l = arg;
    uint32_t column = i % l->columns, row = i / l->columns;
    struct bp_range r = {cut(l->grid.nx, l->columns, column), cut(l->grid.nx, l->columns, column + 1),
                         cut(l->grid.ny, l->rows, row), cut(l->grid.ny, l->rows, row + 1)};
    l->twin->run(l->args, &r);
}

/* Rows first, because a kernel reads and writes along them; columns only where there are too few rows. */
static void plan_pieces(struct launch *l, int32_t threads)
{
    int64_t wanted = (int64_t)threads * CPU_PIECES;
    if (l->twin->kind == BP_KERNEL_PIXELS) {
        int64_t worth = (int64_t)l->grid.nx * l->grid.ny / CPU_MIN_ITEMS;
        wanted = wanted < worth ? wanted : worth;
    }
    if (threads == 1 || wanted < 1)
        wanted = 1;
    l->rows = (uint32_t)(wanted < l->grid.ny ? wanted : l->grid.ny);
    int64_t columns = (wanted + l->rows - 1) / l->rows;
    l->columns = (uint32_t)(columns < l->grid.nx ? columns : l->grid.nx);
}

void cpu_run(struct cpu *cpu, const struct bp_kernel_twin *twin, struct bp_grid grid, const void *args)
{
    struct launch l = {.twin = twin, .args = args, .grid = grid};
    plan_pieces(&l, pool_threads(cpu->pool));
    pthread_mutex_lock(&cpu->launching);
    pool_run(cpu->pool, l.columns * l.rows, run_piece, &l);
    pthread_mutex_unlock(&cpu->launching);
}

static int32_t cpu_launch(const struct bp_device *dev, struct bp_kernel *kernel, struct bp_grid grid, const void *args,
                          uint32_t args_bytes, struct bp_err *err)
{
    struct cpu *cpu = dev->ctx;
    int32_t rc = device_check_launch(kernel->twin, grid, args_bytes, err);
    if (rc != BP_OK)
        return rc;
    cpu->stats.launches++;
    cpu_drain(cpu);
    cpu_run(cpu, kernel->twin, grid, args);
    return BP_OK;
}

static int32_t cpu_sync(const struct bp_device *dev, struct bp_err *err)
{
    (void)err; /* a launch without a queue has run to its end */
    cpu_drain(dev->ctx);
    return BP_OK;
}

static int32_t count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > 256 ? 256 : n;
}

static int32_t best_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    return v4 ? BP_CPU_V4 : v3 ? BP_CPU_V3 : BP_CPU_BASE;
#else
    return BP_CPU_BASE;
#endif
}

/* The model as /proc/cpuinfo has it; "CPU" where it does not say. */
static void read_model(char *out, size_t n)
{
    snprintf(out, n, "CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon || !colon[1])
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, n, "%.*s", (int)n - 1, colon + 2);
        break;
    }
    fclose(f);
}

int32_t cpu_open(struct bp_device *dev, struct bp_err *err)
{
    struct cpu *cpu = calloc(1, sizeof *cpu);
    if (cpu)
        cpu->pool = pool_new(count_cores());
    if (!cpu || !cpu->pool) {
        free(cpu);
        return device_fail(err, BP_NOMEM, "starting the threads of the CPU device failed: out of memory or threads");
    }
    *dev = (struct bp_device){.kind = BP_DEVICE_CPU,
                              .memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE),
                              .cores = pool_threads(cpu->pool),
                              .cpu_level = best_level(),
                              .ctx = cpu,
                              .alloc = cpu_alloc,
                              .free = cpu_free,
                              .upload = cpu_upload,
                              .download = cpu_download,
                              .module_load = cpu_module_load,
                              .module_free = cpu_module_free,
                              .kernel_get = module_kernel,
                              .launch = cpu_launch,
                              .sync = cpu_sync,
                              .host_alloc = cpu_host_alloc,
                              .host_free = cpu_host_free,
                              .stats = cpu_stats};
    cpu_queue_functions(dev);
    int64_t share = dev->memory / CPU_KEPT_SHARE;
    cpu->buffers = (struct buffers){
        .limit_bytes = share < CPU_KEPT_MAX ? share : CPU_KEPT_MAX, .release = release, .stats = &cpu->stats};
    pthread_mutex_init(&cpu->launching, NULL);
    read_model(dev->name, sizeof dev->name);
    return BP_OK;
}

void cpu_close(struct bp_device *dev)
{
    struct cpu *cpu = dev->ctx;
    buffers_clear(&cpu->buffers);
    pool_free(cpu->pool);
    pthread_mutex_destroy(&cpu->launching);
    free(cpu);
    dev->ctx = NULL;
}
