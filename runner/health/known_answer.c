/* SPDX-License-Identifier: Apache-2.0 */
#include "health/known_answer.h"

#include "health.kernel.h"
#include "health/kernel_args.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS ((uint64_t)ANSWER_WIDTH * ANSWER_HEIGHT)

/* A test computes them anew by other code. */
const struct known_answer known_answers[KNOWN_ANSWERS] = {{0x9e3779b9u, 0x9720f4cebb3de3f8ULL},
                                                          {0x7f4a7c15u, 0xdbe16a2645c8fd15ULL}};

/* FNV-1a over whole values. */
static uint64_t sum_of(const uint32_t *values)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (uint64_t i = 0; i < ITEMS; i++)
        h = (h ^ values[i]) * 0x100000001b3ULL;
    return h;
}

static int32_t fail(struct bp_err *err, const char *name, uint64_t got, uint64_t wanted)
{
    err->rc = BP_FAIL;
    snprintf(err->text, sizeof err->text,
             "%.80s computes wrongly: a known answer came out as %016llx instead of %016llx", name,
             (unsigned long long)got, (unsigned long long)wanted);
    return BP_FAIL;
}

static int32_t ask(const struct bp_device *dev, struct bp_kernel *kernel, const struct bp_buffer *out, uint32_t *values,
                   struct bp_err *err)
{
    for (int i = 0; i < KNOWN_ANSWERS; i++) {
        struct known_answer_args args = {out->at, known_answers[i].seed, ANSWER_WIDTH};
        int32_t rc = bp_launch2d(dev, kernel, ANSWER_WIDTH, ANSWER_HEIGHT, &args, err);
        if (rc == BP_OK)
            rc = dev->download(dev, out, 0, values, ITEMS * sizeof *values, err);
        if (rc != BP_OK)
            return rc;
        uint64_t sum = sum_of(values);
        if (sum != known_answers[i].sum)
            return fail(err, dev->name, sum, known_answers[i].sum);
    }
    return BP_OK;
}

int32_t known_answer(const struct bp_device *dev, struct bp_err *err)
{
    struct bp_module *module = NULL;
    struct bp_kernel *kernel = NULL;
    struct bp_buffer out = {0};
    uint32_t *values = malloc(ITEMS * sizeof *values);
    if (!values) {
        err->rc = BP_NOMEM;
        snprintf(err->text, sizeof err->text, "no memory to check the device");
        return BP_NOMEM;
    }
    int32_t rc = dev->module_load(dev, &health_kernels, &module, err);
    if (rc == BP_OK)
        rc = dev->kernel_get(dev, module, "known_answer", &kernel, err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, ITEMS * sizeof *values, &out, err);
    if (rc == BP_OK)
        rc = ask(dev, kernel, &out, values, err);
    dev->free(dev, &out);
    dev->module_free(dev, &module);
    free(values);
    return rc;
}
