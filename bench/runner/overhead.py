#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What worker and runner cost around a job: bench/runner/overhead.py BUILD_DIR [SECONDS]

A daemon with one local worker runs a job of the workflow test-copy that sleeps for so long (10 s) in steps of 100 ms, after
one that warmed it up. Prints how much longer the lease was than the sleep, and the processor time of the worker, its warden and
its runner meanwhile, both as parts of the sleep.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests" / "integration"))
try:
    from conftest import Daemon, wait_until  # the tests' own daemon
except ImportError as e:
    python = root / ".venv" / "bin" / "python"
    if python.exists() and pathlib.Path(sys.prefix).resolve() != (root / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])
    sys.exit(f"bench: {e}: what the tests need is not installed: make setup")


def processes():
    """pid -> (parent, CPU seconds, command line) of every process there is."""
    tick, found = os.sysconf("SC_CLK_TCK"), {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        found[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / tick, command)
    return found


def cpu_below(daemon):
    """CPU seconds of the daemon's workers and all below them."""
    all_, total = processes(), 0.0
    for pid, (parent, cpu, _) in all_.items():
        above = pid
        while above in all_ and all_[above][0] != daemon and above != 1:
            above = all_[above][0]
        if above in all_ and all_[above][0] == daemon and pid != daemon:
            total += cpu
    return total


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    files = ["bin/bpd", "bin/bp-runner", "bin/bpctl", "plugins/sqlite.so", "plugins/local.so", "tests/workflows/test-copy.so"]
    if subprocess.run([root / "bench" / "need", sys.argv[1], *files], check=False).returncode:
        sys.exit(1)
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory(prefix="bp-bench.") as dir:
        local = {"local": {"bootDelaySeconds": 0.1, "workerArgs": ["worker.device=cpu"]}}
        d = Daemon(build, dir, {"plugin": json.dumps(local), "workflows": json.dumps({"test-copy": {"scaleToZeroSeconds": 600}})},
                   extra_plugins=[build / "tests" / "workflows" / "test-copy.so"]).start()
        try:
            run(d, 1)
            before = cpu_below(d.process.pid)
            lease_ms = run(d, int(seconds * 10))
            cpu = cpu_below(d.process.pid) - before
        finally:
            d.stop()
    over = lease_ms / 1000 - seconds
    print(f"a job of {seconds:g} s: its lease lasted {over * 1000:.0f} ms longer ({over / seconds * 100:.2f} %), "
          f"worker and runner took {cpu * 1000:.0f} ms of processor time ({cpu / seconds * 100:.2f} %)")


def run(d, steps):
    """Milliseconds from the lease to the completion."""
    id = d.http.submit("test-copy", {"steps": steps, "step_ms": 100}, [d.http.upload(b"data")])["id"]
    wait_until("it is done", lambda: d.http.job(id)["status"] == "completed", timeout=steps / 10 + 60, every=0.5)
    done = [e for e in d.ctl("events", "job.completed", "--last", "10") if e["job"] == id]
    return done[-1]["run_ms"]


if __name__ == "__main__":
    main()
