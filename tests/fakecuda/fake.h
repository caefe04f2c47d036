/* SPDX-License-Identifier: Apache-2.0 */
/* fake.h - what the files of the fake driver share. */
#ifndef FAKECUDA_FAKE_H
#define FAKECUDA_FAKE_H

#include <bp/device.h>
#include <ffnvcodec/dynlink_cuda.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

#define INVALID_VALUE   1
#define OUT_OF_MEMORY   2
#define NOT_INITIALIZED 3
#define INVALID_IMAGE   200
#define INVALID_CONTEXT 201
#define NO_BINARY       209
#define NOT_FOUND       500

/* One line to FAKECUDA_LOG. */
void fake_record(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The result FAKECUDA_FAIL asks of this function, else `otherwise`. */
CUresult fake_answer(const char *function, int otherwise);
/* 0, or INVALID_CONTEXT. */
int fake_need_context(void);
/* Things not given back: +1 for each made, -1 for each freed. */
void fake_live(int n);

/* kernels.c: runs a kernel that was taught or is known; others do nothing. */
void fake_run_kernel(const char *name, struct bp_grid grid, const void *args);
uint32_t fake_args_bytes(const char *name);

/* stream.c: does all that waits in streams. */
void fake_drain(void);
/* Copies or launches in a stream, or now without one. */
CUresult fake_copy(CUstream stream, void *to, const void *from, size_t n);
CUresult fake_launch(CUstream stream, const char *name, struct bp_grid grid, const void *args);

#endif
