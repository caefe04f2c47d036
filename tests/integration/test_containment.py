# SPDX-License-Identifier: Apache-2.0
"""A workflow plugin that breaks, in every way we know, costs the job it was given: never the worker, never another job."""
import json
import os
import pathlib
import time

import pytest

from conftest import wait_until

MIB = 1 << 20
LIMITS = ["worker.runnerMemoryBytes=%d" % (192 * MIB), "worker.runnerDiskBytes=%d" % (48 * MIB), "worker.runnerProcesses=12"]

LIMIT_S = 5

# mode -> what the job's error says; None: it comes back, with an errno for what it tried
BREAKS = {
    "segv": "crashed: signal 11",
    "abort": "crashed: signal 6",
    "heap": "crashed: signal",
    "exit": "exited with status 0 in the middle of its work",
    "loop": f"ran longer than its limit of {LIMIT_S}.0 s",
    "blocked_loop": f"ran longer than its limit of {LIMIT_S}.0 s",
    "leak": "worker.runnerMemoryBytes",
    "shared_leak": "worker.runnerMemoryBytes",
    "thread_bomb": " at once|ran longer",  # where so many threads take that long
    "fill": "worker.runnerDiskBytes",
    "fill_unlinked": "worker.runnerDiskBytes",
    "deep_dirs": "crashed: signal 11",
    "close_files": "closed its connection to the worker",
    "garbage": "frame",
    "link_output": "left no output",
    "pipe_output": "left no output",
    "fork_bomb": None,
    "kill_all": None,
}


@pytest.fixture
def start(daemon, test_copy, build):
    if any(mark in (build / "bin" / "bp-runner").read_bytes() for mark in (b"__asan_init", b"__tsan_init")):
        pytest.skip("a sanitizer reports, in its own words, what the plugin breaks on purpose")
    return starter(daemon, test_copy, build)


def starter(daemon, test_copy, build):
    """start(faults=n, **settings): a daemon with a good workflow, one that breaks, and one that breaks with all of its sandbox open."""
    def go(faults=0, plugins=("test-break", "test-open"), more_limits=(), **settings):
        args = {"bootDelaySeconds": 0.1, "workerArgs": [*LIMITS, *more_limits, f"plugins.faults={faults}", "worker.heartbeatSeconds=0.5"]}
        flows = {"test-break": {"timeoutSeconds": LIMIT_S, "maxSize": 1}, "test-open": {"timeoutSeconds": LIMIT_S, "maxSize": 1}, "test-copy": {"maxSize": 1}}
        return daemon(extra_plugins=[test_copy, *(build / "tests" / "workflows" / f"{p}.so" for p in plugins)],
                      settings={"plugin": json.dumps({"local": args}), "workflows": json.dumps(flows), "dispatch.sweepMilliseconds": "100",
                                "dispatch.maxAttempts": "1", "dispatch.retryBaseSeconds": "0.1", "plugins.faults": str(faults), **settings})
    return go


def submit_break(d, mode, workflow="test-break", **params):
    return d.http.submit(workflow, {"mode": mode, **params})["id"]


def ended(d, ids, timeout=120):
    """The jobs, once none of them is under way."""
    return wait_until("all jobs end", lambda: (jobs := [d.http.job(i) for i in ids]) and
                      all(j["status"] in ("completed", "failed", "cancelled") for j in jobs) and jobs, timeout=timeout)


def runners():
    """Processes of bp-runner that belong to this user, by pid."""
    found = set()
    for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            if os.readlink(exe).endswith("/bp-runner"):
                found.add(int(exe.parent.name))
        except OSError:
            pass
    return found


def runners_of(d):
    """Those whose directory lies in this daemon's state."""
    mine = set()
    for pid in runners():
        try:
            if str(d.state).encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes():
                mine.add(pid)
        except OSError:
            pass
    return mine


def test_what_breaks_costs_its_own_job_only_and_says_why(start):
    d = start()
    good = [d.http.submit("test-copy", {"steps": 20, "step_ms": 50}, [d.http.upload(b"good %d" % i)])["id"] for i in range(12)]
    bad = {mode: submit_break(d, mode) for mode in BREAKS}
    last = submit_break(d, "work")  # on the worker that had all of them
    for (mode, words), job in zip(BREAKS.items(), ended(d, bad.values())):
        if words is None:
            assert job["status"] == "completed", (mode, job)
            assert json.loads(d.http.get_url(job["output"]["url"]).body)["errno"] != 0, mode
        else:
            assert job["status"] == "failed" and any(w in job["error"] for w in words.split("|")), (mode, job["error"])
        assert job["attempts"] == 1, mode
    for i, job in enumerate(ended(d, good)):
        assert job["status"] == "completed" and job["attempts"] == 1, job
        assert d.http.get_url(job["output"]["url"]).body == b"good %d" % i
    assert ended(d, [last])[0]["status"] == "completed"
    assert len(d.worker_pids()) == 2 and not d.ctl("events", "worker.gone", "--last", "100")  # one a fleet, none was replaced
    for work in d.state.glob("plugin/local/instances/*/*/work/jobs"):
        assert not list(work.iterdir()), work
    assert len(runners_of(d)) <= 4  # a warden and a child for each of the two workers


