/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numbers.h - what the kernels compute in; included by kernel.cu alone, behind bp/kernel.h.
 *
 * `val` is a sample in STEPs: a 255th is one of them on a GPU, where all is float, and 32 on a CPU, whose vectors hold
 * twice as many integers of 16 bits. There a product is rounded to a STEP, so the two agree to a few 32nds. A weight is
 * below 1 in amount.
 */
#ifndef VIDEO_UPSCALE_NUMBERS_H
#define VIDEO_UPSCALE_NUMBERS_H

#include <bp/kernel.h>

#if BP_TARGET_CUDA
typedef float val;
#define ONE          1.0f
#define WHOLE_WEIGHT 1.0f
#define SQUARE       1.0f /* of a step of 255, as product() has it */
#define WEIGHT(w)    (w)
BP_FN val times(val a, val w)
{
    return a * w;
}
BP_FN val variable(val w)
{
    return w;
}
BP_FN val half_of(val a)
{
    return 0.5f * a;
}
BP_FN val product(val a, val b)
{
    return a * b;
}
BP_FN val mean(val a, val b)
{
    return 0.5f * (a + b);
}
BP_FN float sum_of_squares(val a, val b)
{
    return a + b;
}
BP_FN float reciprocal(float x)
{
    return 1.0f / x;
}
BP_FN val to_val(int32_t sample, int32_t wide)
{
    return wide ? (float)sample * 0.25f : (float)sample;
}
BP_FN val least(val a, val b)
{
    return bp_minf(a, b);
}
BP_FN val most(val a, val b)
{
    return bp_maxf(a, b);
}
/* Of a contrast: (1 - contrast)^2 times half a weight. */
BP_FN val times_room(val contrast, val w)
{
    float room = 1.0f - contrast * (1.0f / 255.0f);
    return 0.5f * w * (room * room);
}
/* Rounds to a sample; in 10 bits from quarters. */
BP_FN int32_t to_sample(val v, int32_t wide)
{
    return (int32_t)(bp_clampf(wide ? v * 4.0f : v, 0.0f, wide ? 1023.0f : 255.0f) + 0.5f);
}
#else
typedef int16_t val;
#define ONE          32768
/* 0.13 % more than a weight may be: reciprocal() is less. Never reached, since three gradients side by side are not all
 * the largest there are, and E is more than 0.13 % of the others. */
#define WHOLE_WEIGHT 32809.0f
#define SQUARE       (64.0f * 64.0f / 32768.0f)
#define WEIGHT(w)    ((val)bp_clampf((w)*32768.0f + ((w) < 0 ? -0.5f : 0.5f), -32767.0f, 32767.0f))
BP_FN val times(val a, val w)
{
    return (val)((((int32_t)a * (int32_t)w >> 14) + 1) >> 1);
}
/* GCC takes times() for the one instruction that it is when it does not know the weight. Outside of loops. */
BP_FN val variable(val w)
{
    __asm__("" : "+r"(w));
    return w;
}
BP_FN val half_of(val a)
{
    return (val)(a >> 1);
}
/* Of two differences of samples: below 8192, so that a sum of four has 16 bits. */
BP_FN val product(val a, val b)
{
    return times((val)(2 * a), (val)(2 * b));
}
/* Rounded down. */
BP_FN val mean(val a, val b)
{
    return (val)((a & b) + ((a ^ b) >> 1));
}
/* Each below 32768, in sum they may be above it. */
BP_FN float sum_of_squares(val a, val b)
{
    return (float)(uint16_t)(a + b);
}
/* 1 / x of x > 0, less by up to 0.3 %: one step of Newton's method from a guess that is 5 % off. A division takes as
 * long as all else that finds an edge. */
BP_FN float reciprocal(float x)
{
    union {
        float f;
        uint32_t bits;
    } guess = {x};
    guess.bits = 0x7ef127eau - guess.bits;
    return guess.f * (2.0f - x * guess.f);
}
BP_FN val to_val(int32_t sample, int32_t wide)
{
    return (val)(wide ? sample << 3 : sample << 5);
}
BP_FN val least(val a, val b)
{
    return a < b ? a : b;
}
BP_FN val most(val a, val b)
{
    return a > b ? a : b;
}
/* 16384 is 1 here: a contrast may be greater than 255. */
BP_FN val times_room(val contrast, val w)
{
    val room = (val)(16384 - 2 * contrast - (contrast >> 7));
    return times((val)(2 * times(room, room)), w);
}
BP_FN int32_t to_sample(val v, int32_t wide)
{
    val s = wide ? (val)((val)(v + 4) >> 3) : (val)((val)(v + 16) >> 5);
    return most(0, least(s, wide ? 1023 : 255));
}
/* Two bytes side by side. */
BP_FN uint16_t pair_of(int32_t first, int32_t second)
{
    return (uint16_t)(first | second << 8);
}
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pair_of() puts the first into the lower byte"
#endif
#endif

#endif
