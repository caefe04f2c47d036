# SPDX-License-Identifier: Apache-2.0
"""A worker ends a job and takes its next one with one request, on both queues."""
import json
import re
import socket
import threading

import pytest

from client import FieldWorker
from conftest import wait_until
from test_mariadb import mariadb, on_mariadb  # noqa: F401 - fixtures

# Nothing but what is written here ends a lease: a slow machine does not.
SETTINGS = {"scale.dryRun": "true", "dispatch.leaseTtlSeconds": "60", "dispatch.sweepMilliseconds": "100",
            "dispatch.retryBaseSeconds": "0.1", "dispatch.maxRequeues": "100"}
LOST = {"dispatch.leaseTtlSeconds": "2"}  # where leases are to be lost


@pytest.fixture(params=["sqlite", "mariadb"])
def start(request, noop, test_copy):
    """start(): a daemon with one of the queues."""
    make = request.getfixturevalue("daemon" if request.param == "sqlite" else "on_mariadb")
    return lambda **settings: make(extra_plugins=[noop, test_copy], settings={**SETTINGS, **settings})


def worker(d, name="w", fleet="bench-noop"):
    w = FieldWorker(d.http, d.secret(), name)
    assert w.register(fleet=fleet).status == 200
    return w


def submit(d, n):
    return [d.http.submit("bench-noop", {"n": i})["id"] for i in range(n)]


def take(w, job, how="complete", lease=(), **poll):
    """Ends a job and asks for the next along with it."""
    body = {**w.lease_of(job), **dict(lease), "poll": {"worker_id": w.id, "max_concurrency": 1, **poll}}
    return w.call(how, body)


def next_of(answer):
    assert answer.status == 200, answer
    return answer.data["poll"]["data"]["job"]


def words(d, id):
    return [e["what"] for e in d.http.job(id)["timeline"]]


def test_a_completion_brings_the_next_job_until_there_is_none(start):
    d = start()
    w = worker(d)
    ids = submit(d, 3)
    job, seen = w.poll().data["job"], []
    while job:
        seen.append(job["dispatch_id"])
        answer = take(w, job)
        assert answer.json["message"] == "Job completed" and answer.data["job_id"] == seen[-1]
        job = next_of(answer)
    assert seen == ids
    assert answer.data["poll"] == {"success": True, "message": "No jobs available", "data": {"job": None}}
    assert [words(d, id) for id in ids] == [["submitted", "leased", "completed"]] * 3
    waiting = []
    t = threading.Thread(target=lambda: waiting.append(w.poll(wait_seconds=30).data["job"]))
    t.start()
    id = submit(d, 1)[0]
    t.join()
    assert waiting[0]["dispatch_id"] == id


def test_a_failed_attempt_brings_the_next_job_too(start):
    d = start()
    w = worker(d)
    ids = submit(d, 2)
    answer = take(w, w.poll().data["job"], how="fail", lease={"error_message": "no"})
    assert answer.data["status"] == "failed" and next_of(answer)["dispatch_id"] == ids[1]


def test_who_does_not_ask_gets_the_same_bytes_as_ever(start):
    d = start()
    w = worker(d)
    a, b, c = submit(d, 3)
    job = w.poll().data["job"]
    for _ in range(2):
        assert w.complete(job).body == b'{"success":true,"data":{"job_id":%d},"message":"Job completed"}' % a
    job = w.poll().data["job"]
    assert w.fail(job, "no").body == b'{"success":true,"data":{"dispatch_id":%d,"status":"failed","retry_at":null},"message":"Job failed"}' % b
    assert w.complete(job).body == b'{"success":false,"message":"Lease not found."}'
    assert words(d, c) == ["submitted"]


def test_a_refused_completion_takes_nothing(start):
    d = start()
    w, copier = worker(d), worker(d, "copier", "test-copy")
    a, b = submit(d, 2)
    job = w.poll().data["job"]
    assert take(w, job, lease={"lease_token": "wrong"}).body == b'{"success":false,"message":"Lease not found."}'
    assert take(w, job, lease={"output": {"size": -1}}).status == 422
    assert take(copier, job).status == 404
    w.requeue(job, "spot")
    assert take(w, job).status == 404, "the lease is over"
    assert words(d, a) == ["submitted", "leased", "requeued"] and words(d, b) == ["submitted"]
    first, second = (d.http.submit("test-copy", {}, [d.http.upload(b"x")])["id"] for _ in range(2))
    job = copier.poll().data["job"]
    assert job["dispatch_id"] == first
    refused = take(copier, job)
    assert refused.status == 422 and "not uploaded" in refused.data["output"][0]
    assert words(d, second) == ["submitted"]
    assert d.http.put_url(job["output_url"], b"y").status < 300
    taken = next_of(take(copier, job))
    assert taken["dispatch_id"] == second and d.http.get_url(taken["input_url"]).body == b"x"