def test_programs_and_their_orphans_end_with_their_job(start):
    d = start()
    bad = submit_break(d, "orphans", "test-open", crash=1)
    bomb = submit_break(d, "fork_bomb", "test-open", fail=1)
    loop = submit_break(d, "loop", "test-open")
    good = submit_break(d, "exec", "test-open", to="exit 7")
    bad, bomb, loop, good = ended(d, [bad, bomb, loop, good])
    assert "crashed: signal 11" in bad["error"] and f"{LIMIT_S}.0 s" in loop["error"]
    assert bomb["status"] == "failed" and (("worker.runnerProcesses" in bomb["error"]) or not kernel_asks())
    assert json.loads(d.http.get_url(good["output"]["url"]).body)["errno"] == 7
    assert len(d.worker_pids()) == 1
    wait_until("nothing is left of them", lambda: len(runners_of(d)) <= 2)


def kernel_asks():
    major, minor = (int(n) for n in os.uname().release.split(".")[:2])
    return (major, minor) >= (5, 7)


def test_a_crash_is_retried_as_the_rules_say(start):
    d = start(**{"dispatch.maxAttempts": "3"})
    once, always = submit_break(d, "segv", only_attempt=1), submit_break(d, "segv")
    once, always = ended(d, [once, always])
    assert once["status"] == "completed" and once["attempts"] == 2
    assert always["status"] == "failed" and always["attempts"] == 3


def plugin(d, name):
    return next(p for p in d.ctl("plugin", "list") if p["name"] == name)


def test_three_faults_quarantine_the_workflow_and_its_jobs_wait_with_the_reason(start, build):
    d = start(faults=3)
    good = d.http.submit("test-copy", {}, [d.http.upload(b"good")])["id"]
    bad = [submit_break(d, "segv") for _ in range(3)]
    assert [j["status"] for j in ended(d, bad)] == ["failed"] * 3
    p = wait_until("it is in quarantine", lambda: (p := plugin(d, "test-break"))["state"] == "quarantined" and p)
    assert "3 faults in" in p["reason"] and "bpctl plugin release test-break" in p["reason"]
    waiting = submit_break(d, "work")  # taken, and kept
    told = wait_until("it is told why", lambda: (e := d.ctl("explain", "job", str(waiting)))["held_by"] == "quarantine" and e)
    assert any("signal 11" in line["text"] for line in told["because"])
    assert "signal 11" not in json.dumps(d.http.get(f"/api/jobs/{waiting}/explain").data)  # a tenant hears no more than that
    flow = d.ctl("explain", "fleet", "test-break")
    assert any("quarantine" == line["what"] for line in flow["because"])
    assert any("plugin quarantined" in line for line in d.log.read_text().splitlines())  # the alert
    time.sleep(1.5)
    assert d.http.job(waiting)["status"] == "queued"
    assert ended(d, [good])[0]["status"] == "completed"  # others work on
    d.ctl("plugin", "release", "test-break")
    assert ended(d, [waiting])[0]["status"] == "completed"
    assert plugin(d, "test-break")["state"] == "running"


def test_another_version_ends_the_quarantine(start, build):
    d = start(faults=2)
    bad = [submit_break(d, "abort") for _ in range(2)]
    ended(d, bad)
    wait_until("it is in quarantine", lambda: plugin(d, "test-break")["state"] == "quarantined")
    waiting = submit_break(d, "work")
    time.sleep(0.5)
    assert d.http.job(waiting)["status"] == "queued"
    d.install(build / "tests" / "workflows" / "test-break-v2.so", "test-break.so")
    assert ended(d, [waiting])[0]["status"] == "completed"
    assert plugin(d, "test-break")["version"] == "2"


def test_bad_input_and_a_poisonous_job_quarantine_nothing(start):
    d = start(faults=3, **{"dispatch.maxAttempts": "4"})
    poison = submit_break(d, "segv")
    errors = [d.http.submit("test-copy", {"misbehave": "bad_input"}, [d.http.upload(b"x")])["id"] for _ in range(5)]
    assert ended(d, [poison])[0]["attempts"] == 4  # four crashes, of one job
    ended(d, errors)
    assert plugin(d, "test-break")["state"] == "running" and plugin(d, "test-copy")["state"] == "running"
    assert ended(d, [submit_break(d, "work")])[0]["status"] == "completed"
