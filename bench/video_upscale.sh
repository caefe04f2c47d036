#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# video-upscale beside ffmpeg's scale=lanczos and bicubic: how fast (same video and encoder, two cores, CPU time because
# other things may run) and how good (known pictures averaged down, then enlarged again: PSNR and SSIM of luma).
# Usage: bench/video_upscale.sh BUILD_DIR [ROUNDS] [PICTURE...]; pictures are added to those that are made here.
# ROUNDS_ONLY=1 leaves out how good it is.
set -eu
build=${1:?usage: $0 BUILD_DIR [ROUNDS] [PICTURE...]}
rounds=${2:-3}
shift "$(($# > 2 ? 2 : $#))"
"$(dirname "$0")/need" "$build" bench/image_to_video bench/video_upscale plugins/video-upscale.so
tmp=$(mktemp -d "${TMPDIR:-/tmp}/bp-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
plugin=$build/plugins/video-upscale.so
run() { ffmpeg -v error -nostdin -y "$@"; }

# cpu COMMAND...: seconds of CPU and of time on two cores
cpu() {
    taskset -c 0,1 python3 -c '
import resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.3f} {time.monotonic() - start:.3f}")' "$@"
}

echo "speed, 1920x1080 to 3840x2160, 60 frames; seconds of CPU, seconds"
run -f lavfi -i mandelbrot=s=1920x1080:r=30:start_scale=0.1 -frames:v 60 -pix_fmt yuv420p -c:v libx264 -crf 14 \
    -preset veryfast "$tmp/in.mp4"
run -i "$tmp/in.mp4" -f rawvideo "$tmp/in.yuv"
raw="-f rawvideo -s 1920x1080 -r 30 -pix_fmt yuv420p -i $tmp/in.yuv"
for round in $(seq "$rounds"); do
    # shellcheck disable=SC2086
    {
        read=$(cpu ffmpeg -v error $raw -f null -)
        both=$(cpu ffmpeg -v error $raw -vf scale=3840:2160:flags=lanczos -f null -)
    }
    ours=$("$build/bench/video_upscale" "$tmp/in.mp4" 2 60)
    avx2=$("$build/bench/video_upscale" "$tmp/in.mp4" 2 60 1)
    whole=$(cpu ffmpeg -v error -y -i "$tmp/in.mp4" -vf scale=3840:2160:flags=lanczos -c:v libx264 -preset veryfast \
        -crf 18 -g 60 -threads 2 "$tmp/lanczos.mp4")
    job=$(cpu "$build/bench/image_to_video" "$plugin" "$tmp/in.mp4" '{"factor":2}' "$tmp/ours.mp4" cpu)
    echo "$read $both $ours $avx2 $whole $job" | awk -v round="$round" '{
        printf "round %d: scale alone: lanczos %.2f, ours %.2f, held to AVX2 %.2f: ratio %.2f, %.2f\n", round, $3 - $1, $6, $8,
            ($3 - $1) / $6, ($3 - $1) / $8
        printf "         decode, scale, encode: ffmpeg %.2f (%.2f), ours %.2f (%.2f): ratio %.2f of CPU, %.2f of time\n", $9,
            $10, $11, $12, $9 / $11, $10 / $12 }'
done

[ -z "${ROUNDS_ONLY:-}" ] || exit 0

# The ways to enlarge $1 by $2 into $3 (lossless, so that only the scaling is judged); prints "PSNR SSIM".
judge() { # enlarged original
    run -i "$1" -i "$2" -lavfi "[0:v]format=gray,split[a][b];[1:v]format=gray,split[c][d];
        [a][c]psnr=stats_file=$tmp/psnr.txt;[b][d]ssim=stats_file=$tmp/ssim.txt" -f null - 2>/dev/null
    awk '{for (i = 1; i <= NF; i++) if ($i ~ /^psnr_avg:/) {sub(/.*:/, "", $i); printf "%s ", $i; exit}}' "$tmp/psnr.txt"
    awk '{for (i = 1; i <= NF; i++) if ($i ~ /^All:/) {sub(/.*:/, "", $i); print $i; exit}}' "$tmp/ssim.txt"
}

made="testsrc2=s=960x720 mandelbrot=s=960x720:start_scale=0.05 mandelbrot=s=960x720:start_x=-1.4:start_scale=0.02
    smptehdbars=s=960x720 sierpinski=s=960x720:seed=3 zoneplate"
