#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what runs on a GPU, checks it against the CPU device, and times it: one call, under 8 minutes, on a bare machine
# with nvcc (or clang), cmake, a C compiler and NVIDIA's driver. Prints for each kernel its time, its floor (its bytes at
# the measured copy bandwidth, or its arithmetic at the measured rate, whichever takes longer) and what part of its time
# that is; then the whole against its slowest stage. Before: whether a known answer is right, and how long kernels load.
# Usage: bench/gpu.sh [--dry] [BUILD_DIR]
#   --dry: the CPU device in the GPU's place, small and short, to see that all of it works
# Exit status: 0; 1 when a frame is not as the CPU device's, or something cannot be built or run.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
device=cuda quick=
if [ "${1:-}" = --dry ]; then
    device=cpu quick=quick
    shift
fi
build=${1:-$root/build/gpu-bench}
began=$(date +%s)

need() { # program, what to do
    command -v "$1" >/dev/null || { echo "$0: no $1: $2" >&2; exit 1; }
}
need cmake "install cmake 3.18 or newer"
need cc "install a C compiler"
PATH=$PATH:/usr/local/cuda/bin
nvcc=OFF
if command -v nvcc >/dev/null; then
    nvcc=ON
else
    need clang "install a CUDA toolkit for nvcc, or clang"
fi
if [ "$device" = cuda ]; then
    need nvidia-smi "there is no NVIDIA driver here; bench/gpu.sh --dry shows the same on the CPU device"
    nvidia-smi --query-gpu=name,driver_version,pstate,temperature.gpu,clocks.max.sm --format=csv,noheader
fi

mkdir -p "$build" # the log lies beside it, also of a fresh clone
cmake -S "$root/bench/gpu" -B "$build" -DBP_NVCC=$nvcc >"$build.log" 2>&1 ||
    { cat "$build.log" >&2; exit 1; }
cmake --build "$build" -j "$(nproc)" >>"$build.log" 2>&1 || { tail -40 "$build.log" >&2; exit 1; }
echo "built in $(($(date +%s) - began)) s (nvcc: $nvcc)"

bad=0
# shellcheck disable=SC2086
"$build/gpu_image_to_video" $device $quick || bad=1
# shellcheck disable=SC2086
"$build/gpu_video_upscale" $device $quick || bad=1
# shellcheck disable=SC2086
"$build/gpu_video_stylize" $device $quick || bad=1
echo "$(($(date +%s) - began)) s in all"
[ $bad = 0 ] || echo "something is wrong above" >&2
exit $bad
