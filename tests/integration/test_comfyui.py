# SPDX-License-Identifier: Apache-2.0
"""Graphs as workflows, end to end: one plugin, a file of workflows.d for each, real daemon, worker, runner and sandbox."""
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from comfy_rig import node, paint_graph, paint_settings, picture, shifted, wrong_settings
from conftest import ROOT, wait_until
from fakecomfy import FakeComfy
from test_fleet import local

PAINT_PARAMS = {"type": "object", "properties": {"prompt": {"type": "string", "maxLength": 500, "default": "a dog"},
                                                 "seed": {"type": "integer", "minimum": 0, "maximum": 255, "default": 3}}}


class Bench:
    """A daemon with the comfyui plugin, its workflows and a ComfyUI."""

    def __init__(self, daemon, build, dir):
        self.comfy = FakeComfy(dir / "comfy").start()
        self.d = daemon(start=False, extra_plugins=[build / "plugins" / "comfyui.so"],
                        settings={"plugin": local(), "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.1", "dispatch.leaseTtlSeconds": "10"})
        self.dir = self.d.dir / "workflows.d"
        self.dir.mkdir(mode=0o755)

    def define(self, slug, settings, **keys):
        text = json.dumps({"plugin": "comfyui", "maxSize": 1, "scaleToZeroSeconds": 60, "settings": settings, **keys})
        part = self.dir / f".{slug}.part"
        part.write_text(text)
        part.chmod(0o644)
        part.rename(self.dir / f"{slug}.json")

    def submit(self, slug, params=None, *photos):
        inputs = [self.d.http.upload(p, "photo.png", "image/png") for p in photos]
        return self.d.http.submit(slug, params or {}, inputs)["id"]

    def ended(self, id, timeout=60):
        return wait_until(f"job {id} ends", lambda: (j := self.d.http.job(id))["status"] in ("completed", "failed", "cancelled") and j, timeout=timeout)

    def output(self, id):
        job = self.ended(id)
        assert job["status"] == "completed", job
        return self.d.http.get_url(job["output"]["url"]).body


@pytest.fixture
def bench(daemon, build, short_dir):
    b = Bench(daemon, build, short_dir)
    yield b
    b.comfy.die()


def test_two_graphs_of_one_plugin_are_two_workflows(bench):
    b, url = bench, bench.comfy.url
    b.define("paint", paint_settings(url), displayName="Paint", accepts=["image/*"], produces="image/png", params=PAINT_PARAMS)
    (b.dir / "copy-graph.txt").write_text(json.dumps({"1": node("LoadImage", image="__INPUT_PATH__"), "9": node("VHS_VideoCombine", images=["1", 0], filename_prefix="v")}))
    b.define("film", {"url": url, "graph": "copy-graph.txt"}, accepts=["image/*"], produces="video/mp4")
    b.d.start()
    assert {w["workflow"]: w["plugin"] for w in b.d.ctl("workflows")} == {"paint": "comfyui", "film": "comfyui"}
    ids = [b.submit("paint", {"seed": 9}, picture()), b.submit("film", {}, picture(64, 64)), b.submit("paint", {}, picture(start=5))]
    assert b.output(ids[0]) == shifted(picture(), 9)
    assert b.output(ids[1]).startswith(b"\0\0\0\x18ftypmp42") and ".mp4?" in b.d.http.job(ids[1])["output"]["url"]
    assert b.output(ids[2]) == shifted(picture(start=5), 3)
    assert b.d.http.post("/api/jobs", {"workflow": "paint", "params": {"seed": 999}}).status == 422
    assert [p["prompt"]["3"]["inputs"]["text"] for p in b.comfy.prompts if "3" in p["prompt"]] == ["a dog, masterpiece"] * 2


def test_progress_is_seen_and_a_cancelled_job_interrupts_comfyui(bench):
    b = bench
    b.define("paint", {**paint_settings(b.comfy.url), "graph": paint_graph(steps=5000, step_ms=20)}, params=PAINT_PARAMS)
    b.d.start()
    id = b.submit("paint", {}, picture())
    j = wait_until("progress is seen", lambda: (j := b.d.http.job(id))["progress"] > 0.05 and j, timeout=60)
    assert "KSampler: " in json.dumps(b.d.ctl("job", str(id)))
    assert b.d.http.request("DELETE", f"/api/jobs/{id}").status == 200
    wait_until("ComfyUI was interrupted", lambda: b.comfy.asked("POST", "/interrupt") and b.comfy.executor.remaining() == 0)
    assert b.ended(id)["status"] == "cancelled" and j["attempts"] == 1
    b.comfy.die()


