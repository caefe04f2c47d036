# SPDX-License-Identifier: Apache-2.0
"""The same daemon on a real MariaDB: the same promises, and two controllers on one database."""
import json
import os
import re
import shutil
import subprocess
import threading

import pytest

from client import FieldWorker, Http
from conftest import ROOT, wait_until
from test_fleet import local

SHORT = {"dispatch.leaseTtlSeconds": "2", "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.1"}


@pytest.fixture(scope="module")
def mariadb():
    """The socket of a server that lives as long as this module's tests."""
    assert shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin"), "mariadbd is missing: run scripts/setup test"
    holder = subprocess.Popen([str(ROOT / "tests/mariadb/with_mariadb"), "sh", "-c", 'echo "$BP_MARIADB_SOCKET"; cat'],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    socket = holder.stdout.readline().strip()
    assert socket, "the server did not come up"
    yield socket
    holder.stdin.close()
    holder.wait(60)


@pytest.fixture
def on_mariadb(daemon, mariadb, request):
    """daemon(...) with the queue in a database of this test's own."""
    name = "t" + str(abs(hash(request.node.name)))

    def sql(text):
        """What statements answer, as lines of words."""
        a = subprocess.run(["mariadb", "--no-defaults", f"--socket={mariadb}", "--user=root", "-N", name, "-e", text],
                           capture_output=True, text=True, check=True)
        return [line.split("\t") for line in a.stdout.splitlines()]

    def make(settings=None, socket=mariadb, **kw):
        plugin = {"mariadb": {"socket": str(socket), "user": "root", "database": name, "createDatabase": True, "autoMigrate": True}, **json.loads(local())}
        return daemon(plugins=("mariadb", "local"), settings={"services.queue": "mariadb", "plugin": json.dumps(plugin), **SHORT,
                                                              **(settings or {})}, **kw)

    make.sql = sql
    return make


def example(page, after):
    """The first SQL of a page behind this heading, as (variables, statement)."""
    text = (ROOT / page).read_text().split(after, 1)[1]
    return re.search(r"```sql\n(SET [^;]*;\n)(.*?)```", text, re.S).groups()


def test_a_fleet_works_a_job_off_from_zero_and_back(on_mariadb, test_copy):
    d = on_mariadb(extra_plugins=[test_copy], settings={"workflows": json.dumps({"test-copy": {"scaleToZeroSeconds": 1}})})
    id = d.http.submit("test-copy", {"steps": 5, "step_ms": 50}, [d.http.upload(b"in the database")])["id"]
    done = wait_until("it completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=60)
    assert d.http.get_url(done["output"]["url"]).body == b"in the database"
    assert [e["what"] for e in done["timeline"]][0] == "submitted" and done["timeline"][-1]["what"] == "completed"
    wait_until("the fleet is empty again", lambda: not d.ctl("fleet", "test-copy")[0]["instances"], timeout=60)


def test_a_submit_answered_201_survives_kill_9_of_the_controller(on_mariadb, noop):
    d = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    id = d.http.submit("bench-noop", {"n": 1})["id"]
    d.kill9()
    d.start()
    assert d.http.job(id)["status"] == "queued"
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="bench-noop").status == 200
    job = w.poll().data["job"]
    assert job["dispatch_id"] == id and w.complete(job).status == 200


def test_a_job_submitted_at_one_controller_is_done_at_another_and_never_twice(on_mariadb, noop):
    one = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    two = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    ids = {one.http.submit("bench-noop", {"n": n})["id"] for n in range(30)}
    workers = []
    for n, d in enumerate((one, two, one, two)):
        w = FieldWorker(Http(d.port), d.secret(), f"i-0aaaaaaaaaaaaaa{n:02d}")
        assert w.register(fleet="bench-noop").status == 200
        workers.append(w)
    leased = []
    for turn in range(40):
        for w in workers:
            job = w.poll().data["job"]
            if job:
                leased.append(job["dispatch_id"])
                assert w.complete(job).status == 200
    assert sorted(leased) == sorted(ids)


def test_a_server_that_is_away_is_said_and_served_again_when_it_is_back(on_mariadb, noop):
    d = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    first = d.http.submit("bench-noop")["id"]
    socket = json.loads(d.settings["plugin"])["mariadb"]["socket"]
    os.rename(socket, socket + ".away")
    try:
        # A connection that is up stays up; ending it from the server's side makes the plugin look for the socket.
        kill = subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}.away", "--user=root", "-N", "-e",
                               "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'"],
                              capture_output=True, text=True, check=True).stdout.split()
        for id in kill:
            subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}.away", "--user=root", "-e", f"KILL {id}"], check=False,
                           capture_output=True)
        a = wait_until("submits are refused for now", lambda: (a := d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {}})).status == 503 and a)
        assert int(a.headers["Retry-After"]) > 0
    finally:
        os.rename(socket + ".away", socket)
    wait_until("service resumes", lambda: d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {}}).status == 201, timeout=60)
    assert d.http.job(first)["status"] == "queued"


