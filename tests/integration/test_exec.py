# SPDX-License-Identifier: Apache-2.0
"""Commands as workflows: one plugin, many files of workflows.d, real daemons, workers and runners."""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import textwrap
import threading
import time
import zlib

import pytest

from conftest import ROOT, SLOW, wait_until

FAST = {"dispatch.leaseTtlSeconds": "10", "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.1",
        "plugin.local.bootDelaySeconds": "0"}


class Bench:
    """A daemon with the exec plugin and a directory of workflows."""

    def __init__(self, daemon, build, **settings):
        self.d = daemon(start=False, settings={**FAST, **settings}, extra_plugins=[build / "plugins" / "exec.so"])
        self.dir = self.d.dir / "workflows.d"
        self.dir.mkdir(mode=0o755)

    def define(self, slug, command, **keys):
        """Writes workflows.d/<slug>.json as an operator should: beside it, then a rename."""
        settings = {"command": command, **keys.pop("settings", {})}
        text = {"plugin": "exec", "maxSize": 1, "settings": settings, **keys}
        self.write(slug, json.dumps(text, indent=1))

    def write(self, slug, text):
        part = self.dir / f".{slug}.part"
        part.write_text(text)
        part.chmod(0o644)
        part.rename(self.dir / f"{slug}.json")

    def script(self, name, text):
        path = self.dir / name
        path.write_text(textwrap.dedent(text).lstrip())
        path.chmod(0o755)
        return path

    def submit(self, slug, params=None, *inputs):
        return self.d.http.submit(slug, params or {}, [self.d.http.upload(i, "in.txt", "text/plain") for i in inputs])["id"]

    def done(self, id, timeout=60):
        return wait_until(f"job {id} ends", lambda: (j := self.d.http.job(id))["status"] in ("completed", "failed", "cancelled") and j,
                          timeout=timeout)

    def output(self, id):
        job = self.done(id)
        assert job["status"] == "completed", job["error"]
        return self.d.http.get_url(job["output"]["url"]).body

    def plugin(self, name):
        return next((p for p in self.d.ctl("plugin") if p["name"] == name), None)


@pytest.fixture
def bench(daemon, build):
    def make(**settings):
        return Bench(daemon, build, **settings)
    return make


ANY = {"produces": "application/octet-stream"}


