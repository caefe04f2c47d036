/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a .cu file's kernels once and launching them by name. */
#include <bp/workflow.h>

#include <stdlib.h>

static const char *name_of(const struct bp_kernel_image *image, uint32_t i)
{
    return image->twins[i * BP_CPU_LEVELS]->name;
}

static int32_t load(struct bp_kernels *k, struct bp_err *err)
{
    int32_t rc = k->dev->module_load(k->dev, k->image, &k->module, err);
    for (uint32_t i = 0; rc == BP_OK && i < k->image->n_kernels; i++)
        rc = k->dev->kernel_get(k->dev, k->module, name_of(k->image, i), &k->kernels[i], err);
    return rc;
}

int32_t bp_kernels_open(const struct bp_device *dev, const struct bp_kernel_image *image, struct bp_kernels **out,
                        struct bp_err *err)
{
    *out = NULL;
    struct bp_kernels *k = calloc(1, sizeof *k);
    if (k)
        k->kernels = calloc(image->n_kernels, sizeof(struct bp_kernel *));
    if (!k || !k->kernels) {
        free(k);
        return bp_error(err, BP_NOMEM, "no memory to load the kernels of %s", image->name);
    }
    k->dev = dev;
    k->image = image;
    int32_t rc = load(k, err);
    if (rc != BP_OK)
        bp_kernels_close(&k);
    *out = k;
    return rc;
}

void bp_kernels_close(struct bp_kernels **kernels)
{
    struct bp_kernels *k = *kernels;
    if (!k)
        return;
    *kernels = NULL;
    k->dev->module_free(k->dev, &k->module);
    free(k->kernels);
    free(k);
}

int32_t bp_kernels_run(const struct bp_kernels *k, const char *name, struct bp_grid grid, const void *args,
                       uint32_t args_bytes, struct bp_err *err)
{
    for (uint32_t i = 0; i < k->image->n_kernels; i++)
        if (strcmp(name_of(k->image, i), name) == 0)
            return k->dev->launch(k->dev, k->kernels[i], grid, args, args_bytes, err);
    return bp_error(err, BP_NOTFOUND, "%s has no kernel \"%.80s\"; its first is \"%s\"", k->image->name, name,
                    name_of(k->image, 0));
}
