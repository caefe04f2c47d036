# SPDX-License-Identifier: Apache-2.0
"""What is promised of jobs, tenants and workers, on each queue plugin: the code above the facet is the same for both."""
import json
import time

import pytest

from client import FieldWorker, Http
from conftest import wait_until
from test_fleet import local
from test_mariadb import mariadb, on_mariadb  # noqa: F401 (fixtures)

SHORT = {"dispatch.leaseTtlSeconds": "2", "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.1",
         "scale.dryRun": "true"}


@pytest.fixture(params=["sqlite", "mariadb"])
def store(request, daemon):
    """store(settings) -> a running daemon whose queue is in this plugin."""
    if request.param == "mariadb":
        make = request.getfixturevalue("on_mariadb")
        return lambda settings=None, **kw: make(settings={**SHORT, **(settings or {})}, **kw)
    return lambda settings=None, **kw: daemon(settings={"plugin": local(), **SHORT, **(settings or {})}, **kw)


@pytest.fixture
def d(store, noop):
    return store(extra_plugins=[noop])


def worker(d, id="i-0aaaaaaaaaaaaaaa1", **more):
    w = FieldWorker(d.http, d.secret(), id)
    a = d.http.post("/api/worker/register", {"worker_id": id, "fleet_slug": "bench-noop", **more}, headers={"X-Fleet-Secret": d.secret()})
    assert a.status == 200, a
    w.token = a.data["token"]
    return w


def lease(w, **more):
    return w.call("poll", {"worker_id": w.id, **more}).data["job"]


def submit(d, **body):
    return d.http.post("/api/jobs", {"workflow": "bench-noop", **body})


def tenant(d, name, *options):
    """A tenant in the store; its own client."""
    d.ctl("tenant", "add", name, *options)
    return Http(d.port, token=d.ctl("tenant", "token", "add", name)["token"])


# ---- jobs ----

def test_priority_goes_first_then_age(d):
    low, high, also_low = (submit(d, priority=p).data["id"] for p in (0, 5, 0))
    w = worker(d, max_concurrency=3)
    assert [lease(w)["dispatch_id"] for _ in range(3)] == [high, low, also_low]


def test_a_job_is_not_leased_before_its_time(d):
    w = worker(d)
    id = submit(d, not_before=int(time.time() * 1000) + 700).data["id"]
    assert lease(w) is None
    assert lease(w, wait_seconds=20)["dispatch_id"] == id


def test_a_job_waits_for_others_and_is_leased_once_they_completed(d):
    w = worker(d, max_concurrency=4)
    first, second = submit(d).data["id"], submit(d).data["id"]
    a = submit(d, after=[first, second])
    assert a.status == 201 and a.data["status"] == "scheduled" and a.data["after"] == [first, second]
    third = a.data["id"]
    jobs = [lease(w), lease(w)]
    assert lease(w) is None
    assert d.http.job(third)["waits_for"] == 2
    for job in jobs:
        assert w.complete(job).status == 200
    assert lease(w, wait_seconds=20)["dispatch_id"] == third


def test_what_waits_for_a_job_that_ended_in_vain_is_cancelled_by_name(d):
    w = worker(d)
    first = submit(d).data["id"]
    second = submit(d, after=[first]).data["id"]
    third = submit(d, after=[second]).data["id"]
    assert w.fail(lease(w), "no").status == 200
    wait_until("both are cancelled", lambda: all(d.http.job(id)["status"] == "cancelled" for id in (second, third)))
    assert f"job {first}" in d.http.job(second)["error"]
    a = submit(d, after=[first])
    assert a.status == 422 and str(first) in a.data["after"][0]
    assert "no such job" in submit(d, after=[999999]).data["after"][0]


def test_a_unique_key_has_one_pending_job(d):
    first = submit(d, unique_key="nightly")
    again = submit(d, unique_key="nightly", params={"n": 2})
    assert (first.status, again.status) == (201, 200)
    assert again.data["duplicate"] is True and again.data["id"] == first.data["id"]
    w = worker(d)
    assert w.complete(lease(w)).status == 200
    assert submit(d, unique_key="nightly").status == 201


