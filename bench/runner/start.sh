#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long a runner takes to be ready and to its first kernel, with photos of several sizes, for reading a photo is the
# larger part (start.c says what is measured): bench/runner/start.sh BUILD_DIR [TIMES]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/bench/need" "${1:?usage: $0 BUILD_DIR [TIMES]}" bench/runner_start bin/bp-runner plugins/image-to-video.so \
    tests/workflows/test-copy.so
build=$(cd "$1" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bp-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
for size in 320x180 1280x720 1920x1080; do
    ffmpeg -v error -f lavfi -i "mandelbrot=s=$size:r=1" -frames:v 1 "photo-$size.jpg"
    echo "a JPEG of $size"
    "$build/bench/runner_start" "$build" "$tmp/photo-$size.jpg" "${2:-20}" | sed 's/^/  /'
done