def test_the_prompt_of_a_killed_worker_is_taken_back_by_the_next_attempt(bench):
    b = bench
    b.define("long", wrong_settings(b.comfy.url, "hang"))
    b.d.start()
    id = b.submit("long")
    first = wait_until("its prompt runs", lambda: b.comfy.executor.running, timeout=60)
    wait_until("its progress is seen", lambda: b.d.http.job(id)["progress"] > 0, timeout=60)
    os.kill(b.d.worker_pids()[0], signal.SIGKILL)
    wait_until("another prompt runs", lambda: (r := b.comfy.executor.running) and r[1] != first[1], timeout=90)
    assert b.comfy.executor.history[first[1]]["status"]["messages"][-1][0] == "execution_interrupted"
    assert b.d.http.job(id)["attempts"] == 2 and b.comfy.executor.pending == []


def test_what_the_model_says_reaches_the_tenant_and_only_what_may_help_is_tried_again(bench):
    b, url = bench, bench.comfy.url
    b.define("no", wrong_settings(url, "raise", message="the face is not a face"))
    b.define("big", wrong_settings(url, "oom"))
    b.define("lost", wrong_settings(url, "odd_output"))
    b.d.start()
    ids = {slug: b.submit(slug) for slug in ("no", "big", "lost")}
    jobs = {slug: b.ended(id, timeout=90) for slug, id in ids.items()}
    assert {s: j["attempts"] for s, j in jobs.items()} == {"no": 1, "big": 3, "lost": 1}
    assert jobs["no"]["error"] == "node 9 (Misbehave) failed: ValueError: the face is not a face"
    assert "the GPU has no room for node 9" in jobs["big"]["error"]
    assert "output node 9 gave no file, but text" in jobs["lost"]["error"]


def test_a_comfyui_that_was_down_comes_up_and_the_job_completes_on_a_later_attempt(bench):
    b = bench
    b.define("paint", paint_settings(b.comfy.url), params=PAINT_PARAMS, maxAttempts=50)
    b.comfy.die()
    b.d.start()
    id = b.submit("paint", {"seed": 7}, picture())
    wait_until("an attempt has failed", lambda: b.d.http.job(id)["attempts"] >= 2 or b.d.http.job(id)["error"], timeout=60)
    assert f"ComfyUI at {b.comfy.url} is down" in json.dumps(b.d.ctl("job", str(id)))
    b.comfy.start()
    assert b.output(id) == shifted(picture(), 7)
    assert b.d.http.job(id)["attempts"] >= 2


def test_settings_are_checked_when_the_file_is_dropped_in(bench):
    b = bench
    b.define("typo", {"graph": {}, "out_node": "9"})
    b.define("none", {"url": "127.0.0.1:8188"})
    b.define("holes", {"graph": {"9": node("ShowText", text="__PROMPT__")}})
    b.define("aside", {"graph": {"9": node("ShowText", text="x")}, "output_node_id": "7"})
    b.define("fine", {"graph": {"9": node("ShowText", text="x")}})
    b.d.start()
    plugins = {p["name"]: p for p in b.d.ctl("plugin")}
    assert plugins["fine"]["state"] == "running"
    assert plugins["typo"]["state"] == "refused" and "out_node" in json.dumps(plugins["typo"])
    assert plugins["holes"]["state"] == "refused" and "the placeholder __PROMPT__, and no property" in plugins["holes"]["reason"]
    assert plugins["aside"]["state"] == "refused" and "settings.output_node_id: the graph has no node 7" in plugins["aside"]["reason"]
    assert plugins["none"]["state"] == "refused" and "settings." in json.dumps(plugins["none"])


def test_a_sandbox_that_leaves_no_network_open_is_told_from_a_comfyui_that_is_down(bench):
    b = bench
    settings = {"url": b.comfy.url, "start_timeout_s": 1, "graph": {"9": node("ShowText", text="x")}}
    b.define("shut", settings, maxAttempts=1, sandbox={"network": "none"})
    b.define("far", {**settings, "url": "http://192.0.2.1:8188"}, maxAttempts=1)
    b.d.start()
    ids = [b.submit("shut"), b.submit("far")]
    assert "the sandbox leaves no network open; set sandbox.network to loopback" in b.ended(ids[0])["error"]
    assert "192.0.2.1:8188 is down" in b.ended(ids[1])["error"]
    assert b.comfy.requests == []


