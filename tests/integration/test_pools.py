# SPDX-License-Identifier: Apache-2.0
"""A daemon whose tenant's content lies in a pool on a second MariaDB server, killed between the two commits."""
import contextlib
import json
import re
import select
import socket
import subprocess
import threading

import pytest

from client import FieldWorker
from conftest import ROOT, wait_until
from test_fleet import local

COMMIT = re.compile(rb"COMMIT(?!T)")
SUBMITS = b"INSERT INTO ai_job_dispatches (tenant_id"
DELIVERS = b"INSERT INTO pool_outbox"


@contextlib.contextmanager
def server():
    """A MariaDB server; yields its socket."""
    holder = subprocess.Popen([str(ROOT / "tests/mariadb/with_mariadb"), "sh", "-c", 'echo "$BP_MARIADB_SOCKET"; cat'],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    path = holder.stdout.readline().strip()
    assert path, "the server did not come up"
    yield path
    holder.stdin.close()
    holder.wait(60)


@pytest.fixture(scope="module")
def servers():
    with server() as queue, server() as pool:
        yield queue, pool


class Proxy:
    """A Unix socket in front of a server. Armed, it freezes a connection at the commit of a transaction that said `marker`:
    the COMMIT passes or not, and nothing is heard on that connection any more."""

    def __init__(self, path, target):
        self.path, self.target = str(path), target
        self.marker, self.passes = None, False
        self.frozen = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._run, daemon=True).start()

    def arm(self, marker, passes):
        self.frozen.clear()
        self.passes, self.marker = passes, marker

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.socket(socket.AF_UNIX) as up, contextlib.suppress(OSError):
            up.connect(self.target)
            said = b""
            while True:
                ready = select.select([client, up], [], [])[0]
                if up in ready:
                    client.sendall(up.recv(65536) or self._end())
                if client in ready:
                    data = client.recv(65536) or self._end()
                    said = (said + data)[-1 << 20:]
                    if COMMIT.search(data) and self.marker and self.marker in said:
                        self._freeze(client, up, data)
                        return
                    if COMMIT.search(data):
                        said = b""
                    up.sendall(data)

    def _freeze(self, client, up, data):
        self.marker = None
        if self.passes:
            up.sendall(data)
            up.recv(65536)  # it is committed now
        self.frozen.set()
        while client.recv(65536):
            pass

    @staticmethod
    def _end():
        raise OSError("the other side is gone")


class Rig:
    def __init__(self, daemon, servers, dir, name, noop):
        self.queue_socket, self.pool_socket = servers
        self.name = name
        self.proxy = Proxy(dir / "proxy.sock", self.queue_socket)
        mine = {"socket": self.proxy.path, "user": "root", "database": name, "createDatabase": True, "autoMigrate": True,
                "pools": {"far": {"socket": self.pool_socket, "database": name}}}
        self.d = daemon(plugins=("mariadb", "local"), extra_plugins=[noop], settings={
            "services.queue": "mariadb", "plugin": json.dumps({"mariadb": mine, **json.loads(local())}), "scale.dryRun": "true",
            "dispatch.sweepMilliseconds": "100"})

    def pool(self, sql):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.pool_socket}", "--user=root", "-N", self.name, "-e", sql],
                              capture_output=True, text=True, check=True).stdout.split()

    def kill9_during(self, request, marker, passes):
        """Sends a request, waits until its transaction is at its commit, kills the daemon and starts it again."""
        self.proxy.arm(marker, passes)
        asker = threading.Thread(target=self._ask, args=(request,), daemon=True)
        asker.start()
        assert self.proxy.frozen.wait(60), "the commit was not seen"
        self.d.kill9()
        asker.join(60)
        self.d.start()

    @staticmethod
    def _ask(request):
        with contextlib.suppress(OSError):
            request()

    def submit(self):
        return self.d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {"n": 7}, "idempotency_key": "once"})

    def jobs(self):
        return self.d.http.get("/api/jobs").data

    def worker(self):
        w = FieldWorker(self.d.http, self.d.secret(), "i-0aaaaaaaaaaaaaaa1")
        assert w.register(fleet="bench-noop").status == 200
        return w


@pytest.fixture
def rig(daemon, servers, short_dir, noop, request):
    return Rig(daemon, servers, short_dir, "p" + str(abs(hash(request.node.name))), noop)


def count(jobs):
    return len(jobs["jobs"] if isinstance(jobs, dict) else jobs)


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_kill_9_at_the_queues_commit_of_a_submit_leaves_no_half_job(rig, committed):
    rig.kill9_during(rig.submit, SUBMITS, passes=committed)
    assert rig.pool("SELECT status FROM ai_jobs") in (["0"], ["2"] if committed else None)
    assert count(rig.jobs()) == (1 if committed else 0)
    a = rig.submit()
    assert a.status == (200 if committed else 201), a
    assert count(rig.jobs()) == 1
    w = rig.worker()
    job = w.poll().data["job"]
    assert job["dispatch_id"] == a.data["id"]
    assert rig.d.http.job(job["dispatch_id"])["params"] == {"n": 7}
    assert w.complete(job).status == 200 and not w.poll().data["job"]
    rig.pool("UPDATE ai_jobs SET written = written - INTERVAL 1 HOUR WHERE status=0")
    wait_until("the pool has that job and nothing else", lambda: rig.pool("SELECT status FROM ai_jobs") == ["4"])
    assert rig.d.http.job(job["dispatch_id"])["status"] == "completed"


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_kill_9_at_the_queues_commit_of_a_complete_counts_once(rig, committed):
    id = rig.submit().data["id"]
    w = rig.worker()
    job = w.poll().data["job"]
    rig.kill9_during(lambda: w.complete(job, 5), DELIVERS, passes=committed)
    assert rig.pool("SELECT COUNT(*) FROM ai_job_outputs") in (["1"], ["0"] if committed else None)
    assert rig.d.http.job(id)["status"] == ("completed" if committed else "leased")
    w.http.port = rig.d.port
    done = w.complete(job, 5)
    assert done.status == 200, done
    seen = rig.d.http.job(id)
    assert seen["status"] == "completed" and seen["output"]["size"] == 5
    assert [e["what"] for e in seen["timeline"]].count("completed") == 1
    wait_until("the pool follows", lambda: rig.pool("SELECT status FROM ai_jobs WHERE output IS NOT NULL") == ["4"])
    assert rig.pool("SELECT COUNT(*) FROM ai_job_outputs") == ["0"]
