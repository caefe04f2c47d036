# SPDX-License-Identifier: Apache-2.0
"""The short chaos runs of `make test`; the long ones are `make chaos`."""
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
from backends import BACKENDS  # noqa: E402
from faults import draw  # noqa: E402


@pytest.fixture
def chaos(request):
    """chaos(words...) -> the directory of the first round, removed with the test when all went well."""
    kept = []
    build = pathlib.Path(request.config.getoption("--build-dir", default=None) or "build/debug")
    build = build if build.is_absolute() else HERE.parents[1] / build

    def run(*words):
        r = subprocess.run([sys.executable, HERE / "chaos.py", "--build-dir", build, "--keep", *words], capture_output=True, text=True,
                           timeout=600 * SLOW)
        assert r.returncode == 0, r.stdout + r.stderr
        kept.append(pathlib.Path(r.stdout.split("kept in ")[1].split()[0]))
        return next(kept[-1].glob("round*"))

    yield run
    for directory in kept:
        shutil.rmtree(directory)


def said(directory, backend):
    return "\n".join(check.check(directory, BACKENDS[backend]))


def test_no_promise_breaks_under_twenty_faults(chaos):
    directory = chaos("--seed", "1", "--faults", "20", "--backend", "sqlite")
    # The rows are really those of the database: what is missing there is missed.
    with sqlite3.connect(directory / "queue.db") as db:
        db.execute("DELETE FROM ai_jobs WHERE id = (SELECT max(id) FROM ai_job_dispatches WHERE status = 4)")
        db.execute("UPDATE workflows SET completed = completed + 1")
    assert "the job is gone" in said(directory, "sqlite") and "is said to have" in said(directory, "sqlite")


def without(directory, name, gone):
    """Takes rows out of what was read from the server."""
    path = directory / f"{name}.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if not gone(json.loads(line))))


def missed(directory):
    """A completed job is taken out of what was read from the server."""
    last = max(j["id"] for j in map(json.loads, (directory / "jobs.jsonl").read_text().splitlines()) if j["status"] == 4)
    without(directory, "jobs", lambda j: j["id"] == last)
    without(directory, "events", lambda e: e["job_id"] == last)
    return said(directory, "mariadb")


# A round with an even number has a fleet of workers, one with an odd number several controllers.


def test_no_promise_of_mariadb_breaks_under_twenty_faults(chaos):
    directory = chaos("--seed", "1", "--faults", "20", "--backend", "mariadb", "--round", "0")
    assert "is said to have" in missed(directory)


def test_no_promise_of_mariadb_breaks_under_twenty_faults_with_two_controllers(chaos):
    directory = chaos("--seed", "1", "--faults", "20", "--backend", "mariadb", "--round", "1")
    assert "is said to have" in missed(directory)


def test_the_faults_of_a_seed_are_the_same_each_time():
    assert draw("7.0", 50, ["disk_full"], True) == draw("7.0", 50, ["disk_full"], True)
    assert draw("7.0", 50, ["disk_full"], True) != draw("8.0", 50, ["disk_full"], True)
