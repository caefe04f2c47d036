# SPDX-License-Identifier: Apache-2.0
"""What was kept long enough goes: all of it, and a little at a time, on each queue plugin and in tenants' pools."""
import contextlib
import json
import sqlite3
import subprocess
import threading

import pytest

from client import FieldWorker, Http
from conftest import wait_until
from test_fleet import local
from test_pools import servers  # noqa: F401 (fixture)

DAY_MS = 86400000
WORKER = "i-0aaaaaaaaaaaaaaa1"
AGO = ["--days", "40", "--workflows", "1", "--first", "bench-noop", "--seconds", "0"]

# Every table of each store: what keeps rows when all jobs are gone, and what bounds them. All others are empty then.
KEPT = {
    "tenants": "tenants", "tokens": "their tokens", "tenant_tokens": "the same",
    "workflows": "workflows", "effects": "effects", "worker_names": "workers ever seen",
    "shares": "tenants of a workflow", "tenant_shares": "the same",
    "job_event_words": "words of timelines",
    "schema_migrations": "steps", "tenants_version": "one row", "leadership": "one row",
    "controllers": "controllers that are there", "counters": "last ids given", "sqlite_sequence": "the same",
}
# These grow with controllers and workflows, not with jobs.
NOT_BY_JOBS = {"writers": "controllers of the last day", "dispatch_counters": "64 of a workflow, 8 of a tenant",
               "memos": "one of each kind for a workflow, once there is something to remember"}


class Sqlite:
    def __init__(self, daemon, request, **kw):
        self.d = daemon(start=False, **kw)
        self.d.settings["plugin"] = local()
        self.file = self.d.state / "plugin/sqlite/queue.db"

    def run(self, *statements):
        with contextlib.closing(sqlite3.connect(self.file)) as db, db:
            return [db.execute(s).fetchall() for s in statements][-1]

    def counts(self):
        names = [n for n, in self.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%'")]
        return {n: self.run(f"SELECT COUNT(*) FROM {n}")[0][0] for n in names}

    def make_old(self):
        self.run(f"UPDATE ai_job_dispatches SET finished_ms = finished_ms - {40 * DAY_MS} WHERE finished_ms > 0", *AGED,
                 f"UPDATE webhook_deliveries SET due_ms = due_ms + {DAY_MS}")

    def finished_long_ago(self, build, jobs):
        """Puts jobs through the plugin that ended 40 days ago."""
        subprocess.run([build / "bench/queue", build / "plugins/sqlite.so", *AGO, "--finished", str(jobs), "--dir", self.file.parent],
                       check=True, capture_output=True)

    def old(self):
        return self.run("SELECT COUNT(*) FROM ai_job_dispatches WHERE created_ms < (unixepoch() - 86400) * 1000")[0][0]

    def counted(self):
        """Jobs in all states, as the counters have them."""
        return self.run("SELECT SUM(scheduled + queued + leased + completed + failed + cancelled) FROM workflows")[0][0]


class Mariadb:
    """The queue on one server; with pools, one on the same server and one on another."""

    def __init__(self, daemon, request, pools=False, **kw):
        queue, pool = request.getfixturevalue("servers")
        name = "n" + str(abs(hash(request.node.name)))
        self.databases = {"": (queue, name)}
        mine = {"socket": queue, "user": "root", "database": name, "createDatabase": True, "autoMigrate": True}
        if pools:
            self.databases |= {"near": (queue, name + "p"), "far": (pool, name + "p")}
            mine |= {"tenantPool": {"acme": "near", "zenith": "far"},
                     "pools": {"near": {"database": name + "p"}, "far": {"socket": pool, "database": name + "p"}}}
        self.mine = mine
        self.d = daemon(plugins=("mariadb", "local"), start=False, **kw)
        self.d.settings |= {"services.queue": "mariadb", "plugin": json.dumps({"mariadb": mine, **json.loads(local())})}

    def run(self, *statements, pool=""):
        socket, name = self.databases[pool]
        a = subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "-N", name, "-e", ";".join(statements)],
                           capture_output=True, text=True, check=True)
        return [line.split("\t") for line in a.stdout.splitlines()]

    def counts(self):
        all = {}
        for pool in self.databases:
            names = [n for n, in self.run("SHOW TABLES", pool=pool)]
            all |= {f"{pool}.{n}".lstrip("."): int(self.run(f"SELECT COUNT(*) FROM {n}", pool=pool)[0][0]) for n in names}
        return all

    def make_old(self):
        self.run(f"UPDATE ai_job_dispatches SET finished_ms = finished_ms - {40 * DAY_MS}, due_ms = due_ms - {40 * DAY_MS} "
                 "WHERE status IN (4, 5, 6)", *AGED, f"UPDATE webhook_deliveries SET due_ms = due_ms + {DAY_MS}")

    def finished_long_ago(self, build, jobs):
        subprocess.run([build / "bench/queue", build / "plugins/mariadb.so", *AGO, "--finished", str(jobs), "--settings", json.dumps(self.mine)],
                       check=True, capture_output=True)

    def old(self):
        return int(self.run("SELECT COUNT(*) FROM ai_job_dispatches WHERE created_ms < (UNIX_TIMESTAMP() - 86400) * 1000")[0][0])

    def counted(self):
        return int(self.run("SELECT SUM(scheduled + queued + leased + completed + failed + cancelled) FROM dispatch_counters")[0][0])


