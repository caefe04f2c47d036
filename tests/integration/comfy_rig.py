# SPDX-License-Identifier: Apache-2.0
"""Graphs for a fake ComfyUI, and the comfyui workflow run on them without a daemon."""
import json
import os
import subprocess
import zlib

from conftest import SLOW
from fakecomfy import png

OK, FAIL, INVALID, NOTFOUND, LATER, TIMEOUT, STOPPED, BADINPUT, NOMEM, IO = 0, -1, -2, -3, -5, -6, -11, -12, -13, -14


def picture(width=16, height=12, start=0):
    pixels = bytes((start + i * 7) & 255 for i in range(width * height * 3))
    return png.encode(width, height, pixels)


def shifted(data, by):
    """What KSampler makes of a picture with a seed."""
    width, height, pixels = png.decode(data, "x")
    return png.encode(width, height, bytes((b + by) & 255 for b in pixels))


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def paint_graph(**sampler):
    """Photo in, picture out: the shape of the field's graphs."""
    inputs = {"seed": "__SEED__", "steps": 4, "cfg": 7.0, "text": "__PROMPT__, masterpiece", "image": ["1", 0], **sampler}
    return {"1": node("LoadImage", image="__INPUT_PATH__"), "3": node("KSampler", **inputs),
            "9": node("SaveImage", images=["3", 0], filename_prefix="out/paint")}


def paint_settings(url, **more):
    properties = [
        {"key": "prompt", "name": "Prompt", "type": "text", "placeholder": "__PROMPT__", "default_value": "a cat", "required": False, "user_configurable": True},
        {"key": "seed", "type": "integer", "placeholder": "__SEED__", "default_value": "3"},
        {"key": "photo", "type": "image", "placeholder": "__INPUT_PATH__", "required": True, "is_primary_input": True}]
    return {"url": url, "graph": paint_graph(), "output_node_id": "9", "properties": properties, "start_timeout_s": 1, **more}


def wrong_settings(url, how, **more):
    """A graph of one node that misbehaves."""
    graph = {"9": node("Misbehave", how=how, **({"message": more.pop("message")} if "message" in more else {}))}
    return {"url": url, "graph": graph, "output_node_id": "9", "start_timeout_s": 1, **more}


class Result:
    def __init__(self, lines, output):
        self.lines = lines
        self.rc, self.text = lines[-1][1:]
        self.output = output.read_bytes() if output.exists() else None

    def progress(self):
        return [(fraction, text) for what, fraction, text in self.lines if what == "progress"]

    def logs(self):
        return "\n".join(text for what, _, text in self.lines if what == "log")

    def __repr__(self):
        return f"{self.rc} {self.text!r}"


class Driver:
    """One job after another, each in a process of its own."""

    def __init__(self, build, dir):
        self.program, self.dir, self.n = build / "tests" / "comfyui_driver", dir, 0

    def start(self, settings, params=None, inputs=(), limit_ms=0, stop_at="", settings_dir=""):
        self.n += 1
        at = self.dir / f"job{self.n}"
        at.mkdir()
        files = []
        for i, data in enumerate(inputs):
            (at / f"input{i}").write_bytes(data)
            files.append({"path": str(at / f"input{i}"), "mime": "image/png", "name": f"photo {i}.png"})
        job = {"settings": settings, "settings_dir": str(settings_dir), "params": params or {}, "inputs": files, "limit_ms": limit_ms, "stop_at": stop_at}
        (at / "job.json").write_text(json.dumps(job))
        return at, subprocess.Popen([str(self.program), str(at / "job.json"), str(at / "output")], stdout=subprocess.PIPE, text=True, cwd=at)

    def run(self, settings, params=None, inputs=(), timeout=30, **more):
        at, process = self.start(settings, params, inputs, **more)
        out, _ = process.communicate(timeout=timeout * SLOW)
        assert process.returncode == 0, out
        return Result([json.loads(line) for line in out.splitlines()], at / "output")
