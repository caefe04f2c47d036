# SPDX-License-Identifier: Apache-2.0
"""Server-sent events of a job: its states to the end, and nothing missed by who comes back."""
import http.client
import json
import threading

import pytest

from client import FieldWorker
from conftest import SLOW


@pytest.fixture
def d(daemon, noop):
    return daemon(extra_plugins=[noop], settings={"scale.dryRun": "true", "dispatch.leaseTtlSeconds": "60"})


class Stream:
    """One connection to a job's events; next() gives (name, id or None, data), None once the answer has ended."""

    def __init__(self, d, id, last=None):
        self.c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=30 * SLOW)
        headers = {"Authorization": f"Bearer {d.http.token}", "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.c.request("GET", f"/api/jobs/{id}/events", headers=headers)
        self.answer = self.c.getresponse()

    def next(self):
        name, id, data = None, None, None
        while line := self.answer.readline().decode():
            line = line.rstrip("\n")
            if not line and name:
                return name, id, json.loads(data)
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                id = int(value)
            elif field == "data":
                data = value
        return None

    def until(self, name):
        """All events up to the first of this name."""
        seen = []
        while e := self.next():
            seen.append(e)
            if e[0] == name:
                return seen
        pytest.fail(f"no {name} in {[s[0] for s in seen]}")

    def rest(self):
        seen = []
        while e := self.next():
            seen.append(e)
        return seen

    def close(self):
        self.answer.close()
        self.c.close()


@pytest.fixture
def worker(d):
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="bench-noop").status == 200
    return w


def names(events):
    return [e[0] for e in events]


def test_a_jobs_events_come_as_they_happen_and_end_with_it(d, worker):
    id = d.http.submit("bench-noop")["id"]
    s = Stream(d, id)
    assert s.answer.status == 200 and s.answer.headers["Content-Type"] == "text/event-stream"
    first = s.next()
    assert first[0] == "job" and first[2]["id"] == id and first[2]["status"] == "queued"
    job = worker.poll().data["job"]
    leased = s.until("job.leased")[-1]
    assert leased[2]["job"] == id and leased[2]["worker"] == worker.id
    assert worker.call("progress", {**worker.lease_of(job), "progress": 0.5, "text": "half"}).status == 200
    assert s.until("job.progress")[-1][2]["fraction"] == 0.5
    assert worker.complete(job).status == 200
    rest = s.rest()
    assert names(rest) == ["job.completed", "job", "end"]
    assert rest[1][2]["status"] == "completed" and rest[1][2]["timeline"][-1]["what"] == "completed"
    s.close()


@pytest.mark.parametrize("end", ["fail", "cancel", "cancel while it runs", "cancel, then the worker is removed"])
def test_every_end_of_a_job_ends_its_stream(d, worker, end):
    id = d.http.submit("bench-noop")["id"]
    s = Stream(d, id)
    s.next()
    job = None if end == "cancel" else worker.poll().data["job"]
    if end == "fail":
        assert worker.fail(job, "broken").status == 200
    else:
        assert d.http.request("DELETE", f"/api/jobs/{id}").status == 200
    if end == "cancel while it runs":
        assert worker.fail(job, "stopped").status == 200
    if end == "cancel, then the worker is removed":
        d.ctl("worker", "remove", worker.id)
    rest = s.rest()
    wanted = "failed" if end == "fail" else "cancelled"
    assert names(rest)[-3:] == [f"job.{wanted}", "job", "end"] and rest[-2][2]["status"] == wanted
    s.close()


def test_who_comes_back_misses_nothing(d, worker):
    id = d.http.submit("bench-noop")["id"]
    s = Stream(d, id)
    job = worker.poll().data["job"]
    seen = s.until("job.leased")
    last = seen[-1][1]
    s.close()
    assert worker.requeue(job, "spot").status == 200
    job = worker.poll().data["job"]
    s = Stream(d, id, last)
    again = s.next()
    assert again[0] == "job" and [e["what"] for e in again[2]["timeline"]] == ["submitted", "leased", "requeued", "leased"]
    assert worker.complete(job).status == 200
    rest = s.rest()
    assert names(rest)[-3:] == ["job.completed", "job", "end"]
    ids = [e[1] for e in rest if e[1]]
    assert ids == sorted(set(ids)) and ids[0] > last
    s.close()
    s = Stream(d, id, ids[-1])
    assert names(s.rest()) == ["job", "end"], "a finished job is told at once"
    s.close()


def test_the_events_of_many_jobs_reach_their_own_streams(d, worker):
    ids = [d.http.submit("bench-noop")["id"] for _ in range(10)]
    streams = {id: Stream(d, id) for id in ids}
    got = {}

    def read(id):
        got[id] = streams[id].rest()

    threads = [threading.Thread(target=read, args=(id,)) for id in ids]
    for t in threads:
        t.start()
    for _ in ids:
        assert worker.complete(worker.poll().data["job"]).status == 200
    for t in threads:
        t.join()
    for id in ids:
        assert all(e[2].get("job", e[2].get("id", id)) == id for e in got[id]), got[id]
        assert names(got[id])[-1] == "end" and got[id][-2][2]["status"] == "completed"
        streams[id].close()


def test_a_stream_of_no_job_is_404(d):
    s = Stream(d, 99999)
    assert s.answer.status == 404 and b"99999" in s.answer.read()
    s.close()
