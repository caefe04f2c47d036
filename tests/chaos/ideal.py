# SPDX-License-Identifier: Apache-2.0
"""Histories and stores as a queue without fault leaves them, made up from a seed: what the checker must accept, and what the
lies told to it are changes of. Nothing runs; the times are made up, so that a lie is found always or never."""
import json
import random

from controller import TTL_S

EPOCH_MS = 1_700_000_000_000
TENANT = "tenant:chaos"


class Ideal:
    def __init__(self, seed, jobs=80):
        self.rng = random.Random(seed)
        self.t = 100.0
        self.by_client = {f"{kind}{n}": [] for kind, count in (("p", 3), ("w", 4)) for n in range(count)}
        self.jobs, self.events, self.keys, self.audit, self.objects, self.after = {}, {}, {}, [], [], []
        self.seq = 0
        self.registered = set()
        for n in range(1, jobs + 1):
            self.job(n)

    def store(self):
        counts = {}
        for j in self.jobs.values():
            of = counts.setdefault(j["workflow"], dict.fromkeys(("scheduled", "queued", "leased", "completed", "failed", "cancelled"), 0))
            of[j["status"]] += 1
        return {"jobs": self.jobs, "events": self.events, "counts": counts, "keys": self.keys, "audit": self.audit, "after": self.after, "damage": [],
                "back_ms": 0}

    # ---- what is written down ----

    def rest(self, s):
        self.t += s

    def say(self, client, op, status, answer=None, message=None, **note):
        t0 = self.t
        self.rest(0.004)
        self.by_client[client].append({"client": client, "op": op, "t0": t0, "t1": self.t, "status": status, "answer": answer,
                                       "message": message, **note})
        self.rest(0.001)

    def line(self, id, what, who, detail=None):
        self.seq += 1
        self.events.setdefault(id, []).append(
            {"seq": self.seq, "at_ms": EPOCH_MS + int(self.t * 1000), "what": what, "who": who, "detail": detail})

    def worker(self, client, op, status, answer=None, **note):
        self.say(client, op, status, answer, worker=f"field-{client}", generation=1, **note)

    # ---- a job, from its submit to its end ----

    def job(self, id):
        producer, key = self.rng.choice(["p0", "p1", "p2"]), f"n{id}" if self.rng.random() < 0.7 else None
        workflow = self.rng.choice(["bench-noop", "bench-noop", "test-copy"]) if key else "bench-noop"
        params = {} if workflow == "test-copy" else {"nonce": f"n{id}"}
        done = [i for i, j in self.jobs.items() if j["status"] == "completed"]
        after = [self.rng.choice(done)] if done and self.rng.random() < 0.2 else None
        unique = "only" if self.rng.random() < 0.3 else None
        note = {"key": key, "nonce": f"n{id}", "workflow": workflow, "after": after, "unique": unique}
        self.after += [(id, other) for other in after or []]
        if self.rng.random() < 0.2:
            self.say(producer, "submit", 503, message="The disk is full", **{**note, "nonce": f"refused{id}", "key": None})
        if key and self.rng.random() < 0.3:
            self.say(producer, "submit", None, **note)  # accepted, and the answer lost
        answered = self.by_client[producer] and self.by_client[producer][-1].get("nonce") == f"n{id}"
        self.line(id, "submitted", TENANT)
        self.say(producer, "submit", 200 if answered else 201, {"id": id, "status": "queued", "replayed": bool(answered)}, **note)
        if key:
            self.keys[key] = id
            self.say(producer, "submit_other", 409, key=key, nonce=key)
        self.jobs[id] = {"id": id, "status": "queued", "attempts": 0, "requeues": 0, "lease_token": None, "worker": None,
                         "workflow": workflow, "lease_expires_ms": 0, "params": json.dumps(params), "key": key, "provider": None,
                         "unique_key": unique}
        while self.jobs[id]["status"] not in ("completed", "failed", "cancelled"):
            self.turn(id, producer)
        self.say(producer, "get", 200, {"id": id, "status": self.jobs[id]["status"]}, id=id)

    def turn(self, id, producer):
        j = self.jobs[id]
        if self.rng.random() < 0.05:
            self.line(id, "cancelled", TENANT)
            j.update(status="cancelled")
            self.say(producer, "cancel", 200, {"id": id, "status": "cancelled"}, id=id)
            return
        token = self.lease(id)
        ways = [self.complete, self.complete, self.complete_and_die, self.twice, self.expire, self.requeue, self.retry, self.slow]
        if j["attempts"] > 2:
            ways = [self.complete, self.fail]
        self.rng.choice(ways)(id, token, j["worker"][len("field-"):])

    def lease(self, id):
        client = self.rng.choice(["w0", "w1", "w2", "w3"])
        if client not in self.registered:
            self.registered.add(client)
            self.audit.append({"worker": f"field-{client}", "what": "registered"})
            self.worker(client, "register", 200, {"worker_id": f"field-{client}"})
        j, token = self.jobs[id], f"token-{id}-{self.seq}"
        j.update(status="leased", attempts=j["attempts"] + 1, worker=f"field-{client}", lease_token=token)
        self.line(id, "leased", f"worker:field-{client}", f"attempt {j['attempts']} of 3")
        self.worker(client, "poll", 200, {"jobs": [{"dispatch_id": id, "lease_token": token, "attempt": j["attempts"],
                                                    "workflow": j["workflow"]}]})
        return token

    def end(self, id, token, client, op, status, answer=None):
        self.worker(client, op, status, answer, id=id, token=token)

    def finish(self, id, token, client):
        j = self.jobs[id]
        self.line(id, "completed", f"worker:field-{client}")
        j.update(status="completed", provider=token)
        if j["workflow"] == "test-copy":
            self.objects.append({"id": id, "status": 200, "body": token})

    def complete(self, id, token, client):
        self.finish(id, token, client)
        self.end(id, token, client, "complete", 200, {"job_id": id, "dispatch_id": id})

    def complete_and_die(self, id, token, client):
        """Heard, but never answered."""
        self.finish(id, token, client)
        self.end(id, token, client, "complete", None)

    def twice(self, id, token, client):
        self.complete(id, token, client)
        self.end(id, token, client, "complete", 200, {"job_id": id})
        self.end(id, token, client, "fail", 404)

    def slow(self, id, token, client):
        for _ in range(3):
            self.rest(TTL_S * 0.6)
            self.end(id, token, client, "heartbeat", 200, {"dispatch_id": id, "cancel": False})
        self.complete(id, token, client)

    def expire(self, id, token, client):
        self.rest(TTL_S * 1.2)
        self.line(id, "expired", "sweeper", "its worker did not answer")
        self.jobs[id].update(status="queued")
        if self.rng.random() < 0.5:
            self.end(id, token, client, "complete", 404)

    def requeue(self, id, token, client):
        j = self.jobs[id]
        self.line(id, "requeued", f"worker:field-{client}", "spot_interruption")
        j.update(status="queued", attempts=j["attempts"] - 1, requeues=j["requeues"] + 1)
        self.end(id, token, client, "requeue", 200)

    def retry(self, id, token, client):
        self.line(id, "retry", f"worker:field-{client}", "it broke")
        self.end(id, token, client, "fail", 200, {"dispatch_id": id, "status": "scheduled"})
        self.rest(0.2)
        self.line(id, "due", "sweeper")
        self.jobs[id].update(status="queued")

    def fail(self, id, token, client):
        self.line(id, "failed", f"worker:field-{client}", "it broke for good")
        self.jobs[id].update(status="failed")
        self.end(id, token, client, "fail", 200, {"dispatch_id": id, "status": "failed"})
