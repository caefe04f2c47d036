# SPDX-License-Identifier: Apache-2.0
"""Plugins come and go while the daemon runs."""
import json
import shutil

from client import FieldWorker
from conftest import wait_until

FAST = {"dispatch.leaseTtlSeconds": "5", "dispatch.sweepMilliseconds": "100"}


def plugin(d, name):
    return next((p for p in d.ctl("plugin") if p["name"] == name), None)


def test_a_workflow_dropped_into_a_running_daemon_completes_a_job(daemon, test_copy):
    d = daemon(settings=FAST)
    assert d.http.post("/api/jobs", {"workflow": "test-copy", "params": {}}).status == 404
    d.install(test_copy)
    wait_until("it is submittable", lambda: any(w["workflow"] == "test-copy" for w in d.ctl("workflows")))
    id = d.http.submit("test-copy", {}, [d.http.upload(b"hello")])["id"]
    done = wait_until("its job completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=40)
    assert d.http.get_url(done["output"]["url"]).body == b"hello"


def test_a_replacement_serves_new_jobs_while_a_running_one_finishes_on_the_old(daemon, test_copy, build):
    newer = build / "tests" / "workflows" / "test-copy-v2.so"
    d = daemon(settings=FAST, extra_plugins=[test_copy])
    old = d.http.submit("test-copy", {"steps": 40, "step_ms": 100}, [d.http.upload(b"one")])["id"]
    wait_until("the job runs", lambda: d.http.job(old)["progress"] > 0, timeout=30)
    d.install(newer, "test-copy.so")
    wait_until("the new generation serves", lambda: plugin(d, "test-copy")["version"] == "2.0", timeout=10)
    new = d.http.submit("test-copy", {}, [d.http.upload(b"two")])["id"]
    for id in (old, new):
        wait_until("both complete", lambda: d.http.job(id)["status"] == "completed", timeout=60)
    assert d.http.job(old)["attempts"] == 1
    assert d.http.get_url(d.http.job(old)["output"]["url"]).body == b"one"
    assert d.http.get_url(d.http.job(new)["output"]["url"]).body == b"two v2"


def test_a_job_right_behind_a_replacement_runs_the_new_code_on_a_worker_that_is_idle(daemon, test_copy, build):
    newer = build / "tests" / "workflows" / "test-copy-v2.so"
    d = daemon(settings=FAST, extra_plugins=[test_copy])
    for round in range(4):
        file, version, mark = (newer, "2.0", b" v2") if round % 2 else (test_copy, "1.0", b"")
        d.install(file, "test-copy.so")
        wait_until("the controller has it", lambda: plugin(d, "test-copy")["version"] == version, timeout=10, every=0.005)
        id = d.http.submit("test-copy", {}, [d.http.upload(b"job")])["id"]
        done = wait_until("it completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=40)
        assert d.http.get_url(done["output"]["url"]).body == b"job" + mark


def test_a_broken_replacement_leaves_the_old_one_serving_and_says_why(daemon, test_copy):
    d = daemon(settings=FAST, extra_plugins=[test_copy])
    bad = d.dir / "bad.so"
    data = bytearray(test_copy.read_bytes())
    bad.write_bytes(data[: len(data) // 3])
    d.install(bad, "test-copy.so")
    wait_until("the reason is told", lambda: any("test-copy" in e.get("plugin", "") and e.get("to") == "refused"
                                                 for e in d.ctl("events", "plugin.state", "--last", "100")), timeout=15)
    id = d.http.submit("test-copy", {}, [d.http.upload(b"still here")])["id"]
    wait_until("the old one serves", lambda: d.http.job(id)["status"] == "completed", timeout=40)


def test_removing_the_file_drains_the_workflow(daemon, test_copy):
    d = daemon(settings=FAST, extra_plugins=[test_copy])
    (d.plugins / "test-copy.so").unlink()
    wait_until("it is gone", lambda: d.http.post("/api/jobs", {"workflow": "test-copy", "params": {}}).status in (404, 409, 503), timeout=15)


def test_a_plugin_writable_by_others_is_refused_and_the_rest_works(daemon, test_copy, noop):
    d = daemon(settings={**FAST, "scale.dryRun": "true"}, extra_plugins=[noop])
    bad = d.plugins / ".x"
    shutil.copyfile(test_copy, bad)
    bad.chmod(0o666)
    bad.rename(d.plugins / "test-copy.so")
    p = wait_until("it is refused", lambda: next((p for p in d.ctl("plugin") if p["state"] == "refused"), None), timeout=15)
    assert "writ" in p["reason"]
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="bench-noop").status == 200
    d.http.submit("bench-noop")
    assert w.poll().data["job"]


def test_a_plugin_that_needs_a_server_waits_until_a_setting_names_it(daemon, build):
    d = daemon(settings={"scale.dryRun": "true"}, plugins=("sqlite", "local", "mariadb"))
    assert plugin(d, "mariadb") is None and plugin(d, "sqlite")["state"] == "running"
    d.stop()
    d.settings.update({"services.queue": "sqlite", "plugin.mariadb.socket": "/nonexistent/socket"})
    d.start()
    p = wait_until("it is tried and refused", lambda: plugin(d, "mariadb"))
    assert p["state"] == "refused" and "/nonexistent/socket" in p["reason"]


def test_workflows_of_one_template_are_checked_together_and_a_bad_one_alone_is_refused(daemon, build):
    """A hundred files: one crashes the code that checks it, one ends it, one hangs, one is wrong. The others serve."""
    d = daemon(settings={**FAST, "scale.dryRun": "true", "plugins.startTimeoutSeconds": "3"}, start=False,
               extra_plugins=[build / "tests" / "plugins" / "mould.so"])
    d.settings["plugins.workflowsDir"] = str(d.dir / "workflows.d")
    (d.dir / "workflows.d").mkdir(mode=0o755)
    moods = {20: "crash", 41: "exit", 77: "fail", 90: "quit", 95: "loop"}
    for i in range(100):
        file = d.dir / "workflows.d" / f"flow-{i:02}.json"
        file.write_text(json.dumps({"plugin": "mould", "settings": {"check": moods.get(i, "")}}))
        file.chmod(0o644)
    d.start()
    wait_until("all are decided", lambda: sum(p["name"].startswith("flow-") and p["state"] in ("running", "refused") for p in d.ctl("plugin")) == 100, timeout=60)
    found = {p["name"]: (p["state"], p.get("reason", "")) for p in d.ctl("plugin") if p["name"].startswith("flow-")}
    refused = {name: why for name, (state, why) in found.items() if state == "refused"}
    assert sorted(refused) == [f"flow-{i}" for i in moods], refused
    assert "crashed when it loaded it (signal 11" in refused["flow-20"]
    assert "cannot load it" in refused["flow-41"] and "cannot load it" in refused["flow-90"]
    assert "it is in a bad mood in check" in refused["flow-77"]
    assert "within plugins.startTimeoutSeconds" in refused["flow-95"]
