# SPDX-License-Identifier: Apache-2.0
"""The main job from end to end: a photo becomes a video, by the command a person types."""
import json
import subprocess

import pytest

from conftest import wait_until
from test_fleet import local


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A picture made here, so that no test needs one from elsewhere."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1200x900:rate=1", "-frames:v", "1", str(path)], check=True)
    return path


@pytest.fixture
def d(daemon, build):
    return daemon(plugins=("sqlite", "local", "image-to-video"),
                  settings={"plugin": local(), "dispatch.sweepMilliseconds": "100",
                            "workflows": json.dumps({"image-to-video": {"scaleToZeroSeconds": 30}})})


def probe(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                          "stream=codec_name,width,height,nb_read_frames,pix_fmt", "-of", "json", str(path)],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)["streams"][0]


def test_bpctl_submit_uploads_waits_and_downloads_a_playable_video(d, photo, short_dir):
    out = short_dir / "out.mp4"
    r = d.ctl("submit", "image-to-video", str(photo), "--param", "duration=1", "--param", "fps=24", "--param", "width=640",
              "--param", "height=360", "--wait", "-o", str(out))
    assert r["status"] == "completed" and r["progress"] == 1
    v = probe(out)
    assert (v["codec_name"], v["width"], v["height"], int(v["nb_read_frames"])) == ("h264", 640, 360, 24)
    assert [e["what"] for e in r["timeline"]][0] == "submitted" and r["timeline"][-1]["what"] == "completed"


@pytest.mark.parametrize("data,mime", [(b"", "image/jpeg"), (b"this is no picture at all", "image/jpeg"), (b"\xff\xd8\xff\xe0" + b"\0" * 500, "image/jpeg")])
def test_what_is_no_picture_fails_at_once_with_words_for_the_tenant(d, data, mime):
    id = d.http.submit("image-to-video", {"duration": 1}, [d.http.upload(data, "photo.jpg", mime)])["id"]
    j = wait_until("it fails", lambda: (j := d.http.job(id))["status"] == "failed" and j, timeout=40)
    assert j["attempts"] == 1 and len(j["error"]) > 10 and "Traceback" not in j["error"]


def test_params_outside_their_ranges_are_refused_before_a_machine_starts(d, photo):
    key = d.http.upload(photo.read_bytes(), "p.jpg", "image/jpeg")
    a = d.http.post("/api/jobs", {"workflow": "image-to-video", "params": {"duration": 1e9, "move": "spiral", "width": 10000}, "inputs": [key]})
    assert a.status == 422 and {"params.duration", "params.move", "params.width"} <= set(a.json["data"])
    assert "push" in " ".join(a.json["data"]["params.move"])
    assert d.http.post("/api/jobs", {"workflow": "image-to-video", "params": {}}).status == 422, "a photo is needed"


def test_an_interrupted_job_goes_on_at_the_frame_it_reached(d, photo, short_dir):
    id = d.http.submit("image-to-video", {"duration": 24, "fps": 30, "width": 1280, "height": 720},
                       [d.http.upload(photo.read_bytes(), "p.jpg", "image/jpeg")])["id"]
    wait_until("it is well on its way", lambda: d.http.job(id)["progress"] > 0.1, timeout=60)
    d.ctl("fleet", "inject", "image-to-video", "interrupt", d.http.job(id)["worker"])
    wait_until("it is handed back", lambda: d.http.job(id)["requeues"] == 1, timeout=20)
    j = wait_until("it completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=90)
    assert j["attempts"] == 1
    events = d.ctl("events", "job.*", "--last", "1000")
    again = [i for i, e in enumerate(events) if e["event"] == "job.leased"][1]
    first = next(e for e in events[again:] if e["event"] == "job.progress" and e["fraction"] > 0)
    assert first["fraction"] > 0.08, "it began again from the first frame"
    out = short_dir / "resumed.mp4"
    out.write_bytes(d.http.get_url(j["output"]["url"]).body)
    assert int(probe(out)["nb_read_frames"]) == 720


def test_an_effect_is_a_workflow_with_its_params_chosen(daemon, photo):
    effects = {"zoom": {"workflow": "image-to-video", "name": "Zoom in", "params": {"move": "push", "duration": 1, "width": 320, "height": 180}}}
    d = daemon(plugins=("sqlite", "local", "image-to-video"), settings={"plugin": local(), "effects": json.dumps(effects)})
    assert [e["effect"] for e in d.ctl("effects")] == ["zoom"]
    a = d.http.post("/api/jobs", {"effect": "zoom", "inputs": [d.http.upload(photo.read_bytes(), "p.jpg", "image/jpeg")]})
    assert a.status == 201, a
    j = wait_until("it completes", lambda: (j := d.http.job(a.data["id"]))["status"] == "completed" and j, timeout=60)
    assert j["params"]["move"] == "push" and j["params"]["width"] == 320
