/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/kernel.h - write a kernel once, run it on a GPU and on a CPU. Included by kernel.cu only.
 *
 * The file is compiled as CUDA (by clang without a toolkit, or by nvcc) and as C11 once per CPU level, so
 * it is written in what C and C++ share. A kernel takes one argument struct, by value; pointers in it
 * are addresses of the device (bp_buffer.at). Two forms:
 *
 *   BP_KERNEL_PIXEL(invert, struct invert_args, a, x, y)     called for every (x, y) of the grid
 *   {
 *       a->pixels[y * a->stride + x] ^= 0xffffff;
 *   }
 *
 *   BP_KERNEL_TILE(blur, struct blur_args, a, tx, ty)        called for every tile; its threads work together
 *   {
 *       BP_SHARED float row[80];                             one per tile
 *       BP_EACH (i, 80)                                      i = 0..79, shared out among the threads
 *           row[i] = ...;
 *       BP_SYNC();                                           before reading what other threads wrote
 *       BP_EACH (i, 64)
 *           ...
 *   }
 *
 * BP_EACH_2D (r, rows, i, columns) is the same over rows and columns. BP_UNROLL(4), before a loop over constants, has
 * it written out: an array that it runs over is then kept in registers. On the CPU BP_EACH is a plain loop, so the
 * compiler vectorises it; keep its body simple and its iterations independent. Products and sums are never fused
 * (-ffp-contract=off), so all CPU levels give the same bits and a GPU the same but for its division and square root,
 * which are correctly rounded too.
 */
#ifndef BP_KERNEL_H
#define BP_KERNEL_H

#include <bp/canvas.h>
#include <stdint.h>

#if defined(__CUDA__) || defined(__CUDACC__)
#define BP_TARGET_CUDA 1
#else
#define BP_TARGET_CUDA 0
#endif

#define BP_PRAGMA(words) _Pragma(#words)
#if BP_TARGET_CUDA
#define BP_UNROLL(n) BP_PRAGMA(unroll n) /* nvcc passes over GCC's */
#else
#define BP_UNROLL(n) BP_PRAGMA(GCC unroll n)
#endif

#if BP_TARGET_CUDA

#ifdef __CUDACC__ /* nvcc brings these */
#define BP_THREAD_X threadIdx.x
#define BP_THREADS  blockDim.x
#define BP_BLOCK_X  blockIdx.x
#define BP_BLOCK_Y  blockIdx.y
#define BP_SYNC()   __syncthreads()
#else
#define __global__  __attribute__((global))
#define __device__  __attribute__((device))
#define __shared__  __attribute__((shared))
#define BP_THREAD_X __nvvm_read_ptx_sreg_tid_x()
#define BP_THREADS  __nvvm_read_ptx_sreg_ntid_x()
#define BP_BLOCK_X  __nvvm_read_ptx_sreg_ctaid_x()
#define BP_BLOCK_Y  __nvvm_read_ptx_sreg_ctaid_y()
#define BP_SYNC()   __syncthreads()
#endif

struct bp_grid {
    int32_t nx, ny;
};

/* Every item of `rows` by `columns`, by all threads of a tile together. */
#define BP_EACH_2D(r, rows, i, columns)                                                                                \
    BP_EACH(bp_k_, (rows) * (columns))                                                                                 \
    for (int32_t r = bp_k_ / (columns), i = bp_k_ % (columns), bp_once_ = 1; bp_once_; bp_once_ = 0)

#define BP_FN         __device__ static inline __attribute__((always_inline))
#define BP_CONST      __device__ static const
#define BP_SHARED     __shared__
#define BP_RESTRICT   __restrict__
#define BP_EACH(i, n) for (int32_t i = (int32_t)BP_THREAD_X; i < (n); i += (int32_t)BP_THREADS)
/* BP_TILE_THREADS threads in a row of pixels. */
#define BP_KERNEL_PIXEL(name, type, a, x, y)                                                                           \
    BP_FN void bp_at_##name(const type *a, int32_t x, int32_t y);                                                      \
    extern "C" __global__ void name(struct bp_grid bp_grid_, type bp_args_)                                            \
    {                                                                                                                  \
        int32_t bp_x_ = (int32_t)(BP_BLOCK_X * BP_THREADS + BP_THREAD_X);                                              \
        if (bp_x_ < bp_grid_.nx)                                                                                       \
            for (int32_t bp_y_ = (int32_t)BP_BLOCK_Y; bp_y_ < bp_grid_.ny; bp_y_ += 65535)                             \
                bp_at_##name(&bp_args_, bp_x_, bp_y_);                                                                 \
    }                                                                                                                  \
    BP_FN void bp_at_##name(const type *a, int32_t x, int32_t y)
