/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for NVIDIA's management library, found through LD_LIBRARY_PATH: one sound GPU at 0000:01:00.0. FAKENVML
 * changes that, words apart by spaces:
 *
 *   init=N count=N    nvmlInit_v2 returns N; so many GPUs
 *   lost              the GPU fell off the bus
 *   ecc=N             uncorrectable errors of its memory
 *   retire remap      pages wait to be retired, rows to be remapped
 *   nospare           a row could not be remapped
 *   temp=N            degrees Celsius; it turns itself off at 95
 *   throttle=N        bits of the reasons it is slowed down for
 *   xid=N,M           Xid errors that are reported once watched
 *   silent            it knows none of these numbers, as a consumer card
 *   crash             nvmlInit_v2 ends the process
 *
 * Without FAKENVML these words are read from the file that NVIDIA_FAKE names, so that they may change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT        __attribute__((visibility("default")))
#define NOT_SUPPORTED 3
#define NOT_FOUND     6
#define TIMEOUT       10
#define GPU_IS_LOST   15
#define SHUTDOWN_C    95

struct event_data {
    void *gpu;
    unsigned long long type, data;
    unsigned int gpu_instance, compute_instance;
};

static int gpu;

static const char *words(void)
{
    static char text[1024];
    const char *path = getenv("NVIDIA_FAKE");
    FILE *f = getenv("FAKENVML") || !path ? NULL : fopen(path, "re");
    if (!f)
        return getenv("FAKENVML");
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

/* Where the value of a word stands, NULL: the word is not there. */
static const char *wish(const char *word)
{
    const char *all = words();
    size_t n = strlen(word);
    for (const char *at = all; at && (at = strstr(at, word)); at += n)
        if ((at == all || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ' || at[n] == '='))
            return at[n] == '=' ? at + n + 1 : "";
    return NULL;
}

static long number(const char *word, long otherwise)
{
    const char *at = wish(word);
    return at ? atol(at) : otherwise;
}

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT int nvmlDeviceGetCount_v2(unsigned int *n);
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **out);
EXPORT int nvmlDeviceGetTotalEccErrors(void *at, int kind, int counter, unsigned long long *n);
EXPORT int nvmlDeviceGetRetiredPagesPendingStatus(void *at, int *pending);
EXPORT int nvmlDeviceGetRemappedRows(void *at, unsigned int *corrected, unsigned int *uncorrected,
                                     unsigned int *pending, unsigned int *failed);
EXPORT int nvmlDeviceGetTemperature(void *at, int sensor, unsigned int *celsius);
EXPORT int nvmlDeviceGetTemperatureThreshold(void *at, int which, unsigned int *celsius);
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *at, unsigned long long *reasons);
EXPORT int nvmlEventSetCreate(void **set);
EXPORT int nvmlDeviceRegisterEvents(void *at, unsigned long long types, void *set);
EXPORT int nvmlEventSetWait_v2(void *set, struct event_data *data, unsigned int timeout_ms);
EXPORT int nvmlEventSetFree(void *set);

int nvmlInit_v2(void)
{
    if (wish("crash"))
        abort();
    return (int)number("init", 0);
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned int *n)
{
    *n = (unsigned int)number("count", 1);
    return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **out)
{
    *out = &gpu;
    return strcmp(id, "0000:01:00.0") == 0 ? 0 : NOT_FOUND;
}

#ifndef FAKENVML_OLD
static int watching, told;

static int answer(void)
{
    return wish("lost") ? GPU_IS_LOST : wish("silent") ? NOT_SUPPORTED : 0;
}

int nvmlDeviceGetTotalEccErrors(void *at, int kind, int counter, unsigned long long *n)
{
    (void)at;
    *n = kind == 1 && counter == 0 ? (unsigned long long)number("ecc", 0) : 77; /* 77: not what was meant */
    return answer();
}

int nvmlDeviceGetRetiredPagesPendingStatus(void *at, int *pending)
{
    (void)at;
    *pending = wish("retire") != NULL;
    return answer();
}

int nvmlDeviceGetRemappedRows(void *at, unsigned int *corrected, unsigned int *uncorrected, unsigned int *pending,
                              unsigned int *failed)
{
    (void)at;
    *corrected = *uncorrected = 1; /* that alone is no fault */
    *pending = wish("remap") != NULL;
    *failed = wish("nospare") != NULL;
    return answer();
}

int nvmlDeviceGetTemperature(void *at, int sensor, unsigned int *celsius)
{
    (void)at, (void)sensor;
    *celsius = (unsigned int)number("temp", 61);
    return answer();
}

int nvmlDeviceGetTemperatureThreshold(void *at, int which, unsigned int *celsius)
{
    (void)at;
    *celsius = which == 0 ? SHUTDOWN_C : 1;
    return answer();
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *at, unsigned long long *reasons)
{
    (void)at;
    *reasons = (unsigned long long)number("throttle", 1); /* 1: idle */
    return answer();
}

int nvmlEventSetCreate(void **set)
{
    *set = &watching;
    return 0;
}

int nvmlDeviceRegisterEvents(void *at, unsigned long long types, void *set)
{
    (void)at, (void)set;
    watching = (types & 8) != 0;
    return 0;
}

int nvmlEventSetWait_v2(void *set, struct event_data *data, unsigned int timeout_ms)
{
    (void)set, (void)timeout_ms;
    const char *at = wish("xid");
    for (int i = 0; at && i < told; i++) {
        at += strcspn(at, ", ");
        at = *at == ',' ? at + 1 : NULL;
    }
    if (!watching || !at)
        return TIMEOUT;
    told++;
    *data = (struct event_data){.gpu = &gpu, .type = 8, .data = (unsigned long long)atol(at)};
    return 0;
}

int nvmlEventSetFree(void *set)
{
    (void)set;
    return 0;
}
#endif
