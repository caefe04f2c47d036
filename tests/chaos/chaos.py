#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos: a real bpd under load, faults at random, and a checker that trusts nobody.

    tests/chaos/chaos.py --seed 7 --faults 300 [--round 3] [--backend sqlite] [--build-dir build/debug] [--keep]

The faults and what each client does are drawn from the seed; --round runs one round of a longer run again. Ends with 0
when every promise held; otherwise prints the seed, the faults and the histories of the jobs in question, and leaves all of
it in the directory it names.
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check  # noqa: E402
from backend import BACKENDS  # noqa: E402
from clients import Producer, Worker, World  # noqa: E402
from controller import Broken, Controller, free_port, SLOW  # noqa: E402
from faults import Faults, draw  # noqa: E402
from history import Caller, History  # noqa: E402
from proxy import Proxy  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULTS_A_ROUND = 30
DRAIN_S = 60


class Round:
    def __init__(self, options, number, count, directory):
        self.seed = f"{options.seed}.{number}"
        self.dir = directory
        self.fleet = number % 2 == 0
        (directory / "history").mkdir(parents=True)
        self.backend = BACKENDS[options.backend](directory)
        self.faults = draw(self.seed, count, self.backend.faults(), self.fleet)
        port = free_port()
        self.proxy = Proxy(port, self.seed)
        self.controller = Controller(options.build_dir, directory, self.backend, port, f"http://127.0.0.1:{self.proxy.port}", self.fleet)
        self.world = World(self.proxy.port, directory / "history", self.seed, self.controller)
        self.fault_log = open(directory / "faults.jsonl", "w", buffering=1)

    def note(self, record):
        self.fault_log.write(json.dumps(record) + "\n")

    def run(self):
        """What went wrong, as a list of texts."""
        clients = []
        try:
            self.controller.start()
            clients = [Worker(self.world, f"w{n}") for n in range(14)] + [Producer(self.world, f"p{n}", 0.06) for n in range(5)]
            for c in clients:
                c.start()
            Faults(self.controller, self.proxy, self.backend, self.note).run(self.faults)
            self.drain(clients)
            self.outputs()
            self.controller.term()
        except Broken as e:
            return [str(e), *self.world.errors]
        finally:
            self.finish(clients)
        return self.world.errors + self.controller.findings() + check.check(self.dir, type(self.backend))

    def drain(self, clients):
        """No more faults: within a bounded time every job has its end."""
        self.world.producing = False
        for c in clients:
            c.calm = True
        for c in clients:
            if isinstance(c, Producer):
                c.join(30 * SLOW)
                if c.is_alive():
                    raise Broken(f"{c.name} got no answer within {30 * SLOW:.0f} s after the last fault")
        began = time.monotonic()
        while left := self.unfinished():
            self.controller.assert_alive()
            if time.monotonic() - began > DRAIN_S * SLOW:
                raise Broken(self.stuck(left))
            time.sleep(0.1)
        self.world.working = False
        for c in clients:
            c.join(30 * SLOW)
        self.note({"drained": round(time.monotonic() - began, 2)})

    def api(self, path):
        caller = Caller(self.controller.port, Nowhere())
        try:
            status, answer, _ = caller.call("api", "GET", path, headers={"Authorization": f"Bearer {self.controller.token()}"})
            return answer["data"] if status == 200 else None
        finally:
            caller.close()

    def unfinished(self):
        left = []
        for status in ("scheduled", "queued", "leased"):
            data = self.api(f"/api/jobs?status={status}&limit=100")
            left += [None] if data is None else data["jobs"]
        return left

    def stuck(self, left):
        ids = [j["id"] for j in left if j]
        shown = json.dumps([self.api(f"/api/jobs/{id}") for id in ids[:5]], indent=1)
        return f"stuck {DRAIN_S * SLOW:.0f} s after the last fault: jobs {ids[:50]}\n{shown}\n{self.controller.log_tail()}"

    def outputs(self):
        """What the output of each completed copy says, through the API, for the checker."""
        with open(self.dir / "outputs.jsonl", "w") as f:
            before = None
            while True:
                data = self.api("/api/jobs?workflow=test-copy&status=completed&limit=100" + (f"&before_id={before}" if before else ""))
                if data is None:
                    raise Broken("the jobs cannot be listed after the drain")
                for job in data["jobs"]:
                    f.write(json.dumps({"id": job["id"], **self.fetch(job["id"])}) + "\n")
                before = data.get("next_before_id")
                if not before:
                    return

    def fetch(self, id):
        import urllib.request
        url = self.api(f"/api/jobs/{id}")["output"]["url"]
        try:
            with urllib.request.urlopen(url, timeout=20) as r:
                return {"status": r.status, "body": r.read(200).decode(errors="replace")}
        except OSError as e:
            return {"status": getattr(e, "code", None), "body": repr(e)}

    def finish(self, clients):
        self.world.producing = self.world.working = False
        self.controller.clean_up()
        for c in clients:
            c.join(15)
        self.backend.copy_to(self.dir)
        self.proxy.stop()
        self.backend.stop()
        self.fault_log.close()


class Nowhere(History):
    """For questions that are not part of any history."""

    def __init__(self):
        self.client = "harness"

    def write(self, record):
        pass


def report(round, number, options, wrong):
    print(f"\nCHAOS FAILED: --seed {options.seed} --faults {options.faults} --round {number} --backend {options.backend}")
    print(f"everything is in {round.dir}; check it again with: tests/chaos/check.py {round.dir}")
    print("faults:", " ".join(f"{kind}({size})" for kind, _, size in round.faults))
    for text in wrong[:20]:
        print("\n* " + text)
    if len(wrong) > 20:
        print(f"\n... and {len(wrong) - 20} more")


def run_round(options, number, count, base):
    began = time.monotonic()
    round = Round(options, number, count, base / f"round{number}")
    wrong = round.run()
    if wrong:
        report(round, number, options, wrong)
        return False
    print(f"round {number}: {count} faults, {check.summary(round.dir, BACKENDS[options.backend])}, "
          f"{time.monotonic() - began:.0f} s: every promise held", flush=True)
    return True


def rounds_of(options):
    """The number and the count of faults of each round."""
    counts = [FAULTS_A_ROUND] * (options.faults // FAULTS_A_ROUND)
    if options.faults % FAULTS_A_ROUND or not counts:
        counts.append(options.faults % FAULTS_A_ROUND)
    return [(n, c) for n, c in enumerate(counts) if options.round is None or n == options.round]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", default="1")
    p.add_argument("--faults", type=int, default=20)
    p.add_argument("--round", type=int)
    p.add_argument("--backend", choices=BACKENDS, default="sqlite")
    p.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/debug")
    p.add_argument("--keep", action="store_true", help="leave the directory also when all went well")
    options = p.parse_args()
    options.build_dir = options.build_dir.resolve()
    base = pathlib.Path(tempfile.mkdtemp(prefix="bp-chaos.", dir="/tmp"))
    failed = [n for n, count in rounds_of(options) if not run_round(options, n, count, base)]
    if not failed and not options.keep:
        shutil.rmtree(base)
    elif not failed:
        print(f"kept in {base}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
