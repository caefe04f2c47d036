# SPDX-License-Identifier: Apache-2.0
"""A workflow's file is replaced again and again while its jobs run: none is lost, none fails by it, and nothing grows."""
import json
import os
import pathlib
import re
import time

import pytest

from conftest import SLOW, sanitizer, wait_until

SWAPS = int(os.environ.get("BP_SWAPS", "200"))


def version_of(build, n):
    """The file of generation n: the same code, other content."""
    return (build / "tests" / "workflows" / "test-copy.so").read_bytes() + b"\n# generation %d\n" % n


def put(d, content):
    """By a rename, as an operator installs a file."""
    temp = d.plugins / ".test-copy.new"
    temp.write_bytes(content)
    temp.chmod(0o644)
    temp.rename(d.plugins / "test-copy.so")


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def measure(home, pid):
    """What might grow with each generation: memory, open files, private copies of plugins."""
    return {"rss_kib": rss_kib(pid), "files": len(os.listdir(f"/proc/{pid}/fd")), "copies": len(list((home / "plugins").iterdir()))}


def generation_running(log):
    return max((int(n) for n in re.findall(r"test-copy (\d+): running", log.read_text(errors="replace"))), default=0)


@pytest.fixture
def busy(daemon, test_copy):
    """A daemon with a worker that has jobs, and what those need."""
    d = daemon(extra_plugins=[test_copy], settings={"plugin": json.dumps({"local": {"bootDelaySeconds": 0.1}}), "dispatch.sweepMilliseconds": "100",
                                                    "workflows": json.dumps({"test-copy": {"maxSize": 1}})})
    d.source = d.http.upload(b"the work")
    d.jobs = [submit(d, steps=3) for _ in range(8)]
    wait_until("a worker works", lambda: d.http.job(d.jobs[0])["status"] == "completed")
    return d


def submit(d, steps=2):
    return d.http.submit("test-copy", {"steps": steps, "step_ms": 10}, [d.source])["id"]


def assert_all_completed(d):
    ended = ("completed", "failed", "cancelled")
    rows = wait_until("all jobs end", lambda: (rows := [d.http.job(i) for i in d.jobs]) and all(r["status"] in ended for r in rows) and rows,
                      timeout=120)
    assert [r for r in rows if r["status"] != "completed" or r["attempts"] != 1] == []
    assert d.ctl("events", "job.requeued", "--last", "1000") == []


def test_replacements_under_load_lose_no_job_and_leave_nothing(busy, build):
    d = busy
    worker = d.worker_pids()[0]
    home = next(p for p in (d.state / "plugin" / "local").rglob("plugins") if p.is_dir()).parent
    log = next((d.state / "plugin" / "local").rglob("*.log"))
    marks = []
    for n in range(2, SWAPS + 2):
        put(d, version_of(build, n))
        d.jobs.append(submit(d))
        wait_until(f"generation {n} serves", lambda: generation_running(d.log) == n, every=0.005)
        if n in (SWAPS // 4, SWAPS + 1):
            marks.append((measure(d.state, d.process.pid), measure(home, worker)))
    assert_all_completed(d)
    assert d.worker_pids() == [worker]
    followed = generation_running(log)
    assert followed > SWAPS // 4  # it may pass over some: it looks for the newest
    swaps = SWAPS + 1 - SWAPS // 4
    for who, first, last in zip(("controller", "worker"), *marks):
        growth = (last["rss_kib"] - first["rss_kib"]) / swaps
        print(f"{who}: {first} -> {last}, {growth:.1f} KiB a generation; the worker followed {followed} of {SWAPS + 1}")
        assert last["copies"] <= 6 and last["files"] - first["files"] <= 8, who
        assert growth < 64 * SLOW or "address" in sanitizer(build), who  # which keeps what was freed, to find its use


def test_a_burst_of_replacements_ends_with_the_last(busy, build):
    d = busy
    for n in range(2, 102):
        put(d, version_of(build, n))
    d.install(build / "tests" / "workflows" / "test-copy-v2.so", "test-copy.so")
    wait_until("the last serves", lambda: any(p["version"] == "2.0" and p["state"] == "running" for p in d.ctl("plugin", "list")))
    d.jobs.append(submit(d))
    assert_all_completed(d)
    wait_until("the worker has it, too", lambda: d.http.get_url(d.http.job(again := submit(d)) and wait_until(
        "it ends", lambda: (j := d.http.job(again))["status"] == "completed" and j)["output"]["url"]).body == b"the work v2")


def test_a_file_written_slowly_in_place_is_taken_when_it_is_whole(busy, build):
    d = busy
    content = (build / "tests" / "workflows" / "test-copy-v2.so").read_bytes()
    with open(d.plugins / "test-copy.so", "r+b") as f:
        f.truncate()
        for at in range(0, len(content), 1 + len(content) // 8):
            f.write(content[at:at + 1 + len(content) // 8])
            f.flush()
            d.jobs.append(submit(d))
            time.sleep(0.1)
    wait_until("it serves", lambda: any(p["version"] == "2.0" and p["state"] == "running" for p in d.ctl("plugin", "list")))
    assert_all_completed(d)
