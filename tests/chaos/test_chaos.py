# SPDX-License-Identifier: Apache-2.0
"""The short chaos run of `make test`, and the proof that its checker can say no."""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SLOW = float(os.environ.get("BP_TEST_SLOW", "1"))
sys.path.insert(0, str(HERE))
import check  # noqa: E402
from backend import BACKENDS  # noqa: E402


def build_dir(request):
    given = pathlib.Path(request.config.getoption("--build-dir", default=None) or "build/debug")
    return given if given.is_absolute() else HERE.parents[1] / given


def run(request, *words):
    return subprocess.run([sys.executable, HERE / "chaos.py", "--build-dir", build_dir(request), *words], capture_output=True, text=True,
                          timeout=400 * SLOW)


def test_no_promise_breaks_under_twenty_faults(request):
    r = run(request, "--seed", "1", "--faults", "20")
    assert r.returncode == 0, r.stdout + r.stderr


# ---- the checker: each lie told to it must be found ----


@pytest.fixture
def lied_to(request, tmp_path):
    """lied_to(lie) -> what the checker says after lie(directory) was told in a copy of a round that went well."""
    r = run(request, "--seed", "2", "--faults", "2", "--keep")
    assert r.returncode == 0, r.stdout + r.stderr
    base = pathlib.Path(r.stdout.split("kept in ")[1].split()[0])

    def tell(lie):
        shutil.rmtree(tmp_path / "round", ignore_errors=True)
        shutil.copytree(base / "round0", tmp_path / "round")
        lie(tmp_path / "round")
        return found(tmp_path / "round")

    yield tell
    shutil.rmtree(base)


def found(directory):
    return "\n".join(check.check(directory, BACKENDS["sqlite"]))


def sql(directory, *statements):
    with sqlite3.connect(directory / "queue.db") as db:
        for s in statements:
            db.execute(s)


def rewrite(directory, change):
    """Tells one lie in the histories: change(record) returns whether it did. The last record it fits is taken."""
    paths = sorted((directory / "history").glob("*.jsonl"))
    for path in paths:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        if any(change(r) for r in reversed(records)):
            path.write_text("\n".join(map(json.dumps, records)) + "\n")
            return
    pytest.fail("no record to change")


ONE = "(SELECT max(id) FROM ai_job_dispatches WHERE status = 4)"


IN_THE_DATABASE = [
    ("is gone", f"DELETE FROM ai_jobs WHERE id = {ONE}"),
    ("the output is that of", "UPDATE ai_job_dispatches SET lease_token = 'other' WHERE status = 4 AND worker_id IS NOT NULL"),
    ("but the job is not completed", "UPDATE ai_job_dispatches SET status = 5 WHERE status = 4"),
    ("still leased", f"UPDATE ai_job_dispatches SET status = 3 WHERE id = {ONE}"),
    ("the key", "UPDATE ai_jobs SET idempotency_key = (SELECT max(idempotency_key) FROM ai_jobs)"),
    ("leads to", "UPDATE idempotency_keys SET dispatch_id = 1"),
    ("its timeline counts", f"UPDATE ai_job_dispatches SET attempts = attempts + 1 WHERE id = {ONE}"),
    ("its timeline ends", f"DELETE FROM job_events WHERE seq IN (SELECT last_event FROM ai_job_dispatches WHERE id = {ONE})"),
    ("its time goes back", f"UPDATE job_events SET at_ms = 1 WHERE job_id = {ONE} AND what = 8"),
    ("happened while", f"UPDATE job_events SET what = 8 WHERE job_id = {ONE} AND what = 2"),
    ("is said to have", "UPDATE workflows SET completed = completed + 1"),
    ("what was stored came with", "UPDATE ai_jobs SET provider_job_id = 'another'"),
]


def lease_twice(directory):
    """Two workers were given the same job, and both were heard."""
    c = check.Checker(directory, BACKENDS["sqlite"])
    token = next(t for t, lease in c.leases.items() if c.accepted(t, "complete"))
    lease, end = c.leases[token], c.accepted(token, "complete")[0]
    middle = (lease["t1"] + end["t0"]) / 2
    job = {"dispatch_id": lease["id"], "lease_token": "second", "attempt": 1, "workflow": "bench-noop"}
    more = [{"client": "w99", "op": "poll", "t0": middle, "t1": middle, "status": 200, "worker": "field-w99", "answer": {"jobs": [job]}}]
    (directory / "history" / "w99.jsonl").write_text("\n".join(map(json.dumps, more)) + "\n")


def an_error(r):
    if r["op"] == "submit":
        r["status"] = 500
    return r["op"] == "submit"


def a_denial(r):
    if r["op"] == "poll" and r["status"] == 200:
        r["status"] = 401
        return True
    return False


def a_refusal(r):
    """A complete that came at once and was answered 404."""
    if r["op"] == "complete" and r["status"] == 200:
        r["status"] = 404
        return True
    return False


def a_refused_submit(r):
    if r["op"] == "submit" and r["status"] == 201 and not r["key"]:
        r.update(status=503, message="The disk is full")
        return True
    return False


def two_ends(r):
    """A lease that was failed as well as completed."""
    if r["op"] in ("heartbeat", "progress") and r["status"] == 200:
        r["op"] = "fail"
        return True
    return False


IN_A_HISTORY = [("was answered 500", an_error), ("stopped working by itself", a_denial), ("was refused to", a_refusal),
                ("was refused with 503", a_refused_submit), ("were accepted, the timeline has fewer", two_ends)]


def test_the_checker_finds_each_lie(lied_to):
    assert lied_to(lambda directory: None) == ""
    for words, statement in IN_THE_DATABASE:
        assert words in lied_to(lambda directory: sql(directory, statement)), statement
    for words, change in IN_A_HISTORY:
        assert words in lied_to(lambda directory: rewrite(directory, change)), change
    assert "were alive at once" in lied_to(lease_twice)


def test_the_faults_of_a_seed_are_the_same_each_time():
    from faults import draw
    assert draw("7.0", 50, ["disk_full"], True) == draw("7.0", 50, ["disk_full"], True)
    assert draw("7.0", 50, ["disk_full"], True) != draw("8.0", 50, ["disk_full"], True)
