# SPDX-License-Identifier: Apache-2.0
"""What each client asked, what it was answered, and when: one file per client, one JSON object per line."""
import http.client
import json
import pathlib
import random
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


def jobs_of(data):
    """The jobs that a poll was given."""
    return (data or {}).get("jobs") or ([data["job"]] if (data or {}).get("job") else [])


class Caller:
    """Asks over HTTP and writes down each question with its answer. status None: no whole answer came. With several ports
    each question may go to another one, as behind a load balancer, and goes on to the next after one without an answer."""

    def __init__(self, ports, history):
        self.ports, self.history = ports, history
        self.connections = {}
        self.rng = random.Random(history.client)
        self.port = self.rng.choice(ports)

    def call(self, op, method, path, body=None, headers=None, timeout=10, **note):
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            headers["Content-Type"] = "application/json"
        record = {"client": self.history.client, "op": op, "t0": time.monotonic(), **note}
        status, answer = self._ask(method, path, data, headers, timeout, record)
        if status is None or self.rng.random() < 0.2:
            self.port = self.rng.choice(self.ports)
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
        jobs = jobs_of(data if op == "poll" else (data.get("poll") or {}).get("data"))
        kept = {"jobs": [{k: j[k] for k in ("dispatch_id", "lease_token", "attempt", "workflow")} |
                         {"nonce": j["input_payload"]["params"].get("nonce")} for j in jobs]} if jobs else {}
        return kept | {k: data[k] for k in ("id", "status", "replayed", "duplicate", "job_id", "dispatch_id", "cancel", "worker_id", "output", "attempts")
                if k in data}

    def _ask(self, method, path, data, headers, timeout, record):
        try:
            connection = self._connection(timeout)
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.will_close:
                self._drop()
            if record["op"] == "put":
                return response.status, None
            return response.status, json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as e:  # ValueError: cut in its head, which http.client overlooks
            record["error"] = repr(e)[:120]
            self._drop()
            return None, None

    def _connection(self, timeout):
        connection = self.connections.setdefault(self.port, http.client.HTTPConnection("127.0.0.1", self.port))
        connection.timeout = timeout
        if connection.sock:
            connection.sock.settimeout(timeout)
        return connection

    def _drop(self):
        connection = self.connections.pop(self.port, None)
        if connection:
            connection.close()

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}
