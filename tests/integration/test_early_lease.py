# SPDX-License-Identifier: Apache-2.0
"""A worker that waits has its job before the commit of the submit that woke it. When that never comes, the submit was not
accepted, the lease is over, and nothing is stuck or done twice."""
import sys
import threading

import pytest

from client import FieldWorker
from conftest import ROOT, wait_until
from test_mariadb import mariadb, on_mariadb  # noqa: F401

sys.path.insert(0, str(ROOT / "tests" / "chaos"))
from disk import Disk  # noqa: E402
from proxy import CommitProxy  # noqa: E402
from trouble import Trouble  # noqa: E402


class Scene:
    """A daemon, a worker that waits and a submit that wakes it, both on their way."""

    def __init__(self, d):
        self.d = d
        self.worker = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
        assert self.worker.register(fleet="bench-noop").status == 200

    def _in_background(self, fn):
        box = []

        def run():
            try:
                box.append(fn())
            except OSError as e:  # the daemon was killed
                box.append(e)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return box, thread

    def begin(self, n):
        self.polled = self._in_background(lambda: self.worker.poll(wait_seconds=20))
        wait_until("the worker waits", lambda: self.d.ctl("status")["waiting_polls"] == 1)
        self.n = n
        self.submitted = self._in_background(self.submit)

    def submit(self):
        return self.d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {"n": self.n}, "idempotency_key": f"n{self.n}"})

    def job(self):
        """What the worker was given."""
        self.polled[1].join(60)
        job = self.polled[0][0].data["job"]
        assert job, "the worker was given nothing"
        return job

    def answer(self):
        """Of the submit."""
        self.submitted[1].join(60)
        return self.submitted[0][0]

    def check_lost(self, job):
        """It never was; what is submitted again is a job of its own, done once."""
        assert self.worker.complete(job).status == 404
        assert self.worker.heartbeat(job).status == 404
        assert [j for j in self.d.http.get("/api/jobs").data["jobs"] if j["status"] != "completed"] == []
        again = self.submit()
        assert again.status == 201 and not again.data.get("replayed"), again
        mine = self.worker.poll(wait_seconds=20).data["job"]
        assert mine["dispatch_id"] == again.data["id"] and mine["lease_token"] != job["lease_token"]
        assert self.worker.complete(job).status == 404
        assert self.worker.complete(mine).status == 200
        what = [e["what"] for e in self.d.http.job(again.data["id"])["timeline"]]
        assert what == ["submitted", "leased", "completed"]


@pytest.fixture
def hanging(daemon, noop, build, short_dir, monkeypatch):
    """A daemon whose disk can be told to hang, with the trouble that tells it. Nothing but what the test does writes."""
    disk = Disk(short_dir / "disk")
    trouble = Trouble(build, short_dir / "trouble", disk)
    for key, value in trouble.environment().items():
        monkeypatch.setenv(key, value)
    d = daemon(start=False, extra_plugins=[noop], settings={"scale.dryRun": "true", "dispatch.sweepMilliseconds": "60000"})
    d.state = disk.dir / "state"
    d.start()
    yield d, trouble
    trouble.disk_hangs(False)


def begun_before_the_commit(s, trouble):
    """The job of a worker whose submit the disk does not take."""
    trouble.disk_hangs(True)
    s.begin(1)
    job = s.job()
    assert not s.submitted[0], "the submit was answered before the commit"
    return job


def test_sqlite_killed_between_hand_out_and_commit(hanging):
    d, trouble = hanging
    s = Scene(d)
    job = begun_before_the_commit(s, trouble)
    d.kill9()
    assert isinstance(s.answer(), OSError)
    trouble.disk_hangs(False)
    d.settings["http.listen"] = f"127.0.0.1:{d.port}"
    d.start()
    s.check_lost(job)


def test_sqlite_on_a_disk_that_is_full_at_the_commit(hanging):
    d, trouble = hanging
    s = Scene(d)
    job = begun_before_the_commit(s, trouble)
    trouble.disk_full(True)
    trouble.disk_hangs(False)
    assert s.answer().status == 503
    trouble.disk_full(False)
    s.check_lost(job)


def test_sqlite_that_commits_after_all(hanging):
    d, trouble = hanging
    s = Scene(d)
    job = begun_before_the_commit(s, trouble)
    done = s._in_background(lambda: s.worker.complete(job))  # while the disk still hangs
    trouble.disk_hangs(False)
    assert s.answer().status == 201 and s.answer().data["id"] == job["dispatch_id"]
    done[1].join(60)
    assert done[0][0].status == 200
    assert [e["what"] for e in d.http.job(job["dispatch_id"])["timeline"]] == ["submitted", "leased", "completed"]


class LastWord(CommitProxy):
    """Cuts at a commit that comes by itself."""

    EXECUTE = None


def test_mariadb_cut_off_between_hand_out_and_commit(on_mariadb, mariadb, noop, short_dir):  # noqa: F811
    proxy = LastWord(mariadb, short_dir / "db.sock", 1)
    try:
        d = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"}, socket=short_dir / "db.sock")
        s = Scene(d)
        for n in range(40):  # another batch may come first and be cut: it is tried again
            s.begin(n)
            proxy.armed = "before"
            job = s.job()
            if s.answer().status == 503:
                break
            assert s.answer().status == 201
            assert s.worker.complete(job).status == 200
        else:
            pytest.fail("no submit met the cut")
        proxy.armed = None
        wait_until("the queue works again", lambda: d.http.get("/readyz").status == 200)
        s.check_lost(job)
        d.stop()  # so that the proxy has nothing open when it ends
    finally:
        proxy.stop()
