# SPDX-License-Identifier: Apache-2.0
"""A worker written to the protocol of the field completes a job unchanged; what the field got wrong does not happen here."""
import re
import threading

import pytest

from client import FieldWorker, Http
from conftest import wait_until


@pytest.fixture
def d(daemon, test_copy, noop):
    return daemon(plugins=("sqlite", "local"), extra_plugins=[test_copy, noop],
                  settings={"scale.dryRun": "true", "dispatch.leaseTtlSeconds": "1", "dispatch.sweepMilliseconds": "100",
                            "dispatch.retryBaseSeconds": "0.1"})


def worker(d, name="i-0aaaaaaaaaaaaaaa1", fleet="test-copy"):
    w = FieldWorker(d.http, d.secret(), name)
    a = w.register(fleet=fleet)
    assert a.status == 200, a
    return w


def submit_copy(d, **more):
    return d.http.submit("test-copy", {}, [d.http.upload(b"photo bytes", "a.bin")], **more)


@pytest.mark.parametrize("variant", ["old", "main"])
def test_both_register_variants_complete_a_job(d, variant):
    w = FieldWorker(d.http, d.secret(), f"i-0{variant:0<15}".replace("o", "0").replace("l", "1").replace("m", "a").replace("n", "b"))
    a = w.register(slugs=["test-copy"]) if variant == "old" else w.register(fleet="test-copy", stage="staging")
    assert a.status == 200 and a.json["message"] == "Worker registered"
    assert re.fullmatch(r"[A-Za-z0-9]{64}", a.data["token"]) and a.data["workflows_assigned"] == ["test-copy"]
    if variant == "main":
        assert a.data["fleet_slug"] == "test-copy" and a.data["stage"] == "staging"
    id = submit_copy(d)["id"]
    job = w.run_one(b"result")
    assert job["dispatch_id"] == id and re.fullmatch(r"[0-9a-f-]{36}", job["lease_token"])
    assert job["tenant_id"] == "local" and job["input_url"] and job["output_url"]
    done = d.http.job(id)
    assert done["status"] == "completed"
    assert d.http.get_url(done["output"]["url"]).body == b"result"
    assert w.deregister().json["message"] == "Worker deregistered"
    assert w.poll().status == 401


def test_poll_messages_are_those_of_the_field(d):
    w = worker(d)
    a = w.poll()
    assert a.status == 200 and a.data["job"] is None and a.json["message"] == "No jobs available"
    submit_copy(d)
    a = w.poll()
    assert a.json["message"] == "Job leased"
    submit_copy(d)
    assert w.poll().json["message"] == "Worker at capacity"


def test_wrong_secret_and_wrong_token_are_401(d):
    w = FieldWorker(d.http, "wrong", "i-0aaaaaaaaaaaaaaa2")
    a = w.register(fleet="test-copy")
    assert a.status == 401 and a.json == {"success": False, "message": "Unauthorized."}
    w.token = "x" * 64
    assert w.poll().status == 401
    assert Http(d.port).post("/api/worker/poll", {"worker_id": "a"}).status == 401


def test_validation_names_each_field(d):
    w = worker(d)
    a = w.call("heartbeat", {"dispatch_id": "x"})
    assert a.status == 422 and set(a.json["data"]) >= {"dispatch_id", "lease_token"}
    assert isinstance(a.json["data"]["lease_token"], list)


def test_an_unknown_fleet_is_404(d):
    a = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa3").register(fleet="nothing")
    assert a.status == 404 and a.json["message"] == "Fleet not found."


def test_a_heartbeat_sets_the_expiry_and_never_accumulates(d):
    w = worker(d)
    id = submit_copy(d)["id"]
    job = w.poll().data["job"]
    for _ in range(5):
        assert w.heartbeat(job).status == 200
    w2 = worker(d, "i-0aaaaaaaaaaaaaaa4")
    leased = wait_until("the lease expires one TTL after the last beat", lambda: w2.poll().data["job"], timeout=10)
    assert leased["dispatch_id"] == id


