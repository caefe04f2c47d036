# SPDX-License-Identifier: Apache-2.0
"""HTTPS with a certificate of the test's own: clients, a whole job over it, a new certificate while running."""
import os
import shutil
import signal
import ssl
import subprocess
import threading

import pytest

from client import FieldWorker
from conftest import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")


def certify(dir, name):
    """A certificate for 127.0.0.1 that signs itself, so that it is its own authority."""
    cert, key = dir / f"{name}.pem", dir / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", str(key), "-out", str(cert), "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    return cert, key


@pytest.fixture
def first(short_dir):
    return certify(short_dir, "first")


@pytest.fixture
def secure(daemon, test_copy, short_dir, first):
    """A daemon that serves HTTPS with the files server.pem and server.key."""
    for file, name in zip(first, ("server.pem", "server.key")):
        shutil.copyfile(file, short_dir / name)
    d = daemon(start=False, extra_plugins=[test_copy],
               settings={"scale.dryRun": "true", "http.certificate": str(short_dir / "server.pem"), "http.key": str(short_dir / "server.key")})
    d.tls = ssl.create_default_context(cafile=str(first[0]))
    return d.start()


@pytest.fixture
def run_worker(build, short_dir):
    """run_worker(daemon, ca): a worker process for its fleet test-copy; ends with the test."""
    made = []

    def go(d, ca):
        name = f"i-0aaaaaaaaaaaaaaa{len(made)}"
        sets = {"worker.url": f"https://127.0.0.1:{d.port}", "worker.id": name, "worker.fleet": "test-copy", "worker.device": "cpu",
                "worker.fleetSecret": f"file:{d.state}/fleet.secret", "worker.caFile": str(ca), "state.dir": str(short_dir / name),
                "shutdown.graceSeconds": "5"}
        args = [str(build / "bin" / "bpd"), "--role", "worker", "--plugins-dir", str(d.plugins)]
        for key, value in sets.items():
            args += ["--set", f"{key}={value}"]
        log = short_dir / f"{name}.log"
        with open(log, "ab") as f:
            p = subprocess.Popen(args, stdout=f, stderr=f, env={k: v for k, v in os.environ.items() if not k.startswith("BPD_")})
        p.log = log
        made.append(p)
        return p

    yield go
    for p in made:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        print(f"--- {p.log}\n{p.log.read_text(errors='replace')[-4000:]}")


def served(d):
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", d.port)))


def der(cert):
    return ssl.PEM_cert_to_DER_cert(cert.read_text())


def test_clients_are_served_over_tls_only(secure):
    assert secure.http.get("/healthz").status == 200
    assert secure.http.upload(b"bytes" * 100000)["key"]
    secure.http.tls = None
    with pytest.raises(OSError):
        secure.http.get("/healthz", timeout=10)
    secure.http.tls = ssl.create_default_context()  # knows nothing of our authority
    with pytest.raises(ssl.SSLCertVerificationError):
        secure.http.get("/healthz")


def test_old_protocol_versions_are_refused(secure, first):
    secure.http.tls = ssl.create_default_context(cafile=str(first[0]))
    secure.http.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    assert secure.http.get("/healthz").status == 200
    with pytest.warns(DeprecationWarning):
        secure.http.tls.minimum_version = secure.http.tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        secure.http.get("/healthz")


def test_a_worker_completes_a_job_over_tls(secure, first, run_worker):
    data = os.urandom(3 << 20)
    id = secure.http.submit("test-copy", {}, [secure.http.upload(data)])["id"]
    run_worker(secure, first[0])
    done = wait_until("the job completes", lambda: (j := secure.http.job(id))["status"] == "completed" and j, timeout=60)
    assert done["worker"] == "i-0aaaaaaaaaaaaaaa0" and done["output"]["url"].startswith(f"https://127.0.0.1:{secure.port}/")
    assert secure.http.get_url(done["output"]["url"]).body == data


def test_a_worker_does_not_trust_another_authority(secure, short_dir, run_worker):
    id = secure.http.submit("test-copy", {}, [secure.http.upload(b"secret")])["id"]
    p = run_worker(secure, certify(short_dir, "stranger")[0])
    wait_until("it says why", lambda: "certificate" in p.log.read_text().lower())
    assert secure.http.job(id)["status"] == "queued" and secure.ctl("workers")["workers"] == []


def test_sighup_takes_a_new_certificate_and_a_broken_one_changes_nothing(secure, short_dir, first):
    second, key = certify(short_dir, "second")
    assert served(secure) == der(first[0])
    w = FieldWorker(secure.http, secure.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="test-copy").status == 200
    got = []
    waiting = threading.Thread(target=lambda: got.append(w.poll(wait_seconds=50)))
    waiting.start()
    wait_until("it waits", lambda: "bpd_waiting_polls 1" in secure.http.get("/metrics").body.decode())
    shutil.copyfile(second, short_dir / "server.pem")
    shutil.copyfile(key, short_dir / "server.key")
    secure.process.send_signal(signal.SIGHUP)
    wait_until("the new one is served", lambda: served(secure) == der(second))
    secure.http.tls = ssl.create_default_context(cafile=str(second))
    id = secure.http.submit("test-copy", {}, [secure.http.upload(b"x")])["id"]
    waiting.join(60)
    assert got[0].data["job"]["dispatch_id"] == id, "a connection made with the old one lives on"
    (short_dir / "server.pem").write_text("no certificate")
    secure.process.send_signal(signal.SIGHUP)
    wait_until("it is refused", lambda: "http.certificate" in secure.log_tail(5))
    assert served(secure) == der(second) and secure.http.get("/readyz").status == 200
