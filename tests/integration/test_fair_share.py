# SPDX-License-Identifier: Apache-2.0
"""Shares and limits of tenants while 16 producers and 16 workers are at it, judged by the sequence of what the store wrote down."""
import collections
import threading
import time

import pytest

from client import FieldWorker, Http
from test_pools import servers  # noqa: F401 (fixture)
from test_pruning import Mariadb, Sqlite

LEASES = 800
# name -> weight, most running, most pending; 0: no limit
TENANTS = {"one": (1, 0, 0), "uno": (1, 0, 0), "two": (2, 0, 0), "three": (3, 0, 0), "five": (5, 0, 0),
           "narrow": (5, 2, 0), "single": (1, 1, 0), "short": (2, 0, 25)}
FREE = {name: weight for name, (weight, running, pending) in TENANTS.items() if not running and not pending}
PRODUCERS = [name for name in TENANTS for _ in range(2)]
WORKERS = 16


@pytest.fixture(params=["sqlite", "mariadb"])
def store(request, daemon, noop):
    settings = {"scale.dryRun": "true", "dispatch.fairShare": "true", "dispatch.leaseTtlSeconds": "300"}
    make = Sqlite if request.param == "sqlite" else Mariadb
    return make(daemon, request, extra_plugins=[noop], settings=settings)


@pytest.fixture
def controllers(store, daemon, noop):
    """One on SQLite, two on MariaDB."""
    first = store.d.start()
    if isinstance(store, Sqlite):
        return [first]
    return [first, daemon(plugins=("mariadb", "local"), extra_plugins=[noop], settings=first.settings)]


class Load:
    def __init__(self, controllers):
        self.controllers, self.stop, self.wrong, self.held = controllers, threading.Event(), [], []
        self.tokens, self.left, self.lock = {}, LEASES, threading.Lock()
        for name, (weight, running, pending) in TENANTS.items():
            words = [w for option, n in (("--weight", weight), ("--max-running", running), ("--max-pending", pending)) if n
                     for w in (option, str(n))]
            controllers[0].ctl("tenant", "add", name, *words)
            self.tokens[name] = controllers[0].ctl("tenant", "token", "add", name)["token"]

    def http(self, n, tenant=None):
        return Http(self.controllers[n % len(self.controllers)].port, token=self.tokens.get(tenant))

    def fill(self):
        """No tenant runs out of jobs before the leases that are looked at are given; one with few pending is at its limit."""
        for name, (weight, _, pending) in TENANTS.items():
            http = self.http(0, name)
            for _ in range(pending):
                assert http.post("/api/jobs", {"workflow": "bench-noop"}).status == 201
            for _ in range(0 if pending else 1 + LEASES * weight // sum(FREE.values()) // 100):
                assert http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop"}] * 100}).status == 201

    def produce(self, n):
        http = self.http(n, PRODUCERS[n])
        while not self.stop.is_set():
            a = http.post("/api/jobs", {"workflow": "bench-noop"})
            if a.status not in (201, 429):
                self.wrong.append(a)
            time.sleep(0.02)

    def take(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def work(self, n):
        d = self.controllers[n % len(self.controllers)]
        w = FieldWorker(d.http, d.secret(), f"i-0ccccccccccccccc{n:x}")
        a = w.register(fleet="bench-noop")
        while a.status == 200 and self.take():
            a = w.poll(wait_seconds=30)
            job, began = a.data["job"] if a.status == 200 else None, time.monotonic()
            if job:
                self.held.append((job["tenant_id"], began, time.monotonic()))  # it may be the store's again from here on
                a = w.complete(job)
        if a.status != 200:
            self.wrong.append(a)

    def run(self):
        producers = [threading.Thread(target=self.produce, args=(n,)) for n in range(len(PRODUCERS))]
        workers = [threading.Thread(target=self.work, args=(n,)) for n in range(WORKERS)]
        for t in producers + workers:
            t.start()
        for t in workers:
            t.join()
        self.stop.set()
        for t in producers:
            t.join()
        assert not self.wrong


def events(store):
    """Of all jobs, in the order of the store, as (tenant, what)."""
    return [(tenant, what) for tenant, what in store.run(
        "SELECT t.name, w.word FROM job_events e JOIN job_event_words w ON w.id = e.what JOIN ai_job_dispatches d ON d.id = e.job_id "
        "JOIN tenants t ON t.id = d.tenant_id ORDER BY e.seq")]


def most(steps):
    """The largest sum on the way."""
    at = best = 0
    for step in steps:
        at += step
        best = max(best, at)
    return best


def test_shares_follow_the_weights_and_no_limit_is_passed_under_parallel_load(store, controllers):
    load = Load(controllers)
    load.fill()
    load.run()
    history = events(store)
    for name, (_, running, pending) in TENANTS.items():
        own = [what for tenant, what in history if tenant == name]
        if running:
            reached = most({"leased": 1, "completed": -1}.get(what, 0) for what in own)
            assert reached == running, f"{name} may have {running} at once and had {reached}"
            held = sorted(x for tenant, began, ended in load.held if tenant == name for x in ((began, 1), (ended, -1)))
            assert most(step for _, step in held) <= running, "nor by what workers were told"
        if pending:
            reached = most({"submitted": 1, "completed": -1}.get(what, 0) for what in own)
            assert reached == pending < own.count("submitted"), f"{name} may have {pending} pending and had {reached}"
    leased = [tenant for tenant, what in history if what == "leased" and tenant in FREE]
    for at in range(0, len(leased) - 240 + 1, 60):
        window = collections.Counter(leased[at:at + 240])
        for name, weight in FREE.items():
            fair = 240 * weight / sum(FREE.values())
            assert abs(window[name] - fair) <= 3 + fair / 5, f"{name} had {window[name]} of 240 leases from {at} on, its share is {fair:.0f}"