def test_three_workflows_of_one_plugin_run_a_python_model_a_script_and_a_program(bench):
    b = bench()
    b.script("model.py", """
        #!/usr/bin/env python3
        import json, os, sys
        source, target, strength = sys.argv[1:4]
        words = open(source).read().split()
        for i, word in enumerate(words):
            print(f"progress {(i + 1) / len(words)} word {i + 1} of {len(words)}", flush=True)
        params = json.load(open(os.environ["BP_PARAMS_FILE"]))
        json.dump({"words": len(words), "strength": strength, "params": params}, open(target, "w"))
    """)
    b.define("count", ["./model.py", "{input}", "{output}", "{params.strength}"], displayName="Count words",
             accepts=["text/*"], produces="application/json",
             params={"type": "object", "properties": {"strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}}})
    b.script("shout.sh", """
        #!/bin/sh
        tr a-z A-Z < "$1" > "$2"
    """)
    b.define("shout", ["./shout.sh", "{input}", "{output}"], accepts=["*/*"], produces="text/plain")
    b.define("copy", ["cp", "{input}", "{output}"], settings={"output": "copy.bin"}, **ANY)
    b.d.start()
    assert {w["workflow"]: w["plugin"] for w in b.d.ctl("workflows")} == {"count": "exec", "shout": "exec", "copy": "exec"}
    assert b.plugin("exec")["template"] is True and b.plugin("count")["file"].endswith("workflows.d/count.json")
    listed = {w["slug"]: w for w in b.d.http.get("/api/workflows").data["workflows"]}
    assert listed["count"]["name"] == "Count words" and listed["count"]["params"]["properties"]["strength"]["maximum"] == 1
    assert b.d.http.post("/api/jobs", {"workflow": "count", "params": {"strength": 2}}).status == 422
    ids = [b.submit("count", {}, b"one two three"), b.submit("shout", {}, b"quiet"), b.submit("copy", {}, b"\0\1\2")]
    assert json.loads(b.output(ids[0])) == {"words": 3, "strength": "0.5", "params": {"strength": 0.5}}
    assert b.output(ids[1]) == b"QUIET"
    assert b.output(ids[2]) == b"\0\1\2"


def test_exit_codes_decide_between_another_try_and_the_end(bench):
    b = bench()
    b.define("fail", ["sh", "-c", "echo \"code $1\" >&2; exit $1", "sh", "{params.code}"], maxAttempts=2,
             params={"type": "object", "properties": {"code": {"type": "integer"}}},
             settings={"exitCodes": {"terminal": [3], "badInput": [4]}})
    b.define("own-words", ["sh", "-c", "echo 'error the photo has no face'; exit 65"])
    b.d.start()
    jobs = {code: b.submit("fail", {"code": code}) for code in (1, 3, 4)}
    own = b.submit("own-words")
    for code, attempts in ((1, 2), (3, 1), (4, 1)):
        job = b.done(jobs[code])
        assert (job["status"], job["attempts"]) == ("failed", attempts), job
        assert f"the command ended with exit code {code}: code {code}" in job["error"]
    job = b.done(own)
    assert (job["attempts"], job["error"]) == (1, "the photo has no face")


def test_a_hang_ends_at_its_limit_and_a_cancel_reaches_the_whole_group(bench):
    b = bench()
    b.script("hang.sh", """
        #!/bin/sh
        trap '' TERM
        echo progress 0.1 hanging
        sleep 60 &
        wait; sleep 60
    """)
    b.define("hang", ["./hang.sh"], maxAttempts=1, settings={"timeoutSeconds": 0.5, "graceSeconds": 0.2})
    own = nap()
    b.define("stay", ["sh", "-c", f"sleep {own} & echo progress 0.1 staying; wait"], settings={"graceSeconds": 0.2})
    b.d.start()
    hung, stays = b.submit("hang"), b.submit("stay")
    job = b.done(hung)
    assert job["status"] == "failed" and "ran longer than its limit of 0.5 s (settings.timeoutSeconds)" in job["error"], job
    wait_until("it runs", lambda: b.d.http.job(stays)["progress"] > 0)
    assert processes("sleep", own)
    assert b.d.http.request("DELETE", f"/api/jobs/{stays}").status == 200
    assert b.done(stays)["status"] == "cancelled"
    wait_until("its processes end", lambda: not processes("sleep", own))


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def nap():
    """Seconds to sleep by which this test's own processes are told from all others."""
    return f"{600 + random.randrange(100000)}.{os.getpid()}"


def processes(*argv):
    return [int(p.parent.name) for p in pathlib.Path("/proc").glob("[0-9]*/cmdline") if read(p) == "".join(f"{a}\0" for a in argv).encode()]


def runners(d):
    """The runners of a daemon's workers, without the keepers that they forked."""
    pids = {int(p.parent.name): p.parent for p in pathlib.Path("/proc").glob("[0-9]*/cmdline")
            if b"bp-runner" in read(p) and str(d.state).encode() in read(p.parent / "environ")}
    return [pid for pid, at in pids.items() if read(at / "comm") == b"bp-runner\n"]


def test_what_a_command_leaves_behind_ends_with_the_job_and_with_its_runner(bench):
    b = bench()
    naps = [nap(), nap()]
    b.define("leave", ["sh", "-c", f"setsid sleep {naps[0]} & sleep {naps[0]} & echo left > $BP_OUTPUT"], **ANY)
    b.define("killed", ["sh", "-c", f"setsid sleep {naps[1]} & echo progress 0.2 up; sleep {naps[1]}"], maxAttempts=1, **ANY)
    b.d.start()
    assert b.output(b.submit("leave")) == b"left\n"
    id = b.submit("killed")
    wait_until("it runs", lambda: b.d.http.job(id)["progress"] > 0)
    for pid in runners(b.d):
        os.kill(pid, signal.SIGKILL)
    assert b.done(id)["status"] == "failed"
    wait_until("nothing is left", lambda: not any(processes("sleep", n) for n in naps))


BREED = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    time_t end = time(NULL) + atoi(argv[1]);
    if (fork() == 0) {
        for (unsigned i = 0; time(NULL) < end; i++) {
            setsid();
            if (fork() > 0 && i % 8 == 0)
                _exit(0);
        }
        _exit(0);
    }
    sleep(1);
    FILE *f = fopen(getenv("BP_OUTPUT"), "w");
    fputs("bred", f);
    return fclose(f);
}
"""


def test_a_fork_bomb_that_a_command_leaves_behind_ends_with_its_job(bench):
    """Each of its processes starts the next, in a session of its own, and ends: faster than the keeper that rested between rounds."""
    b = bench(**{"plugin.local": json.dumps({"bootDelaySeconds": 0, "workerArgs": ["worker.runnerProcesses=250"]})})
    life = f"{120 + random.randrange(1000)}.{os.getpid()}"
    subprocess.run(["cc", "-x", "c", "-o", b.dir / "breed", "-"], input=BREED, text=True, check=True)
    b.define("breed", ["./breed", life], maxAttempts=1, **ANY)
    b.d.start()
    assert b.output(b.submit("breed")) == b"bred"
    assert not processes("./breed", life), "it goes on after its job"
    assert b.output(b.submit("breed")) == b"bred"


def test_an_interrupted_command_goes_on_from_what_it_saved(bench):
    b = bench(**{"plugin.local": json.dumps({"bootDelaySeconds": 0, "noticeSeconds": 10, "workerArgs": ["worker.noticeSeconds=0.1"]})})
    b.script("steps.sh", """
        #!/bin/sh
        i=$(cat "$BP_CHECKPOINT" 2>/dev/null || echo 0)
        first=$i
        trap 'echo $i > "$BP_CHECKPOINT"; exit 0' TERM
        while [ "$i" -lt 30 ]; do
            i=$((i + 1))
            printf 'progress 0.%02d step %d\\n' "$i" "$i"
            sleep 0.1
        done
        echo "$first" > "$BP_OUTPUT"
    """)
    b.define("steps", ["./steps.sh"], maxSize=2, **ANY)
    b.d.start()
    id = b.submit("steps")
    at = wait_until("it is on its way", lambda: (j := b.d.http.job(id))["progress"] > 0.04 and j)
    b.d.ctl("fleet", "inject", "steps", "interrupt", at["worker"])
    assert int(b.output(id)) >= 5
    job = b.d.http.job(id)
    assert (job["attempts"], job["requeues"]) == (1, 1)


def test_a_flood_of_output_and_a_missing_file(bench):
    b = bench()
    b.define("flood", ["sh", "-c", "head -c 200000000 /dev/zero; yes line | head -n 2000000; yes err | head -n 100000 >&2; echo ok > $BP_OUTPUT"], **ANY)
    b.define("nothing", ["true"], settings={"output": "film.mp4", "exitCodes": {"otherwise": "terminal"}}, produces="video/mp4")
    b.d.start()
    flood, nothing = b.submit("flood"), b.submit("nothing")
    assert b.output(flood) == b"ok\n"
    job = b.done(nothing)
    assert (job["status"], job["attempts"], job["error"]) == ("failed", 1, "it ended well, but left no file film.mp4")
    assert sum(log.stat().st_size for log in b.d.logs()) < 3_000_000


HOSTILE = ["; touch {mark}", "$(touch {mark})", "`touch {mark}`", "' ; touch {mark} ; '", "\" && touch {mark} \"", "a\ntouch {mark}",
           "| touch {mark}", "{{output}}", "{{params.other}}", "$HOME", "%n%s", "*", "\\", "é 漢 \u202e"]


def png(width, height):
    """A black picture."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes((width * 3 + 1) * height))) + chunk(b"IEND", b"")


@pytest.fixture
def samples(bench):
    """The files of etc/workflows.d, as docs/plugins.md says to copy them."""
    b = bench()
    for file in (ROOT / "etc" / "workflows.d").glob("*.*"):
        if file.suffix == ".py" or '"plugin": "exec"' in file.read_text():
            shutil.copy(file, b.dir)
            (b.dir / file.name).chmod(0o755 if file.suffix == ".py" else 0o644)
    return b


def test_the_samples_are_good_and_run(samples, build):
    b = samples
    r = subprocess.run([build / "bin" / "bpctl", "workflow", "check", *sorted(b.dir.glob("*.json"))], capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout.count("is good") == 3, r
    b.d.start()
    text = b.submit("word-count", {"top": 2, "ignore": "the"}, b"the cat and the dog\nand the fish\n")
    assert json.loads(b.output(text)) == {"words": 5, "top": [["and", 2], ["cat", 1]]}
    job = b.done(b.submit("word-count", {}, b"\xff\xfe"))
    assert (job["status"], job["attempts"], job["error"]) == ("failed", 1, "the file is no UTF-8 text")
    (b.d.dir / "notes.txt").write_text("one two two\n")
    docs = (ROOT / "docs" / "plugins.md").read_text()
    line = re.search(r"^bpctl (submit word-count .*)$", docs, re.M).group(1).replace("notes.txt", str(b.d.dir / "notes.txt"))
    r = b.d.ctl(*line.split(), json_form=False)
    assert r.returncode == 0 and "completed" in r.stdout, r
    digest = b.output(b.submit("digest", {"label": "$(id) 'x'"}, b"abc")).decode()
    assert digest == f"$(id) 'x' {hashlib.sha256(b'abc').hexdigest()}  -\n"
    if shutil.which("ffmpeg", path="/usr/bin:/bin"):
        id = b.d.http.submit("thumbnail", {"width": 32}, [b.d.http.upload(png(64, 48), "x.png", "image/png")])["id"]
        assert b.output(id)[:3] == b"\xff\xd8\xff"


def test_the_documentation_shows_the_samples_as_they_are(build):
    docs = (ROOT / "docs" / "plugins.md").read_text()
    sample = (ROOT / "etc" / "workflows.d" / "word-count.json").read_text()
    script = (ROOT / "etc" / "workflows.d" / "word-count.py").read_text()
    section = docs[docs.index("## Any command as a workflow in two minutes"):]
    assert re.search(r"```json\n(.*?)```", section, re.S).group(1).rstrip("\n") in sample
    assert re.search(r"```python\n(.*?)\n```", section, re.S).group(1) in script
    schema = json.loads((ROOT / "plugins" / "workflows" / "exec" / "manifest.json").read_text())["settingsSchema"]["properties"]
    for setting in schema:
        assert f"`{setting}`" in section, f"docs/plugins.md does not tell of settings.{setting}"


def test_workflow_check_says_without_a_daemon_what_bpd_would_say(build, tmp_path):
    def check(text, name="x.json", *more):
        (tmp_path / name).write_text(text)
        return subprocess.run([build / "bin" / "bpctl", "workflow", "check", tmp_path / name, *more], capture_output=True, text=True)

    r = check('{\n"plugin": "exec",\n"settings": {"command": ["x"],\n"graceSeconds": 900}}')
    assert r.returncode == 1 and r.stderr == "bpctl: x.json:4: The settings.graceSeconds field must be between 0 and 600.\n"
    assert check('{"plugin": "exec", "settings": {"command": []}}').returncode == 1
    assert "image-to-video\" is no template" in check('{"plugin": "image-to-video"}').stderr
    assert "x.json:1: there is no nothing.so in" in check('{"plugin": "nothing"}').stderr
    r = check('{"plugin": "exec", "settings": {"command": ["x"]}}', "x.json", "--json")
    assert json.loads(r.stdout)["settings"] == {"command": ["x"], "stdin": "none", "stdout": "lines", "graceSeconds": 5, "logLines": 1000,
                                               "dashes": "refuse"}
    assert "--plugins-dir" in check('{"plugin": "exec", "settings": {"command": ["x"]}}', "x.json", "--plugins-dir", tmp_path).stderr
    assert subprocess.run([build / "bin" / "bpctl", "workflow", "check", "--nonsense"], capture_output=True).returncode == 2


# What no schema finds, each with the words and the line of it.
WRONG = [
    ('"command": ["x", "{params.angel}"]', 4, "settings.command[1]: the workflow has no param angel: name it in"),
    ('"command": ["x", "{nonsense}"]', 4, "settings.command[1]: unknown placeholder {nonsense}; there are {params.NAME}"),
    ('"command": ["x", ["a", "{input.0}"]]', 4, "settings.command[1]: {input.0} is none: inputs are counted from 1"),
    ('"command": ["x", "{asset.m.bin}"]', 4, "settings.command[1]: the workflow lists no asset m.bin"),
    ('"command": ["sh", "-c", "echo {params.angle}"]', 4, "settings.command"),
    ('"command": ["x"],\n"env": {"LD_PRELOAD": "{params.angle}"}', 5, "settings.env.LD_PRELOAD must not hold a param"),
    ('"command": ["x"],\n"env": {"A": "{params.angle.}{what}"}', 5, "settings.env.A: unknown placeholder {what}"),
    ('"command": ["x"],\n"exitCodes": {"terminal": [3, 4], "badInput": [4]}', 5, "settings.exitCodes has 4 twice"),
    ('"command": ["x"],\n"progress": {"pattern": "("}', 5, "settings.progress.pattern is no extended regular expression"),
    ('"command": ["x"],\n"progress": {"pattern": "[0-9]+"}', 5, "settings.progress.pattern has no group"),
]


def described(settings):
    return '{"plugin": "exec",\n"params": {"type": "object", "properties": {"angle": {"type": "integer"}}},\n"settings": {\n' + settings + "}}"


@pytest.mark.parametrize("settings, line, words", WRONG, ids=[w[2][9:45] for w in WRONG])
def test_workflow_check_finds_what_no_schema_says(build, tmp_path, settings, line, words):
    (tmp_path / "x.json").write_text(described(settings))
    r = subprocess.run([build / "bin" / "bpctl", "workflow", "check", tmp_path / "x.json"], capture_output=True, text=True)
    assert r.returncode == 1 and r.stderr.startswith(f"bpctl: x.json:{line}: {words}"), r.stderr
    good = described('"command": ["x", "{params.angle}", "{input.3}", ["{asset.m.bin}"]], "env": {"A": "{params.angle}"}')
    (tmp_path / "x.json").write_text(good.replace('"settings"', f'"assets": [{{"name": "m.bin", "object": "assets/m", "sha256": "{"0" * 64}", "bytes": 1}}],\n"settings"'))
    r = subprocess.run([build / "bin" / "bpctl", "workflow", "check", tmp_path / "x.json"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def test_bpd_refuses_what_the_plugin_finds_wrong_and_keeps_what_runs(bench):
    b = bench()
    b.define("effect", ["sh", "-c", "echo one > $BP_OUTPUT"], **ANY)
    b.d.start()
    assert b.output(b.submit("effect")) == b"one\n"
    b.define("effect", ["sh", "-c", "echo two > $BP_OUTPUT"], settings={"exitCodes": {"terminal": [1], "badInput": [1]}}, **ANY)
    wait_until("it is refused", lambda: "settings.exitCodes has 1 twice" in ((b.plugin("effect") or {}).get("reason") or ""))
    assert b.output(b.submit("effect")) == b"one\n"
    b.define("effect", ["sh", "-c", "echo three > $BP_OUTPUT"], settings={"exitCodes": {"terminal": [1]}}, **ANY)
    wait_until("the new one serves", lambda: b.output(b.submit("effect")) == b"three\n")


def test_a_hundred_workflows_come_up_at_once(bench):
    b = bench()
    for i in range(100):
        b.define(f"w{i}", ["true"], **ANY)
    b.d.start()
    wait_until("all serve", lambda: len(b.d.ctl("workflows")) == 100)


def test_hostile_params_are_data_and_nothing_else(bench):
    b = bench()
    mark = b.d.dir / "hacked"
    texts = [t.replace("{mark}", str(mark)) for t in HOSTILE]
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    b.define("argument", ["python3", "-c", "import sys, json; json.dump(sys.argv[1:], open(sys.argv[1], 'w'))", "{output}", "{params.text}",
                          "--text={params.text}"], params=schema, produces="application/json")
    b.define("variable", ["sh", "-c", "printf %s \"$BP_PARAM_TEXT\" > \"$BP_OUTPUT\""], params=schema, **ANY)
    b.define("careless", ["sh", "-c", "echo {params.text} > $BP_OUTPUT"], params=schema, **ANY)
    b.d.start()
    ids = [(t, b.submit("argument", {"text": t}), b.submit("variable", {"text": t})) for t in texts]
    for text, argument, variable in ids:
        assert json.loads(b.output(argument))[1:] == [text, f"--text={text}"]
        assert b.output(variable) == text.encode()
    careless = b.plugin("careless")
    assert careless["state"] == "refused" and "puts a param into a program's text" in careless["reason"], careless
    job = b.done(b.submit("argument", {"text": "--output=/etc/passwd"}))
    assert job["status"] == "failed" and "begins with '-'" in job["error"]
    assert not mark.exists()


def test_files_come_change_and_go_under_load_and_no_job_is_lost(bench):
    b = bench(**{"plugin.local.maxInstances": "4"})
    define = lambda version: b.define("live", ["sh", "-c", f"sleep 0.02; echo {version} > $BP_OUTPUT"], maxSize=2, **ANY)
    define("v0")
    b.d.start()
    ids, ends = [], threading.Event()

    def load():
        while not ends.is_set():
            ids.append(b.submit("live"))
            time.sleep(0.02)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        wait_until("jobs are done", lambda: ids and b.d.http.job(ids[0])["status"] == "completed")
        for version in range(1, 9):
            define(f"v{version}")
            wait_until("the change serves", lambda: b.plugin("live")["generation"] == version + 1)
            b.define(f"other-{version}", ["true"])
            wait_until("the new one serves", lambda: any(w["workflow"] == f"other-{version}" for w in b.d.ctl("workflows")))
            if version % 2 == 0:
                (b.dir / f"other-{version}.json").unlink()
            b.write("live", "{\n  \"plugin\": \"exec\",\n  \"settings\": {\"comand\": []}\n}\n")
            wait_until("a wrong one is refused", lambda: "live.json:3: The settings.command field is required." in b.plugin("live")["reason"])
            assert b.plugin("live")["state"] == "running"
    finally:
        ends.set()
        thread.join()
    assert len(ids) > 20
    outputs = [b.output(id) for id in ids]
    assert {b.d.http.job(id)["attempts"] for id in ids} == {1}
    assert outputs[0] == b"v0\n" and len(set(outputs)) > 2
    assert sorted(p["name"] for p in b.d.ctl("plugin") if p["name"].startswith("other") and p["state"] == "running") == ["other-1", "other-3", "other-5", "other-7"]
    (b.dir / "live.json").unlink()
    wait_until("it is gone", lambda: b.d.http.post("/api/jobs", {"workflow": "live", "params": {}}).status in (404, 409, 503))


def test_a_command_sees_its_own_files_and_the_sandbox_says_no_to_others(bench):
    b = bench(**{"workflows": json.dumps({"forbidden": {"sandbox": {"exec": False}}})})
    b.script("beside.txt", "what lies beside the file\n")
    outside = b.d.dir / "model"
    outside.mkdir()
    (outside / "weights").write_text("the weights\n")
    cat = ["sh", "-c", "cat \"$1\" > \"$BP_OUTPUT\"", "sh"]
    b.define("beside", [*cat, "{dir}/beside.txt"], **ANY)
    b.define("closed", [*cat, str(outside / "weights")], maxAttempts=1, **ANY)
    b.define("open", [*cat, str(outside / "weights")], sandbox={"read": [str(outside)]}, **ANY)
    b.define("forbidden", ["true"], maxAttempts=1)
    b.d.start()
    ids = {slug: b.submit(slug) for slug in ("beside", "closed", "open", "forbidden")}
    assert b.output(ids["beside"]) == b"what lies beside the file\n"
    assert b.output(ids["open"]) == b"the weights\n"
    if b.done(ids["closed"])["status"] == "failed":  # a kernel without Landlock lets it, and says so
        assert "weights: Permission denied" in b.done(ids["closed"])["error"]
    job = b.done(ids["forbidden"])
    assert job["status"] == "failed" and "the workflow's \"sandbox\" must say \"exec\": true" in job["error"], job


def test_a_worker_of_its_own_serves_every_file_it_has(bench, build):
    b = bench(**{"scale.dryRun": "true"})
    b.define("one", ["sh", "-c", "echo one > $BP_OUTPUT"], **ANY)
    b.define("two", ["sh", "-c", "echo two > $BP_OUTPUT"], **ANY)
    b.d.start()
    sets = {"state.dir": b.d.dir / "worker", "worker.url": f"http://127.0.0.1:{b.d.port}", "worker.id": "own", "worker.fleetSecret": b.d.secret(),
            "worker.waitSeconds": "1"}
    command = [str(build / "bin" / "bpd"), "--role", "worker", "--plugins-dir", str(b.d.plugins)]
    for key, value in sets.items():
        command += ["--set", f"{key}={value}"]
    with open(b.d.dir / "worker.log", "wb") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        ids = [b.submit("one"), b.submit("two"), b.submit("one")]
        assert [b.output(id) for id in ids] == [b"one\n", b"two\n", b"one\n"]
        b.define("three", ["sh", "-c", "echo three > $BP_OUTPUT"], **ANY)
        (b.dir / "two.json").unlink()
        wait_until("it is submittable", lambda: [w["workflow"] for w in b.d.ctl("workflows")] == ["one", "three"])
        assert b.output(b.submit("three")) == b"three\n"
        assert b.output(b.submit("one")) == b"one\n"
    finally:
        worker.terminate()
        worker.wait(30 * SLOW)
