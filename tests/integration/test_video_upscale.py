# SPDX-License-Identifier: Apache-2.0
"""A video grows from end to end, by the command a person types; and what tenants upload that is no such video."""
import json
import subprocess

import pytest

from conftest import wait_until
from test_fleet import local

TEST = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=d=1")


def make(path, *args):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *args, str(path)], check=True)
    return path


def probe(path, *entries):
    out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", *entries, "-of", "json", str(path)],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)


@pytest.fixture
def d(daemon, build):
    return daemon(plugins=("sqlite", "local", "video-upscale"),
                  settings={"plugin": local(), "dispatch.sweepMilliseconds": "100",
                            "workflows": json.dumps({"video-upscale": {"scaleToZeroSeconds": 30}})})


def test_bpctl_submit_enlarges_a_video_and_keeps_its_sound(d, short_dir):
    video = make(short_dir / "in.mp4", *TEST, *SOUND, "-pix_fmt", "yuv420p")
    out = short_dir / "out.mp4"
    r = d.ctl("submit", "video-upscale", str(video), "--param", "factor=3", "--wait", "-o", str(out))
    assert r["status"] == "completed" and r["progress"] == 1
    v, a = (next(s for s in probe(out)["streams"] if s["codec_type"] == t) for t in ("video", "audio"))
    assert (v["codec_name"], v["width"], v["height"], int(v["nb_read_frames"])) == ("h264", 480, 270, 25)
    before = next(s for s in probe(video)["streams"] if s["codec_type"] == "audio")
    assert (a["codec_name"], a["nb_read_frames"], a["duration"]) == ("aac", before["nb_read_frames"], before["duration"])


def bad_files(dir):
    """name, bytes, words of the message"""
    whole = make(dir / "whole.mp4", *TEST, "-pix_fmt", "yuv420p", "-movflags", "faststart").read_bytes()
    mkv = make(dir / "whole.mkv", *TEST, "-pix_fmt", "yuv420p").read_bytes()
    huge = bytearray(whole)
    at = huge.index(b"avc1", huge.index(b"stsd")) + 28  # width and height of the sample entry
    huge[at:at + 4] = b"\xff\xff\xff\xff"
    yield "empty.mp4", b"", "empty"
    yield "text.mp4", b"this is no video, whatever its name says", "not a video"
    yield "cut.mp4", whole[:len(whole) * 2 // 3], "cut short"
    yield "head.mp4", whole[:600], "damaged or cut short"
    yield "cut.mkv", mkv[:len(mkv) // 2], "cut short"
    yield "huge.mp4", bytes(huge), "65535 by 65535"
    yield "sound.m4a", make(dir / "sound.m4a", *SOUND).read_bytes(), "no picture"
    yield "photo.jpg", make(dir / "photo.jpg", *TEST, "-frames:v", "1", "-update", "1").read_bytes(), "a picture"
    yield "list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:/etc/passwd\n#EXT-X-ENDLIST\n", "a playlist"
    yield "large.mp4", make(dir / "large.mp4", "-f", "lavfi", "-i", "color=gray:s=5120x2880:r=5:d=0.4", "-c:v", "libx264",
                            "-preset", "ultrafast").read_bytes(), "cannot be made larger"


def test_what_is_no_video_fails_at_once_with_words_for_the_tenant(d, tmp_path):
    jobs = {}
    for name, data, words in bad_files(tmp_path):
        mime = "video/mp4"  # as a tenant may claim of anything
        jobs[d.http.submit("video-upscale", {}, [d.http.upload(data, name, mime)])["id"]] = (name, words)
    for id, (name, words) in jobs.items():
        j = wait_until(f"{name} fails", lambda: (j := d.http.job(id))["status"] == "failed" and j, timeout=60)
        assert j["attempts"] == 1 and words in j["error"], (name, j["error"])


def test_odd_videos_are_enlarged_too(d, tmp_path):
    made = {"gif": make(tmp_path / "a.gif", *TEST),
            "16 bits": make(tmp_path / "b.mov", *TEST, "-pix_fmt", "rgb48be", "-c:v", "png"),
            "turned": make(tmp_path / "c.mp4", "-i", make(tmp_path / "t.mp4", *TEST, "-pix_fmt", "yuv420p"), "-c", "copy",
                           "-metadata:s:v", "rotate=90")}
    mimes = {"gif": "image/gif", "16 bits": "video/quicktime", "turned": "video/mp4"}
    for what, path in made.items():
        id = d.http.submit("video-upscale", {}, [d.http.upload(path.read_bytes(), path.name, mimes[what])])["id"]
        j = wait_until(f"{what} completes", lambda: (j := d.http.job(id))["status"] in ("completed", "failed") and j, timeout=60)
        assert j["status"] == "completed", (what, j["error"])
        out = tmp_path / "out.mp4"
        out.write_bytes(d.http.get_url(j["output"]["url"]).body)
        v = probe(out)["streams"][0]
        assert (v["width"], v["height"], int(v["nb_read_frames"])) == (320, 180, 25), what
        assert v["codec_name"] == ("hevc" if what == "16 bits" else "h264")
        turns = [s["rotation"] for s in v.get("side_data_list", []) if "rotation" in s]
        assert turns == ([90] if what == "turned" else []), v


def test_an_interrupted_job_goes_on_at_the_frame_it_reached(d, short_dir):
    video = make(short_dir / "in.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=40", "-pix_fmt", "yuv420p", "-preset", "ultrafast")
    id = d.http.submit("video-upscale", {}, [d.http.upload(video.read_bytes(), "in.mp4", "video/mp4")])["id"]
    wait_until("it is well on its way", lambda: d.http.job(id)["progress"] > 0.2, timeout=60)
    d.ctl("fleet", "inject", "video-upscale", "interrupt", d.http.job(id)["worker"])
    wait_until("it is handed back", lambda: d.http.job(id)["requeues"] == 1, timeout=20)
    j = wait_until("it completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=90)
    assert j["attempts"] == 1
    events = d.ctl("events", "job.*", "--last", "1000")
    again = [i for i, e in enumerate(events) if e["event"] == "job.leased"][1]
    first = next(e for e in events[again:] if e["event"] == "job.progress" and e["fraction"] > 0)
    assert first["fraction"] > 0.15, "it began again from the first frame"
    out = short_dir / "resumed.mp4"
    out.write_bytes(d.http.get_url(j["output"]["url"]).body)
    assert int(probe(out)["streams"][0]["nb_read_frames"]) == 1200
