#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checker: reads what the clients wrote down and what is in the database, and says which promise was broken.

It shares no code with bpd and none with the clients but the reading of their files, and asks no bpd: the rows come from the
database itself. `check.py DIRECTORY` checks a round that was kept.
"""
import collections
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from backends import BACKENDS  # noqa: E402
import history  # noqa: E402
from timeline import FINAL, why_impossible  # noqa: E402
from controller import TTL_S  # noqa: E402

ENDINGS = ("complete", "fail", "requeue")
MAYBE = (200, None)  # accepted, or perhaps
EXPECTED = {
    "submit": {200, 201, 503}, "submit_other": {409, 503}, "get": {200, 503}, "cancel": {200, 409, 503}, "retry": {200, 409, 503},
    "register": {200, 503}, "poll": {200, 401, 503}, "heartbeat": {200, 401, 404, 503}, "progress": {200, 401, 404, 503},
    "complete": {200, 401, 404, 422, 503}, "fail": {200, 401, 404, 503}, "requeue": {200, 401, 404, 503},
    "deregister": {200, 401, 503}, "upload": {200, 201, 503}, "put": {200, 201, 204, 403, 404, 503, 507},
}


class Checker:
    """by_client: the records of each client; rows: what backend.read() says; faults: the fault log; objects: what the outputs
    read."""

    def __init__(self, by_client, rows, faults=(), objects=()):
        self.by_client = by_client
        self.records = sorted((r for rs in self.by_client.values() for r in rs), key=lambda r: r["t0"])
        self.jobs, self.events, self.counts, self.keys = rows["jobs"], rows["events"], rows["counts"], rows["keys"]
        self.after = collections.defaultdict(set)
        for job, after in rows["after"]:
            self.after[job].add(after)
        self.audit, self.shared = rows["audit"], rows["back_ms"] > 0
        self.objects = objects
        # While a controller's clock was wrong, leases may end early. Lines of a timeline are stamped when their request
        # arrived, so that their times may go back by as much, and by what a store lets requests of several controllers wait.
        self.wrong_clock = [(f["t0"], f["t1"]) for f in faults if f.get("kind") == "clock"]
        self.epoch_ms = next((f["ms"] for f in faults if f.get("kind") == "epoch"), None)
        jumps = [0] + [f["ms"] for f in faults if f.get("kind") == "clock"]
        self.back_ms = rows["back_ms"] + max(jumps) - min(jumps)
        self.wrong = [f"the database is damaged: {text}" for text in rows["damage"]]
        self.about = collections.defaultdict(list)  # job -> records
        self.leases = {}  # token -> the record of its poll
        self.by_token = collections.defaultdict(list)
        self._index()
        self.heard = collections.Counter((o["id"], o["worker"]) for o in self.leases.values())
        self.lost = {token for token, lease in self.leases.items() if self._never_accepted(token, lease)}

    def _index(self):
        for r in self.records:
            # A poll, or the end of another job that took these along.
            poll = {**{k: v for k, v in r.items() if k not in ("id", "token")}, "op": "poll"}
            for lease in (r.get("answer") or {}).get("jobs", []):
                token = lease["lease_token"]
                if token in self.leases:
                    self.blame(lease["dispatch_id"], f"the lease {token} was given twice")
                self.leases[token] = {**poll, "id": lease["dispatch_id"], "attempt": lease["attempt"], "nonce": lease.get("nonce")}
                self.about[lease["dispatch_id"]].append(poll)
            if "id" in r:
                self.about[r["id"]].append(r)
            elif r["op"] == "submit" and r["status"] in (200, 201):
                self.about[r["answer"]["id"]].append(r)
            if "token" in r:
                self.by_token[r["token"]].append(r)

    def _never_accepted(self, token, lease):
        """A worker that waits may hear of a job before its submit is committed. Should that be lost, so is the lease: the store
        never knew it, nothing said about it was accepted, and whoever was told that the job is accepted asked for it later, when
        its number was given anew."""
        id, worker = lease["id"], "worker:" + lease["worker"]
        known = sum(e["what"] == "leased" and e["who"] == worker for e in self.events.get(id, []))
        accepted = any(r["status"] == 200 for r in self.by_token.get(token, []))
        if self.heard[id, lease["worker"]] <= known or lease["attempt"] > 1 or accepted:
            return False
        asked = [r for r in self.records if r["op"] == "submit" and lease["nonce"] in (None, r["nonce"])]
        told = [r for r in asked if r["status"] in (200, 201) and r["answer"]["id"] == id]
        new = [r for r in told if r["status"] == 201]
        # When all of them repeat one whose answer was lost, it may have been any of those.
        first = new or [r for r in asked if r["status"] is None and r["nonce"] in {t["nonce"] for t in told}]
        return not told or any(r["t0"] >= lease["t1"] for r in first)

    def blame(self, id, text):
        job = self.jobs.get(id)
        lines = [f"job {id}: {text}"]
        if job:
            lines.append("  row: " + json.dumps({k: v for k, v in job.items() if v not in (None, 0, "")}))
        lines += [f"  timeline: {e['at_ms']} {e['what']} by {e['who']}: {e['detail']}" for e in self.events.get(id, [])]
        for r in sorted(self.about.get(id, []), key=lambda r: r["t0"])[-40:]:
            lines.append(f"  history: {r['t0']:.3f}-{r['t1']:.3f} {r['client']} {r['op']} {r.get('token', '')} -> "
                         f"{r['status']} {r.get('message') or r.get('error', '')} {json.dumps(r.get('answer'))[:300]}")
        self.wrong.append("\n".join(lines))

    # ---- answers ----

    def answers(self):
        """No answer is one that no client should ever see."""
        for r in self.records:
            # On `after`: one of those jobs can not be waited for any more.
            allowed = EXPECTED[r["op"]] | ({422} if r.get("after") else set())
            if r["status"] is not None and r["status"] not in allowed:
                self.wrong.append(f"{r['client']} was answered {r['status']} to {r['op']}: {json.dumps(r)[:600]}")

    def authorized(self):
        """A worker's token works until that worker registers again or says goodbye."""
        for client, records in self.by_client.items():
            if "twin" in client:
                continue
            own = [r for r in records if "worker" in r]
            for r in (r for r in own if r["status"] == 401):
                since = [o for o in own if o["op"] in ("register", "deregister") and o["t0"] < r["t1"] and o is not r]
                last_good = max((o["t1"] for o in since if o["op"] == "register" and o["status"] == 200), default=0)
                if not any(o["t0"] > last_good for o in since):
                    self.wrong.append(f"{client}: its token stopped working by itself: {json.dumps(r)}")

    # ---- submits ----

    def submits(self):
        for id in (id for id, j in self.jobs.items() if not j["params"]):
            self.wrong.append(f"job {id} lost the params it was submitted with")
        rows_of_nonce = collections.Counter(json.loads(j["params"] or "{}").get("nonce") for j in self.jobs.values())
        rows_of_key = collections.Counter(j["key"] for j in self.jobs.values() if j["key"])
        for key, n in rows_of_key.items():
            if n > 1:
                self.wrong.append(f"the key {key} made {n} jobs: {[i for i, j in self.jobs.items() if j['key'] == key]}")
        asked = collections.defaultdict(list)
        for r in (r for r in self.records if r["op"] == "submit"):
            asked[r["nonce"]].append(r)
        for nonce, records in asked.items():
            self._submit(nonce, records, rows_of_nonce[nonce])
        for id, job in self.jobs.items():
            if (job["key"] or json.loads(job["params"] or "{}").get("nonce")) not in asked:
                self.blame(id, "nobody submitted it")

    def _submit(self, nonce, records, rows):
        ids = {r["answer"]["id"] for r in records if r["status"] in (200, 201) and not r["answer"].get("duplicate")}
        key = records[0]["key"]
        if len(ids) > 1:
            self.wrong.append(f"the submit {nonce} was accepted as several jobs: {sorted(ids)}")
        if sum(r["status"] == 201 for r in records) > 1:
            self.wrong.append(f"the submit {nonce} was new more than once")
        for id in ids:
            job = self.jobs.get(id)
            if not job:
                self.blame(id, f"the submit {nonce} was accepted, but the job is gone")
            elif (key and job["key"] != key) or job["workflow"] != records[0]["workflow"]:
                self.blame(id, f"the submit {nonce} was answered with a job that is another's")
            elif key and self.keys.get(key) != id:
                self.blame(id, f"its idempotency key {key} leads to {self.keys.get(key)}")
        for id in ids & set(self.jobs):
            if set(records[0].get("after") or []) != self.after[id]:
                self.blame(id, f"the submit {nonce} waits for {records[0]['after']}, the job for {sorted(self.after[id])}")
        for r in records:
            if r["status"] == 200 and r["answer"].get("duplicate") and self.jobs.get(r["answer"]["id"], {}).get("unique_key") != r["unique"]:
                self.blame(r["answer"]["id"], f"the submit {nonce} was answered with this job, which has another unique key")
        sure_refused = all(r["status"] == 503 and "unknown" not in (r["message"] or "") for r in records)
        if sure_refused and rows:
            self.wrong.append(f"the submit {nonce} was refused with 503, but there are {rows} jobs")
        if rows > 1:
            self.wrong.append(f"the submit {nonce} made {rows} jobs")

    # ---- leases ----

    def accepted(self, token, op):
        return [r for r in self.by_token[token] if r["op"] == op and r["status"] == 200]

    def endings(self):
        """A lease ends once; what was accepted as its end is what is stored."""
        for token, records in self.by_token.items():
            id = records[0]["id"]
            ends = [op for op in ENDINGS if self.accepted(token, op)]
            if len(ends) > 1:
                self.blame(id, f"the lease {token} ended by {' and by '.join(ends)}")
            if "complete" in ends:
                self._completed(id, token)
        for id, job in self.jobs.items():
            self._others(id, job)

    def _completed(self, id, token):
        job = self.jobs.get(id)
        worker = self.leases[token]["worker"] if token in self.leases else None
        if not job or job["status"] != "completed":
            self.blame(id, f"the completion of {token} was accepted, but the job is not completed")
        elif job["lease_token"] != token or (worker and job["worker"] != worker):
            self.blame(id, f"the completion of {token} was accepted, but the output is that of {job['lease_token']}")
        elif job["provider"] != token:
            self.blame(id, f"the completion of {token} was accepted, but what was stored came with {job['provider']}")

    def _others(self, id, job):
        """Accepted failures and requeues are lines of the timeline, each lease its own."""
        lines = collections.Counter((e["what"], e["who"]) for e in self.events[id])
        seen = collections.Counter()
        for token in {r["token"] for r in self.about[id] if "token" in r}:
            worker = "worker:" + self.by_token[token][0]["worker"]
            seen["fail", worker] += bool(self.accepted(token, "fail"))
            seen["requeue", worker] += bool(self.accepted(token, "requeue"))
        for (op, worker), n in seen.items():
            words = ("requeued",) if op == "requeue" else ("retry", "failed", "cancelled")
            if sum(lines[w, worker] for w in words) < n:
                self.blame(id, f"{n} {op} of {worker} were accepted, the timeline has fewer")

    def live(self, token, lease):
        """From when until when the lease was certainly alive: it was answered, and later something about it was accepted.
        Of an ending said several times only the first counts: it may have been heard. Progress may be answered from a
        controller's memory, where another one's doings are not known."""
        until = lease["t1"]
        for op in ("heartbeat",) if self.shared else ("heartbeat", "progress"):
            until = max([until] + [r["t0"] for r in self.accepted(token, op)])
        for op in ENDINGS:
            if self.accepted(token, op):
                until = max(until, min(r["t0"] for r in self.by_token[token] if r["op"] == op))
        return lease["t1"], until

    def overlaps(self):
        """No two leases of one job at once; after its completion was accepted nobody gets the job again."""
        of_job = collections.defaultdict(list)
        for token, lease in ((t, o) for t, o in self.leases.items() if t not in self.lost):
            of_job[lease["id"]].append((*self.live(token, lease), token, lease["t0"]))
        for id, spans in of_job.items():
            spans.sort()
            certain = [s for s in spans if s[1] > s[0] or s[0] - s[3] < TTL_S]  # else it may have run out before it was heard of
            for a, b in zip(certain, certain[1:]):
                if b[0] < a[1]:
                    self.blame(id, f"the leases {a[2]} and {b[2]} were alive at once")
            done = [r["t1"] for r in self.about[id] if r["op"] == "complete" and r["status"] == 200]
            for span in spans:
                if done and span[3] > min(done):
                    self.blame(id, f"it was leased as {span[2]} after its completion had been accepted")
            granted = sum(e["what"] == "leased" for e in self.events.get(id, []))
            if id not in self.jobs or granted < len(spans):
                self.blame(id, f"{len(spans)} leases were given, the timeline knows {granted}")

    def refusals(self):
        """A lease that can not have run out, and that nobody ended, is not refused."""
        for token, lease in ((t, o) for t, o in self.leases.items() if t not in self.lost):
            records = sorted(self.by_token[token], key=lambda r: r["t0"])
            known = lease["t0"]
            for r in records:
                if r["status"] == 404 and r["t1"] - known < TTL_S and not self._let_go(lease, r) and self._clocks_right(lease, r):
                    self.blame(lease["id"], f"the lease {token} was refused to {r['client']} while it was alive")
                if r["op"] in ENDINGS or r["status"] == 404:
                    break
                if r["status"] == 200:
                    known = r["t0"] - (TTL_S / 2 if r["op"] == "progress" else 0)  # not all progress is stored

    def _let_go(self, lease, r):
        """Did its worker register again, say goodbye or send another last word in the meantime?"""
        same_worker = [o for name in self.by_client for o in self.by_client[name]
                       if name.split("-twin")[0] == lease["client"] and lease["t0"] < o["t0"] < r["t1"]]
        return any(o["op"] in ("register", "deregister") for o in same_worker) or any(
            o is not r and o.get("token") == r["token"] and o["op"] in ENDINGS for o in same_worker)

    def _clocks_right(self, lease, r):
        """No clock was wrong while the lease lived, and it was not ended by a sweep that came from the future: one that was
        asked for while the clock was wrong, and done later."""
        now_ms = self.epoch_ms + r["t1"] * 1000 if self.epoch_ms else float("inf")
        ahead = any(e["what"] == "expired" and e["at_ms"] > now_ms + 1 for e in self.events.get(lease["id"], []))
        return not ahead and not any(lease["t0"] < to and r["t1"] > since for since, to in self.wrong_clock)

    def repeats(self):
        """What was accepted as completed is accepted again, whoever says it how often."""
        for token, records in self.by_token.items():
            done = min((r["t1"] for r in self.accepted(token, "complete")), default=None)
            for r in records:
                if done and r["op"] == "complete" and r["t0"] > done and r["status"] == 404:
                    self.blame(r["id"], f"the completion of {token} was accepted, and its repetition refused")

    # ---- what was seen ----

    def sightings(self):
        """What was seen as completed stays so; what is finished is shown as finished to whoever asks later."""
        for id, records in self.about.items():
            gets = [r for r in records if r["op"] == "get" and r["status"] == 200]
            done = min((r["t1"] for r in gets if r["answer"]["status"] == "completed"), default=None)
            ack = min((r["t1"] for r in records if r["op"] == "complete" and r["status"] == 200), default=None)
            first = min((t for t in (done, ack) if t is not None), default=None)
            if first is None:
                continue
            if self.jobs.get(id, {}).get("status") != "completed":
                self.blame(id, "it was seen completed and is no longer")
            for r in gets:
                if r["t0"] > first and r["answer"]["status"] != "completed":
                    self.blame(id, f"it was completed, then it was shown as {r['answer']['status']}")

    def outcomes(self):
        """A failure or a cancel that was answered as final is the outcome, unless somebody may have retried the job since."""
        for id, records in self.about.items():
            for r in records:
                told = (r.get("answer") or {}).get("status") if r["op"] in ("fail", "cancel") and r["status"] == 200 else None
                if told not in FINAL or id not in self.jobs or self.jobs[id]["status"] == told:
                    continue
                if not any(o["op"] == "retry" and o["status"] in (*MAYBE, 503) and o["t1"] > r["t0"] for o in records):
                    self.blame(id, f"it was answered as {told} to {r['client']} and is {self.jobs[id]['status']}")

    # ---- rows and timelines ----

    def timelines(self):
        for id, job in self.jobs.items():
            text = why_impossible(job, self.events[id], self.back_ms)
            if text:
                self.blame(id, text)
            if job["status"] not in FINAL:
                self.blame(id, f"it is still {job['status']}")
            elif job["lease_expires_ms"]:
                self.blame(id, "it is finished and has a lease that expires")

    def waits(self):
        """A job is leased only when all it waits for have completed; of a unique key one job at most is pending."""
        done = {id: e["seq"] for id, lines in self.events.items() for e in lines if e["what"] == "completed"}
        for id, after in self.after.items():
            first = next((e["seq"] for e in self.events.get(id, []) if e["what"] == "leased"), None)
            for other in after if first else ():
                if done.get(other, first) >= first:
                    self.blame(id, f"it was leased before {other}, for which it waits, had completed")
        unique = [(id, e) for id, lines in self.events.items() if self.jobs.get(id, {}).get("unique_key") for e in lines]
        pending = {}
        for id, e in sorted(unique, key=lambda line: line[1]["seq"]):
            key, by_hand = self.jobs[id]["unique_key"], e["what"] == "retry" and (e["detail"] or "").startswith("by hand")
            if (e["what"] == "submitted" or by_hand) and pending.setdefault(key, id) != id:
                self.blame(id, f"its unique key {key} was that of {pending[key]}, which was pending")
            if e["what"] in FINAL:
                pending.pop(key, None)

    def audits(self):
        """Who came and went: each accepted registration and goodbye is a line, and there are no more lines than requests."""
        for client, records in self.by_client.items():
            ids = {r["worker"] for r in records if "worker" in r}
            if "twin" in client or len(ids) != 1:
                continue
            lines = collections.Counter(a["what"] for a in self.audit if a["worker"] in ids)
            for op, words in (("register", ("registered", "registered again")), ("deregister", ("removed",))):
                kept = sum(lines[w] for w in words)
                sure = sum(r["status"] == 200 for r in records if r["op"] == op)
                most = sum(r["status"] in (200, 503, None) for r in records if r["op"] == op)
                if not sure <= kept <= most:
                    self.wrong.append(f"{client}: the audit has {kept} times '{words[0]}'; {sure} of {most} were accepted")

    def counters(self):
        """The counts kept beside the rows are the rows counted."""
        real = collections.defaultdict(collections.Counter)
        for job in self.jobs.values():
            real[job["workflow"]][job["status"]] += 1
        for workflow, kept in self.counts.items():
            for status, n in kept.items():
                if real[workflow][status] != n:
                    self.wrong.append(f"{workflow} is said to have {n} {status} jobs; it has {real[workflow][status]}")

    def outputs(self):
        """A completed copy's object is the winner's: its lease token, or what a fleet's worker copied."""
        for o in self.objects:
            job = self.jobs.get(o["id"])
            by_field = job and job["worker"].startswith("field-")
            good = job and (o["body"] == job["lease_token"] if by_field else o["body"].startswith("input of "))
            if o["status"] != 200 or not good:
                self.blame(o["id"], f"its output reads {o}")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def load(directory, backend):
    directory = pathlib.Path(directory)
    return Checker(history.read(directory / "history"), backend.read(directory), lines(directory / "faults.jsonl"),
                   lines(directory / "outputs.jsonl"))


