# SPDX-License-Identifier: Apache-2.0
"""A MariaDB server of one's own: in a temporary directory, on a Unix socket, on a disk that can be full."""
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import time

from controller import Broken, SLOW
from disk import Disk
from trouble import Trouble

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
CLIENT = ["mariadb", "--no-defaults", "--user=root", "--batch", "--raw", "--skip-column-names"]
OPTIONS = ["--skip-networking", "--skip-name-resolve", "--performance-schema=OFF", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=1",
           "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--key-buffer-size=1M", "--max-connections=100"]


def empty_data(build):
    """A data directory without anything in it, made once for all tests; see tests/mariadb/with_mariadb."""
    kept = pathlib.Path(build) / "mariadb-template"
    kept.mkdir(exist_ok=True)
    with open(kept / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "done").exists():
            shutil.rmtree(kept / "data", ignore_errors=True)
            made = subprocess.run(["mariadb-install-db", "--no-defaults", "--skip-name-resolve", f"--tmpdir={kept}", f"--datadir={kept / 'data'}", "--skip-test-db",
                                   "--auth-root-authentication-method=normal", f"--user={me()}", "--innodb-log-file-size=32M"],
                                  env={**os.environ, "PATH": PATH, "TMPDIR": str(kept)}, capture_output=True, text=True)
            assert made.returncode == 0, made.stdout + made.stderr
            (kept / "done").touch()
    return kept / "data"


def me():
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


class Server:
    def __init__(self, directory, build, megabytes):
        assert shutil.which("mariadbd", path=PATH), "mariadbd is missing: run scripts/setup test"
        self.dir = pathlib.Path(directory)
        self.socket, self.log = self.dir / "mariadb.sock", self.dir / "mariadb.log"
        self.disk = Disk(self.dir / "mariadb", megabytes)
        self.trouble, self.process = Trouble(build, self.dir / "mariadb.trouble", self.disk), None
        # Not sparse: the server takes it for granted that its log has its room.
        subprocess.run(["cp", "-a", "--sparse=never", str(empty_data(build)), str(self.disk.inside / "data")], check=True)

    def start(self, wait=True):
        words = ["setpriv", "--pdeathsig", "KILL", "mariadbd", "--no-defaults", f"--datadir={self.disk.dir / 'data'}",
                 f"--socket={self.socket}", f"--pid-file={self.dir / 'mariadb.pid'}", f"--tmpdir={self.dir}", f"--user={me()}", *OPTIONS]
        env = {**os.environ, "PATH": PATH}
        if not self.disk.keeper:  # its disk is full by word only, which asynchronous writes would not hear
            words.append("--innodb-use-native-aio=0")
            env.update(self.trouble.environment())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.disk.command(words), stdout=log, stderr=log, env=env, start_new_session=True)
        if wait:
            self.revive()

    def revive(self, seconds=60):
        """Waits until it is up; when it ended, it is started again as a service manager does: on a full disk it may end by
        itself, in the middle of a rollback, and even at start."""
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            if not self.running():
                self.start(wait=False)
            if subprocess.run([*CLIENT, f"--socket={self.socket}", "-e", "SELECT 1"], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        raise Broken(f"mariadbd was not up within {seconds * SLOW:.0f} s:\n{self.log_tail()}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def query(self, sql, database):
        r = subprocess.run([*CLIENT, f"--socket={self.socket}", "--default-character-set=utf8mb4", database, "-e", sql], capture_output=True)
        if r.returncode:
            raise Broken(f"the database cannot be read: {sql}: {r.stderr.decode()}\n{self.log_tail()}")
        return r.stdout

    def log_tail(self, n=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-n:]) if self.log.exists() else ""

    def findings(self):
        """Damage that the server itself saw."""
        text = self.log.read_text(errors="replace")
        return [f"{self.log}: {mark}" for mark in ("corrupt", "Assertion failure") if mark in text]

    def stop(self):
        if self.running():
            self.process.send_signal(signal.SIGCONT)
            self.kill9()
        self.disk.stop()