def test_a_row_inserted_as_documented_reaches_a_waiting_worker(on_mariadb, noop):
    d = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    first = d.http.submit("bench-noop", {"n": 1})["id"]
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="bench-noop").status == 200
    job = w.poll().data["job"]
    assert job["dispatch_id"] == first and w.complete(job).status == 200
    got = []
    waiting = threading.Thread(target=lambda: got.append(w.poll(wait_seconds=30).data["job"]))
    waiting.start()
    tenant = on_mariadb.sql("SELECT name FROM tenants")[0][0]
    variables, statement = example("docs/operations.md", "### Jobs from other applications")
    assert variables.count("@") == 3
    on_mariadb.sql(f"SET @tenant = '{tenant}', @workflow = 'bench-noop', @input_key = 'tenants/{tenant}/uploads/1/photo.jpg';"
                   + statement)
    waiting.join(60)
    job = got[0]
    assert job["input_payload"]["inputs"][0]["key"] == f"tenants/{tenant}/uploads/1/photo.jpg"
    assert w.complete(job).status == 200
    done = d.http.job(job["dispatch_id"])
    assert [e["what"] for e in done["timeline"]] == ["submitted", "leased", "completed"]
    assert on_mariadb.sql(f"SELECT status, created_at < finished_at, attempts FROM ai_job_dispatches WHERE id = {job['dispatch_id']}") == [
        ["completed", "1", "1"]]


def test_a_row_whose_input_object_is_not_there_fails_at_once_and_for_good(on_mariadb, test_copy):
    d = on_mariadb(extra_plugins=[test_copy], settings={"workflows": json.dumps({"test-copy": {"scaleToZeroSeconds": 60}})})
    first = d.http.submit("test-copy", {}, [d.http.upload(b"there")])["id"]
    wait_until("the first is done", lambda: d.http.job(first)["status"] == "completed", timeout=60)
    on_mariadb.sql("INSERT INTO ai_job_dispatches (tenant_id, workflow_id, input_key, input_mime) SELECT t.id, w.id, "
                   "CONCAT('tenants/', t.name, '/uploads/none/photo.jpg'), 'image/jpeg' FROM tenants t JOIN workflows w ON w.name = 'test-copy'")
    id = int(on_mariadb.sql("SELECT MAX(id) FROM ai_job_dispatches")[0][0])
    behind = d.http.submit("test-copy", {}, [d.http.upload(b"there too")])["id"]
    job = wait_until("it has ended", lambda: (j := d.http.job(id))["status"] not in ("queued", "leased") and j, timeout=60)
    assert job["status"] == "failed" and job["attempts"] == 1
    assert job["error"] == "the input could not be read: the file is not there any more"
    assert [e["what"] for e in job["timeline"]] == ["submitted", "leased", "failed"]
    wait_until("the one behind it is done", lambda: d.http.job(behind)["status"] == "completed", timeout=60)
    assert d.http.job(id)["status"] == "failed"


def test_a_row_inserted_against_the_rules_fails_with_the_reason_and_holds_up_nothing(on_mariadb, noop):
    d = on_mariadb(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    d.http.submit("bench-noop", {"n": 1})
    on_mariadb.sql("INSERT INTO ai_job_dispatches (tenant_id, workflow_id, priority, input_key) SELECT t.id, w.id, 9, 'tenants/nobody/x' "
                   "FROM tenants t JOIN workflows w")
    bad = int(on_mariadb.sql("SELECT MAX(id) FROM ai_job_dispatches")[0][0])
    wait_until("it is refused", lambda: d.http.job(bad)["status"] == "failed", timeout=60)
    assert "below tenants/" in d.http.job(bad)["error"]
    w = FieldWorker(d.http, d.secret(), "i-0aaaaaaaaaaaaaaa1")
    assert w.register(fleet="bench-noop").status == 200
    assert w.complete(w.poll().data["job"]).status == 200
