#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jitter of two raw grey 640x360 videos that push by 1.05 in 150 frames.

Registers windows of neighbouring frames to a part of a pixel: the shift d that makes the mean square of
a(x) - b(x + d) least (one Gauss-Newton step per frame pair, repeated). The move is smooth, so each window's
shift should change slowly; jitter is the root mean square of what is left after a moving mean of 15 frames.
"""
import sys

WIDTH, HEIGHT, SIZE = 640, 360, 640 * 360
WINDOWS = [(x, y) for y in (20, 160, 300) for x in (30, 180, 420, 570)]
WINDOW = 40


def shift(a, b, x0, y0):
    """Sub-pixel (dx, dy) of window (x0, y0) from frame a to b: least squares on the gradient."""
    xx = xy = yy = xt = yt = 0.0
    for y in range(y0, y0 + WINDOW):
        row = y * WIDTH
        for x in range(x0, x0 + WINDOW):
            i = row + x
            gx = (a[i + 1] - a[i - 1] + b[i + 1] - b[i - 1]) / 4
            gy = (a[i + WIDTH] - a[i - WIDTH] + b[i + WIDTH] - b[i - WIDTH]) / 4
            t = a[i] - b[i]
            xx += gx * gx
            xy += gx * gy
            yy += gy * gy
            xt += gx * t
            yt += gy * t
    det = xx * yy - xy * xy
    return ((yy * xt - xy * yt) / det, (xx * yt - xy * xt) / det) if det > 1e-6 else (0.0, 0.0)


def residue(values, radius=7):
    """What is left of values after a moving mean."""
    out = []
    for i in range(radius, len(values) - radius):
        out.append(values[i] - sum(values[i - radius : i + radius + 1]) / (2 * radius + 1))
    return out


def jitter(frames):
    squares, count, worst = 0.0, 0, 0.0
    for x0, y0 in WINDOWS:
        shifts = [shift(a, b, x0, y0) for a, b in zip(frames, frames[1:])]
        for axis in (0, 1):
            for r in residue([s[axis] for s in shifts]):
                squares += r * r
                count += 1
                worst = max(worst, abs(r))
    return (squares / count) ** 0.5, worst


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    return [data[i : i + SIZE] for i in range(0, len(data), SIZE)]


def main():
    zoompan, ours = sys.argv[1:3]
    both = [read(zoompan), read(ours)]
    for name, frames in zip(("zoompan", "image-to-video"), both):
        rms, worst = jitter(frames[:90])
        print(f"{name:16} jitter {rms:.4f} pixels rms, worst {worst:.3f}")


if __name__ == "__main__":
    main()
