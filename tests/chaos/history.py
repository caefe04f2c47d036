# SPDX-License-Identifier: Apache-2.0
"""What each client asked, what it was answered, and when: one file per client, one JSON object per line."""
import http.client
import json
import pathlib
import time


class History:
    """A file of its own for each client. Times are of the monotonic clock, seconds; one machine, so they compare."""

    def __init__(self, directory, client):
        self.client = client
        self.file = open(pathlib.Path(directory) / f"{client}.jsonl", "w", buffering=1)

    def write(self, record):
        self.file.write(json.dumps(record, separators=(",", ":")) + "\n")

    def close(self):
        self.file.close()


def read(directory):
    """All records of all clients, as {client: [record]}; a client that was cut off has no half lines, it has none."""
    return {p.stem: [json.loads(line) for line in p.read_text().splitlines()] for p in sorted(pathlib.Path(directory).glob("*.jsonl"))}


class Caller:
    """Asks over HTTP and writes down each question with its answer. status None: no whole answer came."""

    def __init__(self, port, history):
        self.port, self.history, self.connection = port, history, None

    def call(self, op, method, path, body=None, headers=None, timeout=10, **note):
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            headers["Content-Type"] = "application/json"
        record = {"client": self.history.client, "op": op, "t0": time.monotonic(), **note}
        status, answer = self._ask(method, path, data, headers, timeout, record)
        record.update(t1=time.monotonic(), status=status)
        if isinstance(answer, dict):
            record["message"] = answer.get("message")
            record["answer"] = self._keep(op, answer)
        self.history.write(record)
        return status, answer if isinstance(answer, dict) else {}, record

    @staticmethod
    def _keep(op, answer):
        """What the checker reads; the rest of a job is in the database."""
        data = answer.get("data")
        if not isinstance(data, dict):
            return None
        if op == "poll":
            jobs = data.get("jobs") or ([data["job"]] if data.get("job") else [])
            return {"jobs": [{k: j[k] for k in ("dispatch_id", "lease_token", "attempt", "workflow")} for j in jobs]}
        return {k: data[k] for k in ("id", "status", "replayed", "job_id", "dispatch_id", "cancel", "worker_id", "output", "attempts")
                if k in data}

    def _ask(self, method, path, data, headers, timeout, record):
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
            self.connection.timeout = timeout
            if self.connection.sock:
                self.connection.sock.settimeout(timeout)
            self.connection.request(method, path, body=data, headers=headers)
            response = self.connection.getresponse()
            body = response.read()
            if response.will_close:
                self.close()
            if record["op"] == "put":
                return response.status, None
            return response.status, json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as e:  # ValueError: cut in its head, which http.client overlooks
            record["error"] = repr(e)[:120]
            self.close()
            return None, None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None
