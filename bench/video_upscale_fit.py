#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the filters of video-upscale (plugins/workflows/video-upscale/weights.h) and prints them.

usage: video_upscale_fit.py PICTURE... > plugins/workflows/video-upscale/weights.h
       (needs numpy and imageio)

An output pixel is sum_k (b_k + C c_k + S s_k) x_k over the 4 by 4 input pixels around it (5 where the output lies on a
row or column of the input), C and S from the structure tensor of the input pixel it belongs to (kernel.cu). For each of
the factor^2 places of an output pixel inside an input pixel, b, c and s are what makes the squared error least over the
pictures, averaged down by the factor, with a little noise (one step of 255, so that what a codec leaves is not blown up),
under the conditions sum b = 1 and sum c = sum s = 0. Each picture is taken in its eight turns and mirrorings; then one
place stands for all those that are its mirror images: a mirrored axis changes the sign of S, swapped axes that of C. Where
it is its own image, the filter is made the mean of itself and that image, which changes it by no more than noise.

The weights in use come from astronaut, coffee, motorcycle_left, rocket and text of scikit-image's samples, a garden of
MATE's backgrounds and a Mandelbrot set drawn by FFmpeg; what they were judged by were others (docs/performance.md).
"""
import sys

import imageio.v3 as iio
import numpy as np

NOISE_FLOOR, NOISE = 30.0, 1.0

HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights.h - the filters of kernel.cu. Written by bench/video_upscale_fit.py, which says where they come from; included
 * by kernel.cu and by its unit test.
 *
 * weights_S[py][px][f][dy + 2][dx + 2]: of the output pixel (px, py) of S by S inside a source pixel. f = 0 is the filter
 * itself (its sum is 1), f = 1 and 2 are what is added per unit of C and of S (their sums are 0).
 */
#ifndef VIDEO_UPSCALE_WEIGHTS_H
#define VIDEO_UPSCALE_WEIGHTS_H
"""


def luma(path):
    a = iio.imread(path).astype(float)
    return a if a.ndim == 2 else a[..., :3] @ np.array([.2126, .7152, .0722])


def shrink(a, s):
    h, w = a.shape
    return np.round(a.reshape(h // s, s, w // s, s).mean((1, 3)))


def shift(a, dy, dx):
    p, (h, w) = np.pad(a, 4, "edge"), a.shape
    return p[4 + dy:4 + dy + h, 4 + dx:4 + dx + w]


def edges(a):
    gx, gy = (shift(a, 0, 1) - shift(a, 0, -1)) / 2, (shift(a, 1, 0) - shift(a, -1, 0)) / 2

    def smooth(f):
        f = (shift(f, 0, -1) + 2 * f + shift(f, 0, 1)) / 4
        return (shift(f, -1, 0) + 2 * f + shift(f, 1, 0)) / 4
    xx, yy, xy = smooth(gx * gx), smooth(gy * gy), smooth(gx * gy)
    return (xx - yy) / (xx + yy + NOISE_FLOOR), 2 * xy / (xx + yy + NOISE_FLOOR)


def window(phase, s):
    side = 2 * phase + 1 - s
    return range(-2, 2) if side < 0 else range(-1, 3) if side > 0 else range(-2, 3)


def turned(a):
    for t in (a, a.T):
        for u in (t, t[::-1]):
            yield from (np.ascontiguousarray(u), np.ascontiguousarray(u[:, ::-1]))


def fit(pictures, s, py, px):
    rng, A, B = np.random.default_rng(1), 0, 0
    for picture in pictures:
        for a in turned(picture):
            h, w = a.shape
            a = a[:h // s * s, :w // s * s]
            small = shrink(a, s)
            small = small + NOISE * rng.standard_normal(small.shape)
            taps = [shift(small, dy, dx).ravel() for dy in window(py, s) for dx in window(px, s)]
            c, e = (f.ravel() for f in edges(small))
            F = np.stack([*taps, *(c * t for t in taps), *(e * t for t in taps)], 1)
            A, B = A + F.T @ F, B + F.T @ a[py::s, px::s].ravel()
    n = len(A) // 3
    K = np.kron(np.eye(3), np.ones(n))
    M = np.block([[A + 1e-9 * np.trace(A) / len(A) * np.eye(len(A)), K.T], [K, np.zeros((3, 3))]])
    w = np.linalg.solve(M, np.concatenate([B, [1, 0, 0]]))[:3 * n]
    filters = np.zeros((3, 5, 5))
    for i in range(3):
        filters[i][np.ix_([d + 2 for d in window(py, s)], [d + 2 for d in window(px, s)])] = w[i * n:(i + 1) * n].reshape(
            len(window(py, s)), -1)
    return filters


def table(pictures, s):
    """The mean of a fit's eight images where several of them are of one place: its filter is as symmetric as it."""
    T, n = np.zeros((s, s, 3, 5, 5)), np.zeros((s, s, 1, 1, 1))

    def add(y, x, f):
        T[y, x] += f
        n[y, x] += 1

    for py in range((s + 1) // 2):
        for px in range(py, (s + 1) // 2):
            f = fit(pictures, s, py, px)
            for g, y, x in ((f, py, px), (np.stack([f[0].T, -f[1].T, f[2].T]), px, py)):
                turned_over = np.stack([g[0], g[1], -g[2]])
                add(y, x, g)
                add(s - 1 - y, x, turned_over[:, ::-1])
                add(y, s - 1 - x, turned_over[:, :, ::-1])
                add(s - 1 - y, s - 1 - x, g[:, ::-1, ::-1])
    return T / n


def main():
    pictures = [luma(p) for p in sys.argv[1:]]
    if not pictures:
        sys.exit(__doc__)
    print(HEAD)
    for s in (2, 3, 4):
        rows = [[["{" + ", ".join("{" + ", ".join(f"{v:.6f}f" if abs(v) > 5e-7 else "0" for v in r) + "}" for r in f) + "}"
                  for f in filters] for filters in row] for row in table(pictures, s)]
        body = ",\n".join("{" + ",\n".join("{" + ",\n".join(filters) + "}" for filters in row) + "}" for row in rows)
        print(f"WEIGHTS float weights_{s}[{s}][{s}][3][5][5] = {{\n{body}\n}};\n")
    print("#endif")


main()