def test_an_idempotency_key_gives_the_same_job_and_409_for_another_request(d):
    first = submit(d, idempotency_key="k", params={"n": 1})
    assert submit(d, idempotency_key="k", params={"n": 1}).data["id"] == first.data["id"]
    a = submit(d, idempotency_key="k", params={"n": 2})
    assert a.status == 409 and str(first.data["id"]) in a.json["message"]


def test_a_batch_is_checked_whole_and_accepted_in_one_transaction(d):
    bad = d.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop"}, {"workflow": "bench-noop", "priority": 5000}, {"workflow": "nope"}]})
    assert bad.status == 422 and set(bad.data) == {"jobs.1.priority", "jobs.2.workflow"}
    assert d.http.get("/api/jobs").data["jobs"] == []
    good = d.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop", "idempotency_key": f"k{n}"} for n in range(50)]})
    assert good.status == 201 and good.data["accepted"] == 50
    ids = [j["id"] for j in good.data["jobs"]]
    assert ids == sorted(ids)
    again = d.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop", "idempotency_key": "k7"}, {"workflow": "bench-noop"},
                                               {"workflow": "bench-noop", "idempotency_key": "k7", "priority": 1}]})
    assert again.status == 200
    assert again.data["jobs"][0] == {"id": ids[7], "status": "queued", "replayed": True}
    assert again.data["jobs"][2]["reason"] == "idempotency_key"
    assert (again.data["accepted"], again.data["existing"], again.data["refused"]) == (1, 1, 1)
    too_many = d.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop"}] * 101})
    assert too_many.status == 422 and "100" in too_many.data["jobs"][0]


def test_jobs_are_leased_and_completed_in_batches(d):
    ids = [j["id"] for j in d.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop"}] * 50}).data["jobs"]]
    w = worker(d, max_concurrency=64)
    jobs = w.call("poll", {"worker_id": w.id, "max_jobs": 50}).data["jobs"]
    assert [j["dispatch_id"] for j in jobs] == ids
    results = [{**w.lease_of(j), "output": {"size": 0}} for j in jobs]
    results[3]["lease_token"] = "not-mine"
    a = w.call("complete", {"results": results})
    assert a.status == 200
    outcomes = [r["outcome"] for r in a.data["results"]]
    assert outcomes[3] == "not_found" and outcomes.count("completed") == 49
    assert d.http.job(ids[3])["status"] == "leased"
    assert {d.http.job(i)["status"] for i in ids[:3] + ids[4:]} == {"completed"}


def test_a_queued_job_is_cancelled_at_once_and_a_leased_one_through_its_worker(d):
    queued = submit(d).data["id"]
    assert d.http.request("DELETE", f"/api/jobs/{queued}").data["status"] == "cancelled"
    w = worker(d)
    submit(d)
    job = lease(w)
    d.http.request("DELETE", f"/api/jobs/{job['dispatch_id']}")
    beat = w.heartbeat(job)
    progress = w.call("progress", {**w.lease_of(job), "progress": 0.5})
    assert beat.data["cancel"] is True and progress.data["cancel"] is True
    assert w.fail(job, "cancelled").data["status"] == "cancelled"


def test_a_retry_by_hand_starts_anew_or_says_why_not(d):
    w = worker(d)
    id = submit(d).data["id"]
    a = d.http.post(f"/api/jobs/{id}/retry")
    assert a.status == 409 and "only failed and cancelled" in a.json["message"]
    w.fail(lease(w), "broken")
    a = d.http.post(f"/api/jobs/{id}/retry")
    assert a.status == 200 and a.data["status"] == "queued" and a.data["attempts"] == 0
    assert lease(w)["dispatch_id"] == id


def test_finished_jobs_go_with_their_outputs(store, test_copy):
    d = store(extra_plugins=[test_copy], settings={"dispatch.retentionDays": "0.00001", "workers.staleSeconds": "10"})
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="test-copy").status == 200
    id = d.http.submit("test-copy", {}, [d.http.upload(b"in")])["id"]
    w.run_one(b"out")
    done = d.http.job(id)
    assert done["status"] == "completed" and d.http.get_url(done["output"]["url"]).body == b"out"
    wait_until("the job is gone", lambda: d.http.get(f"/api/jobs/{id}").status == 404, timeout=60)
    wait_until("and its output", lambda: d.http.get_url(done["output"]["url"]).status == 404)


