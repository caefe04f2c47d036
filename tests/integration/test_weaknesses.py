# SPDX-License-Identifier: Apache-2.0
"""What broke in the field, one test for each weakness W1 to W20 of the earlier backend and its workers: none of it happens here."""
import http.client
import json
import random
import subprocess
import threading
import time

import pytest

from client import FieldWorker, Http
from conftest import wait_until
from test_mariadb import mariadb, on_mariadb  # noqa: F401 (fixtures)

ONE, TWO, THREE = "i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"


@pytest.fixture
def start(daemon, test_copy, noop):
    """start({settings}): a daemon whose jobs run only where the test says so. A lease lives long unless it is told otherwise."""
    def go(settings=None, **more):
        return daemon(extra_plugins=[test_copy, noop],
                      settings={"scale.dryRun": "true", "dispatch.sweepMilliseconds": "100", "dispatch.leaseTtlSeconds": "60",
                                "dispatch.retryBaseSeconds": "0.1", **(settings or {}), **more})
    return go


@pytest.fixture(params=["sqlite", "mariadb"])
def start_on(request, start, test_copy, noop):
    """The same on each queue plugin, for what the queue itself must not do: locks, transactions and states are its own.
    start_on.shared: a second call starts another controller on the same queue."""
    if request.param == "sqlite":
        start.shared = False
        return start
    make = request.getfixturevalue("on_mariadb")

    def go(settings=None):
        return make(extra_plugins=[test_copy, noop], settings={
            "scale.dryRun": "true", "dispatch.leaseTtlSeconds": "60", "dispatch.retryBaseSeconds": "0.1", **(settings or {})})

    go.shared, go.sql = True, make.sql
    return go


@pytest.fixture
def start_fleet(daemon, test_copy):
    """The same with fleets of real workers."""
    def go(**more):
        args = {"bootDelaySeconds": 0.1, "workerArgs": ["worker.noticeSeconds=0.2", "shutdown.graceSeconds=4"]}
        return daemon(extra_plugins=[test_copy],
                      settings={"plugin": json.dumps({"local": args}), "dispatch.sweepMilliseconds": "100",
                                "dispatch.retryBaseSeconds": "0.1", **more})
    return go


def worker(d, name=ONE, fleet="bench-noop"):
    w = FieldWorker(d.http, d.secret(), name)
    a = w.register(fleet=fleet)
    assert a.status == 200, a
    return w


def submit_copy(d, data=b"photo", **more):
    params = more.pop("params", {})
    return d.http.submit("test-copy", params, [d.http.upload(data)], **more)["id"]


def submit(d, **more):
    return d.http.submit("bench-noop", **more)["id"]


def lease(w, id=None, **more):
    """The job the worker gets by its next poll; it must be job `id`."""
    a = w.poll(**more)
    assert a.status == 200 and a.data["job"], a
    assert id is None or a.data["job"]["dispatch_id"] == id
    return a.data["job"]


def status(d, id, wanted, timeout=30):
    return wait_until(f"job {id} is {wanted}", lambda: (j := d.http.job(id))["status"] == wanted and j, timeout=timeout)


def what(d, id):
    return [e["what"] for e in d.http.job(id)["timeline"]]


def row(d, name):
    return next((w for w in d.ctl("workers")["workers"] if w["worker_id"] == name), None)


def restart(d, *workers):
    """Starts a killed daemon again; tokens of workers outlive it."""
    d.start()
    for w in workers:
        w.http = Http(d.port)


