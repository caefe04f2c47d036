/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int program_run(int argc, char **argv, bench_fn *bench)
{
    struct bp_device *dev = NULL, *cpu = NULL;
    struct bp_err err = {0};
    int quick = argc > 2 && strcmp(argv[2], "quick") == 0;
    int32_t rc = device_open(argc > 1 ? argv[1] : "cuda", &dev, &err);
    if (rc == BP_OK)
        rc = device_open("cpu", &cpu, &err);
    if (rc == BP_OK)
        rc = bench(dev, cpu, quick, &err);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], err.text);
    device_close(&dev);
    device_close(&cpu);
    return rc != 0;
}

int program_worst(const uint8_t *a, const uint8_t *b, size_t bytes, int32_t depth)
{
    int worst = 0;
    for (size_t i = 0; i < bytes; i += depth == 8 ? 1 : 2) {
        int d = depth == 8 ? abs(a[i] - b[i]) : abs(a[i] + 256 * a[i + 1] - b[i] - 256 * b[i + 1]);
        worst = d > worst ? d : worst;
    }
    return worst;
}

int32_t program_compared(const char *what, int32_t depth, int worst, int allowed)
{
    int good = worst <= allowed;
    printf("  %s, %2d bits %*s %s, by %d at the most\n", what, depth, (int)(14 - strlen(what)), "",
           good ? "as the CPU's" : "NOT AS THE CPU'S", worst);
    return !good;
}
