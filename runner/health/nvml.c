/* SPDX-License-Identifier: Apache-2.0 */
#include "health/nvml.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESS          0
#define ERROR_GPU_LOST   15
#define UNCORRECTED      1 /* nvmlMemoryErrorType_t */
#define VOLATILE_COUNTS  0 /* since the driver was loaded */
#define SENSOR_GPU       0
#define THRESHOLD_OFF    0 /* shutdown */
#define EVENT_XID        0x8ULL
#define THROTTLE_THERMAL (0x20ULL | 0x40ULL) /* by software, by hardware */
#define THROTTLE_POWER   0x80ULL             /* power brake */

typedef struct nvml_gpu *gpu_handle;
typedef struct nvml_events *event_set;

struct event_data {
    gpu_handle gpu;
    unsigned long long type, data;
    unsigned int gpu_instance, compute_instance;
};

/* X(member, name, required, arguments) */
#define NVML_FUNCTIONS(X)                                                                                              \
    X(init, "nvmlInit_v2", 1, (void))                                                                                  \
    X(shutdown, "nvmlShutdown", 1, (void))                                                                             \
    X(count, "nvmlDeviceGetCount_v2", 1, (unsigned int *n))                                                            \
    X(by_pci, "nvmlDeviceGetHandleByPciBusId_v2", 1, (const char *id, gpu_handle *gpu))                                \
    X(ecc, "nvmlDeviceGetTotalEccErrors", 0, (gpu_handle gpu, int kind, int counter, unsigned long long *n))           \
    X(retire, "nvmlDeviceGetRetiredPagesPendingStatus", 0, (gpu_handle gpu, int *pending))                             \
    X(remap, "nvmlDeviceGetRemappedRows", 0,                                                                           \
      (gpu_handle gpu, unsigned int *corrected, unsigned int *uncorrected, unsigned int *pending,                      \
       unsigned int *failed))                                                                                          \
    X(temperature, "nvmlDeviceGetTemperature", 0, (gpu_handle gpu, int sensor, unsigned int *celsius))                 \
    X(threshold, "nvmlDeviceGetTemperatureThreshold", 0, (gpu_handle gpu, int which, unsigned int *celsius))           \
    X(throttle, "nvmlDeviceGetCurrentClocksThrottleReasons", 0, (gpu_handle gpu, unsigned long long *reasons))         \
    X(set_create, "nvmlEventSetCreate", 0, (event_set * set))                                                          \
    X(set_add, "nvmlDeviceRegisterEvents", 0, (gpu_handle gpu, unsigned long long types, event_set set))               \
    X(set_wait, "nvmlEventSetWait_v2", 0, (event_set set, struct event_data * data, unsigned int timeout_ms))          \
    X(set_free, "nvmlEventSetFree", 0, (event_set set))

struct nvml {
#define MEMBER(member, name, required, args) int(*member) args;
    NVML_FUNCTIONS(MEMBER)
#undef MEMBER
    gpu_handle gpu;
    event_set events;
};

/* Xid errors of the GPU itself, after NVIDIA's catalogue of them; others are the doing of a program. */
static const struct {
    int32_t xid;
    const char *words;
} broken[] = {
    {48, "a double-bit error of its memory"},
    {62, "its micro-controller halted"},
    {64, "a page or row of its memory could not be retired"},
    {74, "an error of its NVLink"},
    {79, "it fell off the bus"},
    {94, "an uncorrectable error of its memory, contained"},
    {95, "an uncorrectable error of its memory"},
    {119, "its system processor does not answer"},
    {120, "its system processor failed"},
    {140, "an unrecovered error of its memory"},
};

static int32_t fail(struct bp_err *err, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);
static int32_t fail(struct bp_err *err, int32_t rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->rc = rc;
    return rc;
}

int32_t nvml_open(struct nvml **out, struct bp_err *err)
{
    *out = NULL;
    void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return fail(err, BP_UNSUPPORTED, "no NVML: %.180s", dlerror());
    struct nvml *n = calloc(1, sizeof *n);
    if (!n)
        return fail(err, BP_NOMEM, "no memory for NVML");
#define FIND(member, name, required, args)                                                                             \
    n->member = (int(*) args)dlsym(lib, name);                                                                         \
    if (required && !n->member) {                                                                                      \
        free(n);                                                                                                       \
        return fail(err, BP_UNSUPPORTED, "no NVML: libnvidia-ml.so.1 has no %s; update the NVIDIA driver", name);      \
    }
    NVML_FUNCTIONS(FIND)
#undef FIND
    int r = n->init();
    if (r != SUCCESS) {
        free(n);
        return fail(err, BP_UNSUPPORTED, "NVML does not start (error %d): is the NVIDIA driver loaded?", r);
    }
    *out = n;
    return BP_OK;
}

