# SPDX-License-Identifier: Apache-2.0
"""The fleet secret in SSM: a controller and a worker find it there, and a rotation needs no restart."""
import signal
import subprocess

import boto3
import pytest
from moto.server import ThreadedMotoServer

from client import FieldWorker
from conftest import wait_until
from objects_rig import environment

NAME, OLD, NEW = "/bp/production/fleet-secret", "the-fleet-secret-of-yesterday", "the-fleet-secret-of-today"


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://%s:%d" % server.get_host_and_port()
    server.stop()


@pytest.fixture
def ssm(moto):
    client = boto3.client("ssm", endpoint_url=moto, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
    client.put_parameter(Name=NAME, Value=OLD, Type="SecureString", Overwrite=True)
    return client


def test_controller_and_worker_follow_a_rotation_in_ssm(daemon, noop, build, moto, ssm, monkeypatch):
    for k, v in environment(moto).items():
        monkeypatch.setenv(k, v)
    services = {f"services.{s}": "local" for s in ("fleet", "objects", "metrics", "logs", "notify", "node")}
    d = daemon(start=False, plugins=("sqlite", "local", "aws"), extra_plugins=[noop],
               settings={**services, "services.params": "aws", "stage": "production", "workers.fleetSecret": f"param:{NAME}",
                         "workers.formerSecretSeconds": "0", "workers.secretSeconds": "3600", "scale.dryRun": "true",
                         "log.levels": "debug", "plugin.aws.region": "eu-central-1"})
    d.start(ready=False)
    wait_until("ready", lambda: d.http.get("/readyz").status == 200)

    def registers(secret, id):
        return FieldWorker(d.http, secret, id).register(fleet="bench-noop", stage="production").status

    wait_until("the secret was read", lambda: registers(OLD, "i-1") == 200)
    ssm.put_parameter(Name=NAME, Value=NEW, Type="SecureString", Overwrite=True)
    args = [str(build / "bin" / "bpd"), "--role", "worker", "--plugins-dir", str(d.plugins)]
    for key, value in {"state.dir": d.dir / "worker", "worker.url": f"http://127.0.0.1:{d.port}", "worker.id": "w-ssm",
                       "worker.fleetSecret": f"param:{NAME}", "worker.fleet": "bench-noop", "stage": "production",
                       "services.params": "aws", "services.node": "local", "plugin.aws.region": "eu-central-1",
                       "log.levels": "debug"}.items():
        args += ["--set", f"{key}={value}"]
    with open(d.dir / "worker.log", "wb") as log:
        w = subprocess.Popen(args, stdout=log, stderr=log)
    try:
        # it brings the new secret, which the controller finds by looking once it is refused
        wait_until("registered", lambda: "registered as w-ssm" in (d.dir / "worker.log").read_text(errors="replace"))
        assert registers(OLD, "i-2") == 401 and registers(NEW, "i-3") == 200
    finally:
        w.send_signal(signal.SIGTERM)
        w.wait(30)
    for log in (d.log, d.dir / "worker.log"):
        assert OLD not in log.read_text(errors="replace") and NEW not in log.read_text(errors="replace")
    assert OLD not in str(d.ctl("config")) and NEW not in str(d.ctl("config"))


def test_a_missing_parameter_is_told_with_its_name_and_the_rest_works(daemon, noop, moto, monkeypatch):
    for k, v in environment(moto).items():
        monkeypatch.setenv(k, v)
    services = {f"services.{s}": "local" for s in ("fleet", "objects", "metrics", "logs", "notify", "node")}
    d = daemon(plugins=("sqlite", "local", "aws"), extra_plugins=[noop],
               settings={**services, "services.params": "aws", "workers.fleetSecret": "param:/bp/local/none", "scale.dryRun": "true",
                         "plugin.aws.region": "eu-central-1"})
    wait_until("told", lambda: "/bp/local/none" in d.log.read_text(errors="replace"))
    text = d.log.read_text(errors="replace")
    assert "workers.fleetSecret" in text and "ParameterNotFound" in text and "cannot register" in text
    assert d.http.submit("bench-noop")["status"] == "queued"
    assert d.http.post("/api/worker/register", {"worker_id": "i-1"}, headers={"X-Fleet-Secret": "x"}).status == 503
