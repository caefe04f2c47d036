# SPDX-License-Identifier: Apache-2.0
"""The faults: a list drawn from the seed before anything runs, and how each is done."""
import os
import random
import signal
import time

from controller import Broken, TTL_S

# kind: how often, relative to the others
COMMON = {"kill9": 5, "kill9_starting": 1, "term": 2, "cut": 4, "cut_all": 2, "pause": 3, "replace_workflow": 2,
          "replace_queue": 2, "reload": 2, "kill_worker": 3}
OF_BACKENDS = {"disk_full": 3, "disk_full_kill": 1}


def draw(seed, count, backend_faults, fleet):
    """The list of (kind, rest before it in s, a number in 0..1 that sizes it). Every kind comes once before the dice."""
    rng = random.Random(f"faults/{seed}")
    weights = {k: w for k, w in {**COMMON, **OF_BACKENDS}.items()
               if (k in COMMON or k in backend_faults) and (fleet or k != "kill_worker")}
    kinds = list(weights)
    rng.shuffle(kinds)
    kinds = (kinds + rng.choices(list(weights), list(weights.values()), k=count))[:count]
    return [(kind, round(rng.uniform(0.1, 0.7), 3), round(rng.random(), 3)) for kind in kinds]


class Faults:
    def __init__(self, controller, proxy, backend, note):
        self.c, self.proxy, self.backend, self.note = controller, proxy, backend, note
        self.newer = False

    def run(self, schedule):
        for number, (kind, rest, size) in enumerate(schedule):
            time.sleep(rest)
            self.c.assert_alive()
            began = time.monotonic()
            done = getattr(self, kind)(size)
            self.note({"fault": number, "kind": kind, "size": size, "t0": began, "t1": time.monotonic(), "did": done})

    def kill9(self, size):
        self.c.kill9()
        time.sleep(size * 0.3 if size < 0.8 else TTL_S * 1.2)
        self.c.start()

    def kill9_starting(self, size):
        """Again while it is coming up."""
        self.c.kill9()
        for _ in range(2):
            self.c.start(wait=False)
            time.sleep(size * 0.15)
            self.c.kill9()
        self.c.start()

    def term(self, size):
        self.c.term()
        time.sleep(size * 0.2)
        self.c.start()

    def cut(self, size):
        """For a while, many stretches of bytes end in a cut."""
        before, self.proxy.cutting = self.proxy.cuts, 0.05 + size * 0.4
        time.sleep(0.3 + size * 0.7)
        self.proxy.cutting = 0.0
        return f"{self.proxy.cuts - before} cuts"

    def cut_all(self, _):
        self.proxy.cut_all()

    def pause(self, size):
        """For bpd this is a jump of the clock: leases run out while it does not look."""
        self.c.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2 + size * 2 * TTL_S)
        self.c.process.send_signal(signal.SIGCONT)

    def replace_workflow(self, size):
        workflows = self.c.build / "tests" / "workflows"
        if size < 0.5:
            self.c.install(self.c.build / "bench" / "plugins" / "bench-noop.so")
        else:
            self.newer = not self.newer
            self.c.install(workflows / ("test-copy-v2.so" if self.newer else "test-copy.so"), "test-copy.so")

    def replace_queue(self, _):
        self.c.install(self.c.build / "plugins" / f"{self.backend.plugin}.so")

    def reload(self, size):
        self.c.write_config(round(0.05 + size * 0.2, 3))
        self.c.process.send_signal(signal.SIGHUP)

    def kill_worker(self, size):
        pids = self.c.worker_pids()
        if not pids:
            return "none there"
        try:
            os.kill(pids[int(size * len(pids)) % len(pids)], signal.SIGKILL)
        except ProcessLookupError:
            return "it had just ended"
        return "one of %d" % len(pids)

    def disk_full(self, size):
        self.backend.fill_disk()
        time.sleep(0.3 + size)
        self.backend.free_disk()

    def disk_full_kill(self, size):
        """Killed and started again on a disk that is full; it comes up, or at least recovers when there is room."""
        self.backend.fill_disk()
        time.sleep(0.2)
        self.c.kill9()
        self.c.start(wait=False)
        time.sleep(0.3 + size * 0.5)
        self.backend.free_disk()
        try:
            self.c.wait_ready(20)
        except Broken as e:
            raise Broken(f"after a start on a full disk, with room again: {e}") from None