void nvml_close(struct nvml **nvml)
{
    struct nvml *n = *nvml;
    if (!n)
        return;
    *nvml = NULL;
    if (n->events)
        n->set_free(n->events);
    n->shutdown();
    free(n);
}

int32_t nvml_count(struct nvml *n)
{
    unsigned int count = 0;
    return n->count(&count) == SUCCESS ? (int32_t)count : 0;
}

static void watch_xid(struct nvml *n)
{
    if (!n->set_create || !n->set_add || !n->set_wait || !n->set_free || n->set_create(&n->events) != SUCCESS) {
        n->events = NULL;
        return;
    }
    if (n->set_add(n->gpu, EVENT_XID, n->events) == SUCCESS)
        return;
    n->set_free(n->events);
    n->events = NULL;
}

int32_t nvml_take(struct nvml *n, const char *pci_id, struct bp_err *err)
{
    int r = n->by_pci(pci_id, &n->gpu);
    if (r != SUCCESS)
        return fail(err, r == ERROR_GPU_LOST ? BP_IO : BP_NOTFOUND, "NVML does not find the GPU at %.40s (error %d)%s",
                    pci_id, r, r == ERROR_GPU_LOST ? ": it fell off the bus" : "");
    watch_xid(n);
    return BP_OK;
}

static void read_rows(struct nvml *n, struct nvml_state *s)
{
    unsigned int corrected, uncorrected, pending, failed;
    int retiring;
    if (n->retire && n->retire(n->gpu, &retiring) == SUCCESS)
        s->retire_pending = retiring != 0;
    if (n->remap && n->remap(n->gpu, &corrected, &uncorrected, &pending, &failed) == SUCCESS) {
        s->remap_pending = pending != 0;
        s->remap_failed = failed != 0;
    }
}

void nvml_read(struct nvml *n, struct nvml_state *s)
{
    unsigned long long wide = 0;
    unsigned int celsius = 0;
    *s = (struct nvml_state){.ecc_uncorrected = -1,
                             .retire_pending = -1,
                             .remap_pending = -1,
                             .remap_failed = -1,
                             .temperature_c = -1,
                             .shutdown_c = -1,
                             .throttle_thermal = -1,
                             .throttle_power = -1};
    if (n->ecc && n->ecc(n->gpu, UNCORRECTED, VOLATILE_COUNTS, &wide) == SUCCESS)
        s->ecc_uncorrected = (int64_t)wide;
    read_rows(n, s);
    int r = n->temperature ? n->temperature(n->gpu, SENSOR_GPU, &celsius) : SUCCESS + 1;
    if (r == SUCCESS)
        s->temperature_c = (int32_t)celsius;
    s->lost = r == ERROR_GPU_LOST;
    if (n->threshold && n->threshold(n->gpu, THRESHOLD_OFF, &celsius) == SUCCESS)
        s->shutdown_c = (int32_t)celsius;
    if (n->throttle && n->throttle(n->gpu, &wide) == SUCCESS) {
        s->throttle_thermal = (wide & THROTTLE_THERMAL) != 0;
        s->throttle_power = (wide & THROTTLE_POWER) != 0;
    }
}

static const char *words_of(int32_t xid)
{
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        if (broken[i].xid == xid)
            return broken[i].words;
    return NULL;
}

int32_t nvml_xid(struct nvml *n)
{
    int32_t first = 0;
    struct event_data e = {0};
    for (int i = 0; i < 100 && n->events && n->set_wait(n->events, &e, 0) == SUCCESS; i++)
        if (e.type == EVENT_XID && !first && words_of((int32_t)e.data))
            first = (int32_t)e.data;
    return first;
}

const char *nvml_xid_words(int32_t xid)
{
    const char *words = words_of(xid);
    return words ? words : "an error of the program it runs";
}