#define BP_KERNEL_TILE(name, type, a, tx, ty)                                                                          \
    BP_FN void bp_at_##name(const type *a, int32_t tx, int32_t ty);                                                    \
    extern "C" __global__ void name(struct bp_grid bp_grid_, type bp_args_)                                            \
    {                                                                                                                  \
        (void)bp_grid_;                                                                                                \
        bp_at_##name(&bp_args_, (int32_t)BP_BLOCK_X, (int32_t)BP_BLOCK_Y);                                             \
    }                                                                                                                  \
    BP_FN void bp_at_##name(const type *a, int32_t tx, int32_t ty)

#else /* the CPU */

#include <bp/device.h>

#ifndef BP_CPU_LEVEL
#define BP_CPU_LEVEL 0
#endif
#define BP_JOIN2(a, b, c) a##b##_##c
#define BP_JOIN(a, b, c)  BP_JOIN2(a, b, c)
#define BP_TWIN(name)     BP_JOIN(bp_twin_, name, BP_CPU_LEVEL)

#define BP_FN    static inline __attribute__((always_inline))
#define BP_CONST static const
#define BP_SHARED
#define BP_RESTRICT   __restrict
#define BP_SYNC()     ((void)0)
#define BP_EACH(i, n) for (int32_t i = 0; i < (n); i++)
/* The inner loop becomes vectors. */
#define BP_EACH_2D(r, rows, i, columns)                                                                                \
    for (int32_t r = 0; r < (rows); r++)                                                                               \
        for (int32_t i = 0; i < (columns); i++)
#define BP_KERNEL_CPU(name, type, a, x, y, kind)                                                                       \
    BP_FN void bp_at_##name(const type *a, int32_t x, int32_t y);                                                      \
    static void bp_run_##name(const void *args, const struct bp_range *r)                                              \
    {                                                                                                                  \
        const type *a = (const type *)args;                                                                            \
        for (int32_t y = r->y0; y < r->y1; y++)                                                                        \
            for (int32_t x = r->x0; x < r->x1; x++)                                                                    \
                bp_at_##name(a, x, y);                                                                                 \
    }                                                                                                                  \
    extern const struct bp_kernel_twin BP_TWIN(name);                                                                  \
    const struct bp_kernel_twin BP_TWIN(name) = {#name, kind, (uint32_t)sizeof(type), bp_run_##name};                  \
    BP_FN void bp_at_##name(const type *a, int32_t x, int32_t y)
#define BP_KERNEL_PIXEL(name, type, a, x, y)  BP_KERNEL_CPU(name, type, a, x, y, BP_KERNEL_PIXELS)
#define BP_KERNEL_TILE(name, type, a, tx, ty) BP_KERNEL_CPU(name, type, a, tx, ty, BP_KERNEL_TILES)

#endif

BP_FN float bp_sqrtf(float x)
{
    return __builtin_sqrtf(x);
}
BP_FN float bp_floorf(float x)
{
    return __builtin_floorf(x);
}
BP_FN float bp_absf(float x)
{
    return __builtin_fabsf(x);
}
BP_FN float bp_minf(float a, float b)
{
    return a < b ? a : b;
}
BP_FN float bp_maxf(float a, float b)
{
    return a > b ? a : b;
}
BP_FN float bp_clampf(float x, float lo, float hi)
{
    return bp_minf(bp_maxf(x, lo), hi);
}
BP_FN int32_t bp_mini(int32_t a, int32_t b)
{
    return a < b ? a : b;
}
BP_FN int32_t bp_maxi(int32_t a, int32_t b)
{
    return a > b ? a : b;
}
BP_FN int32_t bp_clampi(int32_t x, int32_t lo, int32_t hi)
{
    return bp_mini(bp_maxi(x, lo), hi);
}

/* The four bytes of a pixel, R G B A; x and y must be inside. */
BP_FN uint8_t *bp_pixel(const struct bp_canvas *c, int32_t x, int32_t y)
{
    return c->pixels + ((int64_t)y * c->width + x) * 4;
}
/* The same for any x and y: beyond an edge, the pixel at that edge. */
BP_FN const uint8_t *bp_pixel_near(const struct bp_canvas *c, int32_t x, int32_t y)
{
    return bp_pixel(c, bp_clampi(x, 0, c->width - 1), bp_clampi(y, 0, c->height - 1));
}
/* A value rounded to a byte; below 0 it is 0, beyond 255 it is 255. */
BP_FN uint8_t bp_byte(float x)
{
    return (uint8_t)(bp_clampf(x, 0, 255) + 0.5f);
}

#endif
