# SPDX-License-Identifier: Apache-2.0
"""A plain HTTP client for the tests: no cleverness, every status comes back."""
import http.client
import json
from urllib.parse import urlsplit


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Http:
    def __init__(self, port, token=None, tls=None):
        """tls: an ssl.SSLContext for HTTPS."""
        self.port, self.token, self.tls = port, token, tls

    def connect(self, timeout=90):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=90, token=True, netloc=None):
        """netloc: another server than the daemon, an object store say."""
        c = http.client.HTTPConnection(netloc, timeout=timeout) if netloc else self.connect(timeout)
        h = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            h.setdefault("Content-Type", "application/json")
        if token and self.token and "Authorization" not in h:
            h["Authorization"] = f"Bearer {self.token}"
        try:
            c.request(method, path, body=body, headers=h)
            r = c.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            c.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body=body if body is not None else {}, **kw)

    def put_url(self, url, data, mime=None):
        u = urlsplit(url)
        return self.request("PUT", f"{u.path}?{u.query}", body=data, headers={"Content-Type": mime} if mime else {}, token=False,
                            netloc=self.foreign(u))

    def get_url(self, url, headers=None):
        u = urlsplit(url)
        return self.request("GET", f"{u.path}?{u.query}", token=False, headers=headers, netloc=self.foreign(u))

    def foreign(self, u):
        """Whose URL it is, when not this daemon's."""
        return u.netloc if u.port != self.port and not self.tls else None

    def submit(self, workflow, params=None, inputs=None, **more):
        body = {"workflow": workflow, "params": params or {}, **more}
        if inputs is not None:
            body["inputs"] = inputs
        a = self.post("/api/jobs", body)
        assert a.status in (200, 201), a
        return a.data

    def job(self, id):
        return self.get(f"/api/jobs/{id}").data

    def upload(self, data, name="in.bin", mime="application/octet-stream"):
        a = self.post("/api/uploads", {"name": name, "mime": mime})
        assert a.status in (200, 201), a
        put = self.put_url(a.data["upload_url"], data, mime)
        assert put.status in (200, 201, 204), put
        return {"key": a.data["key"], "mime": mime, "name": name}


class FieldWorker:
    """A worker as deployed in the field speaks it: the OLD variant registers with workflow_slugs, MAIN with fleet_slug."""

    def __init__(self, http, secret, worker_id):
        self.http, self.secret, self.id, self.token = Http(http.port, tls=http.tls), secret, worker_id, None

    def register(self, slugs=None, fleet=None, stage=None):
        body = {"worker_id": self.id, "display_name": self.id, "capabilities": None, "max_concurrency": 1}
        if slugs:
            body["workflow_slugs"] = slugs
        else:
            body["fleet_slug"] = fleet
            if stage:
                body["stage"] = stage
        a = self.http.post("/api/worker/register", body, headers={"X-Fleet-Secret": self.secret})
        if a.status < 400:
            self.id, self.token = a.data["worker_id"], a.data["token"]
        return a

    def call(self, what, body=None, **kw):
        return self.http.post(f"/api/worker/{what}", body, headers={"Authorization": f"Bearer {self.token}"}, **kw)

    def poll(self, **more):
        return self.call("poll", {"worker_id": self.id, "current_load": 0, "max_concurrency": 1, "capabilities": None,
                                  "providers": ["self_hosted"], **more})

    def lease_of(self, job):
        return {"dispatch_id": job["dispatch_id"], "lease_token": job["lease_token"], "worker_id": self.id}

    def heartbeat(self, job, **more):
        return self.call("heartbeat", {**self.lease_of(job), **more})

    def complete(self, job, size=0, mime="video/mp4"):
        return self.call("complete", {**self.lease_of(job), "provider_job_id": "stub-1", "output": {"size": size, "mime_type": mime}})

    def fail(self, job, message, **more):
        return self.call("fail", {**self.lease_of(job), "error_message": message, **more})

    def requeue(self, job, reason):
        return self.call("requeue", {"dispatch_id": job["dispatch_id"], "lease_token": job["lease_token"], "reason": reason})

    def deregister(self):
        return self.call("deregister", {})

    def run_one(self, payload=b"video"):
        """Poll, upload, complete: the stub worker's loop. Returns the leased job or None."""
        job = self.poll().data["job"]
        if not job:
            return None
        headers = {k: (v[0] if isinstance(v, list) else v) for k, v in dict(job["output_headers"] or {}).items()}
        put = self.http.put_url(job["output_url"], payload, headers.get("Content-Type"))
        assert put.status < 300, put
        done = self.complete(job, len(payload))
        assert done.status == 200, done
        return job
