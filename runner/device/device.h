/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - opening the device that a runner computes on.
 *
 * A runner opens one device before it loads a plugin (cuInit must come before the first dlopen of one) and
 * closes it when it ends. Use it from one thread.
 */
#ifndef RUNNER_DEVICE_H
#define RUNNER_DEVICE_H

#include <bp/device.h>

/*
 * which: "cuda" (the first GPU), "cpu", or "auto": the GPU when there is one that works, else the CPU; then the
 * call still returns BP_OK and err->text says why there is no GPU (it is "" otherwise; err->rc is BP_OK).
 * BP_INVALID for another word, BP_UNSUPPORTED when "cuda" finds no driver or GPU, BP_NOMEM, BP_IO.
 * *dev: device_close().
 */
int32_t device_open(const char *which, struct bp_device **dev, struct bp_err *err);
/* Frees the device and sets *dev to NULL. Buffers and modules must have been freed before. */
void device_close(struct bp_device **dev);

/*
 * Keeps what the driver makes of kernels in a directory (made when absent, its parent must exist), for this and other
 * runners at the same time: each is found again by GPU, driver and PTX, checked before it is used, and the oldest go
 * when all are over limit_bytes. Call it before the first module_load. Nothing to do on the CPU. An error (BP_IO,
 * BP_NOMEM) only means that kernels are compiled each time.
 */
int32_t device_cache_modules(struct bp_device *dev, const char *dir, int64_t limit_bytes, struct bp_err *err);

/* Where the GPU is on the PCI bus, "0000:01:00.0"; BP_UNSUPPORTED for a CPU, BP_IO. */
int32_t device_pci_id(const struct bp_device *dev, char *out, size_t n);

#endif
