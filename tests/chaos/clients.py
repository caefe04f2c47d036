# SPDX-License-Identifier: Apache-2.0
"""Field workers and producers: threads that speak the protocol, repeat what got no answer, and misbehave as the field does."""
import random
import threading
import time
from urllib.parse import urlsplit

from controller import Controller, TTL_S
from history import Caller, History, jobs_of

class World:
    """What the clients of one round share."""

    def __init__(self, ports, directory, seed, workflows):
        self.ports, self.directory, self.seed, self.workflows = ports, directory, seed, workflows
        self.producing, self.working = True, True
        self.paused = threading.Event()
        self.outstanding = 0
        self.lock = threading.Lock()
        self.ids = []
        self.errors = []

    def submitted(self, id):
        with self.lock:
            self.outstanding += 1
            self.ids.append(id)

    def finished(self):
        with self.lock:
            self.outstanding -= 1


class Client(threading.Thread):
    def __init__(self, world, name):
        super().__init__(name=name, daemon=True)
        self.world = world
        self.rng = random.Random(f"{world.seed}/{name}")
        self.history = History(world.directory, name)
        self.caller = Caller(world.ports, self.history)

    def run(self):
        try:
            self.work()
        except Exception as e:  # a bug of a client must fail the run, not hide in a thread
            self.world.errors.append(f"{self.name}: {e!r}")
            raise
        finally:
            self.caller.close()
            self.history.close()

    def rest(self, status):
        """After no answer, or one that says later."""
        time.sleep(self.rng.uniform(0.02, 0.15) if status is None else self.rng.uniform(0.05, 0.25))

    def patience(self):
        """How long to wait for an answer: now and then a client gives up early, and the answer reaches nobody."""
        return self.rng.choice([0.4, 3, 3, 10, 10])


class Producer(Client):
    """Submits, most often with an idempotency key; repeats until it is answered; cancels, retries and looks."""

    def __init__(self, world, name, pace_s):
        super().__init__(world, name)
        self.pace_s = pace_s
        self.inputs = None
        self.mine = []

    def headers(self):
        return {"Authorization": f"Bearer {Controller.TENANT}"}

    def work(self):
        n = 0
        while self.world.producing:
            if self.world.outstanding < 150:
                n += 1
                self.submit(n)
            self.look_around()
            time.sleep(self.rng.expovariate(1 / self.pace_s))

    def upload(self):
        """One input for all copies; None when this did not work out now."""
        data = f"input of {self.name}".encode()
        _, answer, _ = self.caller.call("upload", "POST", "/api/uploads", {"name": "in.bin"}, self.headers())
        if not answer.get("data"):
            return None
        u = urlsplit(answer["data"]["upload_url"])
        status, _, _ = self.caller.call("put", "PUT", f"{u.path}?{u.query}", data, answer["data"].get("headers"))
        return [{"key": answer["data"]["key"], "mime": "application/octet-stream"}] if status in (200, 201, 204) else None

    def body(self, n):
        nonce = f"{self.name}-{n}"
        body = {"workflow": "bench-noop", "params": {"nonce": nonce}, "priority": self.rng.choice([0, 0, 0, 5])}
        if "test-copy" in self.world.workflows and self.rng.random() < 0.2:
            self.inputs = self.inputs or self.upload()
            if self.inputs:
                body = {"workflow": "test-copy", "inputs": self.inputs,
                        "params": {"nonce": nonce, "steps": self.rng.randrange(1, 5), "step_ms": self.rng.choice([0, 20, 100])}}
        if self.rng.random() < 0.1:
            body["not_before"] = int((time.time() + self.rng.uniform(0.1, 1.5)) * 1000)
        if self.rng.random() < 0.3:
            body["max_attempts"] = self.rng.randrange(1, 6)
        if self.rng.random() < 0.8 or body["workflow"] == "test-copy":
            body["idempotency_key"] = nonce
        if self.mine and self.rng.random() < 0.08:
            body["after"] = sorted(set(self.rng.choices(self.mine[-10:], k=2)))
        elif self.rng.random() < 0.06:
            body["unique_key"] = f"only-{self.rng.randrange(2)}"
        return nonce, body

    def submit(self, n):
        nonce, body = self.body(n)
        key = body.get("idempotency_key")
        while self.world.working:
            status, answer, _ = self.caller.call("submit", "POST", "/api/jobs", body, self.headers(), self.patience(),
                                                 key=key, nonce=nonce, workflow=body["workflow"], after=body.get("after"),
                                                 unique=body.get("unique_key"))
            if status == 200 and answer["data"].get("duplicate"):
                return  # another one is on its way
            if status in (200, 201):
                self.accepted(answer["data"]["id"], body, key)
                return
            if status not in (None, 503) or not key:
                return  # without a key, a submit without an answer must not be repeated
            self.rest(status)

    def accepted(self, id, body, key):
        self.world.submitted(id)
        self.mine = (self.mine + [id])[-200:]
        if key and "unique_key" not in body and self.rng.random() < 0.1:
            self.caller.call("submit", "POST", "/api/jobs", body, self.headers(), key=key, nonce=body["params"].get("nonce", key),
                             workflow=body["workflow"])
        if key and "unique_key" not in body and self.rng.random() < 0.03:
            other = {**body, "priority": -7}
            self.caller.call("submit_other", "POST", "/api/jobs", other, self.headers(), key=key, nonce=key)

    def look_around(self):
        if not self.mine:
            return
        id, dice = self.rng.choice(self.mine), self.rng.random()
        if dice < 0.3:
            self.caller.call("get", "GET", f"/api/jobs/{id}", headers=self.headers(), timeout=self.patience(), id=id)
        elif dice < 0.35:
            self.caller.call("cancel", "DELETE", f"/api/jobs/{id}", headers=self.headers(), timeout=self.patience(), id=id)
        elif dice < 0.4:
            self.caller.call("retry", "POST", f"/api/jobs/{id}/retry", {}, self.headers(), self.patience(), id=id)