i=0
for source in $made; do
    i=$((i + 1))
    case $source in
    zoneplate) run -f lavfi -i color=gray:s=960x720 -vf "geq=lum='128+100*cos(hypot(X-480,Y-360)*hypot(X-480,Y-360)/1100)'" \
        -frames:v 1 -pix_fmt gray "$tmp/$i-zoneplate.png" ;;
    *) run -f lavfi -i "$source" -frames:v 1 -pix_fmt gray "$tmp/$i-${source%%=*}.png" ;;
    esac
done
for picture in "$@"; do
    i=$((i + 1))
    name=$(basename "${picture%.*}")
    run -i "$picture" -vf "format=gray,crop=trunc(min(iw\,1440)/24)*24:trunc(min(ih\,1080)/24)*24" -frames:v 1 "$tmp/$i-$name.png"
done

echo
echo "| picture | factor | bicubic | Lanczos | video-upscale |"
echo "|---|---|---|---|---|"
for png in "$tmp"/[0-9]*.png; do
    for factor in 2 3 4; do
        run -i "$png" -vf "scale=iw/$factor:ih/$factor:flags=area,format=yuv420p,setparams=range=tv:colorspace=bt709" \
            -c:v ffv1 "$tmp/small.mkv"
        "$build/bench/image_to_video" "$plugin" "$tmp/small.mkv" "{\"factor\":$factor,\"quality\":1}" "$tmp/ours.mkv" >/dev/null
        for how in bicubic lanczos; do
            run -i "$tmp/small.mkv" -vf "scale=iw*$factor:ih*$factor:flags=$how" -c:v ffv1 "$tmp/$how.mkv"
        done
        run -i "$png" -vf "format=yuv420p" -c:v ffv1 "$tmp/full.mkv"
        name=$(basename "$png" .png)
        for how in bicubic lanczos ours; do
            judge "$tmp/$how.mkv" "$tmp/full.mkv"
        done | awk -v name="${name#*-}" -v factor="$factor" '
            {p[NR] = $1; s[NR] = $2}
            END {printf "| %s | %d |", name, factor; for (k = 1; k <= 3; k++) printf " %.2f dB, %.4f |", p[k], s[k]; print ""}'
    done
done | tee "$tmp/table"
awk -F '[|, ]+' '{n[$3]++; for (k = 0; k < 3; k++) {p[$3, k] += $(4 + 3 * k); s[$3, k] += $(6 + 3 * k)}}
    END {for (f = 2; f <= 4; f++) if (n[f]) {printf "| mean of %d | %d |", n[f], f
        for (k = 0; k < 3; k++) printf " %.2f dB, %.4f |", p[f, k] / n[f], s[f, k] / n[f]; print ""}}' "$tmp/table"

# The docs' sample: letters and lines at an angle, averaged down by 4 and enlarged by 4, bicubic, Lanczos and ours.
root=$(cd "$(dirname "$0")/.." && pwd)
run -f lavfi -i color=white:s=960x480 -vf "drawtext=text='bpd 4x':fontsize=230:fontcolor=black:x=60:y=90,
    drawgrid=w=960:h=48:t=5:color=black@0.8,rotate=0.21:fillcolor=white,format=yuv420p,scale=240:120:flags=area" \
    -frames:v 5 -c:v ffv1 "$tmp/small.mkv"
"$build/bench/image_to_video" "$plugin" "$tmp/small.mkv" '{"factor":4,"quality":1}' "$tmp/ours.mkv" >/dev/null
for how in bicubic lanczos; do
    run -i "$tmp/small.mkv" -vf "scale=960:480:flags=$how" -frames:v 1 -c:v ffv1 "$tmp/$how.mkv"
done
crop="format=gray,crop=260:220:300:100"
run -i "$tmp/bicubic.mkv" -i "$tmp/lanczos.mkv" -i "$tmp/ours.mkv" \
    -lavfi "[0:v]${crop}[a];[1:v]${crop}[b];[2:v]${crop}[c];[a][b][c]hstack=3" -frames:v 1 -update 1 \
    "$root/docs/img/video-upscale.png"
ls -l "$root/docs/img/video-upscale.png"
