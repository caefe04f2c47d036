/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of this folder share. */
#ifndef RUNNER_DEVICE_INTERNAL_H
#define RUNNER_DEVICE_INTERNAL_H

#include <bp/device.h>

/* The two kinds of device; each fills a fresh table. close() gets a table its open() filled. */
int32_t cpu_open(struct bp_device *dev, struct bp_err *err);
void cpu_close(struct bp_device *dev);
int32_t cuda_open(struct bp_device *dev, struct bp_err *err);
void cuda_close(struct bp_device *dev);
/* As device_cache_modules(). */
int32_t cuda_cache_modules(struct bp_device *dev, const char *dir, int64_t limit_bytes, struct bp_err *err);
int32_t cuda_pci_id(const struct bp_device *dev, char *out, size_t n);

/* Writes rc and one sentence to err, which may be NULL, and returns rc. */
int32_t device_fail(struct bp_err *err, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);
/* BP_OK when [offset, offset + n) lies in the buffer, else BP_INVALID that names what was attempted. */
int32_t device_check_span(const struct bp_buffer *buf, uint64_t offset, uint64_t n, const char *what,
                          struct bp_err *err);
/* BP_OK when the grid is not empty and args_bytes is what the kernel expects. */
int32_t device_check_launch(const struct bp_kernel_twin *twin, struct bp_grid grid, uint32_t args_bytes,
                            struct bp_err *err);
/* Index of the kernel of that name in the image, -1: none. */
int32_t device_find_kernel(const struct bp_kernel_image *image, const char *name);
/* As much of the counts as the caller's struct has room for. */
void device_copy_stats(const struct bp_device_stats *from, struct bp_device_stats *to);

#endif
