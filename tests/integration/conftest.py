# SPDX-License-Identifier: Apache-2.0
"""Real processes in temporary directories on free ports: what every integration test stands on."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from client import Http

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # fakeaws

# How much longer everything may take, for sanitizers and slow machines: make test SAN=... sets it.
SLOW = float(os.environ.get("BP_TEST_SLOW", "1"))

# What a sanitizer writes when it found something.
FOUND = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def sanitizer(build):
    """What -fsanitize= was given in this build; "": nothing."""
    found = re.search(r"^BP_SANITIZE:STRING=([\w,]+)$", (build / "CMakeCache.txt").read_text(), re.M)
    return found[1] if found else ""


def pytest_addoption(parser):
    parser.addoption("--build-dir", default="build/debug", help="where bpd, bpctl and the plugins were built")


@pytest.fixture(scope="session")
def build(request):
    path = pathlib.Path(request.config.getoption("--build-dir"))
    path = path if path.is_absolute() else ROOT / path
    assert (path / "bin" / "bpd").exists(), f"{path} has no bin/bpd: build first"
    return path


def wait_until(what, check, timeout=30, every=0.05):
    """Calls check until it returns something true, and returns that; fails with `what` otherwise."""
    timeout *= SLOW
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            last = check()
            if last:
                return last
        except (OSError, subprocess.CalledProcessError) as e:
            last = e
        time.sleep(every)
    pytest.fail(f"not within {timeout} s: {what} (last: {last!r})")


class Daemon:
    """One controller with its state in a directory of its own."""

    def __init__(self, build, dir, settings=None, plugins=("sqlite", "local"), extra_plugins=()):
        self.build, self.dir = build, pathlib.Path(dir)
        self.state = self.dir / "state"
        self.plugins = self.dir / "plugins"
        self.log = self.dir / "bpd.log"
        self.plugins.mkdir(mode=0o755)
        for name in plugins:
            self.install(build / "plugins" / f"{name}.so")
        for path in extra_plugins:
            self.install(path)
        self.settings = {
            "http.listen": "127.0.0.1:0",
            "log.levels": "info",
            "scale.tickMilliseconds": "200",
            "scale.cooldownSeconds": "0.5",
            "scale.policy": "step",  # whose rules a test can work out by hand
            "http.registerPerMinute": "0",
            "shutdown.graceSeconds": "5",
        }
        self.settings.update(settings or {})
        self.process = None
        self.http = None
        self.tls = None  # an ssl.SSLContext when it serves HTTPS

    def install(self, path, name=None):
        """Drops a plugin in as an operator would: a copy under another name, then a rename."""
        path = pathlib.Path(path)
        temp = self.plugins / f".{path.name}.new"
        shutil.copyfile(path, temp)
        temp.chmod(0o644)
        temp.rename(self.plugins / (name or path.name))

    def command(self):
        args = [str(self.build / "bin" / "bpd"), "--plugins-dir", str(self.plugins)]
        for key, value in {"state.dir": str(self.state), **self.settings}.items():
            args += ["--set", f"{key}={value}"]
        return args

    def start(self, ready=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("BPD_")}
        port_file = self.state / "http.port"
        port_file.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=env, start_new_session=True)
        self.port = int(wait_until("http.port", lambda: self._alive() and port_file.exists() and port_file.read_text().strip()))
        self.http = Http(self.port, tls=self.tls)
        if ready:
            wait_until("ready", lambda: self._alive() and self.http.get("/readyz").status == 200)
            self.http.token = (self.state / "local.token").read_text().strip()
        return self

    def _alive(self):
        if self.process.poll() is not None:
            pytest.fail(f"bpd ended with {self.process.returncode}:\n{self.log_tail()}")
        return True

    def log_tail(self, n=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-n:]) if self.log.exists() else ""

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout * SLOW)
        return self.process.returncode if self.process else None

    def ctl(self, *words, check=True, json_form=True):
        """bpctl: the parsed answer, or with json_form=False the CompletedProcess."""
        args = [str(self.build / "bin" / "bpctl"), "--socket", str(self.state / "bpd.sock")]
        r = subprocess.run(args + (["--json"] if json_form else []) + list(words), capture_output=True, text=True, timeout=60 * SLOW)
        if not json_form:
            return r
        if check and r.returncode:
            raise subprocess.CalledProcessError(r.returncode, args, r.stdout, r.stderr)
        return json.loads(r.stdout)

    def secret(self):
        return (self.state / "fleet.secret").read_text().strip()

    def worker_pids(self):
        """Processes of workers this daemon's fleets started, found by their state directory."""
        out = subprocess.run(["pgrep", "-f", "--", f"--role worker.*{self.state}"], capture_output=True, text=True).stdout
        return [int(p) for p in out.split()]

    def logs(self):
        instances = self.state / "plugin/local/instances"
        return [self.log, *sorted(instances.glob("*.log")), *sorted(instances.glob("*/*.log"))]

    def sanitizer_findings(self):
        texts = [(log, log.read_text(errors="replace")) for log in self.logs() if log.exists()]
        return "\n".join(f"--- {log}\n{text[max(0, text.find(mark) - 200):][:6000]}"
                         for log, text in texts for mark in FOUND if mark in text)

    def clean_up(self):
        if self.process and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill9()
        for pid in self.worker_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture
def short_dir():
    """A directory with a path short enough for a socket."""
    d = tempfile.mkdtemp(prefix="bp-it.", dir="/tmp")
    yield pathlib.Path(d)
    shutil.rmtree(d, ignore_errors=True)


@pytest.fixture
def daemon(build, short_dir, request):
    """A factory: daemon(settings={...}, extra_plugins=[...]) -> a running Daemon; everything ends with the test."""
    made = []

    def make(start=True, **kw):
        dir = short_dir / f"d{len(made)}"
        dir.mkdir()
        d = Daemon(build, dir, **kw)
        made.append(d)
        return d.start() if start else d

    yield make
    failed = getattr(request.node, "failed", False)
    for d in made:
        d.clean_up()
        if failed:
            print(f"--- {d.log}\n{d.log_tail(80)}")
            for log in d.logs()[1:]:
                print(f"--- {log}\n" + "\n".join(log.read_text(errors='replace').splitlines()[-30:]))
    findings = "\n".join(filter(None, (d.sanitizer_findings() for d in made)))
    if findings:
        pytest.fail(findings)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def noop(build):
    return build / "bench" / "plugins" / "bench-noop.so"


@pytest.fixture
def test_copy(build):
    return build / "tests" / "workflows" / "test-copy.so"
