# SPDX-License-Identifier: Apache-2.0
"""A bpd started for a measurement, in a directory of its own; for the Python scripts of this folder."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOKEN, SECRET = "bench-token", "bench-secret"
LOAD = ["--token", TOKEN, "--fleet-secret", SECRET]  # options of bp-bench
MARIADB_OPTIONS = "--innodb-buffer-pool-size=1G --innodb-log-file-size=512M"


def fail(why):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {why}")


def until(what, look, seconds=180):
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            fail(f"{what} did not come true within {seconds} s")
        time.sleep(0.005)
    return found


def needed(build, *files):
    """BUILD_DIR as a path, if it has what a daemon and this measurement need, or it could be built; else the end."""
    if subprocess.run([HERE / "need", build, "bin/bpd", "bin/bp-runner", "plugins/local.so", "bench/plugins/bench-noop.so", *files], check=False).returncode:
        sys.exit(1)
    return pathlib.Path(build).resolve()


def beside_mariadb(*options):
    """Runs this program again beside a MariaDB server of its own, as durable as in production."""
    os.environ["BP_MARIADB_OPTIONS"] = " ".join([MARIADB_OPTIONS, *options, os.environ.get("BP_MARIADB_OPTIONS", "")])
    os.execv(HERE.parent / "tests/mariadb/with_mariadb", ["with_mariadb", sys.executable, *sys.argv])


def on_mariadb(database):
    """Settings of the plugin mariadb for that server."""
    return {"socket": os.environ["BP_MARIADB_SOCKET"], "user": "root", "database": database, "createDatabase": True, "autoMigrate": True}


class Door:
    """One connection to a controller's HTTP."""

    def __init__(self, port, headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
        self.headers = {"Content-Type": "application/json", **headers}

    def ask(self, method, path, body=None):
        """(status, text)"""
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    def post(self, path, body):
        status, text = self.ask("POST", path, body)
        if status >= 300:
            fail(f"{path}: {status} {text[:500]}")
        return json.loads(text)["data"]


class Daemon:
    """bpd with one queue plugin, local and bench-noop, ready. settings: beside those that every measurement wants."""

    def __init__(self, build, at, plugin, settings, words=()):
        self.build, self.at, self.state, self.log = build, pathlib.Path(at), pathlib.Path(at) / "state", pathlib.Path(at) / "log"
        plugins = self.at / "plugins"
        plugins.mkdir(mode=0o755, parents=True, exist_ok=True)
        for so in (f"plugins/{plugin}.so", "plugins/local.so", "bench/plugins/bench-noop.so"):
            shutil.copy(build / so, plugins)
            (plugins / pathlib.Path(so).name).chmod(0o644)
        self.settings = {"state.dir": str(self.state), "http.listen": "127.0.0.1:0", "scale.dryRun": True, "http.registerPerMinute": 0,
                         "workers.fleetSecret": SECRET, "tenants": {"bench": {"token": TOKEN}}, "http.maxConnections": 1000,
                         "log.levels": "warn", "services": {"queue": plugin}}
        self.configure(**settings)
        port = self.state / "http.port"
        port.unlink(missing_ok=True)
        began = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([build / "bin/bpd", "--config", self.at / "bpd.json", "--plugins-dir", plugins, *words], stdout=log,
                                            stderr=log)
        try:
            self.port = int(until("http.port", lambda: self.alive() and port.exists() and port.read_text().strip()))
            until("/readyz", self.ready)
        except BaseException:
            self.stop()
            raise
        self.ready_ms = (time.monotonic() - began) * 1000

    def alive(self):
        if self.process.poll() is not None:
            fail(f"bpd ended:\n{self.log.read_text()[-2000:]}")
        return True

    def ready(self):
        with contextlib.suppress(OSError):
            return self.alive() and self.door().ask("GET", "/readyz")[0] == 200
        return False

    def configure(self, **settings):
        self.settings |= settings
        file = self.at / "bpd.json"
        file.write_text(json.dumps(self.settings))
        file.chmod(0o600)

    def door(self, headers=None):
        """A connection; without headers, the tenant's."""
        return Door(self.port, headers or {"Authorization": f"Bearer {TOKEN}"})

    def register(self, **worker):
        """What a new worker of fleet bench-noop is told, and its connection."""
        hello = self.door({"X-Fleet-Secret": SECRET}).post("/api/worker/register", {"fleet_slug": "bench-noop", **worker})
        return hello, self.door({"Authorization": f"Bearer {hello['token']}"})

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