class Worker(Client):
    """Registers, polls and ends its leases in one of many ways."""

    WAYS = [("complete", 45), ("slow", 14), ("retry", 6), ("fail", 3), ("requeue", 6), ("late", 6), ("dies", 5), ("twice", 6),
            ("both", 5), ("leaves", 2), ("anew", 2)]

    def __init__(self, world, name):
        super().__init__(world, name)
        self.id = f"field-{name}"
        self.token, self.generation = None, 0
        self.old = []  # leases that were let go, to come back with
        self.taken = []  # with the end of another
        self.calm = False  # while draining the round, all do their work well

    def work(self):
        while self.world.working:
            if not self.token and not self.register():
                continue
            for job in self.poll():
                self.handle(job)
            while self.taken and self.world.working:
                self.handle(self.taken.pop())
            if self.old and self.rng.random() < 0.3:
                self.come_back()

    def register(self):
        body = {"worker_id": self.id, "max_concurrency": 3, "workflow_slugs": self.world.workflows}
        status, answer, _ = self.caller.call("register", "POST", "/api/worker/register", body,
                                             {"X-Fleet-Secret": Controller.FLEET_SECRET}, 5, worker=self.id)
        if status != 200:
            self.rest(status)
            return False
        self.token = answer["data"]["token"]
        self.generation += 1
        return True

    def ask(self, op, body, timeout, **note):
        status, answer, record = self.caller.call(op, "POST", f"/api/worker/{op}", body,
                                                  {"Authorization": f"Bearer {self.token}"}, timeout,
                                                  worker=self.id, generation=self.generation, **note)
        if status == 401:
            self.token = None
        return status, answer, record

    def poll(self):
        wait = self.rng.choice([0, 0.3, 1])
        body = {"worker_id": self.id, "wait_seconds": wait, "max_jobs": self.rng.choice([1, 1, 1, 2, 3])}
        impatient = self.rng.random() < 0.03
        status, answer, record = self.ask("poll", body, 0.15 if impatient else wait + 8)
        if status != 200:
            self.rest(status)
            return []
        jobs = jobs_of(answer.get("data"))
        if not jobs and wait == 0:
            time.sleep(self.rng.uniform(0.05, 0.2))
        return jobs

    def end(self, op, job, tries=40, **more):
        """Says the last word about a lease until it is heard. Returns the status."""
        body = {"dispatch_id": job["dispatch_id"], "lease_token": job["lease_token"], **more}
        if op == "complete":
            body["provider_job_id"] = job["lease_token"]
            body["output"] = {"size": 0, "mime_type": "text/plain", "metadata": {"token": job["lease_token"]}}
        if op != "requeue" and self.rng.random() < 0.5:
            body["poll"] = {"worker_id": self.id, "max_jobs": self.rng.choice([1, 1, 2])}
        for _ in range(tries):
            if not self.token:
                return 401
            if not self.world.working:
                return None
            status, answer, _ = self.ask(op, body, self.patience(), id=job["dispatch_id"], token=job["lease_token"])
            if status not in (None, 503):
                self.taken += jobs_of(((answer.get("data") or {}).get("poll") or {}).get("data") if status == 200 else None)
                if status == 200 and (op == "complete" or (answer.get("data") or {}).get("status") in ("failed", "cancelled")):
                    self.world.finished()
                return status
            self.rest(status)
        return None

    def beat(self, job, progress=None):
        body = {"dispatch_id": job["dispatch_id"], "lease_token": job["lease_token"]}
        op = "heartbeat"
        if progress is not None:
            body["progress"], op = progress, "progress"
        return self.ask(op, body, self.patience(), id=job["dispatch_id"], token=job["lease_token"])

    def put_output(self, job):
        """Each attempt's output names its lease, so that the winner's is known from its content."""
        if not job.get("output_url"):
            return True
        u = urlsplit(job["output_url"])
        for _ in range(20):
            status, _, _ = self.caller.call("put", "PUT", f"{u.path}?{u.query}", job["lease_token"].encode(),
                                            {"Content-Type": "application/octet-stream"}, 5, id=job["dispatch_id"])
            if status in (200, 201, 204):
                return True
            if status not in (None, 503, 507):
                return False
            self.rest(status)
        return False

    def complete(self, job):
        if self.put_output(job):
            return self.end("complete", job)
        return None

    def handle(self, job):
        ways, weights = zip(*self.WAYS)
        way = "complete" if self.calm else self.rng.choices(ways, weights)[0]
        if not self.token:
            return
        getattr(self, f"way_{way}")(job)

    def way_complete(self, job):
        time.sleep(self.rng.uniform(0, 0.05))
        self.complete(job)

    def way_slow(self, job):
        """Longer than a lease, kept alive by heartbeats and progress."""
        end = time.monotonic() + self.rng.uniform(0.2, 2 * TTL_S)
        step = 0.0
        while time.monotonic() < end and self.token:
            time.sleep(self.rng.uniform(0.1, 0.3))
            step = min(1.0, step + self.rng.uniform(0, 0.3))
            status, answer, _ = self.beat(job, step if self.rng.random() < 0.5 else None)
            if status == 404:
                self.old.append(job)
                return
            if (answer.get("data") or {}).get("cancel"):
                self.end("fail", job, error_message="cancelled")
                return
        self.complete(job)

    def way_retry(self, job):
        self.end("fail", job, error_message="it broke, try again", retryable=True)

    def way_fail(self, job):
        self.end("fail", job, error_message="it broke for good")

    def way_requeue(self, job):
        self.end("requeue", job, reason="spot_interruption")

    def way_late(self, job):
        """Comes back when the lease is over, as if nothing had happened."""
        time.sleep(TTL_S * self.rng.uniform(0.9, 1.8))
        self.complete(job) if self.rng.random() < 0.7 else self.end("fail", job, error_message="late", retryable=True)

    def way_dies(self, job):
        """Says nothing more; perhaps its ghost does, much later."""
        self.old = (self.old + [job])[-20:]

    def way_twice(self, job):
        if self.complete(job) == 200:
            self.end("complete", job)
            self.end(self.rng.choice(["fail", "requeue"]), job, error_message="after the end", reason="after the end")

    def way_both(self, job):
        """Two threads of one confused worker end the same lease at once, each in its own way."""
        if not self.put_output(job):
            return
        other = Twin(self, job, self.rng.choice(["complete", "fail", "requeue"]))
        other.start()
        self.end("complete", job)
        other.join()

    def way_leaves(self, job):
        """Says goodbye with leases in its hands."""
        self.ask("deregister", {}, 3)
        self.token = None
        self.old = (self.old + [job])[-20:]

    def way_anew(self, job):
        """Starts again under the same name; what it held goes back."""
        self.token = None
        self.old = (self.old + [job])[-20:]

    def come_back(self):
        if not self.token:
            return
        job = self.old.pop(self.rng.randrange(len(self.old)))
        op = self.rng.choice(["complete", "fail", "requeue", "heartbeat"])
        if op == "heartbeat":
            self.beat(job)
        elif op == "complete":
            self.complete(job)
        else:
            self.end(op, job, tries=3, error_message="a ghost", reason="a ghost", retryable=True)


class Twin(Client):
    """The other thread of a confused worker, with a connection and a history of its own."""

    count = 0

    def __init__(self, worker, job, op):
        Twin.count += 1
        super().__init__(worker.world, f"{worker.name}-twin{Twin.count}")
        self.worker, self.job, self.op = worker, job, op
        self.token, self.generation = worker.token, worker.generation

    def work(self):
        body = {"dispatch_id": self.job["dispatch_id"], "lease_token": self.job["lease_token"], "error_message": "twin",
                "reason": "twin", "retryable": True, "provider_job_id": self.job["lease_token"]}
        self.caller.call(self.op, "POST", f"/api/worker/{self.op}", body, {"Authorization": f"Bearer {self.token}"}, 3,
                         worker=self.worker.id, generation=self.generation, id=self.job["dispatch_id"],
                         token=self.job["lease_token"])
