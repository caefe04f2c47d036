#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Slit scan of zoompan beside image-to-video: image_to_video_slit.py BUILD_DIR OUT.png

Both push slowly into the same picture of upright stripes, 1920x1080 to 1920x1080. Of each frame one row of
pixels is kept; the rows are stacked, time going down. A stripe that moves evenly draws a smooth line; one that
stands still and jumps draws stairs. Pixels are enlarged as they are.
"""
import os
import random
import subprocess
import sys
import tempfile

WIDTH, HEIGHT, FRAMES = 1920, 1080, 120
ZOOM = 1.03
LEFT, COLUMNS, ROWS = 262, 64, 104  # the slit, and how many frames are shown
SCALE_X, SCALE_Y = 7, 5
PALETTE = [(18, 26, 48), (236, 232, 220), (24, 60, 110), (240, 160, 60), (30, 110, 130), (200, 70, 60)]


def stripes(path):
    """A picture of random stripes 3 to 9 pixels wide."""
    rng, row, last = random.Random(7), [], None
    while len(row) < WIDTH:
        colour = rng.choice([c for c in PALETTE if c != last])
        row += [colour] * rng.randint(3, 9)
        last = colour
    line = bytes(v for colour in row[:WIDTH] for v in colour)
    with open(path, "wb") as f:
        f.write(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + line * HEIGHT)


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", *args, "-y"], check=True)


def slit(video, out):
    """The slit of the first ROWS frames, one row of `out` each, enlarged."""
    ffmpeg("-i", video, "-vf",
           f"format=gbrp,crop={COLUMNS}:1:{LEFT}:{HEIGHT // 2},tile=1x{FRAMES},crop={COLUMNS}:{ROWS}:0:0,"
           f"scale=iw*{SCALE_X}:ih*{SCALE_Y}:flags=neighbor", "-frames:v", "1", "-pix_fmt", "rgb24", out)


def caption(text, y=26, size=20, colour="black"):
    return f"drawtext=text='{text}':font=sans:fontsize={size}:fontcolor={colour}:x=(w-tw)/2:y={y}-th/2"


def beside(left, right, out):
    def one(name):
        return f"pad=iw+16:ih+48:8:48:white,{caption(name)}"
    note = f"one row of pixels, {ROWS} frames from top to bottom; same picture, same push to {ZOOM} in 4 s"
    ffmpeg("-i", left, "-i", right, "-filter_complex",
           f"[0]{one('ffmpeg zoompan')}[a];[1]{one('bpd image-to-video')}[b];[a][b]hstack,"
           f"pad=iw:ih+40:0:0:white,{caption(note, 'h-20', 15, 'gray')}",
           "-frames:v", "1", "-pix_fmt", "rgb24", "-compression_level", "9", out)


def main():
    build, out = sys.argv[1:3]
    need = os.path.join(os.path.dirname(os.path.abspath(__file__)), "need")
    if subprocess.run([need, build, "bench/image_to_video", "plugins/image-to-video.so"], check=False).returncode:
        sys.exit(1)
    with tempfile.TemporaryDirectory() as tmp:
        picture, theirs, ours = (os.path.join(tmp, n) for n in ("stripes.png", "zoompan.mp4", "ours.mp4"))
        stripes(picture + ".ppm")
        ffmpeg("-i", picture + ".ppm", "-vf", "gblur=sigma=1.1", picture)  # as soft as a photo is
        ffmpeg("-i", picture, "-vf",
               f"zoompan=z='pow({ZOOM},on/{FRAMES - 1})':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':d={FRAMES}:"
               f"s={WIDTH}x{HEIGHT}:fps=30", "-c:v", "libx264", "-crf", "12", "-preset", "veryfast", theirs)
        params = '{"easing":"linear","motion_blur":0,"duration":4,"strength":%.6f}' % ((ZOOM - 1) / 0.6)
        subprocess.run([f"{build}/bench/image_to_video", f"{build}/plugins/image-to-video.so", picture, params, ours],
                       check=True, stdout=subprocess.DEVNULL)
        for video in (theirs, ours):
            slit(video, video + ".png")
        beside(theirs + ".png", ours + ".png", out)


if __name__ == "__main__":
    main()
