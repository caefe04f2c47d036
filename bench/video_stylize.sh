#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# video-stylize beside filters of ffmpeg that smooth over as large a neighbourhood and keep edges: decode, filter, encode
# with the same preset and quality, on two cores; seconds of CPU a frame, because other things may run.
# Usage: bench/video_stylize.sh BUILD_DIR [ROUNDS] [VIDEO]
set -eu
build=${1:?usage: $0 BUILD_DIR [ROUNDS] [VIDEO]}
rounds=${2:-3}
frames=20
"$(dirname "$0")/need" "$build" bench/image_to_video plugins/video-stylize.so
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bp-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
plugin=$build/plugins/video-stylize.so

# cpu COMMAND...: seconds of CPU
cpu() {
    taskset -c 0,1 python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.3f}")' "$@"
}

if [ $# -gt 2 ]; then
    from="-i $3"
else
    from="-f lavfi -i mandelbrot=s=1920x1080:r=30:start_scale=0.1"
fi
# shellcheck disable=SC2086
ffmpeg -v error -nostdin -y $from -vf "scale=1920:1080,noise=alls=4:allf=t" -frames:v $frames -pix_fmt yuv420p -an \
    -c:v libx264 -crf 14 -preset veryfast "$tmp/in.mp4"

# line NAME SECONDS PLAIN: what a frame costs in all, and without decoding and encoding
line() { echo "$2 $3" | awk -v n="$1" -v f=$frames '{printf "  %-28s %.3f a frame, filter alone about %.3f\n", n, $1 / f, ($1 - $2) / f}'; }

ours() { cpu "$build/bench/image_to_video" "$plugin" "$tmp/in.mp4" "$1" "$tmp/out.mp4" "${2:-cpu}"; }
theirs() {
    cpu ffmpeg -v error -nostdin -y -i "$tmp/in.mp4" -vf "$1" -c:v libx264 -preset veryfast -crf 18 -g 60 -threads 2 "$tmp/out.mp4"
}

for round in $(seq "$rounds"); do
    plain=$(theirs null)
    echo "round $round, 1920x1080, seconds of CPU; decode and encode alone: $(echo "$plain" | awk -v f=$frames '{printf "%.3f", $1 / f}') a frame"
    for brush in 2 4 5 8 12; do
        line "video-stylize, brush $brush" "$(ours "{\"brushSize\":$brush}")" "$plain"
    done
    line "the same, 5, held to AVX2" "$(ours '{"brushSize":5}' cpu:1)" "$plain"
    line "nlmeans, 11 by 11" "$(theirs nlmeans=s=4:p=3:r=11)" "$plain"
    line "median, radius 5" "$(theirs median=radius=5)" "$plain"
    line "bilateral" "$(theirs bilateral=sigmaS=5:sigmaR=0.1)" "$plain"
done
