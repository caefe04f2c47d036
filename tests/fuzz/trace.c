/* SPDX-License-Identifier: Apache-2.0 */
/* A trace from anywhere: it is taken sorted and sound, or refused with a place, and nothing is left behind. */
#include "simulate/trace.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace t;
    struct bp_err err = {0};
    int rc = trace_parse(&t, "fuzz.csv", (const char *)data, size, &err);
    assert(rc == BP_OK ? t.n > 0 : t.n == 0 && !t.arrival_ms && strstr(err.text, "fuzz.csv, line "));
    for (uint32_t i = 0; i < t.n; i++)
        assert(t.arrival_ms[i] >= (i ? t.arrival_ms[i - 1] : 0) && t.duration_ms[i] >= 0);
    trace_free(&t);
    return 0;
}
