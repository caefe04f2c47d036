# SPDX-License-Identifier: Apache-2.0
"""A video is painted from end to end, by the command a person types; what its params cannot be is refused at once."""
import json

import pytest

from test_fleet import local
from test_video_upscale import SOUND, TEST, make, probe


@pytest.fixture
def d(daemon, build):
    return daemon(plugins=("sqlite", "local", "video-stylize"),
                  settings={"plugin": local(), "dispatch.sweepMilliseconds": "100",
                            "workflows": json.dumps({"video-stylize": {"scaleToZeroSeconds": 30}})})


def test_bpctl_submit_paints_a_video_and_keeps_its_sound(d, short_dir):
    video = make(short_dir / "in.mp4", *TEST, *SOUND, "-pix_fmt", "yuv420p")
    out = short_dir / "out.mp4"
    r = d.ctl("submit", "video-stylize", str(video), "--param", "brushSize=3", "--wait", "-o", str(out))
    assert r["status"] == "completed" and r["progress"] == 1
    v, a = (next(s for s in probe(out)["streams"] if s["codec_type"] == t) for t in ("video", "audio"))
    assert (v["codec_name"], v["width"], v["height"], int(v["nb_read_frames"])) == ("h264", 160, 90, 25)
    before = next(s for s in probe(video)["streams"] if s["codec_type"] == "audio")
    assert (a["codec_name"], a["nb_read_frames"], a["duration"]) == ("aac", before["nb_read_frames"], before["duration"])


def test_a_brush_that_is_too_large_is_refused_before_it_costs_anything(d, short_dir):
    video = make(short_dir / "in.mp4", *TEST, "-pix_fmt", "yuv420p")
    inputs = [d.http.upload(video.read_bytes(), "in.mp4", "video/mp4")]
    a = d.http.post("/api/jobs", {"workflow": "video-stylize", "params": {"brushSize": 40}, "inputs": inputs})
    assert a.status == 422 and "params.brushSize" in a.json["data"]
