# SPDX-License-Identifier: Apache-2.0
"""What is different from queue to queue: its plugin and settings, the faults only it has, and how the checker reads it.

Another queue is another class with the same members, and a line in BACKENDS.
"""
import os
import pathlib
import shutil
import sqlite3
import subprocess

UNSHARE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def can_mount():
    return subprocess.run(UNSHARE + ["mount -t tmpfs none /tmp"], capture_output=True).returncode == 0


class Sqlite:
    """The embedded queue, on a small file system of its own where this machine allows one."""

    plugin = "sqlite"
    STATUS = {1: "scheduled", 2: "queued", 3: "leased", 4: "completed", 5: "failed", 6: "cancelled"}

    def __init__(self, directory):
        self.dir = pathlib.Path(directory) / "queue"
        self.dir.mkdir(mode=0o700)
        self.keeper, self.inside = None, self.dir
        if can_mount():
            self._mount()

    def _mount(self):
        # The keeper holds the mount namespace, so that the file system outlives every bpd.
        script = f"mount -t tmpfs -o size=128m,mode=700 none {self.dir} && echo mounted && exec sleep 100000"
        self.keeper = subprocess.Popen(UNSHARE + [script], stdout=subprocess.PIPE, start_new_session=True)
        assert self.keeper.stdout.readline() == b"mounted\n"
        self.inside = pathlib.Path(f"/proc/{self.keeper.pid}/root{self.dir}")

    def settings(self):
        return {"plugin.sqlite.path": str(self.dir / "queue.db")}

    def faults(self):
        return ["disk_full", "disk_full_kill"] if self.keeper else []

    def command(self, words):
        """The command line with which bpd sees the queue's file system."""
        if not self.keeper:
            return words
        return ["nsenter", "-t", str(self.keeper.pid), "-U", "-m", "--preserve-credentials", *words]

    def fill_disk(self):
        with open(self.inside / "fill", "ab") as f:
            try:
                free = os.statvfs(self.inside)
                os.posix_fallocate(f.fileno(), 0, max(1, free.f_bavail * free.f_frsize - (1 << 16)))
            except OSError:
                pass
            try:
                while os.write(f.fileno(), b"x" * 4096):
                    pass
            except OSError:
                pass

    def free_disk(self):
        (self.inside / "fill").unlink(missing_ok=True)

    def copy_to(self, directory):
        """Brings the database out, for the checker and for whoever looks at it afterwards."""
        for f in self.inside.glob("queue.db*"):
            shutil.copyfile(f, pathlib.Path(directory) / f.name)

    def stop(self):
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait()

    @classmethod
    def read(cls, directory):
        """The rows of a copied database in the checker's own terms: jobs, events by job in order, counts, damage."""
        db = sqlite3.connect(pathlib.Path(directory) / "queue.db")
        db.row_factory = sqlite3.Row
        jobs = {r["id"]: {**dict(r), "status": cls.STATUS[r["status"]]} for r in db.execute(
            """SELECT d.*, j.params, j.output, j.idempotency_key AS key, j.provider_job_id AS provider, w.name AS worker,
                      f.name AS workflow FROM ai_job_dispatches d JOIN ai_jobs j USING (id)
               JOIN workflows f ON f.id = d.workflow_id LEFT JOIN worker_names w ON w.id = d.worker_id""")}
        damage = [r[0] for r in db.execute("PRAGMA integrity_check") if r[0] != "ok"]
        damage += [f"a row of {r[0]} refers to a missing one of {r[2]}" for r in db.execute("PRAGMA foreign_key_check")]
        for table in ("ai_jobs", "job_events", "idempotency_keys"):
            column = {"ai_jobs": "id", "job_events": "job_id", "idempotency_keys": "dispatch_id"}[table]
            n = db.execute(f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM ai_job_dispatches)").fetchone()[0]
            damage += [f"{n} rows of {table} without a dispatch"] if n else []
        events, wrong = cls._timelines(db, jobs)
        counts = {r["name"]: {s: r[s] for s in cls.STATUS.values()} for r in db.execute("SELECT * FROM workflows")}
        keys = {r["key"]: r["dispatch_id"] for r in db.execute("SELECT key, dispatch_id FROM idempotency_keys")}
        return {"jobs": jobs, "events": events, "counts": counts, "keys": keys, "damage": damage + wrong}

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


BACKENDS = {"sqlite": Sqlite}
