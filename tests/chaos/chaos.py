#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos: a real bpd under load, faults at random, and a checker that trusts nobody.

    tests/chaos/chaos.py --seed 7 --faults 300 [--round 3] [--backend sqlite|mariadb] [--build-dir build/debug] [--keep]

The faults and what each client does are drawn from the seed; --round runs one round of a longer run again, or one that it
would have. Ends with 0 when every promise held; otherwise prints the seed, the faults and the histories of the jobs in
question, and leaves all of it in the directory it names.
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
from backends import BACKENDS  # noqa: E402
from clients import Producer, Worker, World  # noqa: E402
from controller import Broken, Controller, free_port, SLOW  # noqa: E402
from faults import Faults, draw  # noqa: E402
from history import Caller, History  # noqa: E402
from proxy import Proxy  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULTS_A_ROUND = 30
DRAIN_S = 60


class Round:
    """Rounds with an even number have a fleet of real workers; those with an odd number have as many controllers as the
    queue can have. A fleet's objects lie in files of one controller, so that a round has one or the other."""

    def __init__(self, options, number, count, directory):
        self.seed = f"{options.seed}.{number}"
        self.dir = directory
        self.fleet = number % 2 == 0
        (directory / "history").mkdir(parents=True)
        self.fault_log = open(directory / "faults.jsonl", "w", buffering=1)
        self.backend = BACKENDS[options.backend](directory, options.build_dir, self.seed)
        self.faults = draw(self.seed, count, self.backend.faults, self.fleet)
        self.controllers, self.proxies = [], []
        for n in range(1 if self.fleet else self.backend.controllers):
            port = free_port()
            self.proxies.append(Proxy(port, f"{self.seed}/{n}"))
            self.controllers.append(Controller(options.build_dir, directory, n, self.backend, port,
                                               f"http://127.0.0.1:{self.proxies[n].port}", self.fleet))
        workflows = ["bench-noop"] + ["test-copy"] * (len(self.controllers) == 1)
        self.world = World([p.port for p in self.proxies], directory / "history", self.seed, workflows)

    def note(self, record):
        self.fault_log.write(json.dumps(record) + "\n")

    def run(self):
        """What went wrong, as a list of texts."""
        clients = []
        try:
            self.note({"kind": "epoch", "ms": (time.time() - time.monotonic()) * 1000})
            self.backend.start()
            for c in self.controllers:
                c.start()
            clients = [Worker(self.world, f"w{n}") for n in range(14)] + [Producer(self.world, f"p{n}", 0.06) for n in range(5)]
            for c in clients:
                c.start()
            Faults(self.seed, self.controllers, self.proxies, self.backend, self.note).run(self.faults)
            self.drain(clients)
            self.outputs()
            for c in self.controllers:
                c.term()
        except Broken as e:
            return [str(e), *self.world.errors]
        finally:
            self.finish(clients)
        found = [text for c in self.controllers for text in c.findings()] + self.backend.findings()
        return self.world.errors + found + check.check(self.dir, type(self.backend))

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
            for c in self.controllers:
                c.assert_alive()
            if time.monotonic() - began > DRAIN_S * SLOW:
                raise Broken(self.stuck(left))
            time.sleep(0.1)
        self.world.working = False
        for c in clients:
            c.join(30 * SLOW)
        self.note({"drained": round(time.monotonic() - began, 2)})

    def api(self, path):
        caller = Caller([self.controllers[0].port], Nowhere())
        try:
            status, answer, _ = caller.call("api", "GET", path, headers={"Authorization": f"Bearer {Controller.TENANT}"})
            return answer["data"] if status == 200 else None
        finally:
            caller.close()

    def unfinished(self):
        """Some of the jobs that have no end yet. A job that goes back while state after state is asked for would be missed, so
        that in the end each is looked at once."""
        left = []
        for status in ("scheduled", "queued", "leased"):
            data = self.api(f"/api/jobs?status={status}&limit=100")
            left += [None] if data is None else data["jobs"]
        return left or [job for job in self.listed("/api/jobs?limit=100") if job is None or job["status"] not in check.FINAL]

    def listed(self, path):
        """All pages of a listing; None in the place of one that was not answered."""
        before = ""
        while before is not None:
            data = self.api(path + before)
            yield from [None] if data is None else data["jobs"]
            next_id = data and data.get("next_before_id")
            before = f"&before_id={next_id}" if next_id else None

    def stuck(self, left):
        ids = [j["id"] for j in left if j]
        shown = json.dumps([self.api(f"/api/jobs/{id}") for id in ids[:5]], indent=1)
        logs = "\n".join(c.log_tail() for c in self.controllers)
        return f"stuck {DRAIN_S * SLOW:.0f} s after the last fault: jobs {ids[:50]}\n{shown}\n{logs}"

    def outputs(self):
        """What the output of each completed copy says, through the API, for the checker."""
        with open(self.dir / "outputs.jsonl", "w") as f:
            for job in self.listed("/api/jobs?workflow=test-copy&status=completed&limit=100"):
                if job is None:
                    raise Broken("the jobs cannot be listed after the drain")
                f.write(json.dumps({"id": job["id"], **self.fetch(job["id"])}) + "\n")

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
        for c in self.controllers:
            c.clean_up()
        for c in clients:
            c.join(30 * SLOW)
            if c.is_alive():
                self.world.errors.append(f"{c.name} did not end")
        try:
            self.backend.copy_to(self.dir)
        finally:
            for proxy in self.proxies:
                proxy.stop()
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
    print(f"everything is in {round.dir}; check it again with: tests/chaos/check.py {round.dir} {options.backend}")
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
    if options.round is not None:
        return [(options.round, counts[options.round] if options.round < len(counts) else counts[0])]
    return list(enumerate(counts))


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