def row_of_the_field():
    """As the former backend keeps it: texts with JSON in them, nulls, and what PHP makes of an empty object."""
    graph = {**paint_graph(text="__PROMPT__, __STYLE__", seed=8), "7": node("ShowText", text="x"), "9": node("VHS_VideoCombine", images=["3", 0], filename_prefix="v")}
    properties = [
        {"key": "input_image", "name": "Photo", "description": None, "type": "image", "placeholder": "__INPUT_PATH__", "default_value": None,
         "default_value_hash": None, "required": True, "user_configurable": True, "is_primary_input": True},
        {"key": "prompt", "name": "Prompt", "description": "What to see", "type": "text", "placeholder": "__PROMPT__", "default_value": "a cat",
         "default_value_hash": None, "required": False, "user_configurable": True, "is_primary_input": False},
        {"key": "style", "name": "Style", "description": None, "type": "text", "placeholder": "__STYLE__", "default_value": "masterpiece",
         "default_value_hash": None, "required": True, "user_configurable": False, "is_primary_input": False}]
    return {"id": 5, "slug": "cartoonify", "name": "Cartoonify", "is_active": 1, "workflow": json.dumps(graph), "properties": json.dumps(properties),
            "output_node_id": "9", "output_extension": "mp4", "output_mime_type": "video/mp4", "deleted_at": None}


def test_a_row_of_the_field_becomes_a_workflow_unchanged(bench):
    b = bench
    (b.dir.parent / "row.json").write_text(json.dumps(row_of_the_field()))
    subprocess.run([sys.executable, str(ROOT / "scripts" / "from-comfyui-row"), str(b.dir.parent / "row.json"), str(b.dir)], check=True)
    d = json.loads((b.dir / "cartoonify.json").read_text())
    assert d["settings"]["graph"] == json.loads(row_of_the_field()["workflow"])
    b.define("cartoonify", {**d["settings"], "url": b.comfy.url}, **{k: v for k, v in d.items() if k not in ("plugin", "settings")})
    b.d.start()
    assert b.d.http.post("/api/jobs", {"workflow": "cartoonify", "params": {"style": "mine"}}).status == 422
    assert b.output(b.submit("cartoonify", {"prompt": "a \"dog\""}, picture())).startswith(b"\0\0\0\x18ftypmp42")
    assert b.comfy.prompts[0]["prompt"]["3"]["inputs"]["text"] == "a \"dog\", masterpiece"


def test_the_example_is_taken_as_it_stands(bench):
    """Up to ComfyUI, which here lacks its nodes: its settings, its form, its graph and its placeholders."""
    b = bench
    shutil.copytree(ROOT / "etc" / "workflows.d", b.dir, dirs_exist_ok=True)
    text = (b.dir / "restyle.json").read_text()
    assert "http://127.0.0.1:8188" in text
    (b.dir / "restyle.json").write_text(text.replace("http://127.0.0.1:8188", b.comfy.url))
    b.d.start()
    j = b.ended(b.submit("restyle", {"seed": 77, "strength": 0.4}, picture()))
    assert j["status"] == "failed" and "does not exist" in j["error"], j
    inputs = b.comfy.prompts[0]["prompt"]["7"]["inputs"]
    assert (inputs["seed"], inputs["denoise"]) == (77, 0.4)
    assert b.comfy.prompts[0]["prompt"]["5"]["inputs"]["text"] == "blurry, text, watermark"


def test_a_file_is_tried_on_a_sample_without_a_daemon(build, short_dir):
    comfy = FakeComfy(short_dir / "comfy").start()
    dir = short_dir / "workflows.d"
    (dir / "graphs").mkdir(parents=True)
    (dir / "graphs" / "paint.json").write_text(json.dumps(paint_graph()))
    (short_dir / "sample.png").write_bytes(picture())
    settings = {**paint_settings(comfy.url), "graph": "graphs/paint.json"}
    (dir / "paint.json").write_text(json.dumps({"plugin": "comfyui", "summary": "Paints", "produces": "image/png", "settings": settings}))

    def check():
        r = subprocess.run([build / "bin" / "bpctl", "plugin", "check", build / "plugins" / "comfyui.so", "--workflow", dir / "paint.json",
                            "--sample", short_dir / "sample.png"], capture_output=True, text=True)
        return r.returncode, r.stdout

    code, text = check()
    comfy.die()
    assert code == 0 and "0 errors" in text and comfy.prompts, text
    code, text = check()
    assert code == 1 and f"ComfyUI at {comfy.url} is down" in text
