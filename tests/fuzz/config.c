/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a config file: refused with a sentence, or a config whose every key can be read and described. */
#include "config/config.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct config *c)
{
    enum config_key changed[4];
    json_object_put(config_describe(c));
    if (config_diff(c, c, changed, 4) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct bp_err err = {0};
    int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct config_sources src = {.file = path};
    struct config *c = config_load(&src, &err);
    if (c)
        read_back(c);
    else if (err.rc >= 0 || !err.text[0])
        abort();
    config_free(c);
    close(fd);
    return 0;
}