AGED = [f"UPDATE worker_audit_logs SET at_ms = at_ms - {400 * DAY_MS}", f"UPDATE workflow_seconds SET second = second - {DAY_MS // 1000}",
        f"UPDATE workflow_samples SET at_ms = at_ms - {DAY_MS}", f"UPDATE workflow_interruptions SET at_ms = at_ms - {DAY_MS}"]


@pytest.fixture(params=["sqlite", "mariadb", "pools"])
def store(request, daemon, noop, test_copy):
    settings = {"scale.dryRun": "true", "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.05", "workers.staleSeconds": "10",
                "dispatch.fairShare": "true", "webhooks.retryBaseSeconds": "600",
                "tenants": json.dumps({name: {"token": f"token-of-{name}", "webhook": "http://127.0.0.1:1/nobody"} for name in ("acme", "zenith")})}
    more = {"extra_plugins": [noop, test_copy], "settings": settings}
    if request.param == "sqlite":
        return Sqlite(daemon, request, **more)
    return Mariadb(daemon, request, pools=request.param == "pools", **more)


class Tenant:
    """Everything a tenant's job can go through, worked off by one worker."""

    def __init__(self, d, name, worker):
        self.http, self.w = Http(d.port, token=f"token-of-{name}"), worker

    def submit(self, workflow="bench-noop", inputs=None, **more):
        return self.http.submit(workflow, None, inputs, **more)["id"]

    def lease(self, id):
        job = wait_until(f"job {id} is leased", lambda: self.w.poll(wait_seconds=1).data["job"])
        assert job["dispatch_id"] == id
        return job

    def ok(self, answer):
        assert answer.status == 200, answer

    def cancel(self, id):
        self.ok(self.http.request("DELETE", f"/api/jobs/{id}"))

    def upload(self, job):
        assert self.w.http.put_url(job["output_url"], b"out", "application/octet-stream").status < 300

    def go(self):
        first = self.submit("test-copy", [self.http.upload(b"in")], idempotency_key="once", unique_key="one")
        second = self.submit(after=[first])
        job = self.lease(first)
        self.ok(self.w.call("progress", {**self.w.lease_of(job), "progress": 0.5, "checkpoint_key": job["input_payload"]["checkpoint_key"]}))
        self.ok(self.w.requeue(job, "spot"))
        job = self.lease(first)
        self.upload(job)
        self.ok(self.w.complete(job, 3))
        self.ok(self.w.complete(self.lease(second)))
        failing = self.submit(unique_key="two", max_attempts=2)
        doomed = self.submit(after=[failing])
        self.ok(self.w.fail(self.lease(failing), "busy", retryable=True))
        self.ok(self.w.fail(self.lease(failing), "broken"))
        wait_until("what waits for it is cancelled", lambda: self.http.job(doomed)["status"] == "cancelled")
        self.cancel(self.submit(unique_key="three", idempotency_key="twice"))
        self.cancel(self.submit(not_before=4102444800000))
        for job in self.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop", "idempotency_key": f"b{n}"} for n in range(20)]}).data["jobs"]:
            self.ok(self.w.complete(self.lease(job["id"])))


