# SPDX-License-Identifier: Apache-2.0
"""Two controllers on one MariaDB in small; `make shared` is the large run. And the proof that its judge can say no."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SLOW = float(os.environ.get("BP_TEST_SLOW", "1"))
sys.path.insert(0, str(HERE))
import shared  # noqa: E402
from backend_mariadb import Mariadb  # noqa: E402

JOBS = 3000


@pytest.fixture
def run(request):
    """run(words...) -> the directory of a run in which all went well."""
    kept = []
    build = pathlib.Path(request.config.getoption("--build-dir", default=None) or "build/debug")
    build = build if build.is_absolute() else HERE.parents[1] / build

    def call(*words):
        r = subprocess.run([sys.executable, HERE / "shared.py", "--build-dir", build, "--jobs", str(JOBS), "--workers", "16", "--keep", *words],
                           capture_output=True, text=True, timeout=900 * SLOW)
        assert r.returncode == 0, r.stdout + r.stderr
        kept.append(pathlib.Path(r.stdout.split("kept in ")[1].split()[0]))
        return kept[-1]

    yield call
    for directory in kept:
        shutil.rmtree(directory)


def judged(directory, find, replace):
    """What is said of the run after one change of its clients' history."""
    path = directory / "history.txt"
    told = path.read_text()
    lie, n = re.subn(find, replace, told, count=1, flags=re.MULTILINE)
    assert n == 1, find
    path.write_text(lie)
    try:
        return "\n".join(shared.judge(directory, JOBS))
    finally:
        path.write_text(told)


def given_to_two(completion):
    """Its worker took a second longer, and half of that later another worker was given the job."""
    id, token, worker, asked, answered, status = completion.groups()
    later = 1_000_000
    middle = int(asked) + later // 2
    return f"l {id} another field-99 {middle} {middle}\nc {id} {token} {worker} {int(asked) + later} {int(answered) + later} {status}"


def test_no_job_is_leased_to_two_by_two_controllers(run):
    directory = run()
    assert judged(directory, "^$", "") == ""
    assert "were alive at once" in judged(directory, r"^c (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)$", given_to_two)
    assert "is that of" in judged(directory, r"^(c \S+) \S+ ", r"\1 another ")
    assert f"{JOBS - 1} jobs of {JOBS} were accepted" in judged(directory, r"^s .*\n", "")
    assert f"{JOBS - 1} jobs of {JOBS} were completed" in judged(directory, r"^c .*\n", "")
    # The same in the database.
    rows = Mariadb.read(directory)
    next(iter(rows["events"].values())).pop()
    assert "its timeline ends leased" in "\n".join(shared.judge(directory, JOBS, rows))


def test_no_job_is_leased_to_two_while_controllers_are_killed(run):
    run("--kills", "6")