# ---- tenants ----

def test_a_tenant_of_the_store_has_tokens_until_they_are_removed(d):
    acme = tenant(d, "acme", "--weight", "3")
    id = acme.submit("bench-noop")["id"]
    assert d.http.get(f"/api/jobs/{id}").status == 404  # another tenant's
    listed = d.ctl("tenant", "token", "list", "acme")["tokens"]
    assert [t["id"] for t in listed] and acme.token not in json.dumps(listed)
    d.ctl("tenant", "token", "remove", "acme", str(listed[0]["id"]))
    assert acme.get("/api/jobs").status == 401
    shown = d.ctl("tenant", "show", "acme")
    assert shown["weight"] == 3 and shown["queued"] == 1


def test_a_disabled_tenant_is_refused_and_what_it_has_runs_on(d):
    acme = tenant(d, "acme")
    id = acme.submit("bench-noop")["id"]
    d.ctl("tenant", "disable", "acme")
    assert acme.post("/api/jobs", {"workflow": "bench-noop"}).status == 403
    w = worker(d)
    job = lease(w)
    assert job["dispatch_id"] == id and w.complete(job).status == 200
    d.ctl("tenant", "enable", "acme")
    assert acme.get(f"/api/jobs/{id}").data["status"] == "completed"


def test_limits_of_a_tenant_hold(d):
    acme = tenant(d, "acme", "--max-pending", "3", "--max-running", "1")
    for _ in range(3):
        acme.submit("bench-noop")
    a = acme.post("/api/jobs", {"workflow": "bench-noop"})
    assert a.status == 429 and int(a.headers["Retry-After"]) > 0 and "3" in a.json["message"]
    w = worker(d, max_concurrency=4)
    job = lease(w)
    assert job and lease(w) is None  # one runs at once, though the worker has room
    assert w.complete(job).status == 200
    assert acme.post("/api/jobs", {"workflow": "bench-noop"}).status == 201
    assert lease(w)


def test_tenants_share_a_workflow_by_their_weights(store, noop):
    d = store(extra_plugins=[noop], settings={"dispatch.fairShare": "true"})
    heavy, light = tenant(d, "heavy", "--weight", "3"), tenant(d, "light")
    for t in (heavy, light):
        t.post("/api/jobs", {"jobs": [{"workflow": "bench-noop"}] * 40})
    w = worker(d, max_concurrency=64)
    got = [lease(w)["tenant_id"] for _ in range(40)]
    assert 28 <= got.count("heavy") <= 32  # 3 of 4, whoever came first


def test_what_the_settings_say_of_a_tenant_is_in_the_store(store, noop):
    d = store(extra_plugins=[noop], settings={"tenants": json.dumps(
        {"acme": {"token": "acme-secret-token", "weight": 4, "maxPending": 1}})})
    acme = Http(d.port, token="acme-secret-token")
    wait_until("it is there", lambda: d.ctl("tenant", "show", "acme")["weight"] == 4)
    assert acme.post("/api/jobs", {"workflow": "bench-noop"}).status == 201
    assert acme.post("/api/jobs", {"workflow": "bench-noop"}).status == 429


# ---- workers ----

def test_a_rotated_token_is_401_at_once(d):
    w = worker(d)
    submit(d)
    job = lease(w)
    fresh = d.ctl("worker", "rotate-token", w.id)["token"]
    assert w.heartbeat(job).status == 401
    w.token = fresh
    assert w.complete(job).status == 200


def test_a_revoked_worker_loses_its_leases_until_it_is_approved(d):
    w = worker(d)
    id = submit(d).data["id"]
    lease(w)
    d.ctl("worker", "revoke", w.id)
    assert w.poll().status == 401 and d.http.job(id)["status"] == "queued"
    d.ctl("worker", "approve", w.id)
    assert lease(w)["dispatch_id"] == id


