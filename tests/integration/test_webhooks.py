# SPDX-License-Identifier: Apache-2.0
"""A tenant's server is told of each job that ends: signed, at least once, and tried again until it took it."""
import base64
import hashlib
import hmac
import http.server
import json
import threading

import pytest

from client import FieldWorker, Http
from conftest import wait_until

SHORT = {"webhooks.retryBaseSeconds": "0.2", "webhooks.retryCapSeconds": "1", "webhooks.timeoutSeconds": "2", "scale.dryRun": "true"}
TOKENS = {"acme": "token-of-acme", "other": "token-of-other"}


class Receiver:
    """A tenant's server. `answers` are statuses for the first requests, then `then`; None: no answer at all."""

    def __init__(self, answers=(), then=204, headers=None):
        self.got, self.answers, self.then, self.release = [], list(answers), then, threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.answers.pop(0) if outer.answers else outer.then
                outer.got.append((dict((k.lower(), v) for k, v in self.headers.items()), body, status))
                if status is None:
                    outer.release.wait(30)
                    return
                self.send_response(status)
                for k, v in (headers or {}).items():
                    self.send_header(k, v)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        return [json.loads(body) for _, body, status in self.got if status and 200 <= status < 300]

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = []

    def make(*args, **kw):
        made.append(Receiver(*args, **kw))
        return made[-1]

    yield make
    for r in made:
        r.close()


def tenants(**urls):
    return {"tenants": json.dumps({name: {"token": token, **({"webhook": urls[name]} if name in urls else {})} for name, token in TOKENS.items()})}


def start(daemon, noop, urls, **settings):
    d = daemon(extra_plugins=[noop], settings={**SHORT, **tenants(**urls), **settings})
    d.acme, d.other = (Http(d.port, TOKENS[name]) for name in ("acme", "other"))
    d.worker = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert d.worker.register(fleet="bench-noop").status == 200
    return d


def run_one(d, tenant, end="complete"):
    id = tenant.submit("bench-noop", {"n": 1})["id"]
    job = d.worker.poll().data["job"]
    assert job["dispatch_id"] == id
    a = d.worker.complete(job) if end == "complete" else d.worker.fail(job, "no such model")
    assert a.status == 200, a
    return id


def key_of(d, tenant, version=1):
    """As docs/protocol.md derives it, with another library."""
    secret = (d.state / "webhook.secret").read_text().strip().encode()
    return hmac.new(secret, b"bpd webhook\0" + tenant.encode() + b"\0" + str(version).encode(), hashlib.sha256).digest()


def lines(d, tenant, id):
    return [e["detail"] for e in tenant.job(id)["timeline"] if e["what"] == "webhook"]


def test_a_completed_job_is_told_once_and_signed(daemon, noop, receiver):
    r = receiver()
    d = start(daemon, noop, {"acme": r.url})
    id = run_one(d, d.acme)
    headers, body, _ = wait_until("the receiver is told", lambda: r.got and r.got[0])
    message = json.loads(body)
    assert message["type"] == "job.completed" and message["data"]["id"] == id and message["data"]["status"] == "completed"
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key_of(d, "acme"), content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    wait_until("its line stands in the timeline", lambda: any("answered 204" in line for line in lines(d, d.acme, id)))
    assert len(r.got) == 1


def test_failed_and_cancelled_jobs_are_told_too(daemon, noop, receiver):
    r = receiver()
    d = start(daemon, noop, {"acme": r.url})
    failed = run_one(d, d.acme, "fail")
    cancelled = d.acme.submit("bench-noop", {"n": 2})["id"]
    assert d.acme.request("DELETE", f"/api/jobs/{cancelled}").status == 200
    told = wait_until("both are told", lambda: len(r.taken()) == 2 and {(m["type"], m["data"]["id"]) for m in r.taken()})
    assert told == {("job.failed", failed), ("job.cancelled", cancelled)}


