/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvml.h - what NVIDIA's management library says of a GPU. libnvidia-ml.so.1 comes with the driver and is opened at run
 * time; the few functions and numbers used here are typed after its API reference. One GPU a process, one thread.
 */
#ifndef RUNNER_HEALTH_NVML_H
#define RUNNER_HEALTH_NVML_H

#include <bp/plugin.h>

struct nvml;

/* Numbers are -1 where this GPU or driver does not say. */
struct nvml_state {
    int64_t ecc_uncorrected; /* errors of memory since the driver was loaded that could not be corrected */
    int32_t retire_pending;  /* 1: pages wait to be retired by a reset */
    int32_t remap_pending;   /* 1: rows wait to be remapped by a reset */
    int32_t remap_failed;    /* 1: a row could not be remapped: out of spare ones */
    int32_t temperature_c;
    int32_t shutdown_c;       /* where it turns itself off */
    int32_t throttle_thermal; /* 1: slowed down now because it is hot */
    int32_t throttle_power;   /* 1: slowed down now by its power brake or supply */
    int32_t lost;             /* 1: it fell off the bus */
};

/* BP_UNSUPPORTED: there is no such library here, or it does not start. *out: nvml_close(). */
int32_t nvml_open(struct nvml **out, struct bp_err *err);
void nvml_close(struct nvml **nvml);
/* How many GPUs it sees. */
int32_t nvml_count(struct nvml *nvml);
/* Takes the GPU of that PCI bus id ("0000:01:00.0") and begins to watch for its Xid errors. BP_NOTFOUND, BP_IO. */
int32_t nvml_take(struct nvml *nvml, const char *pci_id, struct bp_err *err);
void nvml_read(struct nvml *nvml, struct nvml_state *out);
/* The Xid errors since nvml_take or the last call that mean the GPU itself is broken, not the program it runs: the
 * first one, 0: none. */
int32_t nvml_xid(struct nvml *nvml);
/* What an Xid that nvml_xid() gave means, in words. */
const char *nvml_xid_words(int32_t xid);

#endif
