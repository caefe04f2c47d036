#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several controllers on one MariaDB, many workers, many jobs: no job is leased to two, each is completed once.

    tests/chaos/shared.py --jobs 100000 [--workers 64] [--producers 16] [--controllers 2] [--kills 0] [--build-dir build/debug]

The clients (load.c) write down each lease and each completion; what they were told is compared with itself and with the
timelines in the database. --kills kills a controller, each in its turn, so often during the run.
"""
import argparse
import collections
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from backend_mariadb import Mariadb  # noqa: E402
from check import Checker  # noqa: E402
from controller import Broken, Controller, free_port, SLOW  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Longer than any run, so that a lease ends only by its completion; short when a killed controller may lose its answers.
LEASE_S, LEASE_WITH_KILLS_S = "3600", "3"


class Shared:
    def __init__(self, options, directory):
        self.options, self.dir = options, directory
        self.backend = Mariadb(directory, options.build_dir, "shared", options.controllers, None)
        self.controllers = []
        for n in range(options.controllers):
            port = free_port()
            c = Controller(options.build_dir, directory, n, self.backend, port, f"http://127.0.0.1:{port}", False)
            c.settings["dispatch.leaseTtlSeconds"] = LEASE_WITH_KILLS_S if options.kills else LEASE_S
            # Straight to the server: the proxy is for cuts, and slower than all else here.
            c.settings.update(self.backend.settings(n, self.backend.server.socket))
            self.controllers.append(c)

    def run(self):
        try:
            self.backend.start()
            for c in self.controllers:
                c.start()
            said = self.load()
            for c in self.controllers:
                c.term()
            self.backend.copy_to(self.dir)
        finally:
            for c in self.controllers:
                c.clean_up()
            self.backend.stop()
        return said, [text for c in self.controllers for text in c.findings()] + judge(self.dir, self.options.jobs)

    def load(self):
        o = self.options
        words = [o.build_dir / "tests/chaos/load", self.dir / "history.txt", o.producers, o.workers, o.jobs, round(o.seconds * SLOW),
                 Controller.TENANT, Controller.FLEET_SECRET, *(f"http://127.0.0.1:{c.port}" for c in self.controllers)]
        process = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        rng = random.Random(o.seed)
        for n in range(o.kills):
            time.sleep(rng.uniform(0.5, 1.5))
            self.controllers[n % len(self.controllers)].kill9()
            time.sleep(rng.uniform(0, 0.5))
            self.controllers[n % len(self.controllers)].start()
        out, err = process.communicate()
        if process.returncode:
            raise Broken(err.strip() + "\n" + "\n".join(c.log_tail(10) for c in self.controllers))
        return out.strip()


def records(path):
    """The clients' lines as the records the checker knows."""
    by_client = collections.defaultdict(list)
    for line in open(path, encoding="ascii"):
        kind, *f = line.split()
        if kind == "s":
            by_client["producers"].append({"client": "producers", "op": "submit", "t0": int(f[2]) / 1e6, "t1": int(f[3]) / 1e6, "key": f[0],
                                           "nonce": f[0], "workflow": "bench-noop", "status": int(f[4]), "answer": {"id": int(f[1])}})
            continue
        r = {"client": f[2], "worker": f[2], "t0": int(f[3]) / 1e6, "t1": int(f[4]) / 1e6}
        if kind == "l":
            lease = {"dispatch_id": int(f[0]), "lease_token": f[1], "attempt": 0, "workflow": "bench-noop"}
            r.update(op="poll", status=200, answer={"jobs": [lease]})
        else:
            r.update(op="complete", status=int(f[5]) or None, id=int(f[0]), token=f[1], answer={})
        by_client[f[2]].append(r)
    return by_client


def judge(directory, jobs, rows=None):
    """What is wrong, as texts."""
    by_client = records(directory / "history.txt")
    c = Checker(by_client, rows or Mariadb.read(directory))
    for step in (c.answers, c.submits, c.endings, c.overlaps, c.repeats, c.timelines, c.counters):
        step()
    done = {r["id"] for rs in by_client.values() for r in rs if r["op"] == "complete" and r["status"] == 200}
    for what, n in (("accepted", len({r["answer"]["id"] for r in by_client["producers"]})), ("stored", len(c.jobs)), ("completed", len(done))):
        if n != jobs:
            c.wrong.append(f"{n} jobs of {jobs} were {what}")
    return c.wrong


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("jobs", 100000), ("workers", 64), ("producers", 16), ("controllers", 2), ("kills", 0), ("seconds", 900), ("seed", 1)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/debug")
    p.add_argument("--keep", action="store_true", help="leave the directory also when all went well")
    options = p.parse_args()
    options.build_dir = options.build_dir.resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bp-shared.", dir="/tmp"))
    try:
        said, wrong = Shared(options, directory).run()
    except Broken as e:
        said, wrong = "", [str(e)]
    if wrong:
        print("\n\n".join(wrong[:20]), f"\n{len(wrong)} findings; everything is in {directory}")
        return 1
    print(f"{options.controllers} controllers, {options.workers} workers, {options.kills} kills: {said}; no job was leased to two, each was completed once")
    print(f"kept in {directory}") if options.keep else shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
