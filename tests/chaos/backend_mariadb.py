# SPDX-License-Identifier: Apache-2.0
"""The queue in MariaDB: a server of its own that is killed and comes back, two controllers, connections that break.

What the checker reads comes from the server itself, as one JSON object per row, in files that stay with the round.
"""
import hashlib
import json
import pathlib

from mariadbd import Server
from proxy import CommitProxy

STATUS = {1: "scheduled", 2: "queued", 3: "leased", 4: "completed", 5: "failed", 6: "cancelled"}
DATABASE = "chaos"
# Requests of a batch may wait as long as the longest query before they happen, after later ones of the other controller.
BACK_MS = 30000

ROWS = {
    "jobs": """SELECT JSON_OBJECT('id', d.id, 'status', d.status + 0, 'attempts', d.attempts, 'max_attempts', d.max_attempts,
                 'requeues', d.requeues, 'lease_token', d.lease_token, 'worker', w.name, 'workflow', f.name, 'due_ms', d.due_ms,
                 'cancel_requested', d.cancel_requested, 'last_error', d.last_error, 'params', j.params, 'output', o.output,
                 'key', j.idempotency_key, 'provider', o.provider_job_id, 'unique_key', j.unique_key)
               FROM ai_job_dispatches d JOIN ai_jobs j ON j.id = d.id LEFT JOIN ai_job_outputs o ON o.job_id = d.id
               JOIN workflows f ON f.id = d.workflow_id
               LEFT JOIN worker_names w ON w.id = d.worker_id ORDER BY d.id""",
    "events": """SELECT JSON_OBJECT('seq', e.seq, 'job_id', e.job_id, 'at_ms', e.at_ms, 'what', w.word, 'who', e.who, 'detail', e.detail)
                 FROM job_events e LEFT JOIN job_event_words w ON w.id = e.what ORDER BY e.seq""",
    "counts": """SELECT JSON_OBJECT('workflow', f.name, 'scheduled', SUM(c.scheduled), 'queued', SUM(c.queued), 'leased', SUM(c.leased),
                   'completed', SUM(c.completed), 'failed', SUM(c.failed), 'cancelled', SUM(c.cancelled))
                 FROM dispatch_counters c JOIN workflows f ON f.id = c.owner_id WHERE c.owner = 1 GROUP BY f.name""",
    "keys": "SELECT JSON_OBJECT('hash', LOWER(HEX(key_hash)), 'id', dispatch_id) FROM idempotency_keys",
    "after": "SELECT JSON_OBJECT('job', job_id, 'after', after_id) FROM job_dependencies",
    "audit": "SELECT JSON_OBJECT('worker', worker, 'what', what) FROM worker_audit_logs ORDER BY id",
}
# Rows that refer to nothing, by their words.
ORPHANS = {
    "dispatches without a job": "SELECT COUNT(*) FROM ai_job_dispatches d LEFT JOIN ai_jobs j ON j.id = d.id WHERE j.id IS NULL",
    "outputs without a job": "SELECT COUNT(*) FROM ai_job_outputs o LEFT JOIN ai_jobs j ON j.id = o.job_id WHERE j.id IS NULL",
    "jobs without a dispatch": "SELECT COUNT(*) FROM ai_jobs j LEFT JOIN ai_job_dispatches d ON d.id = j.id WHERE d.id IS NULL",
    "lines without a dispatch": "SELECT COUNT(*) FROM job_events e LEFT JOIN ai_job_dispatches d ON d.id = e.job_id WHERE d.id IS NULL",
    "keys without a dispatch":
        "SELECT COUNT(*) FROM idempotency_keys k LEFT JOIN ai_job_dispatches d ON d.id = k.dispatch_id WHERE d.id IS NULL",
}


class Mariadb:
    plugin = "mariadb"
    faults = ("disk_full", "disk_full_kill", "disk_full_kill_server", "kill9_server", "stop_server", "cut_commit", "kill9_both",
              "start_without_server")
    controllers = 2

    def __init__(self, directory, build, seed, controllers=controllers, megabytes=200):
        self.server = Server(directory, build, megabytes)
        self.disk = self.server.disk
        self.proxies = [CommitProxy(self.server.socket, directory / f"db{n}.sock", f"{seed}/db{n}") for n in range(controllers)]

    def settings(self, number, socket=None):
        plugin = {"socket": str(socket or self.proxies[number].path), "user": "root", "database": DATABASE, "createDatabase": True, "autoMigrate": True}
        return {"plugin.mariadb": json.dumps(plugin)}

    def command(self, words):
        return words

    def start(self):
        self.server.start()

    def make_room(self):
        self.disk.free()
        self.server.revive()

    def copy_to(self, directory):
        self.server.revive()
        directory = pathlib.Path(directory)
        for name, query in ROWS.items():
            (directory / f"{name}.jsonl").write_bytes(self.server.query(query, DATABASE))
        orphans = {words: int(self.server.query(query, DATABASE)) for words, query in ORPHANS.items()}
        tables = self.server.query("SHOW TABLES", DATABASE).decode().split()
        checked = self.server.query("CHECK TABLE " + ", ".join(tables), DATABASE).decode().splitlines()
        damage = [f"{n} {words}" for words, n in orphans.items() if n] + [line for line in checked if not line.endswith("\tOK")]
        (directory / "damage.json").write_text(json.dumps(damage))

    def findings(self):
        return self.server.findings()

    def stop(self):
        for proxy in self.proxies:
            proxy.stop()
        self.server.stop()

    @staticmethod
    def read(directory):
        rows = {name: [json.loads(line) for line in open(pathlib.Path(directory) / f"{name}.jsonl", encoding="utf-8")] for name in ROWS}
        jobs = {r["id"]: {**r, "status": STATUS[r["status"]], "lease_expires_ms": 0} for r in rows["jobs"]}
        events = {id: [] for id in jobs}
        for e in rows["events"]:
            events.setdefault(e["job_id"], []).append(e)
        keys = {r["hash"]: r["id"] for r in rows["keys"]}
        return {"jobs": jobs, "events": events, "counts": {r.pop("workflow"): r for r in rows["counts"]},
                "keys": {j["key"]: keys.get(hashlib.sha256(j["key"].encode()).hexdigest()) for j in rows["jobs"] if j["key"]},
                "audit": rows["audit"], "after": [(r["job"], r["after"]) for r in rows["after"]],
                "damage": json.loads((pathlib.Path(directory) / "damage.json").read_text()), "back_ms": BACK_MS}