def test_a_stale_lease_gets_404_and_changes_nothing(d):
    w1, w2 = worker(d, "i-0aaaaaaaaaaaaaaa5"), worker(d, "i-0aaaaaaaaaaaaaaa6")
    id = submit_copy(d)["id"]
    first = w1.poll().data["job"]
    second = wait_until("the job is leased again", lambda: w2.poll().data["job"], timeout=10)
    assert second["dispatch_id"] == id and second["lease_token"] != first["lease_token"]
    assert second["output_url"].split("?")[0] != first["output_url"].split("?")[0]
    w1.http.put_url(first["output_url"], b"late")
    for a in (w1.complete(first), w1.fail(first, "late"), w1.heartbeat(first), w1.requeue(first, "late")):
        assert a.status == 404
    assert d.http.job(id)["status"] == "leased"
    w2.http.put_url(second["output_url"], b"right")
    assert w2.complete(second, 5).status == 200
    assert d.http.get_url(d.http.job(id)["output"]["url"]).body == b"right"


def test_another_workers_token_does_not_touch_a_lease(d):
    w1, w2 = worker(d, "i-0aaaaaaaaaaaaaaa7"), worker(d, "i-0aaaaaaaaaaaaaaa8")
    submit_copy(d)
    job = w1.poll().data["job"]
    assert w2.call("complete", w1.lease_of(job)).status == 404


def test_complete_and_fail_again_give_the_same_answer(d):
    w = worker(d)
    id = submit_copy(d)["id"]
    job = w.run_one()
    again = w.complete(job, 5)
    assert again.status == 200 and d.http.job(id)["status"] == "completed"
    id2 = submit_copy(d)["id"]
    job = w.poll().data["job"]
    assert w.fail(job, "broken").json["message"] == "Job failed"
    assert w.fail(job, "broken").status == 200
    done = d.http.job(id2)
    assert done["status"] == "failed" and "broken" in done["error"]


def test_complete_without_the_object_is_refused(d):
    w = worker(d)
    submit_copy(d)
    job = w.poll().data["job"]
    a = w.complete(job, 5)
    assert a.status == 422, a


def test_requeue_gives_the_attempt_back_and_goes_to_the_front(d):
    w = worker(d)
    first = submit_copy(d)["id"]
    second = submit_copy(d)["id"]
    job = w.poll().data["job"]
    assert job["dispatch_id"] == first
    a = w.requeue(job, "spot_interruption")
    assert a.status == 200 and a.json["message"] == "Job requeued"
    assert d.http.job(first)["attempts"] == 0
    assert w.poll().data["job"]["dispatch_id"] == first
    assert second


def test_the_same_worker_id_may_register_again(d):
    w = worker(d)
    id = submit_copy(d)["id"]
    w.poll()
    again = FieldWorker(d.http, d.secret(), w.id)
    assert again.register(fleet="test-copy").status == 200
    assert w.poll().status == 401
    assert again.poll().data["job"]["dispatch_id"] == id


def test_an_exhausted_job_fails_and_stays_visible(d):
    w = worker(d)
    id = submit_copy(d, max_attempts=1)["id"]
    assert w.poll().data["job"]["dispatch_id"] == id
    done = wait_until("it fails when its only lease expired", lambda: (j := d.http.job(id))["status"] == "failed" and j, timeout=10)
    assert done["error"]
    assert d.http.post(f"/api/jobs/{id}/retry").status == 200
    assert d.http.job(id)["status"] == "queued"


def test_a_poll_that_waits_is_answered_with_the_job_that_comes(d):
    w = worker(d)
    got = []
    t = threading.Thread(target=lambda: got.append(w.poll(wait_seconds=50)))
    t.start()
    wait_until("it waits", lambda: d.ctl("status")["waiting_polls"] == 1)
    id = submit_copy(d)["id"]
    t.join(60)
    assert got[0].data["job"]["dispatch_id"] == id
