/* SPDX-License-Identifier: Apache-2.0 */
#include "log/log_ring.h"

#include <stdlib.h>
#include <string.h>

static char *lines[LOG_RING_LINES];
static uint32_t next, count;

void log_ring_add(const char *line, size_t bytes)
{
    char *copy = strndup(line, bytes);
    if (!copy)
        return;
    free(lines[next]);
    lines[next] = copy;
    next = (next + 1) % LOG_RING_LINES;
    if (count < LOG_RING_LINES)
        count++;
}

uint32_t log_ring_copy(uint32_t max, char ***out)
{
    uint32_t n = max < count ? max : count, taken = 0;
    char **copies = calloc(n ? n : 1, sizeof *copies);
    *out = copies;
    if (!copies)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        copies[taken] = strdup(lines[(next + LOG_RING_LINES - n + i) % LOG_RING_LINES]);
        if (copies[taken])
            taken++;
    }
    return taken;
}
