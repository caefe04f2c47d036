# SPDX-License-Identifier: Apache-2.0
"""A new version of a workflow on a share of real jobs: promoted when it does well, rolled back when it does not, and no
tenant ever notices."""
import hashlib
import json
import shutil
import subprocess

import pytest

from client import FieldWorker
from conftest import wait_until

PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc00000030101"
                    "0018dd8db00000000049454e44ae426082")
SETTINGS = {"dispatch.sweepMilliseconds": "100", "canary.jobs": "5", "workflows.test-copy.maxSize": "1",
            "workflows.test-copy.scaleToZeroMinutes": "60"}


def version(build, name):
    return build / "tests" / "workflows" / f"test-copy-{name}.so"


def plugin(d):
    return next(p for p in d.ctl("plugin") if p["name"] == "test-copy")


def canary(d):
    return d.ctl("plugin", "canary", "test-copy")


def work(d, n, content=b"a line\n", params=None):
    """n jobs through the API as a tenant; each must complete with just its input as its output."""
    ids = [d.http.submit("test-copy", params or {}, [d.http.upload(content)])["id"] for _ in range(n)]
    for id in ids:
        job = wait_until(f"job {id} ends", lambda: (j := d.http.job(id))["status"] in ("completed", "failed", "cancelled") and j, timeout=60)
        assert job["status"] == "completed" and job["attempts"] == 1, job
        assert d.http.get_url(job["output"]["url"]).body == content
    return ids


def until(d, state, content=b"a line\n", params=None):
    """Works until the canary ends; returns it."""
    for _ in range(15):
        if canary(d)["state"] not in ("starting", "running", "promoting"):
            break
        work(d, 2, content, params)
        try:
            wait_until("what was tried is told", lambda: canary(d)["untold"] == 0 or canary(d)["state"] != "running", timeout=20)
        except pytest.fail.Exception:
            pass
    wait_until("it is decided", lambda: canary(d)["state"] not in ("running", "promoting"), timeout=20)
    c = canary(d)
    assert c["state"] == state, c
    assert c["ended_ms"] >= c["started_ms"] > 0 and c["why"]
    return c


def events(d, name):
    return [e for e in d.ctl("events", name, "--last", "500")]


@pytest.fixture
def started(daemon, test_copy, build):
    """A daemon with one worker up, and a canary of the named version begun."""
    def make(name, share="100%", settings=None, *words):
        d = daemon(settings={**SETTINGS, **(settings or {})}, extra_plugins=[test_copy])
        work(d, 1)
        told = d.ctl("plugin", "canary", "test-copy", share, "--file", str(version(build, name)), *words)
        assert told["state"] == "running" and told["from_version"] == "1.0"
        return d
    return make


def test_a_good_candidate_is_promoted_and_serves(started, build):
    d = started("good")
    c = until(d, "promoted")
    assert c["good"] == 5 and c["bad"] == 0 and c["difference"] == 0 and c["version"] == "3.0"
    assert plugin(d)["version"] == "3.0" and plugin(d)["state"] == "running"
    assert (d.plugins / "test-copy.so").read_bytes() == version(build, "good").read_bytes()
    work(d, 2)
    assert [e["state"] for e in events(d, "canary.decided")] == ["running", "promoting", "promoted"]
    assert [e["outcome"] for e in events(d, "canary.trial")].count("good") == 5
    assert len(events(d, "canary.started")) == 1
    assert not (d.state / "serving" / "test-copy.canary.so").exists()


@pytest.mark.parametrize("name, outcome, says", [("crashing", "failed", "signal"), ("failing", "failed", "bad day"),
                                                 ("silent", "failed", "left no output"), ("v2", "differs", "another one")])
def test_a_candidate_that_does_wrong_is_rolled_back_and_no_tenant_sees_it(started, build, test_copy, name, outcome, says):
    d = started(name)
    c = until(d, "rolled-back")
    assert c["bad"] == 1 and c["good"] == 0 and says in c["why"], c
    assert c["trials"][-1]["outcome"] == outcome and says in c["trials"][-1]["text"]
    assert plugin(d)["version"] == "1.0" and plugin(d)["state"] == "running" and plugin(d)["generation"] == 1
    assert (d.plugins / "test-copy.so").read_bytes() == test_copy.read_bytes()
    work(d, 2)
    assert len([t for t in canary(d)["trials"]]) == len(c["trials"]), "nothing is tried after its end"


