# SPDX-License-Identifier: Apache-2.0
"""What a service manager sees: the datagrams of sd_notify(3), signals, exit codes; and the log on its way to a file."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from conftest import wait_until


@pytest.fixture
def manager(short_dir):
    path = short_dir / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(20)
        yield s, path


def start(build, short_dir, env=None, *more):
    env = {"PATH": os.environ["PATH"], "BPD_STATE_DIR": str(short_dir / "s"), "BPD_HTTP_LISTEN": "127.0.0.1:0", **(env or {})}
    return subprocess.Popen([str(build / "bin/bpd"), "--plugins-dir", str(build / "plugins"), *more], env=env, stderr=subprocess.DEVNULL)


def until(s, word):
    seen = []
    while not any(word in m for m in seen):
        seen.append(s.recv(4096).decode())
    return seen[-1]


def test_ready_reloading_watchdog_and_stopping_are_told(build, short_dir, manager):
    s, path = manager
    p = start(build, short_dir, {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"})
    try:
        assert "STATUS=" in until(s, "READY=1")
        until(s, "WATCHDOG=1")
        p.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in until(s, "RELOADING=1")
        until(s, "READY=1")
        p.terminate()
        until(s, "STOPPING=1")
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.wait()


def test_the_log_file_is_json_lines_and_is_opened_again_on_hup(build, short_dir):
    log = short_dir / "bpd.log"
    p = start(build, short_dir, None, "--set", f"log.path={log}")
    try:
        wait_until("it is ready", lambda: log.exists() and "ready after" in log.read_text())
        for line in log.read_text().splitlines():
            assert {"at", "level", "sub", "text"} <= set(json.loads(line))
        log.rename(short_dir / "old.log")
        p.send_signal(signal.SIGHUP)
        wait_until("a new file is written", lambda: log.exists() and "settings read again" in log.read_text())
        assert oct(log.stat().st_mode & 0o7) == "0o0", "a log is not for everybody"
    finally:
        p.kill()
        p.wait()


def test_two_signals_end_it_as_one_does(build, short_dir):
    p = start(build, short_dir)
    wait_until("it runs", lambda: (short_dir / "s" / "http.port").exists())
    p.send_signal(signal.SIGINT)
    p.send_signal(signal.SIGTERM)
    assert p.wait(20) == 0


def test_without_a_queue_it_says_so_and_becomes_ready_when_one_comes(daemon, build):
    d = daemon(start=False, plugins=("local",))
    d.start(ready=False)
    a = wait_until("it says why", lambda: (a := d.http.get("/readyz")).status == 503 and "queue" in a.json["message"] and a)
    assert a.status == 503
    assert d.http.get("/healthz").status == 200
    d.install(build / "plugins" / "sqlite.so")
    wait_until("it is ready", lambda: d.http.get("/readyz").status == 200)


def test_a_signal_while_it_comes_up_ends_it_as_well(build, short_dir):
    for n in range(12):
        dir = short_dir / str(n)
        dir.mkdir()
        p = start(build, dir)
        wait_until("it listens", lambda: (dir / "s" / "http.port").exists(), every=0.001)
        time.sleep(n * 0.002)
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0, n
