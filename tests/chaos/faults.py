# SPDX-License-Identifier: Apache-2.0
"""The faults: a list drawn from the seed before anything runs, and how each is done."""
import os
import random
import signal
import time

from controller import Broken, SLOW, TTL_S

# kind: how often, relative to the others
COMMON = {"kill9": 5, "kill9_starting": 1, "term": 2, "cut": 4, "cut_all": 2, "pause": 3, "clock": 4, "replace_workflow": 2,
          "replace_queue": 2, "reload": 2}
OF_FLEETS = {"kill_worker": 3, "pause_worker": 2}
OF_BACKENDS = {"disk_full": 3, "disk_full_kill": 1, "disk_full_kill_server": 1, "kill9_server": 4, "stop_server": 2, "cut_commit": 8,
               "kill9_both": 1, "start_without_server": 1}
CLOCK_MS = 8000


def draw(seed, count, backend_faults, fleet):
    """The list of (kind, rest before it in s, a number in 0..1 that sizes it). Every kind comes once before the dice."""
    rng = random.Random(f"faults/{seed}")
    weights = {**COMMON, **(OF_FLEETS if fleet else {}), **{k: w for k, w in OF_BACKENDS.items() if k in backend_faults}}
    kinds = list(weights)
    rng.shuffle(kinds)
    kinds = (kinds + rng.choices(list(weights), list(weights.values()), k=count))[:count]
    return [(kind, round(rng.uniform(0.1, 0.7), 3), round(rng.random(), 3)) for kind in kinds]


class Faults:
    """`c` and `proxy` are those of the controller whose turn it is, drawn by the fault's size."""

    def __init__(self, seed, controllers, proxies, backend, note):
        self.controllers, self.proxies, self.backend, self.note = controllers, proxies, backend, note
        self.rng = random.Random(f"turns/{seed}")
        self.c, self.proxy = controllers[0], proxies[0]
        self.newer = False

    def run(self, schedule):
        for number, (kind, rest, size) in enumerate(schedule):
            turn = self.rng.randrange(len(self.controllers))
            self.c, self.proxy = self.controllers[turn], self.proxies[turn]
            time.sleep(rest)
            for c in self.controllers:
                c.assert_alive()
            began = time.monotonic()
            done = getattr(self, kind)(size)
            self.note({"fault": number, "kind": kind, "size": size, "controller": turn, "t0": began, "t1": time.monotonic(), "did": done,
                       **({"ms": self.clock_ms(size)} if kind == "clock" else {})})

    # ---- the controller ----

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

    def pause(self, size):
        """Leases run out while it does not look."""
        self.c.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2 + size * 2 * TTL_S)
        self.c.process.send_signal(signal.SIGCONT)

    @staticmethod
    def clock_ms(size):
        return round((size - 0.5) * 2 * CLOCK_MS)

    def clock(self, size):
        """Its wall clock jumps, forward or back, and later returns with another jump."""
        self.c.trouble.clock(self.clock_ms(size))
        time.sleep(0.3 + TTL_S * abs(size - 0.5))
        self.c.trouble.clock(0)

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

    # ---- connections ----

    def cut(self, size):
        """For a while, many stretches of bytes end in a cut."""
        before, self.proxy.cutting = self.proxy.cuts, 0.05 + size * 0.4
        time.sleep(0.3 + size * 0.7)
        self.proxy.cutting = 0.0
        return f"{self.proxy.cuts - before} cuts"

    def cut_all(self, _):
        self.proxy.cut_all()

    def cut_commit(self, size):
        """In the middle of a commit: before it arrives, while it happens, or after it has happened."""
        proxy = self.backend.proxies[self.c.number]
        how = ("before", "within", "after")[int(size * 3) % 3]
        before, proxy.armed = proxy.cuts, how
        end = time.monotonic() + 20 * SLOW
        while proxy.cuts == before:
            if time.monotonic() > end:
                raise Broken(f"no commit came by within {20 * SLOW:.0f} s to be cut:\n{self.c.log_tail()}")
            time.sleep(0.005)
        return how

    # ---- workers of the fleet ----

    def signal_worker(self, size, *numbers):
        pids = self.c.worker_pids()
        if not pids:
            return "none there"
        pid = pids[int(size * len(pids)) % len(pids)]
        try:
            for n, number in enumerate(numbers):
                time.sleep(n and 0.2 + 2 * TTL_S * size)
                os.kill(pid, number)
        except ProcessLookupError:
            return "it had just ended"
        return "one of %d" % len(pids)

    def kill_worker(self, size):
        return self.signal_worker(size, signal.SIGKILL)

    def pause_worker(self, size):
        """It comes back when its lease may be somebody else's."""
        return self.signal_worker(size, signal.SIGSTOP, signal.SIGCONT)

    # ---- the disk ----

    def disk_full(self, size):
        self.backend.disk.fill()
        time.sleep(0.3 + size)
        self.backend.make_room()

    def disk_full_kill(self, size):
        """Killed and started again on a disk that is full; it comes up, or at least recovers when there is room."""
        self.backend.disk.fill()
        time.sleep(0.2)
        self.c.kill9()
        self.c.start(wait=False)
        time.sleep(0.3 + size * 0.5)
        self.backend.make_room()
        try:
            self.c.wait_ready(20)
        except Broken as e:
            raise Broken(f"after a start on a full disk, with room again: {e}") from None

    # ---- the database server ----

    def kill9_server(self, size):
        self.backend.server.kill9()
        time.sleep(size * 0.5)
        self.backend.server.start()

    def stop_server(self, size):
        """It hangs, with its locks."""
        self.backend.server.signal(signal.SIGSTOP)
        time.sleep(0.2 + size * 2 * TTL_S)
        self.backend.server.signal(signal.SIGCONT)

    def kill9_both(self, size):
        """Controller and server at once; the server is back first."""
        self.c.kill9()
        self.backend.server.kill9()
        time.sleep(size * 0.3)
        self.backend.server.start()
        self.c.start()

    def start_without_server(self, size):
        """The controller is back first; it serves when the server is there."""
        self.c.kill9()
        self.backend.server.kill9()
        self.c.start(wait=False)
        time.sleep(0.3 + size)
        self.backend.server.start()
        try:
            self.c.wait_ready()
        except Broken as e:
            raise Broken(f"after a start without the database server, with it again: {e}") from None

    def disk_full_kill_server(self, size):
        """On a full disk the server may not even start; with room again it must."""
        server = self.backend.server
        self.backend.disk.fill()
        time.sleep(0.2 + size * 0.3)
        server.kill9()
        server.start(wait=False)
        time.sleep(0.5 + size)
        self.backend.make_room()
