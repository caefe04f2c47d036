#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# image-to-video beside ffmpeg's zoompan: same photo, size and length, two cores each. Prints frames/s, CPU a frame and
# bytes, then jitter (how far the picture jumps from frame to frame, off the smooth move), and draws
# docs/img/zoompan-and-ours.png.
# Usage: bench/image_to_video.sh BUILD_DIR [PHOTO] [ROUNDS]; rounds alternate, so that a busy machine is as busy for all.
# SIZE (1920x1080) and FRAMES (150) are taken from the environment; ROUNDS_ONLY=1 leaves jitter and picture out.
set -eu
build=${1:?usage: $0 BUILD_DIR [PHOTO] [ROUNDS]}
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/bench/need" "$build" bench/image_to_video plugins/image-to-video.so
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bp-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
photo=${2:-$tmp/photo.jpg}
rounds=${3:-1}
[ -f "$photo" ] || ffmpeg -v error -f lavfi -i mandelbrot=s=4000x2250:r=1 -frames:v 1 -pix_fmt yuvj420p -q:v 2 "$photo"
size=${SIZE:-1920x1080} frames=${FRAMES:-150} fps=30
width=${size%x*} height=${size#*x}
encoder="-c:v libx264 -preset veryfast -crf 19 -g 60 -threads 2"
smooth="-x264-params open-gop=0:scenecut=0:b-adapt=0:bframes=5:subme=1:me=dia:partitions=none:weightp=0" # what plugins/workflows/media/codec.c sets
push="zoompan=z='pow(1.3,on/$((frames - 1)))':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':d=$frames:s=$size:fps=$fps"

measure() { # "what" command...: on two cores; CPU time says more where other things run
    what=$1
    shift
    taskset -c 0,1 python3 -c '
import resource, subprocess, sys, time
what, frames, start = sys.argv[1], int(sys.argv[2]), time.monotonic()
subprocess.run(sys.argv[3:], check=True, stdout=subprocess.DEVNULL)
wall, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
print(f"{what:40} {wall:7.2f} s {frames / wall:7.1f} frames/s {cpu:7.2f} s of CPU {cpu / frames * 1000:7.1f} ms a frame")
' "$what" "$frames" "$@"
}

shape="\"width\":$width,\"height\":$height,\"fps\":$fps,\"duration\":$(awk "BEGIN { print $frames / $fps }")"
params="{\"easing\":\"linear\",\"motion_blur\":0,$shape}"
job() { # "what" params device
    measure "$1" "$build/bench/image_to_video" "$build/plugins/image-to-video.so" "$photo" "$2" "$tmp/ours.mp4" "$3"
}
for round in $(seq "$rounds"); do
    echo "round $round"
    measure "zoompan alone" ffmpeg -v error -i "$photo" -vf "$push" -f null -
    # shellcheck disable=SC2086
    measure "zoompan and x264 veryfast" ffmpeg -v error -i "$photo" -vf "$push" $encoder -y "$tmp/zoompan.mp4"
    # shellcheck disable=SC2086
    measure "zoompan and x264 with our settings" \
        ffmpeg -v error -i "$photo" -vf "$push" $encoder $smooth -y "$tmp/zoompan2.mp4"
    job "image-to-video, start to end" "$params" cpu
    job "image-to-video as on AVX2" "$params" cpu:1
    job "image-to-video as on SSE2" "$params" cpu:0
    job "image-to-video, orbit with depth" "{\"move\":\"orbit\",\"parallax\":0.7,\"motion_blur\":0,$shape}" cpu
done
[ -z "${ROUNDS_ONLY:-}" ] || exit 0

# Slow and small, where jitter shows: a push to 1.05 in 150 frames, no loss by the encoder.
slow="zoompan=z='pow(1.05,on/149)':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':d=$frames:s=640x360:fps=$fps"
ffmpeg -v error -f lavfi -i color=gray:s=2000x1125 -vf \
    "noise=c0s=100:c0_seed=1,format=gray,gblur=sigma=7,normalize" -frames:v 1 "$tmp/blobs.png"
ffmpeg -v error -i "$tmp/blobs.png" -vf "$slow" -c:v libx264 -crf 0 -preset ultrafast -y "$tmp/zoompan-slow.mp4"
"$build/bench/image_to_video" "$build/plugins/image-to-video.so" "$tmp/blobs.png" \
    '{"easing":"linear","motion_blur":0,"strength":0.0833333,"width":640,"height":360}' "$tmp/ours-slow.mp4" >/dev/null
for who in zoompan ours; do
    ffmpeg -v error -i "$tmp/$who-slow.mp4" -pix_fmt gray -f rawvideo -y "$tmp/$who.gray"
done
python3 "$root/bench/image_to_video_jitter.py" "$tmp/zoompan.gray" "$tmp/ours.gray"
mkdir -p "$root/docs/img"
python3 "$root/bench/image_to_video_slit.py" "$build" "$root/docs/img/zoompan-and-ours.png"
ls -l "$root/docs/img/zoompan-and-ours.png"
