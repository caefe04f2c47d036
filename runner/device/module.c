/* SPDX-License-Identifier: Apache-2.0 */
/* module.c - the kernels of a .cu file as both kinds of device keep them. */
#include "device/module.h"

#include "device/internal.h"

#include <stdlib.h>

struct bp_module *module_new(const struct bp_kernel_image *image, struct bp_err *err)
{
    struct bp_module *m = calloc(1, sizeof *m);
    if (m)
        m->kernels = calloc(image->n_kernels, sizeof m->kernels[0]);
    if (!m || !m->kernels) {
        free(m);
        device_fail(err, BP_NOMEM, "no memory to load the kernels of %s", image->name);
        return NULL;
    }
    m->image = image;
    return m;
}

void module_delete(struct bp_module **module)
{
    struct bp_module *m = *module;
    *module = NULL;
    if (m)
        free(m->kernels);
    free(m);
}

int32_t module_kernel(const struct bp_device *dev, struct bp_module *module, const char *name, struct bp_kernel **out,
                      struct bp_err *err)
{
    (void)dev;
    *out = NULL;
    int32_t i = device_find_kernel(module->image, name);
    if (i < 0)
        return device_fail(err, BP_NOTFOUND, "%s has no kernel \"%.80s\"", module->image->name, name);
    *out = &module->kernels[i];
    return BP_OK;
}