def test_faults_of_a_candidate_do_not_quarantine_what_serves(started):
    """Three faults of a plugin within ten minutes take it out of a worker: a candidate's are not its."""
    d = started("crashing", "100%", {"canary.failures": "5"})
    c = until(d, "rolled-back")
    assert c["bad"] == 5
    work(d, 2)


def test_a_slow_candidate_is_rolled_back(started):
    d = started("slow")
    c = until(d, "rolled-back")
    assert "slower" in c["why"] and c["new_ms"] >= 400 and c["bad"] == 0, c
    assert plugin(d)["version"] == "1.0"


def test_a_share_of_the_jobs_is_tried(started):
    d = started("good", "25%")
    work(d, 8)
    c = wait_until("two are told", lambda: (c := canary(d))["good"] == 2 and c, timeout=20)
    assert c["marked"] == 2 and c["state"] == "running"
    d.ctl("plugin", "canary", "test-copy", "100%")
    work(d, 2)
    wait_until("all are tried", lambda: canary(d)["good"] == 4, timeout=20)


def test_outputs_are_compared_by_what_is_seen_in_them(started):
    """Version 2 writes some bytes behind its copy: of a text another one, of a picture the same picture."""
    d = started("v2")
    ids = [d.http.submit("test-copy", {}, [d.http.upload(PNG)])["id"] for _ in range(5)]
    for id in ids:
        wait_until("it completes", lambda: d.http.job(id)["status"] == "completed", timeout=60)
    c = wait_until("it is promoted", lambda: (c := canary(d))["state"] == "promoted" and c, timeout=30)
    assert c["difference"] == 0 and c["good"] == 5


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Videos with the same pictures, and sound that is: itself, encoded anew, dropped, silent, 40 ms late; and sound alone."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name, *args):
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *args, str(folder / name)], check=True)

    sound = "sine=440:duration=2,aformat=channel_layouts=stereo,tremolo=f=3:d=0.8"
    pictures = ["-f", "lavfi", "-i", "testsrc=s=128x96:r=10:d=2"]
    make("whole.mp4", *pictures, "-f", "lavfi", "-i", sound, "-c:a", "aac", "-b:a", "192k")
    whole = str(folder / "whole.mp4")
    make("anew.mp4", "-i", whole, "-c:v", "copy", "-c:a", "aac", "-b:a", "128k")
    make("dropped.mp4", "-i", whole, "-c:v", "copy", "-an")
    make("silent.mp4", "-i", whole, "-c:v", "copy", "-af", "volume=0")
    make("late.mp4", "-i", whole, "-c:v", "copy", "-af", "adelay=40:all=1")
    make("whole.wav", "-i", whole, "-vn")
    make("softer.wav", "-i", whole, "-vn", "-af", "volume=0.5")
    return folder


@pytest.mark.parametrize("first, second, state, says", [
    ("whole.mp4", "anew.mp4", "promoted", None), ("whole.mp4", "dropped.mp4", "rolled-back", "0 streams of sound instead of 1"),
    ("whole.mp4", "silent.mp4", "rolled-back", "the sound of job"), ("whole.mp4", "late.mp4", "rolled-back", "the sound of job"),
    ("whole.wav", "softer.wav", "rolled-back", "differs by 0.50 of its loudness")])
