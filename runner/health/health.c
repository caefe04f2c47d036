/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health.h"

#include "device/device.h"
#include "health/known_answer.h"
#include "health/nvml.h"
#include "log/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEAR_SHUTDOWN_C 5

struct checkup {
    struct bp_device *device;
    struct nvml *nvml;
    int watched; /* NVML knows this GPU */
    struct json_object *report, *warnings;
    char bad[300]; /* the first thing that is wrong, "" nothing */
};

BP_PRINTF(2, 3)
static void is_bad(struct checkup *c, const char *fmt, ...)
{
    va_list ap;
    if (c->bad[0])
        return;
    va_start(ap, fmt);
    vsnprintf(c->bad, sizeof(c->bad), fmt, ap);
    va_end(ap);
}

static void warn(struct checkup *c, const char *text)
{
    json_object_array_add(c->warnings, json_object_new_string(text));
}

/* "auto" goes to the CPU where CUDA finds no GPU. Where NVML sees one, that is a fault, not a choice. */
static void open_device(struct checkup *c, const char *which)
{
    struct bp_err err = {0};
    int32_t rc = device_open(which, &c->device, &err);
    if (rc < 0)
        is_bad(c, "the device cannot be opened: %s", err.text);
    else if (!strcmp(which, "auto") && c->device->kind == BP_DEVICE_CPU && c->nvml && nvml_count(c->nvml) > 0)
        is_bad(c, "there is a GPU, but CUDA cannot use it: %s", err.text);
}

static void take_gpu(struct checkup *c)
{
    struct bp_err err = {0};
    char id[32];
    if (!c->nvml || !c->device || device_pci_id(c->device, id, sizeof(id)) < 0)
        return;
    int32_t rc = nvml_take(c->nvml, id, &err);
    c->watched = rc == BP_OK;
    if (rc == BP_IO)
        is_bad(c, "%s", err.text);
    else if (rc < 0)
        warn(c, err.text);
}

static void judge_memory(struct checkup *c, const struct nvml_state *s)
{
    if (s->ecc_uncorrected > 0)
        is_bad(c, "its memory had %lld uncorrectable error%s since the driver was loaded",
               (long long)s->ecc_uncorrected, s->ecc_uncorrected == 1 ? "" : "s");
    if (s->remap_failed == 1)
        is_bad(c, "a row of its memory could not be remapped: there are no spare rows left");
    if (s->retire_pending == 1 || s->remap_pending == 1)
        is_bad(c, "bad memory waits for a reset of the GPU to be taken out of use");
}

static void judge(struct checkup *c, const struct nvml_state *s)
{
    if (s->lost)
        is_bad(c, "it fell off the bus");
    judge_memory(c, s);
    if (s->temperature_c > 0 && s->shutdown_c > 0 && s->temperature_c >= s->shutdown_c - NEAR_SHUTDOWN_C)
        is_bad(c, "it is at %d degrees Celsius and turns itself off at %d", s->temperature_c, s->shutdown_c);
    if (s->throttle_thermal == 1)
        warn(c, "it is slowed down because it is hot");
    if (s->throttle_power == 1)
        warn(c, "it is slowed down by its power supply");
    if (s->temperature_c >= 0)
        json_put_int(c->report, "temperature_c", s->temperature_c);
    if (s->ecc_uncorrected >= 0)
        json_put_int(c->report, "ecc_uncorrected", s->ecc_uncorrected);
}

static void compute(struct checkup *c)
{
    struct bp_err err = {0};
    if (c->device && known_answer(c->device, &err) < 0)
        is_bad(c, "%s", err.text);
}

/* After it computed, so that errors which that brought out are there. */
static void ask_nvml(struct checkup *c)
{
    struct nvml_state state;
    if (!c->watched)
        return;
    int32_t xid = nvml_xid(c->nvml);
    if (xid)
        is_bad(c, "Xid %d: %s", xid, nvml_xid_words(xid));
    nvml_read(c->nvml, &state);
    judge(c, &state);
}

static void describe(struct checkup *c)
{
    json_put_bool(c->report, "ok", !c->bad[0]);
    json_put_str(c->report, "device", !c->device ? "" : c->device->kind == BP_DEVICE_CUDA ? "cuda" : "cpu");
    json_put_str(c->report, "name", c->device ? c->device->name : "");
    json_put_str(c->report, "text", c->bad);
    json_object_object_add(c->report, "warnings", c->warnings);
    puts(json_text(c->report));
    json_object_put(c->report);
}

int health(const char *which)
{
    struct bp_err err = {0};
    struct checkup c = {.report = json_object_new_object(), .warnings = json_object_new_array()};
    int32_t rc = strcmp(which, "cpu") != 0 ? nvml_open(&c.nvml, &err) : BP_OK;
    open_device(&c, which);
    if (rc < 0 && c.device && c.device->kind == BP_DEVICE_CUDA)
        warn(&c, err.text);
    take_gpu(&c);
    compute(&c);
    ask_nvml(&c);
    describe(&c);
    nvml_close(&c.nvml);
    if (c.device)
        device_close(&c.device);
    return c.bad[0] != '\0';
}
