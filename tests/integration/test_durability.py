# SPDX-License-Identifier: Apache-2.0
"""kill -9 at the worst moments: what was accepted is done once."""
import os
import signal
import socket
import time

from client import FieldWorker
from conftest import wait_until

SHORT = {"dispatch.leaseTtlSeconds": "2", "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.1"}


def test_a_submit_answered_201_survives_kill_9(daemon, test_copy):
    d = daemon(extra_plugins=[test_copy], settings={"scale.dryRun": "true", **SHORT})
    inputs = [d.http.upload(b"bytes")]
    a = d.http.post("/api/jobs", {"workflow": "test-copy", "params": {}, "inputs": inputs})
    d.kill9()
    assert a.status == 201
    d.start()
    assert d.http.job(a.data["id"])["status"] == "queued"
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="test-copy").status == 200
    assert w.run_one()["dispatch_id"] == a.data["id"]
    assert d.http.job(a.data["id"])["status"] == "completed"


def finished_events(d, id):
    return [e for e in d.http.job(id)["timeline"] if e["what"] in ("completed", "failed", "cancelled")]


def test_kill_9_of_the_controller_during_a_run_completes_the_job_once(daemon, test_copy):
    d = daemon(extra_plugins=[test_copy], settings={**SHORT, "http.listen": "127.0.0.1:0"})
    id = d.http.submit("test-copy", {"steps": 40, "step_ms": 100}, [d.http.upload(b"x" * 1000)])["id"]
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0)
    # The worker knows the controller by its address, so the restarted one has to have the same.
    d.settings["http.listen"] = f"127.0.0.1:{d.port}"
    d.kill9()
    time.sleep(0.5)
    d.start()
    done = wait_until("the job completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=40)
    assert len(finished_events(d, id)) == 1
    assert d.http.get_url(done["output"]["url"]).body == b"x" * 1000


def test_kill_9_of_a_worker_during_a_run_leases_the_job_again_and_it_completes_once(daemon, test_copy):
    d = daemon(extra_plugins=[test_copy], settings=SHORT)
    id = d.http.submit("test-copy", {"steps": 20, "step_ms": 100}, [d.http.upload(b"y" * 1000)])["id"]
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0, timeout=30)
    for pid in d.worker_pids():
        os.kill(pid, signal.SIGKILL)
    done = wait_until("the job completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=60)
    what = [e["what"] for e in done["timeline"]]
    assert what.count("leased") >= 2 and what.count("completed") == 1
    assert d.http.get_url(done["output"]["url"]).body == b"y" * 1000


def test_a_term_hands_the_job_back_with_its_checkpoint(daemon, test_copy):
    d = daemon(extra_plugins=[test_copy], settings={**SHORT, "dispatch.leaseTtlSeconds": "30"})
    id = d.http.submit("test-copy", {"steps": 60, "step_ms": 100, "checkpoint": True}, [d.http.upload(b"z" * 1000)])["id"]
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0.1, timeout=30)
    for pid in d.worker_pids():
        os.kill(pid, signal.SIGTERM)
    wait_until("the job is handed back", lambda: any(e["what"] == "requeued" for e in d.http.job(id)["timeline"]), timeout=20)
    done = wait_until("the job completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=60)
    assert done["attempts"] == 1, "an interruption gives the attempt back"


def test_a_port_that_a_child_of_the_killed_bpd_still_has_is_waited_for(daemon, noop):
    """Between fork and exec a child has every descriptor of its parent, also when that one was killed."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        s.listen()
        d = daemon(start=False, extra_plugins=[noop], settings={"http.listen": f"127.0.0.1:{s.getsockname()[1]}", "scale.dryRun": "true"})
        child = os.fork()
        if child == 0:
            time.sleep(0.4)
            os._exit(0)
    try:
        d.start()
        assert d.http.get("/healthz").status == 200
    finally:
        os.waitpid(child, 0)