def test_sound_that_is_dropped_or_shifted_is_heard(started, clips, first, second, state, says):
    """The candidate copies the job's second input: pictures as before, and another sound."""
    d = started("other", "100%", {"canary.jobs": "1"})
    content = (clips / first).read_bytes()
    id = d.http.submit("test-copy", {}, [d.http.upload(content), d.http.upload((clips / second).read_bytes())])["id"]
    job = wait_until("it completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=60)
    assert d.http.get_url(job["output"]["url"]).body == content
    c = wait_until("it is decided", lambda: (c := canary(d))["state"] not in ("running", "promoting") and c, timeout=30)
    assert c["state"] == state and (says is None or says in c["why"]), c
    assert c["difference"] == 0 and (state == "rolled-back" or 0 < c["sound"] < c["sound_tolerance"])


def test_an_operator_aborts_or_promotes(started, build):
    d = started("good")
    assert d.ctl("plugin", "canary", "test-copy", "abort")["state"] == "aborted"
    assert plugin(d)["version"] == "1.0"
    r = d.ctl("plugin", "canary", "test-copy", "promote", json_form=False)
    assert r.returncode == 1 and "no canary" in r.stderr
    d.ctl("plugin", "canary", "test-copy", "10%", "--file", str(version(build, "good")))
    assert d.ctl("plugin", "canary", "test-copy", "promote")["state"] == "promoted"
    wait_until("it serves", lambda: plugin(d)["version"] == "3.0", timeout=15)
    assert d.ctl("plugin", "canaries")[0]["workflow"] == "test-copy"
    words = d.ctl("plugin", "canary", "test-copy", json_form=False).stdout
    assert "promoted by operator" in words


def test_a_candidate_that_ended_leaves_no_copy_behind(started, build):
    """Its private copy stayed until the next start's sweep: in the controller, and in workers that tried it."""
    d = started("crashing")
    until(d, "rolled-back")
    copies = lambda: [p for home in d.state.rglob("plugins") for p in home.glob("test-copy-*.so")]
    digest = hashlib.sha256(version(build, "crashing").read_bytes()).hexdigest()
    wait_until("the copies of it are gone", lambda: not [p for p in copies() if p.stem.split("-")[-1] in digest])
    assert copies(), "those of what serves are there"
    r = d.ctl("plugin", "canary", "test-copy", "10%", "--file", str(build / "tests" / "workflows" / "test-copy.so"), json_form=False)
    assert "very file that serves" in r.stderr and copies()
    work(d, 1)


def test_a_file_beside_the_plugin_is_the_candidate(daemon, test_copy, build):
    d = daemon(settings=SETTINGS, extra_plugins=[test_copy])
    d.install(version(build, "good"), "test-copy.canary.so")
    work(d, 1)
    assert [p["name"] for p in d.ctl("plugin")].count("test-copy") == 1, "it is not brought up as a plugin"
    assert d.ctl("plugin", "canary", "test-copy", "100%")["version"] == "3.0"
    until(d, "promoted")


def test_a_file_may_be_named_from_where_the_operator_stands(daemon, test_copy, build, monkeypatch):
    d = daemon(settings={**SETTINGS, "scale.dryRun": "true"}, extra_plugins=[test_copy])
    monkeypatch.chdir(build / "tests")
    assert d.ctl("plugin", "canary", "test-copy", "10%", "--file", "workflows/test-copy-good.so")["state"] == "running"


def test_what_cannot_be_tried_is_refused_with_the_reason(daemon, test_copy, build):
    d = daemon(settings={**SETTINGS, "scale.dryRun": "true"}, extra_plugins=[test_copy])

    def refused(*words):
        r = d.ctl("plugin", "canary", *words, json_form=False)
        assert r.returncode == 1
        return r.stderr

    assert "very file that serves" in refused("test-copy", "10%", "--file", str(test_copy))
    assert 'the plugin "moody"' in refused("test-copy", "10%", "--file", str(build / "tests" / "plugins" / "moody.so"))
    assert "no such file" in refused("test-copy", "10%", "--file", "/nonexistent.so")
    assert "no such file" in refused("test-copy", "10%")
    assert "test-copy" in refused("test-cpy", "10%")
    assert "more than 0" in refused("test-copy", "0%", "--file", str(version(build, "good")))
    assert "absolute" in refused("test-copy", "10%", "--file", "x.so")
    assert "a share like" in refused("test-copy", "ten")
    assert "ever tried" in refused("test-copy")
    d.ctl("plugin", "canary", "test-copy", "10%", "--file", str(version(build, "good")))
    assert "promote or abort it first" in refused("test-copy", "10%", "--file", str(version(build, "slow")))


def test_another_version_put_in_place_ends_it(started, build):
    d = started("good")
    d.install(version(build, "slow"), "test-copy.so")
    wait_until("it serves", lambda: plugin(d)["version"] == "3.3", timeout=15)
    work(d, 1)
    c = canary(d)
    assert c["state"] == "aborted" and "replaced meanwhile" in c["why"]


def test_a_trial_told_after_another_version_came_puts_nothing_in_its_place(daemon, test_copy, build):
    d = daemon(settings={**SETTINGS, "scale.dryRun": "true", "canary.jobs": "1"}, extra_plugins=[test_copy])
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="test-copy").status == 200
    d.ctl("plugin", "canary", "test-copy", "100%", "--file", str(version(build, "good")))
    id = d.http.submit("test-copy", {}, [d.http.upload(b"x")])["id"]
    sha = w.run_one(b"x")["canary"]["sha256"]
    d.install(version(build, "slow"), "test-copy.so")
    wait_until("it serves", lambda: plugin(d)["version"] == "3.3", timeout=15)
    assert w.poll(canary=[{"workflow": "test-copy", "sha256": sha, "job": id, "outcome": "ran", "difference": 0}]).status == 200
    c = canary(d)
    assert c["state"] == "aborted" and "replaced meanwhile" in c["why"], c
    assert (d.plugins / "test-copy.so").read_bytes() == version(build, "slow").read_bytes()


