/* SPDX-License-Identifier: Apache-2.0 */
/* module.h - the kernels of a .cu file as both kinds of device keep them: an entry a kernel, in the image's order. */
#ifndef RUNNER_DEVICE_MODULE_H
#define RUNNER_DEVICE_MODULE_H

#include <bp/device.h>

struct bp_kernel {
    const struct bp_kernel_twin *twin; /* name, kind and size of the arguments; on the CPU device its code, too */
    void *function;                    /* the driver's, NULL on the CPU device */
};

struct bp_module {
    const struct bp_kernel_image *image; /* borrowed: static in the plugin */
    struct bp_kernel *kernels;           /* image->n_kernels */
    void *loaded;                        /* the driver's, NULL on the CPU device */
};

/* With room for every kernel; NULL with err. module_delete() it. */
struct bp_module *module_new(const struct bp_kernel_image *image, struct bp_err *err);
/* What the driver loaded is unloaded before. *module becomes NULL. */
void module_delete(struct bp_module **module);
/* As bp_device.kernel_get. */
int32_t module_kernel(const struct bp_device *dev, struct bp_module *module, const char *name, struct bp_kernel **out,
                      struct bp_err *err);

#endif
