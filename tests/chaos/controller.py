# SPDX-License-Identifier: Apache-2.0
"""A bpd with a fixed port and a directory of its own: started, killed, stopped, reloaded, its plugins replaced."""
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

from trouble import Trouble

SLOW = float(os.environ.get("BP_TEST_SLOW", "1"))
FOUND = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")
TTL_S = 1.0


class Broken(Exception):
    """bpd did what it must never do."""


def free_port():
    """Below the ports connections are made from, so that nobody takes it while bpd is down."""
    while True:
        port = random.randrange(12000, 31000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Controller:
    """One of those that share a queue; `number` tells them apart. Only the first one has fleets."""

    TENANT, FLEET_SECRET = "a tenant's token under chaos", "a fleet's secret under chaos"

    def __init__(self, build, directory, number, backend, port, url, fleet):
        self.build, self.number, self.backend, self.port = build, number, backend, port
        self.dir = directory / f"c{number}"
        self.dir.mkdir()
        self.state, self.plugins, self.log = self.dir / "state", self.dir / "plugins", self.dir / "bpd.log"
        self.config = self.dir / "bpd.json"
        self.trouble = Trouble(build, self.dir / "trouble", backend.disk)
        self.plugins.mkdir(mode=0o755)
        self.replaced = 0
        for path in self.plugin_paths():
            self.install(path)
        self.settings = self._settings(url, fleet)
        self.write_config(0.1)
        self.process = None

    def plugin_paths(self):
        return [self.build / "plugins" / f"{self.backend.plugin}.so", self.build / "plugins" / "local.so",
                self.build / "bench" / "plugins" / "bench-noop.so", self.build / "tests" / "workflows" / "test-copy.so"]

    def _settings(self, url, fleet):
        local = {"bootDelaySeconds": 0.05, "launchRetrySeconds": 0.2, "endedReportSeconds": 1, "terminateGraceSeconds": 3,
                 "stopGraceSeconds": 2, "minFreeBytes": 0,
                 "workerArgs": ["worker.heartbeatSeconds=0.2", "worker.waitSeconds=2", "shutdown.graceSeconds=1.5"]}
        return {
            "state.dir": str(self.state), "http.listen": f"127.0.0.1:{self.port}", "http.url": url, "http.registerPerMinute": "0",
            "log.levels": "info", "scale.tickMilliseconds": "200", "scale.cooldownSeconds": "0.3", "shutdown.graceSeconds": "2",
            "scale.dryRun": "false" if fleet else "true", "dispatch.leaseTtlSeconds": str(TTL_S),
            "dispatch.sweepMilliseconds": "100", "dispatch.retryCapSeconds": "0.5", "dispatch.maxRequeues": "6",
            "tenants": json.dumps({"chaos": {"token": self.TENANT}}), "workers.fleetSecret": self.FLEET_SECRET,
            "plugin.local": json.dumps(local), "services": json.dumps({"queue": self.backend.plugin}),
            "workflows": json.dumps({"bench-noop": {"maxSize": 0},
                                     "test-copy": {"maxSize": 2, "backlogTarget": 4, "scaleToZeroSeconds": 5}}),
            **self.backend.settings(self.number)}

    def write_config(self, retry_base_s):
        temp = self.config.with_suffix(".new")
        temp.write_text(json.dumps({"dispatch": {"retryBaseSeconds": retry_base_s}}))
        temp.rename(self.config)

    def install(self, path, name=None):
        """As an operator replaces a plugin: a copy under another name, then a rename. Bytes behind the end of an ELF file
        mean nothing, so that each copy is a new content with the same code."""
        self.replaced += 1
        temp = self.plugins / f".{path.name}.new"
        temp.write_bytes(path.read_bytes() + f"\n{self.replaced}".encode())
        temp.chmod(0o644)
        temp.rename(self.plugins / (name or path.name))

    def start(self, wait=True):
        words = ["setpriv", "--pdeathsig", "KILL", str(self.build / "bin" / "bpd"), "--config", str(self.config), "--plugins-dir", str(self.plugins)]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        env = {k: v for k, v in os.environ.items() if not k.startswith("BPD_")}
        env |= {**self.trouble.environment(), "TMPDIR": str(self.dir)}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.backend.command(words), stdout=log, stderr=log, env=env, start_new_session=True)
        if wait:
            self.wait_ready()

    def is_ready(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            c.request("GET", "/readyz")
            return c.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            c.close()

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            self.assert_alive()
            if self.is_ready():
                return
            time.sleep(0.02)
        raise Broken(f"bpd was not ready within {seconds * SLOW:.0f} s:\n{self.log_tail()}")

    def assert_alive(self):
        if self.process.poll() is not None:
            raise Broken(f"bpd ended by itself with {self.process.returncode}:\n{self.log_tail()}")

    def kill9(self):
        self.assert_alive()
        self.process.kill()
        self.process.wait()

    def term(self, seconds=25):
        self.assert_alive()
        self.process.send_signal(signal.SIGTERM)
        try:
            rc = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise Broken(f"bpd did not end within {seconds * SLOW:.0f} s of a SIGTERM:\n{self.log_tail()}") from None
        if rc != 0:
            raise Broken(f"bpd ended with {rc} on a SIGTERM:\n{self.log_tail()}")

    def worker_pids(self):
        """Processes of the workers that this bpd's fleets started: those that name its state directory."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = p.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"worker" in words and b"--role" in words and any(str(self.state).encode() in w for w in words):
                found.append(int(p.parent.name))
        return sorted(found)

    def log_tail(self, n=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-n:]) if self.log.exists() else ""

    def findings(self):
        """What a sanitizer found, in bpd and in its workers."""
        logs = [self.log, *self.state.glob("plugin/local/instances/*/*.log")]
        return [f"{log}: {mark}" for log in logs if log.exists() for mark in FOUND if mark in log.read_text(errors="replace")]

    def clean_up(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        for pid in self.worker_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.plugins, ignore_errors=True)
