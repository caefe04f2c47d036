# SPDX-License-Identifier: Apache-2.0
"""Secrets given as param:NAME at both ends, rotated while everything runs; and that none gets out."""
import json
import os
import shutil
import signal
import subprocess

import pytest

from client import FieldWorker
from conftest import wait_until

OLD, NEW = "fleet-secret-of-yesterday", "fleet-secret-of-today"


def put_param(state, name, value):
    """As an operator edits the local cloud's file of parameters."""
    dir = state / "plugin" / "local"
    dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    temp = dir / "params.new"
    temp.write_text(json.dumps({name: {"value": value, "secret": True}}))
    temp.chmod(0o600)
    temp.rename(dir / "params.json")


class Worker:
    """bpd --role worker by itself, on nobody's fleet."""

    def __init__(self, daemon, **settings):
        self.state = daemon.dir / "worker-state"
        self.log = daemon.dir / "worker.log"
        put_param(self.state, "fleet", OLD)
        args = [str(daemon.build / "bin" / "bpd"), "--role", "worker", "--plugins-dir", str(daemon.plugins)]
        given = {"state.dir": self.state, "worker.url": f"http://127.0.0.1:{daemon.port}", "worker.id": "w-param",
                 "worker.fleetSecret": "param:fleet", "worker.fleet": "bench-noop", "stage": "production",
                 "log.levels": "debug", **settings}
        for key, value in given.items():
            args += ["--set", f"{key}={value}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)

    def said(self, text):
        return self.log.exists() and text in self.log.read_text(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def production(daemon, noop):
    d = daemon(start=False, extra_plugins=[noop],
               settings={"stage": "production", "workers.fleetSecret": "param:fleet", "workers.secretSeconds": "3600",
                         "workers.formerSecretSeconds": "0", "log.levels": "debug"})
    put_param(d.state, "fleet", OLD)
    d.start(ready=False)
    wait_until("ready", lambda: d.http.get("/readyz").status == 200)
    return d


def registers(d, secret, name):
    return FieldWorker(d.http, secret, name).register(fleet="bench-noop", stage="production").status


def test_a_rotated_secret_reaches_controller_and_worker_without_a_restart(production):
    d = production
    wait_until("the secret was read", lambda: registers(d, OLD, "i-1") == 200)
    put_param(d.state, "fleet", NEW)
    # the worker brings the old one still: the controller looks, finds the new one, and the worker looks again too
    w = Worker(d)
    try:
        registers(d, "guess", "i-2")
        wait_until("the controller took the new secret", lambda: registers(d, NEW, "i-3") == 200)
        wait_until("the worker was refused", lambda: w.said("cannot register") or w.said("registered as"))
        put_param(w.state, "fleet", NEW)
        wait_until("the worker registered", lambda: w.said("registered as w-param"))
        assert registers(d, OLD, "i-4") == 401
    finally:
        assert w.stop() == 0
    for log in (d.log, w.log):
        text = log.read_text(errors="replace")
        assert OLD not in text and NEW not in text
    shown = d.ctl("config", json_form=False).stdout + d.ctl("config").__repr__()
    assert "***" in shown and OLD not in shown and NEW not in shown


def test_the_former_secret_is_accepted_for_a_while(daemon, noop):
    d = daemon(start=False, extra_plugins=[noop],
               settings={"workers.fleetSecret": "param:fleet", "workers.secretSeconds": "1", "workers.formerSecretSeconds": "600"})
    put_param(d.state, "fleet", OLD)
    d.start()
    wait_until("the secret was read", lambda: FieldWorker(d.http, OLD, "i-1").register(slugs=["bench-noop"]).status == 200)
    put_param(d.state, "fleet", NEW)
    wait_until("the new one is taken", lambda: FieldWorker(d.http, NEW, "i-2").register(slugs=["bench-noop"]).status == 200)
    assert FieldWorker(d.http, OLD, "i-3").register(slugs=["bench-noop"]).status == 200
    (d.state / "plugin" / "local" / "params.json").unlink()
    wait_until("the loss is told", lambda: "the value read before stays in use" in d.log.read_text(errors="replace"))
    assert FieldWorker(d.http, NEW, "i-4").register(slugs=["bench-noop"]).status == 200


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
@pytest.mark.parametrize("stage,owner", [("production", 0), ("local", 65534)])
def test_no_core_dump_outside_stage_local(build, short_dir, stage, owner):
    """The files of /proc/PID of a process that may not be dumped belong to root, whoever runs it."""
    short_dir.chmod(0o777)
    w = subprocess.Popen(["setpriv", "--reuid", "65534", "--clear-groups", str(build / "bin" / "bpd"), "--set",
                          f"stage={stage}", "--set", f"state.dir={short_dir / 'state'}", "--set", "http.listen=127.0.0.1:0",
                          "--plugins-dir", str(short_dir)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("it listens", lambda: (short_dir / "state" / "http.port").exists() or w.poll() is not None)
        assert w.poll() is None
        assert os.stat(f"/proc/{w.pid}/status").st_uid == owner
    finally:
        w.kill()
        w.wait()


def test_a_tenants_token_is_never_the_name_of_a_parameter(build, short_dir):
    """It was taken for the token itself: whoever read the settings was the tenant."""
    r = subprocess.run([build / "bin" / "bpd", "--set", f"state.dir={short_dir / 'state'}", "--set", "http.listen=127.0.0.1:0",
                        "--set", 'tenants={"acme": {"token": "param:/bp/production/acme"}}'], capture_output=True, text=True, timeout=60)
    assert r.returncode == 2
    assert "tenants.acme.token" in r.stderr and "bpctl tenant token add" in r.stderr, r.stderr
