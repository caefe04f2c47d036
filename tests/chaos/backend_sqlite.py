# SPDX-License-Identifier: Apache-2.0
"""The embedded queue: one bpd, the database on a disk that can be full, read as a file."""
import pathlib
import shutil
import sqlite3

from disk import Disk

STATUS = {1: "scheduled", 2: "queued", 3: "leased", 4: "completed", 5: "failed", 6: "cancelled"}


class Sqlite:
    plugin = "sqlite"
    faults = ("disk_full", "disk_full_kill")
    # A second bpd finds the state directory locked, and the database is one's own.
    controllers = 1

    def __init__(self, directory, build, seed):
        self.disk = Disk(pathlib.Path(directory) / "queue", 128)

    def settings(self, number):
        return {"plugin.sqlite.path": str(self.disk.dir / "queue.db")}

    def command(self, words):
        return self.disk.command(words)

    def start(self):
        pass

    def make_room(self):
        self.disk.free()

    def copy_to(self, directory):
        """Brings the database out, for the checker and for whoever looks at it afterwards."""
        for f in self.disk.inside.glob("queue.db*"):
            shutil.copyfile(f, pathlib.Path(directory) / f.name)

    def findings(self):
        return []

    def stop(self):
        self.disk.stop()

    @classmethod
    def read(cls, directory):
        """The rows of a copied database in the checker's own terms."""
        db = sqlite3.connect(pathlib.Path(directory) / "queue.db")
        db.row_factory = sqlite3.Row
        jobs = {r["id"]: {**dict(r), "status": STATUS[r["status"]]} for r in db.execute(
            """SELECT d.*, j.params, j.output, j.idempotency_key AS key, j.provider_job_id AS provider, j.unique_key, w.name AS worker,
                      f.name AS workflow FROM ai_job_dispatches d JOIN ai_jobs j USING (id)
               JOIN workflows f ON f.id = d.workflow_id LEFT JOIN worker_names w ON w.id = d.worker_id""")}
        damage = [r[0] for r in db.execute("PRAGMA integrity_check") if r[0] != "ok"]
        damage += [f"a row of {r[0]} refers to a missing one of {r[2]}" for r in db.execute("PRAGMA foreign_key_check")]
        for table in ("ai_jobs", "job_events", "idempotency_keys"):
            column = {"ai_jobs": "id", "job_events": "job_id", "idempotency_keys": "dispatch_id"}[table]
            n = db.execute(f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM ai_job_dispatches)").fetchone()[0]
            damage += [f"{n} rows of {table} without a dispatch"] if n else []
        events, wrong = cls._timelines(db, jobs)
        counts = {r["name"]: {s: r[s] for s in STATUS.values()} for r in db.execute("SELECT * FROM workflows")}
        keys = {r["key"]: r["dispatch_id"] for r in db.execute("SELECT key, dispatch_id FROM idempotency_keys")}
        audit = [dict(r) for r in db.execute("SELECT worker, what FROM worker_audit_logs ORDER BY id")]
        after = [tuple(r) for r in db.execute("SELECT job_id, after_id FROM job_dependencies")]
        db.close()
        return {"jobs": jobs, "events": events, "counts": counts, "keys": keys, "audit": audit, "after": after, "damage": damage + wrong, "back_ms": 0}

    @staticmethod
    def _timelines(db, jobs):
        words = dict(db.execute("SELECT id, word FROM job_event_words"))
        events, wrong = {id: [] for id in jobs}, []
        previous = {}
        for r in db.execute("SELECT * FROM job_events ORDER BY seq"):
            if r["previous"] != previous.get(r["job_id"], 0):
                wrong.append(f"line {r['seq']} of job {r['job_id']} follows {r['previous']}, not {previous.get(r['job_id'], 0)}")
            previous[r["job_id"]] = r["seq"]
            events.setdefault(r["job_id"], []).append(
                {"seq": r["seq"], "at_ms": r["at_ms"], "what": words[r["what"]], "who": r["who"], "detail": r["detail"]})
        wrong += [f"job {id} ends its timeline at {j['last_event']}, not {previous.get(id)}"
                  for id, j in jobs.items() if j["last_event"] != previous.get(id)]
        return events, wrong