def at_once(*calls):
    """Runs the calls at the same time, each in its thread; their results in order."""
    results, gate = [None] * len(calls), threading.Barrier(len(calls))

    def run(i, call):
        gate.wait()
        results[i] = call()

    threads = [threading.Thread(target=run, args=x) for x in enumerate(calls)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def sql_open(d):
    """run(statements): sent to the daemon's database, all through one connection; what the last of them says, in one line."""
    at = json.loads(d.settings["plugin"])["mariadb"]
    shell = subprocess.Popen(["mariadb", "--no-defaults", f"--socket={at['socket']}", "--user=root", "-N", "--unbuffered", at["database"]],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(*statements):
        shell.stdin.write("; ".join(statements) + ("" if statements[-1].startswith("SELECT") else "; SELECT 'done'") + ";\n")
        shell.stdin.flush()
        return shell.stdout.readline().strip()

    return run


def test_W01_a_job_longer_than_the_lease_runs_once(start_fleet):
    """The worker sent no heartbeat while a job ran: every job over 900 s was leased again and run twice."""
    d = start_fleet(**{"dispatch.leaseTtlSeconds": "3"})
    id = submit_copy(d, params={"steps": 70, "step_ms": 100})
    done = status(d, id, "completed", timeout=60)
    assert done["attempts"] == 1 and what(d, id).count("leased") == 1 and "expired" not in what(d, id)


def test_W02_an_upload_after_the_url_died_gets_a_fresh_one(start):
    """The output URL died after 900 s and nothing renewed it: long jobs failed at their very end."""
    d = start({"dispatch.urlTtlSeconds": "5"})
    w = worker(d, fleet="test-copy")
    id = submit_copy(d)
    job = lease(w, id)
    old = job["output_url"]
    wait_until("the URL is dead", lambda: w.http.put_url(old, b"late", "application/octet-stream").status == 403)
    fresh = w.heartbeat(job, refresh_urls=True).data
    assert fresh["output_url"] != old and w.http.get_url(fresh["input_url"]).body == b"photo"
    assert w.http.put_url(fresh["output_url"], b"result", "application/octet-stream").status < 300
    assert w.complete(job, 6).status == 200
    assert d.http.get_url(d.http.job(id)["output"]["url"]).body == b"result"


def test_W02_the_worker_renews_urls_by_itself(start_fleet):
    """The same, for our worker: its job runs longer than the URLs it was given live."""
    d = start_fleet(**{"dispatch.urlTtlSeconds": "5", "dispatch.leaseTtlSeconds": "30"})
    id = submit_copy(d, params={"steps": 70, "step_ms": 100})
    done = status(d, id, "completed", timeout=60)
    assert done["attempts"] == 1 and d.http.get_url(done["output"]["url"]).body == b"photo"


def test_W03_a_job_whose_last_lease_expired_fails(start_on):
    """Rows with all attempts used up stayed leased for ever: tokens reserved, the user's place taken."""
    d = start_on({"dispatch.leaseTtlSeconds": "0.5"})
    w = worker(d)
    id = submit(d, max_attempts=2)
    for _ in range(2):
        wait_until("it is leased", lambda: w.poll().data["job"])
    failed = status(d, id, "failed")
    assert failed["error"] and failed["finished_at"] and what(d, id).count("expired") == 2
    assert row(d, ONE)["live_leases"] == 0
    wait_until("it counts no more", lambda: next(f for f in d.ctl("workflows") if f["workflow"] == "bench-noop")["leased"] == 0)


def test_W04_heartbeats_do_not_add_up(start_on):
    """Each heartbeat added a whole lease: a worker that died after many blocked its job for hours."""
    d = start_on({"dispatch.leaseTtlSeconds": "5"})
    w = worker(d)
    id = submit(d)
    job = lease(w, id)
    for _ in range(50):
        assert w.heartbeat(job).status == 200
    beaten = time.time()
    other = worker(d, TWO)
    wait_until("the lease expires", lambda: other.poll().data["job"], timeout=30)
    assert what(d, id).count("expired") == 1
    expired = next(e for e in d.http.job(id)["timeline"] if e["what"] == "expired")
    assert expired["at_ms"] / 1000 - beaten < 50, "one lease after the last beat, not fifty"


def test_W05_only_the_holder_touches_a_lease(start_on):
    """Any worker that knew a lease token could end the job, and its body's worker_id touched another worker's row."""
    d = start_on()
    w, thief = worker(d, ONE), worker(d, TWO)
    id = submit(d)
    job = lease(w, id)
    seen = row(d, ONE)["last_seen_ms"]
    stolen = w.lease_of(job)
    for a in (thief.call("heartbeat", stolen), thief.call("complete", stolen), thief.call("fail", {**stolen, "error_message": "x"}),
              thief.call("requeue", {**stolen, "reason": "x"}), thief.call("progress", {**stolen, "progress": 0.5})):
        assert a.status == 404
    assert thief.call("poll", {"worker_id": ONE}).data["job"] is None
    now = d.http.job(id)
    assert now["status"] == "leased" and now["worker"] == ONE and now["progress"] == 0
    assert row(d, ONE)["last_seen_ms"] == seen
    assert w.complete(job).status == 200


def test_W06_complete_and_fail_at_once_have_one_winner(start_on):
    """Look-up, then save by id: complete and fail at once both took effect, a late one overwrote a fresh lease."""
    d = start_on()
    w = worker(d)
    for _ in range(20):
        id = submit(d)
        job = lease(w, id)
        answers = at_once(lambda: w.complete(job), lambda: w.fail(job, "broken"), lambda: w.requeue(job, "spot"))
        assert sorted(a.status for a in answers) == [200, 404, 404], answers
        won = ("completed", "failed", "queued")[[a.status for a in answers].index(200)]
        now = d.http.job(id)
        assert now["status"] == won
        assert len([x for x in what(d, id) if x in ("completed", "failed", "requeued")]) == 1
        if won == "queued":
            again = lease(w, id)
            assert w.complete(job).status == w.fail(job, "late").status == 404
            assert d.http.job(id)["status"] == "leased" and w.complete(again).status == 200


def test_W07_many_polls_and_submits_do_not_block_each_other(start_on):
    """One poll locked thousands of rows: another poll, and a submit, ran into the lock's timeout."""
    ds = [start_on()] + [start_on()] * start_on.shared  # locks of a database are met between connections
    ids = {submit(ds[0]) for _ in range(300)}
    workers = [worker(ds[i % len(ds)], f"i-0bbbbbbbbbbbbbb{i:02d}") for i in range(8)]
    taken, more, wrong = [], set(), []

    def work(w):
        while True:
            a = w.poll()
            if a.status != 200:
                wrong.append(a)
                return
            if not a.data["job"]:
                return
            taken.append(a.data["job"]["dispatch_id"])
            if (done := w.complete(a.data["job"])).status != 200:
                wrong.append(done)
                return

    def produce(d):
        for _ in range(100 // len(ds)):
            a = d.http.post("/api/jobs", {"workflow": "bench-noop"})
            if a.status == 201:
                more.add(a.data["id"])
            else:
                wrong.append(a)

    at_once(*[lambda d=d: produce(d) for d in ds], *[lambda w=w: work(w) for w in workers])
    work(workers[0])  # what was submitted after a worker found nothing
    assert not wrong
    assert len(taken) == 400 and set(taken) == ids | more


def test_W07_jobs_that_another_holds_are_passed_over(on_mariadb, noop):  # noqa: F811
    """The same between controllers: one that stopped in the middle of a lease keeps its rows locked, and no other waits for it."""
    d = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true", "dispatch.leaseTtlSeconds": "60"})
    w = worker(d)
    ids = [submit(d) for _ in range(12)]
    stopped = sql_open(d)
    stopped("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION")
    assert stopped("SELECT GROUP_CONCAT(id ORDER BY id) FROM (SELECT id FROM ai_job_dispatches FORCE INDEX (dispatches_queue) "
                   "WHERE status='queued' ORDER BY workflow_id, queue_order, sort_key, share_tag, id LIMIT 10 FOR UPDATE) t"
                   ) == ",".join(map(str, ids[:10]))
    try:
        for id in ids[10:]:
            assert w.complete(lease(w, id)).status == 200
        assert w.complete(lease(w, submit(d))).status == 200
        assert w.poll().data["job"] is None
    finally:
        stopped("ROLLBACK")
    # Which comes first is not promised: for a second the daemon may go by what it knows of the queue, and knows one that was looked up.
    assert wait_until("the others are there again", lambda: w.poll().data["job"])["dispatch_id"] in ids[:10]


@pytest.mark.parametrize("start_on", ["mariadb"], indirect=True)
def test_W07_a_poll_that_stands_still_keeps_the_rest_of_the_queue_from_nobody(start_on):
    """The same from the other side: a poll that is held up, here at its counters, has locked the few jobs it read and no others."""
    shards = "SELECT DISTINCT shard FROM dispatch_counters WHERE owner = 1"
    one = start_on()
    ids = {submit(one)}
    (own,), = start_on.sql(shards)
    while len(start_on.sql(shards)) == 1:  # one time in 64 another has the same
        two = start_on()
        ids.add(submit(two))
    for _ in range(3):
        ids |= {j["id"] for j in two.http.post("/api/jobs", {"jobs": [{"workflow": "bench-noop"}] * 100}).data["jobs"]}
    slow, quick = worker(one, ONE), worker(two, TWO)
    holder, got = sql_open(one), []
    holder("START TRANSACTION", "SELECT COUNT(*) FROM (SELECT 1 FROM dispatch_counters JOIN workflows ON workflows.id = owner_id "
           f"WHERE name = 'bench-noop' AND owner = 1 AND shard = {own} FOR UPDATE) t")
    held = threading.Thread(target=lambda: got.append(slow.poll()))
    held.start()
    try:
        wait_until("the poll waits in the middle of its transaction", lambda: start_on.sql(
            "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"))
        for _ in range(40):
            job = lease(quick)
            ids.remove(job["dispatch_id"])
            assert quick.complete(job).status == 200
            ids.add(submit(two))
    finally:
        holder("ROLLBACK")
        held.join()
    last, = got
    while last.status == 503 or last.data["job"]:  # 503: it was held up for longer than a poll may take
        if last.status == 200:
            ids.remove(last.data["job"]["dispatch_id"])
            assert slow.complete(last.data["job"]).status == 200
        last = slow.poll()
    assert not ids


@pytest.mark.parametrize("end", ["complete", "fail"])
def test_W08_an_end_is_all_or_nothing(start_on, end):
    """Two databases, no transaction: a crash in between, and the repeat skipped what was still to do."""
    d = start_on()
    w = worker(d, fleet="test-copy")
    seen = set()
    for _ in range(4):
        id = submit_copy(d)
        job = lease(w, id)
        w.http.put_url(job["output_url"], b"result", "application/octet-stream")
        finish = (lambda: w.complete(job, 6)) if end == "complete" else (lambda: w.fail(job, "broken"))

        def try_to():
            try:
                return finish().status
            except OSError:
                return None

        answered, _ = at_once(try_to, lambda: (time.sleep(random.uniform(0, 0.01)), d.kill9()))
        restart(d, w)
        if answered == 200:
            assert d.http.job(id)["status"] != "leased", "what was answered is durable"
        assert finish().status == 200
        done = d.http.job(id)
        assert done["status"] == ("completed" if end == "complete" else "failed")
        assert what(d, id).count(done["status"]) == 1
        if end == "complete":
            assert d.http.get_url(done["output"]["url"]).body == b"result"
        seen.add(answered)


def test_W09_a_job_accepted_can_be_leased_whatever_happens(start_on):
    """The job was paid for in one database and queued in another: a crash in between left it without a dispatch."""
    d = start_on()
    accepted, asked = {}, []

    def produce():
        try:
            for i in range(10000):
                asked.append(f"key-{i}")
                accepted[asked[-1]] = submit(d, idempotency_key=asked[-1])
        except (OSError, http.client.HTTPException):
            pass

    at_once(produce, lambda: (wait_until("some are accepted", lambda: len(accepted) > 20, every=0.005), d.kill9()))
    restart(d)
    for key in asked[-20:]:  # the client repeats what it is not sure of
        id = submit(d, idempotency_key=key)
        assert accepted.setdefault(key, id) == id
    w = worker(d)
    leased = set()
    while jobs := w.poll(max_jobs=64, max_concurrency=100000).data["jobs"]:
        leased |= {j["dispatch_id"] for j in jobs}
    assert leased == set(accepted.values()), "each once, and none that nobody asked for"


def test_W10_a_late_upload_does_not_replace_an_accepted_output(start):
    """All attempts wrote to one key: two runners overwrote each other, also after the output was accepted."""
    d = start()
    slow, quick = worker(d, ONE, "test-copy"), worker(d, TWO, "test-copy")
    id = submit_copy(d)
    first = lease(slow, id)
    assert slow.requeue(first, "spot").status == 200
    second = lease(quick, id)
    assert second["output_file"]["path"] != first["output_file"]["path"]
    assert quick.http.put_url(second["output_url"], b"accepted", "application/octet-stream").status < 300
    assert quick.complete(second, 8).status == 200
    late = slow.http.put_url(first["output_url"], b"late and wrong", "application/octet-stream")
    assert late.status < 300, "its URL still lives; it leads elsewhere"
    done = d.http.job(id)
    assert done["output"]["size"] == 8 and d.http.get_url(done["output"]["url"]).body == b"accepted"


def test_W11_requeue_revives_nothing_and_is_capped(start_on):
    """requeue checked no state and had no limit: it revived finished jobs, and its decrement could hit the next lease."""
    d = start_on({"dispatch.maxRequeues": "2"})
    w = worker(d)
    id = submit(d)
    job = lease(w, id)
    assert w.complete(job).status == 200
    assert w.requeue(job, "late").status == 404 and d.http.job(id)["status"] == "completed"
    id = submit(d)
    for i in range(2):
        job = lease(w, id)
        assert job["attempt"] == 1 and w.requeue(job, "spot").status == 200
        assert w.requeue(job, "spot").status == 404
    job = lease(w, id)
    assert w.requeue(job, "spot").status == 200
    failed = d.http.job(id)
    assert failed["status"] == "failed" and "spot" in failed["error"] and failed["attempts"] == 0


def test_W12_a_failed_job_stays_failed(start_on):
    """The next poll marked the dispatch of a failed job as completed."""
    d = start_on({"dispatch.leaseTtlSeconds": "2"})
    w = worker(d)
    id = submit(d)
    job = lease(w, id)
    assert w.fail(job, "broken").status == 200
    for a in (w.complete(job), w.requeue(job, "spot"), w.heartbeat(job)):
        assert a.status == 404
    assert w.poll().data["job"] is None
    time.sleep(2.5)  # many sweeps, and longer than the lease
    assert w.poll().data["job"] is None
    failed = d.http.job(id)
    assert failed["status"] == "failed" and "broken" in failed["error"] and what(d, id)[-1] == "failed"


def test_W13_a_restarted_worker_registers_again(start):
    """The token was only in RAM, and its id was taken: a restarted worker got 409 every 10 s for hours."""
    d = start()
    w = worker(d)
    id = submit(d)
    lease(w, id)
    again = worker(d)
    assert again.token != w.token and w.poll().status == 401
    assert d.http.job(id)["status"] == "queued"
    assert lease(again, id)["attempt"] == 1


def test_W14_a_worker_that_is_refused_registers_again(start_fleet):
    """A worker whose token was void asked every 3 s for ever and never registered again."""
    d = start_fleet(**{"dispatch.leaseTtlSeconds": "10"})
    d.ctl("scale", "hold", "test-copy", "1")
    first = wait_until("a worker is there", lambda: d.ctl("workers")["workers"])[0]
    d.ctl("worker", "remove", first["worker_id"])
    id = submit_copy(d)
    done = status(d, id, "completed", timeout=60)
    assert done["worker"] == first["worker_id"] and done["attempts"] == 1


def test_W15_whoever_leaves_gives_its_leases_back(start_on):
    """Clean-up, deregistration and revocation left leases behind; clean-up took busy workers for dead."""
    d = start_on({"workers.staleSeconds": "10", "dispatch.leaseTtlSeconds": "8"})
    lost, busy, taker = worker(d, "i-0aaaaaaaaaaaaaa10"), worker(d, "i-0aaaaaaaaaaaaaa11"), worker(d, "i-0aaaaaaaaaaaaaa12")
    lost_job = lease(lost, submit(d))
    busy_job = lease(busy, submit(d))
    for name, leave in (("deregister", lambda w: w.deregister()), ("revoke", lambda w: d.ctl("worker", "revoke", w.id)),
                        ("remove", lambda w: d.ctl("worker", "remove", w.id))):
        w = worker(d, TWO)
        id = submit(d)
        job = lease(w, id)
        leave(w)
        now = d.http.job(id)
        assert (now["status"], now["attempts"]) == ("queued", 0), name
        assert w.complete(job).status == 401
        assert taker.complete(lease(taker, id)).status == 200
        assert busy.heartbeat(busy_job).status == 200

    def gone():
        assert busy.heartbeat(busy_job).status == 200
        return row(d, lost.id) is None

    back = lost_job["dispatch_id"]
    wait_until("the lost one's job is back", lambda: busy.heartbeat(busy_job) and d.http.job(back)["status"] == "queued", every=0.3)
    wait_until("the lost one is forgotten", gone, timeout=60, every=0.3)
    assert any(e["worker"] == lost.id for e in d.ctl("events", "worker.gone", "--last", "100"))
    assert busy.complete(busy_job).status == 200
    assert lease(worker(d, THREE), back)["attempt"] == 2


def test_W16_the_server_counts_the_leases(start_on):
    """current_load was what the worker said, always 0: the capacity check had no effect."""
    d = start_on()
    w = worker(d)
    ids = [submit(d), submit(d)]
    job = lease(w, ids[0], current_load=0)
    a = w.poll(current_load=0)
    assert a.data["job"] is None and a.json["message"] == "Worker at capacity"
    assert row(d, ONE)["live_leases"] == 1
    assert w.complete(job).status == 200
    assert lease(w, ids[1], current_load=64)["dispatch_id"] == ids[1], "nor is it believed when it claims too much"


def test_W17_complete_needs_the_output(start):
    """complete did not look whether the object was there: jobs completed without a video."""
    d = start()
    w = worker(d, fleet="test-copy")
    id = submit_copy(d)
    job = lease(w, id)
    a = w.complete(job, 100)
    assert a.status == 422 and "output_url" in a.json["data"]["output"][0]
    assert d.http.job(id)["status"] == "leased", "it may still upload"
    w.http.put_url(job["output_url"], b"result", "application/octet-stream")
    assert w.complete(job, 100).status == 200
    assert d.http.job(id)["output"]["size"] == 6, "the object's size, not the claimed one"


def test_W18_a_draining_worker_is_told(start):
    """The draining state never reached the worker: it saw null jobs and waited."""
    d = start()
    w, idle = worker(d, ONE), worker(d, TWO)
    id = submit(d)
    job = lease(w, id)
    assert w.heartbeat(job).data["draining"] is False

    def drain():
        wait_until("it waits", lambda: "bpd_waiting_polls 1" in d.http.get("/metrics").body.decode())
        d.ctl("worker", "drain", TWO)

    answer, _ = at_once(lambda: idle.poll(wait_seconds=50), drain)
    assert answer.json["message"] == "Worker draining", "it was told, and not left to the end of its wait"
    d.ctl("worker", "drain", ONE)
    assert w.heartbeat(job).data["draining"] is True
    assert w.complete(job).status == 200, "what it runs it may finish"
    submit(d)
    assert w.poll().json["message"] == "Worker draining"
    d.ctl("worker", "undrain", ONE)
    assert lease(w)


@pytest.mark.parametrize("plugin", ["local", "sqlite"])
def test_W19_an_outage_costs_no_attempt(start, build, plugin):
    """Each poll during an outage burned an attempt, then the job was stranded."""
    d = start({"dispatch.maxRequeues": "2"})
    w = worker(d, fleet="test-copy")
    id = submit_copy(d)
    (d.plugins / f"{plugin}.so").unlink()
    wait_until("it is out", lambda: not any(p["name"] == plugin and p["state"] in ("running", "draining") for p in d.ctl("plugin")))
    for _ in range(6):
        a = w.poll()
        assert a.status == 503 and a.headers["Retry-After"], a
    d.install(build / "plugins" / f"{plugin}.so")
    job = wait_until("it is back", lambda: (a := w.poll()).status == 200 and a.data["job"])
    assert job["dispatch_id"] == id and job["attempt"] == 1
    now = d.http.job(id)
    assert now["requeues"] == 0 and "failed" not in what(d, id)


def test_W20_a_users_text_reaches_the_worker_as_it_is(start):
    """Placeholders were replaced inside serialised JSON, unescaped, and once more in what users wrote."""
    d = start()
    w = worker(d)
    params = {"prompt": 'a "quoted" \\ back\\slash\n__INPUT_PATH__ {{style}} __STYLE__ ${HOME} %s </script> \u00e9\u4e2d\U0001f600',
              "style": "__PROMPT__", "__PROMPT__": "style", "input_path_placeholder": "__STYLE__",
              "workflow": {"1": {"class_type": "Text", "inputs": {"text": '__PROMPT__", "injected": "yes'}, "_meta": {}}}}
    id = submit(d, params=params)
    job = lease(w, id)
    assert job["input_payload"]["params"] == params
    assert job["input_payload"]["workflow"] == params["workflow"]
    for key, value in params.items():
        assert job["input_payload"][key] == value
    assert d.http.job(id)["params"] == params
    assert w.complete(job).status == 200
    # What the controller adds for a job with files stands back behind what the user wrote under the same name.
    theirs = {name: f"{name} of the user" for name in ("input_path_placeholder", "input_name", "input_mime_type")}
    job = lease(w, d.http.submit("bench-noop", theirs, [d.http.upload(b"photo", "a.png", "image/png")])["id"])
    assert job["input_url"] and job["input_payload"]["params"] == theirs
    assert {name: job["input_payload"][name] for name in theirs} == theirs