def test_a_tenant_without_a_webhook_is_not_told_of(daemon, noop, receiver):
    r = receiver()
    d = start(daemon, noop, {"acme": r.url})
    run_one(d, d.other)
    id = run_one(d, d.acme)
    wait_until("the other's job is told", lambda: r.got)
    assert [m["data"]["id"] for m in r.taken()] == [id]


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(daemon, noop, receiver):
    r = receiver(answers=[500, 503, None])
    d = start(daemon, noop, {"acme": r.url})
    id = run_one(d, d.acme)
    wait_until("it was taken", r.taken, timeout=90)
    assert len({h["webhook-id"] for h, _, _ in r.got}) == 1 and len(r.got) == 4
    said = wait_until("the timeline tells all of it", lambda: len(lines(d, d.acme, id)) == 4 and lines(d, d.acme, id))
    assert "answered 500" in said[0] and "answered 503" in said[1] and "answered 204" in said[3], said


def test_a_receiver_that_is_gone_is_given_up_at_once(daemon, noop, receiver):
    r = receiver(then=410)
    d = start(daemon, noop, {"acme": r.url})
    id = run_one(d, d.acme)
    assert "given up" in wait_until("it is given up", lambda: lines(d, d.acme, id))[0]
    assert len(r.got) == 1


def test_tries_are_given_up_after_the_last(daemon, noop, receiver):
    r = receiver(then=400)
    d = start(daemon, noop, {"acme": r.url}, **{"webhooks.maxAttempts": "3"})
    id = run_one(d, d.acme)
    said = wait_until("it is given up", lambda: len(lines(d, d.acme, id)) == 3 and lines(d, d.acme, id), timeout=60)
    assert "again in" in said[0] and "given up" in said[2] and len(r.got) == 3


def test_a_redirect_is_not_followed(daemon, noop, receiver):
    elsewhere = receiver()
    r = receiver(answers=[307], headers={"Location": elsewhere.url})
    d = start(daemon, noop, {"acme": r.url})
    run_one(d, d.acme)
    wait_until("it was taken at the second try", r.taken, timeout=60)
    assert elsewhere.got == []


def test_what_was_not_told_before_kill_9_is_told_by_the_next_start(daemon, noop, receiver):
    r = receiver(answers=[None], then=204)
    d = start(daemon, noop, {"acme": r.url})
    id = run_one(d, d.acme)
    wait_until("a delivery is on its way", lambda: r.got)
    d.kill9()
    r.release.set()
    d.start()
    told = wait_until("it is told all the same", r.taken, timeout=90)
    assert told[0]["data"]["id"] == id


def test_one_tenants_dead_server_does_not_hold_up_another(daemon, noop, receiver):
    dead, alive = receiver(then=None), receiver()
    d = start(daemon, noop, {"acme": dead.url, "other": alive.url}, **{"webhooks.concurrency": "2"})
    for _ in range(6):
        run_one(d, d.acme)
    wait_until("the dead server hangs", lambda: dead.got)
    ids = {run_one(d, d.other) for _ in range(3)}
    wait_until("the other's are told", lambda: {m["data"]["id"] for m in alive.taken()} == ids, timeout=60)


def test_the_key_is_shown_to_operators_and_rotates_with_an_overlap(daemon, noop, receiver):
    r = receiver()
    d = start(daemon, noop, {"acme": r.url})
    run_one(d, d.acme)  # the tenant is known from here on
    shown = d.ctl("tenant", "webhook", "acme")
    assert shown["webhook"] == r.url and shown["key"] == "whsec_" + base64.b64encode(key_of(d, "acme")).decode() and shown["key_before"] is None
    rotated = d.ctl("tenant", "webhook", "acme", "--rotate")
    assert rotated["version"] == 2 and rotated["key_before"] == shown["key"] != rotated["key"]
    run_one(d, d.acme)
    headers, body, _ = wait_until("the second is told", lambda: len(r.got) == 2 and r.got[1])
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [base64.b64encode(hmac.new(key_of(d, "acme", v), content, hashlib.sha256).digest()).decode() for v in (2, 1)]
    assert headers["webhook-signature"] == " ".join(f"v1,{e}" for e in expected)