def test_an_operator_cannot_promote_over_another_version(started, build):
    d = started("good")
    d.install(version(build, "slow"), "test-copy.so")
    wait_until("it serves", lambda: plugin(d)["version"] == "3.3", timeout=15)
    done = d.ctl("plugin", "canary", "test-copy", "promote", json_form=False)
    assert done.returncode == 1 and "replaced meanwhile" in done.stderr
    assert canary(d)["state"] == "aborted" and plugin(d)["version"] == "3.3"


def test_what_was_aborted_while_it_was_vetted_leaves_nothing_to_the_next(daemon, test_copy, build):
    d = daemon(settings={**SETTINGS, "scale.dryRun": "true"}, extra_plugins=[test_copy])
    shown, kept = d.state / "serving" / "test-copy.canary.so", d.state / "canary" / "test-copy.so"
    first = subprocess.Popen([build / "bin" / "bpctl", "--socket", d.state / "bpd.sock", "plugin", "canary", "test-copy", "100%",
                              "--file", version(build, "late")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until("it is vetted", lambda: any(c["state"] == "starting" for c in d.ctl("plugin", "canaries")), timeout=15)
    assert d.ctl("plugin", "canary", "test-copy", "abort")["state"] == "aborted"
    second = d.ctl("plugin", "canary", "test-copy", "100%", "--file", str(version(build, "good")), json_form=False)
    assert second.returncode == 1 and "still being vetted" in second.stderr
    assert "aborted before it began" in first.communicate()[1] and first.returncode == 1
    assert not shown.exists() and not kept.exists()
    c = d.ctl("plugin", "canary", "test-copy", "100%", "--file", str(version(build, "good")))
    assert c["state"] == "running" and c["version"] == "3.0"
    assert shown.read_bytes() == kept.read_bytes() == version(build, "good").read_bytes()


def test_a_restart_does_not_go_on_with_another_file(started, build):
    d = started("good")
    d.stop()
    shutil.copyfile(version(build, "slow"), d.state / "canary" / "test-copy.so")
    d.start()
    c = wait_until("it is decided", lambda: (c := canary(d))["state"] != "starting" and c, timeout=15)
    assert c["state"] == "aborted" and "cannot be taken up again" in c["why"], c


def test_just_what_was_tried_is_put_in_place(started, build):
    d = started("good")
    shutil.copyfile(version(build, "slow"), d.state / "canary" / "test-copy.so")  # which is for a restart
    d.install(version(build, "good"), "another.so")  # refused for its name, its private copy is let go
    wait_until("it is refused", lambda: any(p["file"].endswith("another.so") and "duplicate" in p["reason"] for p in d.ctl("plugin")),
               timeout=15)
    assert d.ctl("plugin", "canary", "test-copy", "promote")["state"] == "promoted"
    assert (d.plugins / "test-copy.so").read_bytes() == version(build, "good").read_bytes()
    assert plugin(d)["version"] == "3.0"


def test_a_restart_goes_on_with_it(started):
    d = started("good")
    work(d, 2)
    wait_until("they are told", lambda: canary(d)["good"] == 2, timeout=20)
    d.stop()
    d.start()
    c = wait_until("it runs again", lambda: (c := canary(d))["state"] == "running" and c, timeout=15)
    assert c["good"] == 2 and c["version"] == "3.0"
    until(d, "promoted")


def test_where_it_may_not_write_the_operator_is_told_to(started):
    d = started("good")
    (d.plugins / ".test-copy.so.new").mkdir()  # in the way
    c = until(d, "passed")
    assert "install the file yourself" in c["why"]
    assert plugin(d)["version"] == "1.0" and plugin(d)["state"] == "running"
    (d.plugins / ".test-copy.so.new").rmdir()
    assert d.ctl("plugin", "canary", "test-copy", "promote")["state"] == "promoted"


def test_a_killed_worker_loses_its_trial_and_nothing_else(started):
    d = started("slow", "100%", {"canary.slowest": "1000"})
    id = d.http.submit("test-copy", {"steps": 5}, [d.http.upload(b"x")])["id"]
    wait_until("it completes", lambda: d.http.job(id)["status"] == "completed", timeout=30)
    for pid in d.worker_pids():
        subprocess.run(["kill", "-9", str(pid)])
    work(d, 2)
    assert d.http.job(id)["attempts"] == 1


def test_a_candidate_that_hangs_is_ended_and_rolled_back(started):
    d = started("hanging")
    id = d.http.submit("test-copy", {}, [d.http.upload(b"x")])["id"]
    c = wait_until("it is rolled back", lambda: (c := canary(d))["state"] == "rolled-back" and c, timeout=60)
    assert "ran for more than" in c["why"]
    done = next(e for e in events(d, "job.completed") if e["job"] == id)
    assert done["at_ms"] + 10000 <= c["trials"][-1]["at_ms"], "the tenant did not wait for it"
    work(d, 1)


def test_the_workflow_of_a_file_is_tried_with_its_settings(daemon, build):
    files = [build / "tests" / "plugins" / f"{n}.so" for n in ("mould", "mould-v2")]
    d = daemon(settings={**SETTINGS, "canary.jobs": "2", "workflows.mine.maxSize": "1"}, extra_plugins=files[:1], start=False)
    d.settings["plugins.workflowsDir"] = str(d.dir / "workflows.d")
    (d.dir / "workflows.d").mkdir(mode=0o755)
    (d.dir / "workflows.d" / "mine.json").write_text('{"plugin": "mould", "settings": {"grace": 5}}')
    (d.dir / "workflows.d" / "mine.json").chmod(0o644)
    d.start()
    wait_until("it serves", lambda: any(w["workflow"] == "mine" for w in d.ctl("workflows")), timeout=15)
    assert d.ctl("plugin", "canary", "mine", "100%", "--file", str(files[1]))["state"] == "running"
    ids = [d.http.submit("mine", {}, [d.http.upload(PNG, mime="image/png")])["id"] for _ in range(2)]
    for id in ids:
        wait_until("it completes", lambda: d.http.job(id)["status"] == "completed", timeout=40)
    wait_until("it is promoted", lambda: d.ctl("plugin", "canary", "mine")["state"] == "promoted", timeout=30)
    assert (d.plugins / "mould.so").read_bytes() == files[1].read_bytes()
    wait_until("the file's workflow follows", lambda: [p["version"] for p in d.ctl("plugin") if p["name"] == "mine"][-1] == "2.0.0", timeout=15)


def test_a_field_worker_that_ignores_the_mark_works_as_ever_and_lies_are_checked(daemon, test_copy, build):
    d = daemon(settings={**SETTINGS, "scale.dryRun": "true"}, extra_plugins=[test_copy])
    d.ctl("plugin", "canary", "test-copy", "100%", "--file", str(version(build, "good")))
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="test-copy").status == 200
    id = d.http.submit("test-copy", {}, [d.http.upload(b"x")])["id"]
    job = w.run_one(b"x")
    assert job["canary"]["sha256"] == canary(d)["sha256"] and job["dispatch_id"] == id
    assert d.http.job(id)["status"] == "completed"
    good = {"workflow": "test-copy", "sha256": job["canary"]["sha256"], "job": id, "outcome": "ran", "difference": 0}
    for nonsense in (7, "x", {}, [], [1, None, "x", []], [{}], [{"workflow": 5, "sha256": [], "job": {}}],
                     [{**good, "sha256": "0" * 64}], [{**good, "workflow": "other"}]):
        assert w.poll(canary=nonsense).status == 200
    assert canary(d)["untold"] == 1 and canary(d)["good"] == 0
    for _ in range(3):
        assert w.poll(canary=[good]).status == 200
    c = canary(d)
    assert c["good"] == 1 and c["untold"] == 0, "a poll that is sent again counts once"
    assert w.poll(canary=[{**good, "job": id + 1, "difference": -1e300, "old_ms": -5, "new_ms": 1e30}]).status == 200
    assert canary(d)["state"] == "rolled-back"
