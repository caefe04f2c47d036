# SPDX-License-Identifier: Apache-2.0
"""A full disk: submits are refused with 503, nothing is half-written, and service resumes by itself."""
import os
import pathlib
import subprocess

import pytest

from client import Http
from conftest import wait_until

# A mount namespace of its own gives the daemon a small file system without asking root for anything.
UNSHARE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def can_mount():
    dir = "/tmp"
    return subprocess.run(UNSHARE + [f"mount -t tmpfs none {dir}"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this machine lets nobody mount a file system in a namespace")
def test_a_full_disk_refuses_submits_and_service_resumes(daemon, noop, build):
    d = daemon(start=False, extra_plugins=[noop], settings={"scale.dryRun": "true"})
    inside, command = d.state, d.command
    inside.mkdir()
    script = f'mount -t tmpfs -o size=16m none {inside} && exec "$@"'
    d.command = lambda: UNSHARE + [script, "sh"] + command()

    # The port file is inside the namespace; its path is known once the process is there.
    with open(d.log, "ab") as log:
        d.process = subprocess.Popen(d.command(), stdout=log, stderr=log, start_new_session=True)
    d.state = pathlib.Path(f"/proc/{d.process.pid}/root{inside}")
    port = wait_until("http.port", lambda: d._alive() and (d.state / "http.port").exists() and (d.state / "http.port").read_text().strip())
    d.port, d.http = int(port), Http(int(port))
    wait_until("ready", lambda: d._alive() and d.http.get("/readyz").status == 200)
    d.http.token = (d.state / "local.token").read_text().strip()

    accepted = [d.http.submit("bench-noop", {"n": n})["id"] for n in range(20)]
    fill = d.state / "fill"
    with open(fill, "wb") as f:
        try:
            while True:
                f.write(b"x" * 65536)
                f.flush()
        except OSError:
            pass
    refused = 0
    for n in range(2000):
        a = d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {"n": n, "text": "y" * 2000}})
        assert a.status in (201, 503), a
        if a.status == 201:
            accepted.append(a.data["id"])
        else:
            refused += 1
            assert int(a.headers["Retry-After"]) > 0 and "disk" in a.json["message"].lower(), a
            if refused == 20:
                break
    assert refused == 20
    assert d.http.job(accepted[0])["status"] == "queued", "reading goes on"
    os.unlink(fill)
    wait_until("service resumes", lambda: d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {}}).status == 201, timeout=40)
    for id in accepted:
        assert d.http.job(id)["status"] == "queued"