def generation(store):
    """Jobs of two tenants come, end and get old; what is left of them, by table."""
    d = store.d.start()
    w = FieldWorker(d.http, d.secret(), WORKER)
    assert w.register(slugs=["bench-noop", "test-copy"]).status == 200
    for name in ("acme", "zenith"):
        Tenant(d, name, w).go()
    assert w.deregister().status == 200
    assert len(d.http.request("GET", "/api/jobs?limit=100", headers={"Authorization": "Bearer token-of-acme"}).data["jobs"]) == 26
    assert d.stop() == 0
    full = store.counts()
    store.make_old()
    d.start()
    wait_until("all jobs are gone", lambda: store.counts()["ai_job_dispatches"] == 0, timeout=60)
    with contextlib.suppress(pytest.fail.Exception):  # what is left is said below
        wait_until("and what belongs to them", lambda: not leftovers(store.counts()))
    wait_until("and their outputs", lambda: not list(d.state.glob("plugin/local/objects/**/jobs/**/output*")))
    assert d.stop() == 0
    return full, store.counts()


def table(name):
    return name.split(".")[-1]


def leftovers(counts):
    return {n: c for n, c in counts.items() if c and table(n) not in KEPT and n not in NOT_BY_JOBS}


def test_nothing_is_left_of_jobs_that_are_pruned(store):
    full, first = generation(store)
    assert {table(n) for n, c in full.items() if c} >= {
        "ai_job_dispatches", "ai_jobs", "idempotency_keys", "job_dependencies", "webhook_deliveries", "job_events", "worker_audit_logs",
        "workflow_seconds", "workflow_samples", "workflow_interruptions"}, "there was something to remove"
    assert not leftovers(first)
    assert store.counted() == 0
    _, second = generation(store)
    grown = {n: (first.get(n, 0), c) for n, c in second.items() if c > first.get(n, 0) and n not in NOT_BY_JOBS}
    assert not leftovers(second) and store.counted() == 0
    assert not grown, "a second generation of the same leaves no more than the first"


@pytest.mark.parametrize("store", ["sqlite", "mariadb"], indirect=True)
def test_a_backlog_goes_in_steps_while_jobs_come_and_go(store, build):
    store.d.start().stop()
    store.finished_long_ago(build, 6000)
    d = store.d.start()
    w = FieldWorker(d.http, d.secret(), WORKER)
    assert w.register(fleet="bench-noop").status == 200
    http, seen, young, wrong, done = Http(d.port, token="token-of-acme"), [store.old()], [], [], threading.Event()

    def cycles():
        while not done.is_set() and not wrong:
            a = http.post("/api/jobs", {"workflow": "bench-noop"})
            b = w.poll(wait_seconds=20)
            job = b.data["job"] if b.status == 200 else None
            if a.status != 201 or not job or (c := w.complete(job)).status != 200:
                wrong.append((a, b, job and c))
            else:
                young.append(a.data["id"])

    load = threading.Thread(target=cycles)
    load.start()
    try:
        wait_until("the old jobs are gone", lambda: seen.append(store.old()) or seen[-1] == 0, timeout=120, every=0.01)
    finally:
        done.set()
        load.join()
    assert not wrong
    steps = sorted(set(seen), reverse=True)
    assert steps[0] >= 6000 and len(steps) > 4, f"some of it is gone before all of it is: {steps}"
    assert len(young) > 10 and {http.job(id)["status"] for id in young} == {"completed"}