def run(c):
    """What is wrong, as texts; empty when every promise held."""
    for step in (c.answers, c.authorized, c.submits, c.endings, c.overlaps, c.refusals, c.repeats, c.sightings, c.outcomes,
                 c.timelines, c.waits, c.audits, c.counters, c.outputs):
        step()
    return c.wrong


def check(directory, backend):
    return run(load(directory, backend))


def summary(directory, backend):
    c = load(directory, backend)
    how = collections.Counter(j["status"] for j in c.jobs.values())
    real = sum(1 for j in c.jobs.values() if j["worker"] and not j["worker"].startswith("field-"))
    lost = sum(r["status"] is None for r in c.records)
    return (f"{len(c.jobs)} jobs ({', '.join(f'{n} {s}' for s, n in sorted(how.items()))}; {real} by fleet workers), "
            f"{len(c.records)} requests, {lost} without an answer, {len(c.leases)} leases"
            + (f", {len(c.lost)} of jobs that were lost before they were accepted" if c.lost else ""))


if __name__ == "__main__":
    chosen = BACKENDS[sys.argv[2] if len(sys.argv) > 2 else "sqlite"]
    found = check(sys.argv[1], chosen)
    print("\n\n".join(found) or summary(sys.argv[1], chosen))
    sys.exit(1 if found else 0)