def test_what_keeps_a_worker_from_a_job_leaves_its_completion(start):
    d = start()
    w, free = worker(d), worker(d, "free")
    ids = submit(d, 7)
    held = [w.poll(max_concurrency=3).data["job"] for _ in range(3)]
    assert None not in held
    cases = [({}, "Worker at capacity"), ({"capabilities": {"health": {"ok": False, "text": "the fan"}}}, "Worker unhealthy")]
    for poll, message in cases:
        answer = take(w, held.pop(), **poll)
        assert next_of(answer) is None and answer.data["poll"]["message"] == message
    w.poll(capabilities={"health": {"ok": True}}, max_concurrency=0)
    wrong = take(w, held.pop(), max_jobs=65)
    assert wrong.status == 200 and wrong.data["poll"]["success"] is False and "max_jobs" in wrong.data["poll"]["data"]
    job = w.poll().data["job"]
    d.ctl("worker", "drain", "w")
    answer = take(w, job)
    assert next_of(answer) is None and answer.data["poll"]["message"] == "Worker draining"
    assert [d.http.job(id)["status"] for id in ids] == ["completed"] * 4 + ["queued"] * 3
    assert free.poll().data["job"]["dispatch_id"] == ids[4]


def test_the_place_of_the_completed_job_is_free_for_the_next_and_for_one_only(start):
    d = start()
    w = worker(d)
    ids = submit(d, 4)
    first = w.poll().data["job"]
    second = next_of(take(w, first))
    assert second["dispatch_id"] == ids[1]
    again = take(w, first)  # as after a lost answer: completed already, and its place is taken
    assert again.data["job_id"] == ids[0] and again.data["poll"]["message"] == "Worker at capacity"
    assert next_of(take(w, second, max_jobs=4))["dispatch_id"] == ids[2]
    assert words(d, ids[3]) == ["submitted"]


def work(w, done, wrong, stop=None):
    """Takes each job with the completion of the last; polls when there was none."""
    job = w.poll(wait_seconds=1).data["job"]
    while job or not stop.is_set():
        if not job:
            job = w.poll(wait_seconds=1).data["job"]
            continue
        answer = take(w, job)
        (done if answer.status == 200 else wrong).append(job["dispatch_id"])
        job = answer.data["poll"]["data"]["job"] if answer.status == 200 else None


def test_two_workers_share_the_jobs_and_none_runs_twice(start):
    d = start()
    done, wrong, stop = [], [], threading.Event()
    threads = [threading.Thread(target=work, args=(worker(d, name), done, wrong, stop)) for name in ("one", "two")]
    for t in threads:
        t.start()
    ids = submit(d, 60)
    wait_until("all are done", lambda: len(done) + len(wrong) >= 60)
    stop.set()
    for t in threads:
        t.join()
    assert sorted(done) == ids and not wrong
    assert all(words(d, id) == ["submitted", "leased", "completed"] for id in ids)


def test_a_worker_that_left_is_given_no_job_for_long(start):
    """The answer is on its way or the request is: either way the completion counts, and the next job is another's."""
    d = start(**LOST)
    w, other = worker(d), worker(d, "other")
    ids = submit(d, 21)
    job, given_back = w.poll().data["job"], 0
    for _ in range(10):
        body = json.dumps({**w.lease_of(job), "poll": {"worker_id": w.id, "max_concurrency": 1}}).encode()
        with socket.create_connection(("127.0.0.1", d.port)) as s:
            s.sendall(b"POST /api/worker/complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (w.token.encode(), len(body)) + body)
        wait_until("it is completed", lambda: d.http.job(job["dispatch_id"])["status"] == "completed")
        job = wait_until("another is there", lambda: w.poll().data["job"], timeout=20)
        given_back += job["attempt"] == 1
    assert any(words(d, id).count("leased") > 1 for id in ids), "jobs were taken for it"
    assert given_back, "some leases went back at once, without an attempt"
    job = other.poll().data["job"]
    assert job and all(words(d, id).count("completed") <= 1 for id in ids)


def test_kill_9_between_completes_each_job_once(start):
    d = start(**LOST)
    w = worker(d)
    ids = submit(d, 40)
    d.settings["http.listen"] = f"127.0.0.1:{d.port}"  # the worker knows it by its address
    job, kills = w.poll().data["job"], 0
    while job or any(d.http.job(id)["status"] != "completed" for id in ids):
        killer = threading.Timer(0.004, d.kill9) if kills < 4 else None
        if killer:
            killer.start()
        while job:
            try:
                answer = take(w, job)
            except (OSError, ValueError):
                break
            assert answer.status in (200, 404), answer
            job = next_of(answer) if answer.status == 200 else None
        if killer:
            killer.join()
            kills += 1
            d.start()
        if job:  # said again, as after any lost answer; what was taken with it is lost for as long as its lease
            answer = take(w, job)
            assert answer.status in (200, 404), answer
            job = next_of(answer) if answer.status == 200 else None
        job = job or w.poll(wait_seconds=3).data["job"]
    assert kills == 4
    assert all(words(d, id).count("completed") == 1 for id in ids)


def test_our_own_worker_takes_its_jobs_so(daemon, test_copy):
    d = daemon(extra_plugins=[test_copy], settings={"workflows": json.dumps({"test-copy": {"maxSize": 1}})})
    ids = [d.http.submit("test-copy", {}, [d.http.upload(b"x" * n)])["id"] for n in range(1, 9)]
    wait_until("all complete", lambda: all(d.http.job(id)["status"] == "completed" for id in ids), timeout=60)
    counts = {route: int(n) for route, n in re.findall(
        r'bpd_http_requests_total\{method="POST",route="/api/worker/(\w+)",code="200"\} (\d+)', d.http.get("/metrics").body.decode())}
    assert counts["complete"] == 8 and counts.get("poll", 0) < 4
