# SPDX-License-Identifier: Apache-2.0
"""Several controllers on one MariaDB: one leads, every one serves, and nothing waits for the other's word for long."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from client import FieldWorker, Http
from conftest import SLOW, wait_until
from test_events import Stream
from test_fleet import local
from test_mariadb import mariadb  # noqa: F401 - the fixture

SECRET = "one secret of all controllers"
SHORT_LEASES = {"dispatch.leaseTtlSeconds": "2"}  # where one is to run out


class Cluster:
    """Controllers on one database, and the cloud they share: a directory (tests/plugins/shared_cloud.c)."""

    def __init__(self, daemon, build, mariadb, name, cloud, noop):
        self.daemon, self.build, self.mariadb, self.name, self.cloud, self.noop = daemon, build, mariadb, name, cloud, noop
        self.all = []

    def settings(self, **more):
        plugin = {"mariadb": {"socket": self.mariadb, "user": "root", "database": self.name, "createDatabase": True, "autoMigrate": True},
                  "shared-cloud": {"path": str(self.cloud)}, **json.loads(local())}
        return {"services.queue": "mariadb", "services.fleet": "shared-cloud", "plugin": json.dumps(plugin),
                "workers.fleetSecret": SECRET, "dispatch.leaseTtlSeconds": "120", "dispatch.sweepMilliseconds": "100",
                "workflows": json.dumps({"bench-noop": {"policy": "target", "backlogTarget": 1, "maxSize": 8}}), **more}

    def start(self, start=True, **settings):
        d = self.daemon(plugins=("mariadb", "local"), settings=self.settings(**settings), start=start,
                        extra_plugins=[self.noop, self.build / "tests" / "workflows" / "test-copy.so",
                                       self.build / "tests" / "plugins" / "shared-cloud.so"])
        self.all.append(d)
        return d

    def calls(self, d=None, since=0.0):
        """What was changed in the cloud: (time, pid, words), by this controller only, since a moment."""
        path = self.cloud / "calls"
        rows = [line.split(" ", 2) for line in path.read_text().splitlines()] if path.exists() else []
        rows = [(int(at) / 1000, int(pid), words) for at, pid, words in rows]
        return [r for r in rows if r[0] >= since and (d is None or r[1] == d.process.pid)]

    def two(self, **settings):
        """The leader and another controller."""
        a = self.start(**settings)
        wait_until("the first leads", lambda: leads(a))
        b = self.start(**settings)
        wait_until("they know of each other", lambda: all(len(d.ctl("controllers")) == 2 for d in (a, b)))
        return a, b


@pytest.fixture
def cluster(daemon, build, mariadb, short_dir, noop, request):  # noqa: F811
    cloud = short_dir / "cloud"
    cloud.mkdir()
    return Cluster(daemon, build, mariadb, "c" + str(abs(hash(request.node.name))), cloud, noop)


def leads(d):
    return d.ctl("status")["leads"]


def worker(d, id="w-1", fleet="bench-noop"):
    w = FieldWorker(d.http, SECRET, id)
    assert w.register(fleet=fleet).status == 200
    return w


def at(d, w):
    """The same worker, calling another controller."""
    other = FieldWorker(d.http, SECRET, w.id)
    other.token = w.token
    return other


class Waiting(threading.Thread):
    """A long poll; .answer and .took once it is done."""

    def __init__(self, w, seconds=30, **more):
        super().__init__(daemon=True)
        self.w, self.seconds, self.more, self.answer, self.at = w, seconds, more, None, None
        self.start()

    def run(self):
        self.answer = self.w.poll(wait_seconds=self.seconds, **self.more)
        self.at = time.monotonic()

    def done(self):
        self.join(60 * SLOW)
        assert self.answer is not None
        return self.answer


def waits(d, n=1):
    wait_until("the poll waits", lambda: d.ctl("status")["waiting_polls"] == n)


# ---- who leads ----

def test_one_leads_and_every_controller_says_who(cluster):
    a, b = cluster.two()
    assert leads(a) and not leads(b)
    for d in (a, b):
        rows = d.ctl("controllers")
        assert sorted(r["url"] for r in rows) == sorted(f"http://127.0.0.1:{x.port}" for x in (a, b))
        assert [r["url"] for r in rows if r["leader"]] == [f"http://127.0.0.1:{a.port}"]
        assert [r["url"] for r in rows if r["this"]] == [f"http://127.0.0.1:{d.port}"]
    status = b.ctl("status")
    assert str(a.port) in status["leader"] and status["controllers"] == 2
    text = [d.http.get("/metrics").body.decode() for d in (a, b)]
    assert "\nbpd_leader 1\n" in text[0] and "\nbpd_leader_takeovers_total 1\n" in text[0]
    assert "\nbpd_leader 0\n" in text[1] and "\nbpd_leader_takeovers_total 0\n" in text[1]
    assert a.ctl("events", "leader.*")[0]["event"] == "leader.gained"


def test_two_controllers_may_start_on_an_empty_store_at_once(cluster):
    both = [cluster.start(start=False) for _ in range(2)]
    threads = [threading.Thread(target=d.start) for d in both]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60 * SLOW)
    wait_until("one leads", lambda: sorted(leads(d) for d in both) == [False, True])
    id = both[0].http.submit("bench-noop")["id"]
    assert worker(both[1]).poll().data["job"]["dispatch_id"] == id


def test_another_leads_within_10_s_of_a_kill_9_and_sweeps_and_scales(cluster):
    a, b = cluster.two(**SHORT_LEASES)
    w = worker(b)
    id = b.http.submit("bench-noop")["id"]
    job = w.poll().data["job"]
    wait_until("the leader scales", lambda: [c for c in cluster.calls(a) if c[2].startswith("grow bench-noop")])
    before = len(cluster.calls(b))
    assert before == 0, "only the leader changes fleets"
    a.kill9()
    killed = time.monotonic()
    wait_until("the other leads", lambda: leads(b), timeout=20)
    took = time.monotonic() - killed
    print(f"takeover {took:.1f} s after kill -9")
    assert took < 10 * SLOW
    wait_until("the lease that ran out is swept", lambda: b.http.job(id)["status"] == "queued")
    assert b.ctl("events", "job.expired")[0]["job"] == id
    for _ in range(4):
        b.http.submit("bench-noop")
    wait_until("it scales", lambda: [c for c in cluster.calls(b) if c[2] == "grow bench-noop 5"])
    assert w.complete(job).status == 404


def test_another_leads_at_once_after_a_clean_stop(cluster):
    a, b = cluster.two()
    stopped = time.monotonic()
    a.process.send_signal(signal.SIGTERM)
    wait_until("the other leads", lambda: leads(b), timeout=20)
    print(f"takeover {time.monotonic() - stopped:.2f} s after SIGTERM")
    a.process.wait(20 * SLOW)
    log = a.log.read_text()
    assert "leads no more" in log and "it ends" in log
    wait_until("the list has one", lambda: len(b.ctl("controllers")) == 1)


def test_a_leader_that_was_stopped_for_longer_than_its_term_does_nothing_as_leader(cluster):
    a, b = cluster.two(**SHORT_LEASES)
    for n in range(3):
        a.http.submit("bench-noop", {"n": n})
    wait_until("the leader scales", lambda: [c for c in cluster.calls(a) if c[2] == "grow bench-noop 3"])
    os.kill(a.process.pid, signal.SIGSTOP)
    try:
        wait_until("the other leads", lambda: leads(b), timeout=30)
        epoch = b.ctl("status")["leader_epoch"]
        for n in range(3):
            b.http.submit("bench-noop", {"n": n})
        wait_until("it scales", lambda: [c for c in cluster.calls(b) if c[2] == "grow bench-noop 6"])
    finally:
        going = time.time()
        os.kill(a.process.pid, signal.SIGCONT)
    assert wait_until("it is there again", lambda: a.ctl("status"))["leads"] is False
    w = worker(a)
    leased = w.poll().data["job"]  # it serves
    assert leased
    a.http.submit("bench-noop")
    wait_until("the lease is swept by the other", lambda: any(e["job"] == leased["dispatch_id"] for e in b.ctl("events", "job.expired")))
    wait_until("the other scales", lambda: [c for c in cluster.calls(b, since=going) if c[2] == "grow bench-noop 7"])
    assert cluster.calls(a, since=going) == []
    assert not a.ctl("events", "job.expired")
    assert a.ctl("status")["leads"] is False and b.ctl("status")["leader_epoch"] == epoch


def test_a_new_leader_takes_up_the_drains_of_the_old_one(cluster):
    """An instance whose worker was told to drain before the kill is ended after it, when it is idle; a busy one stays."""
    a, b = cluster.two()
    ids = [a.http.submit("bench-noop")["id"] for _ in range(2)]
    wait_until("two instances", lambda: [c for c in cluster.calls() if c[2] == "grow bench-noop 2"])
    one, two = worker(a, "i-1"), worker(b, "i-2")
    jobs = [w.poll().data["job"] for w in (one, two)]
    assert sorted(j["dispatch_id"] for j in jobs) == ids
    a.ctl("worker", "drain", "i-2")
    a.kill9()
    wait_until("the other leads", lambda: leads(b), timeout=20)
    wait_until("it looked", lambda: [c for c in cluster.calls(b) if c[2].startswith("ensure")])
    time.sleep(0.5)
    assert not [c for c in cluster.calls() if c[2].startswith("terminate")], "it still runs its job"
    assert at(b, two).complete(jobs[1]).status == 200
    wait_until("the drained one is ended", lambda: [c for c in cluster.calls(b) if c[2] == "terminate bench-noop i-2"])
    assert at(b, one).heartbeat(jobs[0]).status == 200
    assert not [c for c in cluster.calls() if c[2] in ("terminate bench-noop i-1", "grow bench-noop 3")]


def test_with_sqlite_the_one_controller_leads_and_does_so_again_at_once_after_a_kill(daemon, noop):
    d = daemon(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    wait_until("it leads", lambda: leads(d))
    assert d.ctl("status")["controllers"] == 1 and len(d.ctl("controllers")) == 1
    d.kill9()
    d.start()
    began = time.monotonic()
    wait_until("it leads again", lambda: leads(d))
    print(f"leads {time.monotonic() - began:.2f} s after the start that followed a kill -9")
    assert "another controller leads" not in d.log.read_text()


# ---- waking ----

def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))]


def measure_wakes(a, b, n=10):
    """Submits at a, and how long until the poll that waits at b has the job: in ms, from before the submit."""
    w = worker(b)
    took = []
    for _ in range(n):
        poll = Waiting(w)
        waits(b)
        time.sleep(0.15)  # whatever was looked at when it began to wait is over
        began = time.monotonic()
        id = a.http.submit("bench-noop")["id"]
        job = poll.done().data["job"]
        took.append((poll.at - began) * 1000)
        assert job["dispatch_id"] == id and w.complete(job).status == 200
    return took


def test_a_job_submitted_at_one_controller_wakes_a_poll_that_waits_at_another(cluster):
    a, b = cluster.two()
    for x, y, which in ((a, b, "leader -> other"), (b, a, "other -> leader")):
        took = measure_wakes(x, y)
        print(f"submit -> poll at another controller, by watching, {which}: p50 {percentile(took, .5):.0f} ms, most {max(took):.0f} ms")
        assert percentile(took, .5) < 1000 * SLOW


def test_with_one_controller_a_row_of_another_program_is_leased_within_a_second(cluster):
    a = cluster.start()
    w = worker(a)
    first = a.http.submit("bench-noop")["id"]  # whose tenant and workflow have a name from then on
    assert w.complete(w.poll().data["job"]).status == 200
    sql = (f"INSERT INTO {cluster.name}.ai_job_dispatches (tenant_id, workflow_id) SELECT tenant_id, workflow_id "
           f"FROM {cluster.name}.ai_job_dispatches WHERE id = {first}")
    took = []
    for _ in range(5):
        poll = Waiting(w)
        waits(a)
        began = time.monotonic()
        subprocess.run(["mariadb", "--no-defaults", f"--socket={cluster.mariadb}", "--user=root", "-e", sql], check=True)
        job = poll.done().data["job"]
        took.append((poll.at - began) * 1000)
        assert job["dispatch_id"] > first and w.complete(job).status == 200
    print(f"row -> waiting poll: {', '.join(f'{t:.0f}' for t in took)} ms")
    assert percentile(took, .5) < 2000 * SLOW


class Redis:
    """A real redis-server on a free port, with a password."""

    BINARY = shutil.which("redis-server") or "/usr/bin/redis-check-rdb"  # the same program: redis-tools starts no service

    def __init__(self, dir):
        self.dir, self.process = dir, None
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"redis://:s%40cret@127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", "s@cret",
                                         "--save", "", "--dir", str(self.dir), "--logfile", str(self.dir / "redis.log")],
                                        executable=self.BINARY)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def redis(short_dir):
    assert pathlib.Path(Redis.BINARY).exists(), "redis is missing: run scripts/setup test"
    r = Redis(short_dir)
    r.start()
    yield r
    r.stop()


def test_redis_carries_the_word_and_watching_takes_its_place_when_it_is_away(cluster, redis, short_dir):
    secret = short_dir / "redis.url"
    secret.write_text(redis.url)
    secret.chmod(0o600)
    slow = {"bus.redis": f"file:{secret}", "cluster.watchMilliseconds": "60000"}  # watching alone would take a minute
    a, b = cluster.two(**slow)
    for d in (a, b):
        wait_until("the bridge is up", lambda: d.ctl("status")["redis"].startswith("connected"))
        assert "s@cret" not in d.log.read_text() + json.dumps(d.ctl("config")) + json.dumps(d.ctl("status"))
    took = measure_wakes(a, b)
    print(f"submit -> poll at another controller, by Redis: p50 {percentile(took, .5):.1f} ms, most {max(took):.1f} ms")
    assert percentile(took, .5) < 1000 * SLOW
    redis.stop()
    for d in (a, b):
        wait_until("its loss is said", lambda: d.ctl("status")["redis"].startswith("away"))
    redis.start()
    for d in (a, b):
        wait_until("it is back", lambda: d.ctl("status")["redis"].startswith("connected"), timeout=60)
    measure_wakes(b, a, 3)


def test_without_redis_again_the_store_is_watched(cluster, redis):
    a, b = cluster.two(**{"bus.redis": redis.url})
    for d in (a, b):
        wait_until("the bridge is up", lambda: d.ctl("status")["redis"].startswith("connected"))
    redis.stop()
    wait_until("its loss is said", lambda: b.ctl("status")["redis"].startswith("away"))
    took = measure_wakes(a, b, 5)
    print(f"submit -> poll at another controller, Redis away: most {max(took):.0f} ms")


# ---- what one controller does reaches what hangs on another ----

def test_cancel_and_drain_at_one_controller_reach_the_worker_at_another(cluster):
    a, b = cluster.two()
    w = worker(b)
    id = a.http.submit("bench-noop")["id"]
    job = w.poll().data["job"]
    a.ctl("job", "cancel", str(id))
    told = wait_until("the heartbeat tells of the cancel", lambda: (h := w.heartbeat(job, progress=0.1)).data["cancel"] and h)
    assert told.data["draining"] is False
    a.ctl("worker", "drain", w.id)
    wait_until("the heartbeat tells of the drain", lambda: w.heartbeat(job, progress=0.2).data["draining"])


def test_a_drain_at_one_controller_ends_the_poll_that_waits_at_another(cluster):
    a, b = cluster.two()
    w = worker(b)
    poll = Waiting(w, seconds=50)
    waits(b)
    began = time.monotonic()
    a.ctl("worker", "drain", w.id)
    assert poll.done().json["message"] == "Worker draining"
    print(f"drain -> poll at another controller: {poll.at - began:.1f} s")
    a.ctl("worker", "undrain", w.id)
    id = a.http.submit("bench-noop")["id"]
    wait_until("it is leased to again", lambda: (p := w.poll(wait_seconds=1)).data["job"] and p.data["job"]["dispatch_id"] == id)


def test_a_revoke_at_one_controller_shuts_the_worker_out_at_another(cluster):
    a, b = cluster.two()
    w = worker(b)
    assert w.poll().status == 200
    a.ctl("worker", "revoke", w.id)
    a.http.submit("bench-noop")
    p = w.poll()  # whatever is cached of it: the store leases nothing to it
    assert p.status in (401, 403) or p.data["job"] is None
    wait_until("its token is not accepted any more", lambda: w.poll().status in (401, 403), timeout=15)


def test_a_stream_at_one_controller_ends_with_its_job_at_another(cluster):
    a, b = cluster.two()
    s = Stream(a, a.http.submit("bench-noop")["id"])
    told = [s.next()]
    w = worker(b)
    job = w.poll().data["job"]
    while told[-1] and told[-1][2].get("status") != "leased":  # what happens there is told while it happens
        told.append(s.next())
    assert told[-1], told
    assert w.complete(job).status == 200
    rest = s.rest()
    assert rest[-2][2]["status"] == "completed" and rest[-1][0] == "end"
    s.close()


def test_a_worker_with_one_lease_elsewhere_is_woken_when_it_ended_there(cluster):
    """Its poll waits for capacity at one controller; the lease ends at another, which cannot know of the poll."""
    a, b = cluster.two()
    w = worker(b)
    ids = [a.http.submit("bench-noop")["id"] for _ in range(2)]
    first = w.poll().data["job"]
    poll = Waiting(w)
    waits(b)
    assert at(a, w).complete(first).status == 200
    assert {first["dispatch_id"], poll.done().data["job"]["dispatch_id"]} == set(ids)


def test_workers_leave_one_controller_for_another_in_the_middle_of_a_job(cluster):
    """As behind a load balancer without sticky sessions: each call goes to the next controller."""
    a, b = cluster.two()
    ids = {a.http.submit("bench-noop", {"n": n})["id"] for n in range(10)}
    w = worker(a)
    doors, seen = [at(d, w) for d in (a, b)], []
    for n in range(20):
        job = doors[n % 2].poll().data["job"]
        if not job:
            continue
        assert doors[(n + 1) % 2].heartbeat(job, progress=0.5).status == 200
        assert doors[n % 2].call("progress", {**w.lease_of(job), "progress": 0.7}).status == 200
        assert doors[(n + 1) % 2].complete(job).status == 200
        assert doors[n % 2].complete(job).status == 200  # told again, at the other door
        seen.append(job["dispatch_id"])
    assert sorted(seen) == sorted(ids)


def test_two_controllers_with_one_object_directory_serve_each_others_urls(cluster, short_dir):
    """The local object store on a file system they share, as docs/operations.md says."""
    objects = short_dir / "objects"
    objects.mkdir()
    plugin = {**json.loads(cluster.settings()["plugin"])}
    plugin["local"]["objectsDir"] = str(objects)
    a = cluster.start(plugin=json.dumps(plugin))
    b = cluster.start(start=False, plugin=json.dumps(plugin))
    key = pathlib.Path("plugin/local/objects.key")
    (b.state / key.parent).mkdir(parents=True, mode=0o700)
    b.state.chmod(0o700)
    shutil.copy(a.state / key, b.state / key)
    b.start()
    up = a.http.post("/api/uploads", {"name": "in.bin", "mime": "application/octet-stream"}).data
    assert b.http.put_url(up["upload_url"], b"shared", "application/octet-stream").status in (200, 201, 204)
    id = b.http.submit("test-copy", {}, [{"key": up["key"], "mime": "application/octet-stream", "name": "in.bin"}])["id"]
    w = worker(a, fleet="test-copy")
    job = w.poll().data["job"]
    assert job["dispatch_id"] == id and b.http.get_url(job["input_url"]).body == b"shared"
    assert b.http.put_url(job["output_url"], b"result", "application/octet-stream").status < 300
    assert at(b, w).complete(job, 6, "application/octet-stream").status == 200
    assert a.http.get_url(b.http.job(id)["output"]["url"]).body == b"result"


def test_an_operator_may_hold_a_fleet_at_any_controller_and_the_one_that_leads_does_it(cluster):
    a, b = cluster.two()
    answer = b.ctl("scale", "hold", "bench-noop", "2")
    assert str(a.port) in json.dumps(answer)
    wait_until("the leader follows", lambda: [c for c in cluster.calls(a) if c[2] == "grow bench-noop 2"], timeout=30)
    a.kill9()
    b.ctl("scale", "limit", "bench-noop", "--max", "1")
    wait_until("the hold counts at the next leader too", lambda: "held at 2" in b.ctl("scale", "bench-noop")[0]["reason"], timeout=30)
    rules = b.ctl("scale", "bench-noop")[0]["rules"]
    assert [r["rule"] for r in rules] == ["max"] and rules[0]["value"] == 1


def test_the_next_leader_knows_what_policies_learned_and_a_shadow_would_have_cost(cluster):
    settings = {"scale.rememberSeconds": "0.2", "scale.tickMilliseconds": "200",
                "workflows": json.dumps({"bench-noop": {"policy": "slo", "maxSize": 8}})}
    a, b = cluster.two(**settings)
    a.ctl("scale", "shadow", "bench-noop", "direct")
    a.http.submit("bench-noop")
    grown = wait_until("the leader scales", lambda: [c for c in cluster.calls(a) if c[2].startswith("grow ")])
    w = worker(a)
    for _ in range(4):
        a.http.submit("bench-noop")
    for _ in range(5):
        assert w.complete(w.poll(wait_seconds=20).data["job"]).status == 200

    def figures(d):
        rows = d.ctl("scale", "bench-noop")
        shown = rows[0] if rows else {}
        return (shown.get("measured", {}).get("learned", {}).get("slo") or {}).get("jobs_seen"), shown.get("shadow", {})

    def both_modelled():
        jobs, sh = figures(a)
        return jobs and all(sh[k]["jobs"] == 5 for k in ("modelled", "live_modelled")) and sh

    shadow = wait_until("jobs ran in thought too, in both models", both_modelled, timeout=60)
    hours = shadow["instance_hours"] + 2 / 3600
    wait_until("that has been written down, several times", lambda: figures(a)[1]["instance_hours"] > hours)
    seen = figures(a)[0]  # the policy hears of a start a round after the shadow's model
    a.kill9()
    wait_until("the other leads", lambda: leads(b), timeout=30)
    after, again = wait_until("it knows", lambda: (f := figures(b))[0] and f[1].get("since_ms") and f)
    told = wait_until("the next one's provider is told", lambda: [c[2] for c in cluster.calls(b) if c[2].startswith("recall ")])
    assert json.loads(told[0].split(" ", 1)[1])["grown"] >= len(grown), told
    assert after == seen and again["since_ms"] == shadow["since_ms"] and again["instance_hours"] >= shadow["instance_hours"] > 0
    for key in ("modelled", "live_modelled"):
        assert [again[key][n] for n in ("jobs", "wait_hours", "wait_p95_s")] == [shadow[key][n] for n in ("jobs", "wait_hours", "wait_p95_s")]


def test_the_leader_measures_boots_of_workers_that_only_ever_talk_to_another_controller(cluster):
    a, b = cluster.two(**{"scale.tickMilliseconds": "200"})
    b.http.submit("bench-noop")
    instance = wait_until("an instance is launched", lambda: (rows := a.ctl("fleet", "bench-noop")) and rows[0]["instances"])[0]["id"]
    w = worker(b, instance)
    wait_until("its device takes a moment", lambda t=time.monotonic(): time.monotonic() > t + 0.3)
    sound = {"health": {"ok": True, "name": "x", "text": "", "warnings": [], "sound_ms": int(time.time() * 1000)}}
    job = w.poll(capabilities=sound, wait_seconds=5).data["job"]
    assert w.complete(job).status == 200

    def measured(d):
        rows = d.ctl("scale", "bench-noop")
        return (rows[0] if rows else {}).get("measured", {})

    stages = wait_until("all stages are measured", lambda: (m := measured(a).get("stage_s", {})) and "first_job" in m and "device_ready" in m and m)
    assert 0 <= stages["registered"] <= stages["device_ready"] and stages["registered"] <= stages["first_job"], stages
    assert stages["registered"] + 0.3 <= stages["device_ready"] and measured(a)["boot_s"] == [stages["device_ready"]]
    assert measured(a)["boots"] == 1 and measured(a)["launches"] >= 1
    assert not [e for e in a.ctl("events", "job.leased")], "the leader itself saw nothing of it"
    told = [e["stage"] for e in a.ctl("events", "fleet.boot", "--last", "50") if e["instance"] == instance]
    assert sorted(told) == sorted(["requested", "running", "registered", "device_ready", "ready", "first_job"]), told


def test_the_leader_learns_run_times_of_jobs_that_ended_at_another_controller_and_so_does_the_next_one(cluster):
    a, b = cluster.two(**{"scale.tickMilliseconds": "200"})
    first = b.http.submit("bench-noop")["id"]
    instance = wait_until("an instance is launched", lambda: (rows := a.ctl("fleet", "bench-noop")) and rows[0]["instances"])[0]["id"]
    w = worker(b, instance)
    assert w.complete(w.poll(wait_seconds=20).data["job"]).status == 200
    assert b.http.job(first)["status"] == "completed"
    id = b.http.submit("bench-noop")["id"]
    said = wait_until("the leader can say when a job ends", lambda: (e := a.ctl("explain", "job", str(id))["estimate"]) and e["finish"]["p50_ms"] and e)
    assert said["finish"]["p95_ms"] >= said["finish"]["p50_ms"]
    assert not a.ctl("events", "job.completed"), "it saw no end itself"
    for _ in range(3):
        a.http.submit("bench-noop")
    a.kill9()
    wait_until("the other leads", lambda: leads(b), timeout=30)
    wait_until("it reads again what came and ended", lambda: "its history is made of the 5 jobs" in b.log.read_text())