def test_a_worker_hears_that_it_drains_wherever_it_asks(d):
    w = worker(d)
    submit(d)
    job = lease(w)
    d.ctl("worker", "drain", w.id)
    assert w.heartbeat(job).data["draining"] is True
    assert w.call("progress", {**w.lease_of(job), "progress": 0.5}).data["draining"] is True
    assert w.complete(job).status == 200
    submit(d)
    a = w.poll()
    assert a.data["job"] is None and a.json["message"] == "Worker draining"
    d.ctl("worker", "undrain", w.id)
    assert lease(w)


def test_a_worker_made_by_hand_works_with_its_token(d):
    made = d.ctl("worker", "add", "by-hand", "bench-noop", "--concurrency", "2")
    w = FieldWorker(d.http, d.secret(), "by-hand")
    w.token = made["token"]
    submit(d)
    assert w.complete(lease(w)).status == 200
    assert d.ctl("worker", "add", "by-hand", "bench-noop", json_form=False).returncode == 1
    d.ctl("worker", "remove", "by-hand")
    assert w.poll().status == 401


def test_a_lost_worker_is_removed_and_its_job_leased_anew(store, noop):
    d = store(extra_plugins=[noop], settings={"workers.staleSeconds": "10"})
    lost = worker(d, "i-0aaaaaaaaaaaaaaa9")
    id = submit(d).data["id"]
    assert lease(lost)["dispatch_id"] == id
    w = worker(d)
    assert lease(w, wait_seconds=20)["dispatch_id"] == id
    wait_until("the lost worker is gone", lambda: w.poll().status == 200 and lost.id not in
               [x["worker_id"] for x in d.ctl("workers")["workers"]], timeout=60)
    assert lost.poll().status == 401


# ---- several controllers ----

def test_a_cancel_at_another_controller_reaches_the_worker_with_its_next_heartbeat(on_mariadb, noop):  # noqa: F811
    one, two = (on_mariadb(extra_plugins=[noop], settings=SHORT) for _ in range(2))
    w = worker(one)
    submit(one)
    job = lease(w)
    w.call("progress", {**w.lease_of(job), "progress": 0.1})
    two.ctl("job", "cancel", str(job["dispatch_id"]))
    two.ctl("worker", "drain", w.id)
    beat = w.heartbeat(job)
    assert beat.data["cancel"] is True and beat.data["draining"] is True


def test_a_token_of_one_controller_is_good_at_another_and_void_within_seconds(on_mariadb, noop):  # noqa: F811
    one, two = (on_mariadb(extra_plugins=[noop], settings=SHORT) for _ in range(2))
    acme = tenant(one, "acme")
    there = Http(two.port, token=acme.token)
    assert there.post("/api/jobs", {"workflow": "bench-noop"}).status == 201
    one.ctl("tenant", "token", "remove", "acme", "1")
    assert acme.get("/api/jobs").status == 401
    wait_until("it is void there too", lambda: there.get("/api/jobs").status == 401, timeout=20)


# ---- by hand ----

def test_bpctl_submits_what_waits_and_is_unique(d):
    first = d.ctl("submit", "bench-noop", "--unique-key", "u", "--priority", "3")
    again = d.ctl("submit", "bench-noop", "--unique-key", "u", json_form=False)
    assert again.stdout.strip() == f"job {first['id']} queued (pending already)"
    second = d.ctl("submit", "bench-noop", "--after", str(first["id"]))
    assert second["status"] == "scheduled" and second["after"] == [first["id"]]
    later = d.ctl("submit", "bench-noop", "--not-before", "2100-01-01T00:00:00Z")
    assert later["status"] == "scheduled"
    assert f"after" in d.ctl("job", str(second["id"]), json_form=False).stdout
    wrong = d.ctl("submit", "bench-noop", "--after", "x", json_form=False)
    assert wrong.returncode == 2 and "--after" in wrong.stderr
