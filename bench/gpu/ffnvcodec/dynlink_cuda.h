/* SPDX-License-Identifier: Apache-2.0 */
/* What runner/device takes from ffnvcodec, made of the toolkit's own cuda.h. */
#ifndef BENCH_GPU_DYNLINK_CUDA_H
#define BENCH_GPU_DYNLINK_CUDA_H

#include <cuda.h>

typedef __typeof__(cuInit) tcuInit;
typedef __typeof__(cuDeviceGetCount) tcuDeviceGetCount;
typedef __typeof__(cuDeviceGet) tcuDeviceGet;
typedef __typeof__(cuDeviceGetName) tcuDeviceGetName;
typedef __typeof__(cuDeviceGetAttribute) tcuDeviceGetAttribute;
typedef __typeof__(cuDevicePrimaryCtxRetain) tcuDevicePrimaryCtxRetain;
typedef __typeof__(cuDevicePrimaryCtxRelease) tcuDevicePrimaryCtxRelease;
typedef __typeof__(cuDevicePrimaryCtxSetFlags) tcuDevicePrimaryCtxSetFlags;
typedef __typeof__(cuMemAlloc) tcuMemAlloc_v2;
typedef __typeof__(cuMemFree) tcuMemFree_v2;
typedef __typeof__(cuMemcpyHtoD) tcuMemcpyHtoD_v2;
typedef __typeof__(cuMemcpyDtoH) tcuMemcpyDtoH_v2;
typedef __typeof__(cuMemcpyHtoDAsync) tcuMemcpyHtoDAsync_v2;
typedef __typeof__(cuMemcpyDtoHAsync) tcuMemcpyDtoHAsync_v2;
typedef __typeof__(cuLinkCreate) tcuLinkCreate;
typedef __typeof__(cuLinkAddData) tcuLinkAddData;
typedef __typeof__(cuLinkComplete) tcuLinkComplete;
typedef __typeof__(cuLinkDestroy) tcuLinkDestroy;
typedef __typeof__(cuModuleUnload) tcuModuleUnload;
typedef __typeof__(cuModuleGetFunction) tcuModuleGetFunction;
typedef __typeof__(cuLaunchKernel) tcuLaunchKernel;
typedef __typeof__(cuStreamCreate) tcuStreamCreate;
typedef __typeof__(cuStreamDestroy) tcuStreamDestroy_v2;
typedef __typeof__(cuStreamSynchronize) tcuStreamSynchronize;
typedef __typeof__(cuEventCreate) tcuEventCreate;
typedef __typeof__(cuEventDestroy) tcuEventDestroy_v2;
typedef __typeof__(cuEventRecord) tcuEventRecord;
typedef __typeof__(cuEventSynchronize) tcuEventSynchronize;
typedef __typeof__(cuGetErrorName) tcuGetErrorName;
typedef __typeof__(cuGetErrorString) tcuGetErrorString;

#endif
