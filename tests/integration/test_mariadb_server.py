# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a database, an account or a schema is said with its remedy, and mended without a restart of bpd."""
import contextlib
import json
import os
import pathlib
import signal
import socket as sockets
import subprocess

import pytest

from conftest import ROOT, wait_until
from test_fleet import local

QUIET = {"scale.dryRun": "true", "dispatch.sweepMilliseconds": "100"}
QUICK = {"connectTimeoutSeconds": 1, "queryTimeoutSeconds": 2, "lockTimeoutSeconds": 1}


class Server:
    """A MariaDB of the test's own, with extra options."""

    def __init__(self, build, options=""):
        env = {**os.environ, "BP_MARIADB_TEMPLATE": str(build / "mariadb-template"), "BP_MARIADB_OPTIONS": options}
        self.holder = subprocess.Popen([str(ROOT / "tests/mariadb/with_mariadb"), "sh", "-c", 'echo "$BP_MARIADB_SOCKET"; cat'],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.socket = self.holder.stdout.readline().strip()
        assert self.socket, "the server did not come up; is mariadb-server installed? scripts/setup test"

    def run(self, sql):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "-N", "-e", sql], check=True,
                              capture_output=True, text=True).stdout.strip()

    def signal(self, signo):
        """A stop is there only when every thread has come to it."""
        pid = int((pathlib.Path(self.socket).parent / "pid").read_text())
        os.kill(pid, signo)
        if signo == signal.SIGSTOP:
            wait_until("all its threads stand", lambda: all(
                t.read_text().rpartition(")")[2].split()[0] == "T" for t in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")))

    def stop(self):
        self.holder.stdin.close()
        self.holder.wait(60)


@pytest.fixture(scope="module")
def server(build):
    s = Server(build)
    yield s
    s.stop()


@pytest.fixture
def special(build):
    """special(options): a server that lives as long as the test."""
    with contextlib.ExitStack() as stack:
        def make(options):
            s = Server(build, options)
            stack.callback(s.stop)
            return s
        yield make


@pytest.fixture
def name(request):
    return "s" + str(abs(hash(request.node.name)))


def plugin(database, **settings):
    return json.dumps({"mariadb": {"user": "root", "database": database, **settings}})


def on(daemon, plugin_settings, noop, **kw):
    return daemon(plugins=("mariadb", "local"), extra_plugins=[noop], start=False,
                  settings={"services.queue": "mariadb", "plugin": plugin_settings, **QUIET}, **kw)


def migrate(build, plugin_settings, *words):
    """bpctl migrate central with these settings of the plugin."""
    return subprocess.run([str(build / "bin" / "bpctl"), "migrate", "central", *words, "--plugins-dir", str(build / "plugins"), "--set",
                           "services.queue=mariadb", "--set", f"plugin={plugin_settings}"], capture_output=True, text=True, timeout=120)


def not_ready(d, *words):
    """Waits until /readyz says all these words; returns what it says."""
    def look():
        a = d.http.get("/readyz")
        return a.status == 503 and all(w in a.json["message"] for w in words) and int(a.headers["Retry-After"]) > 0 and a.json["message"]
    return wait_until(f"/readyz says {words}: {d.http.get('/readyz').body}", look)


def is_ready(d):
    wait_until("it is ready", lambda: d.http.get("/readyz").status == 200, timeout=90)
    d.http.token = (d.state / "local.token").read_text().strip()


def submit(d, **params):
    return d.http.post("/api/jobs", {"workflow": "bench-noop", "params": params})


# ---- at start ----

def test_a_database_that_is_down_at_start_is_named_and_found_when_it_comes(daemon, server, noop, short_dir, name):
    link = short_dir / "db.sock"
    d = on(daemon, plugin(name, socket=str(link), createDatabase=True, autoMigrate=True), noop).start(ready=False)
    said = not_ready(d, "mariadb", f"root@{link}/{name}", "2002", "is the server up? check host, port and socket", "tried again")
    assert said in d.ctl("status")["not_ready"]
    assert said in d.ctl("status", json_form=False).stdout
    a = submit(d)
    assert a.status in (401, 503)  # no token was made yet, or there is no queue
    link.symlink_to(server.socket)
    is_ready(d)
    assert submit(d).status == 201


def test_an_old_schema_is_refused_until_bpctl_migrate_ran(daemon, build, server, noop, name):
    settings = plugin(name, socket=server.socket, createDatabase=True)
    d = on(daemon, settings, noop).start(ready=False)
    not_ready(d, "is number 0", "run: bpctl migrate central")
    refused = [p for p in d.ctl("plugin") if p["name"] == "mariadb"][0]
    assert refused["state"] == "refused" and "bpctl migrate central" in refused["reason"]
    assert d.ctl("plugin", "show", "mariadb")["reason"] == refused["reason"]
    dry = migrate(build, settings, "--dry-run")
    assert dry.returncode == 3 and "CREATE TABLE IF NOT EXISTS ai_job_dispatches" in dry.stdout
    assert server.run(f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='{name}'") == "0"
    assert "pending" in migrate(build, settings, "--status").stdout
    done = migrate(build, settings, "--json")
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["databases"][0]["steps"]
    assert steps and all(s["state"] == "applied" and s["now"] and s["applied_ms"] > 0 for s in steps)
    again = migrate(build, settings, "--status")
    assert again.returncode == 0 and "applied now" not in again.stdout and "up to date" in again.stdout
    is_ready(d)  # by itself
    assert submit(d).status == 201


def test_a_reload_takes_a_mended_schema_at_once(daemon, build, server, noop, name):
    settings = plugin(name, socket=server.socket, createDatabase=True)
    d = on(daemon, settings, noop).start(ready=False)
    not_ready(d, "bpctl migrate central")
    assert migrate(build, settings).returncode == 0
    r = d.ctl("plugin", "reload", "mariadb", json_form=False)
    assert r.returncode == 0 or "already" in r.stderr, r.stderr
    is_ready(d)


def test_a_wrong_account_is_named_and_mended_by_the_database_alone(daemon, build, server, noop, name):
    assert migrate(build, plugin(name, socket=server.socket, createDatabase=True)).returncode == 0
    user = name[:20]
    server.run(f"CREATE USER {user}@localhost IDENTIFIED BY 'right'")
    d = on(daemon, plugin(name, socket=server.socket, user=user, password="wrong"), noop).start(ready=False)
    not_ready(d, f"{user}@{server.socket}/{name}", "Access denied", "check user and password")
    assert "right" not in d.log.read_text() and "wrong" not in d.log.read_text()
    server.run(f"SET PASSWORD FOR {user}@localhost = PASSWORD('wrong')")
    not_ready(d, "cannot use the database", "Access denied", "GRANT SELECT, INSERT, UPDATE, DELETE")
    server.run(f"GRANT SELECT ON {name}.* TO {user}@localhost")
    not_ready(d, "command denied", "GRANT SELECT, INSERT, UPDATE, DELETE")
    server.run(f"GRANT INSERT, UPDATE, DELETE ON {name}.* TO {user}@localhost")
    is_ready(d)
    assert submit(d).status == 201


@pytest.mark.parametrize("options, words", [
    ("--log-bin --binlog-format=STATEMENT", ("binlog_format", "MIXED or ROW")),
    ("--version=10.5.27-MariaDB", ("10.5.27", "10.6 or newer")),
    ("--max-allowed-packet=1M", ("max_allowed_packet", "1048576", "set it to")),
    ("--read-only", ("read-only", "primary")),
], ids=["statement", "old", "packet", "replica"])
def test_a_server_that_cannot_carry_the_queue_is_refused_with_the_remedy(daemon, build, special, noop, name, options, words):
    s = special(options)
    settings = plugin(name, socket=s.socket, createDatabase=True)
    r = migrate(build, settings)
    assert r.returncode == 1 and not r.stdout
    for word in (s.socket, *words):
        assert word in r.stderr
    d = on(daemon, settings, noop).start(ready=False)
    not_ready(d, s.socket, *words)
    assert d.stop() == 0


def test_a_server_that_may_lose_what_it_committed_is_warned_of(build, special, name):
    s = special("--innodb-flush-log-at-trx-commit=2 --log-bin --binlog-format=ROW --sync-binlog=0")
    r = migrate(build, plugin(name, socket=s.socket, createDatabase=True))
    assert r.returncode == 0, r.stderr
    for word in ("innodb_flush_log_at_trx_commit", "loses jobs", "sync_binlog", "set it to 1"):
        assert word in r.stderr


def test_strange_defaults_of_a_server_change_nothing(build, special):
    s = special("--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT --default-time-zone=-11:00 --lower-case-table-names=1 "
                "--transaction-isolation=SERIALIZABLE --character-set-server=latin1 --collation-server=latin1_german1_ci --autocommit=0")
    settings = json.dumps({"socket": s.socket, "user": "root", "database": "@CASE@", "createDatabase": True, "autoMigrate": True})
    for group in ("submit", "lease", "complete", "read"):
        r = subprocess.run([str(build / "bin" / "queue_conformance"), str(build / "plugins" / "mariadb.so"), settings, group],
                           capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stdout + r.stderr


# ---- while running ----

def test_a_primary_that_becomes_a_replica_is_told_and_used_again_when_it_is_one(daemon, build, server, noop, name):
    assert migrate(build, plugin(name, socket=server.socket, createDatabase=True)).returncode == 0
    user = name[:20]
    server.run(f"CREATE USER {user}@localhost; GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {user}@localhost")
    d = on(daemon, plugin(name, socket=server.socket, user=user), noop).start()
    first = submit(d).data["id"]
    server.run("SET GLOBAL read_only=1")
    try:
        a = wait_until("a submit is refused for now", lambda: (a := submit(d)).status == 503 and a)
        assert int(a.headers["Retry-After"]) > 0
        not_ready(d, "read-only", "primary")
    finally:
        server.run("SET GLOBAL read_only=0")
    is_ready(d)
    assert submit(d).status == 201 and d.http.job(first)["status"] == "queued"


def test_a_database_that_goes_down_makes_the_daemon_unready_until_it_is_back(daemon, server, noop, short_dir, name):
    link = short_dir / "db.sock"
    link.symlink_to(server.socket)
    d = on(daemon, plugin(name, socket=str(link), createDatabase=True, autoMigrate=True), noop).start()
    link.unlink()
    kill_connections(server, name)
    not_ready(d, "db.sock", "2002")
    a = submit(d)
    assert a.status == 503 and int(a.headers["Retry-After"]) > 0
    link.symlink_to(server.socket)
    is_ready(d)
    assert submit(d).status == 201


def kill_connections(server, database):
    for id in server.run(f"SELECT id FROM information_schema.PROCESSLIST WHERE db='{database}'").split():
        server.run(f"KILL {id}")


def test_a_server_that_stops_answering_holds_neither_requests_nor_the_shutdown(daemon, special, noop, name):
    s = special("")
    d = on(daemon, plugin(name, socket=s.socket, createDatabase=True, autoMigrate=True, **QUICK), noop).start()
    first = submit(d).data["id"]
    s.signal(signal.SIGSTOP)
    try:
        a = submit(d)
        assert a.status == 503 and int(a.headers["Retry-After"]) > 0
        not_ready(d, s.socket)
        s.signal(signal.SIGCONT)
        is_ready(d)
        assert d.http.job(first)["status"] == "queued"
        s.signal(signal.SIGSTOP)
        wait_until("it is unready", lambda: d.http.get("/readyz").status == 503)
        assert d.stop(timeout=60) == 0
        d.start(ready=False)
        not_ready(d, s.socket, "tried again")
        assert d.stop(timeout=60) == 0
    finally:
        s.signal(signal.SIGCONT)


def test_a_worker_delivers_what_it_did_while_the_database_was_down(daemon, server, test_copy, short_dir, name):
    link = short_dir / "db.sock"
    link.symlink_to(server.socket)
    settings = {**json.loads(plugin(name, socket=str(link), createDatabase=True, autoMigrate=True)), **json.loads(local())}
    d = daemon(plugins=("mariadb", "local"), extra_plugins=[test_copy],
               settings={"services.queue": "mariadb", "plugin": json.dumps(settings), "dispatch.leaseTtlSeconds": "120"})
    id = d.http.submit("test-copy", {"steps": 30, "step_ms": 50}, [d.http.upload(b"kept")])["id"]
    wait_until("it runs", lambda: d.http.job(id)["status"] == "leased", timeout=60)
    link.unlink()
    kill_connections(server, name)
    refused = 'route="/api/worker/complete",code="503"'
    wait_until("the worker cannot deliver yet", lambda: refused in d.http.get("/metrics").body.decode(), timeout=60)
    link.symlink_to(server.socket)
    is_ready(d)
    job = wait_until("it is delivered", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=90)
    assert job["attempts"] == 1 and d.http.get_url(job["output"]["url"]).body == b"kept"
    assert [e["what"] for e in job["timeline"]].count("leased") == 1


# ---- payloads ----

def test_a_payload_larger_than_http_or_the_database_takes_is_413(daemon, special, noop, name):
    s = special("--max-allowed-packet=4M")
    d = on(daemon, plugin(name, socket=s.socket, createDatabase=True, autoMigrate=True), noop)
    d.settings["http.maxBodyBytes"] = str(8 << 20)
    d.start()
    received = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Bytes_received'"
    before = int(s.run(received))
    assert submit(d, text="x" * (9 << 20)).status == 413
    a = submit(d, text="x" * (3 << 20))
    assert a.status == 413 and "max_allowed_packet" in a.json["message"]
    assert int(s.run(received)) - before < 1 << 20, "the database saw none of it"
    assert s.run(f"SELECT COUNT(*) FROM {name}.ai_job_dispatches") == "0"
    assert submit(d, text="x" * (1 << 20)).status == 201
    assert submit(d).status == 201


# ---- TLS ----

def authority(dir, name):
    cert, key = dir / f"{name}-ca.pem", dir / f"{name}-ca.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj", f"/CN={name} authority")
    return cert, key


def certify(dir, ca, address):
    cert, key, request = dir / f"{address}.pem", dir / f"{address}.key", dir / f"{address}.csr"
    extensions = dir / f"{address}.ext"
    extensions.write_text(f"subjectAltName=IP:{address},DNS:{address}\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={address}")
    openssl("x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-days", "2", "-out", cert, "-extfile", extensions)
    return cert, key


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def free_port():
    with sockets.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tls_server(special, ca=None, certificate=None):
    port = free_port()
    ssl = f"--ssl-ca={ca[0]} --ssl-cert={certificate[0]} --ssl-key={certificate[1]}" if ca else "--skip-ssl"
    s = special(f"--skip-networking=0 --bind-address=127.0.0.1 --port={port} {ssl}")
    s.run(f"CREATE DATABASE jobs; CREATE USER worker@127.0.0.1 IDENTIFIED BY 'secret' {'REQUIRE SSL' if ca else ''};"
          "GRANT ALL ON jobs.* TO worker@127.0.0.1")
    return lambda **settings: json.dumps({"mariadb": {"host": "127.0.0.1", "port": port, "user": "worker", "password": "secret",
                                                      "database": "jobs", **settings}})


def test_tls_with_the_right_authority_works_and_with_another_is_refused(daemon, build, special, noop, short_dir):
    ca, other = authority(short_dir, "right"), authority(short_dir, "wrong")
    settings = tls_server(special, ca, certify(short_dir, ca, "127.0.0.1"))
    r = migrate(build, settings(tls="verify", tlsCa=str(other[0])))
    assert r.returncode == 1 and "2026" in r.stderr and "tlsCa" in r.stderr and "worker@127.0.0.1" in r.stderr
    r = migrate(build, settings(tls="off"))
    assert r.returncode == 1 and "Access denied" in r.stderr  # the account requires TLS
    r = migrate(build, settings(tls="required"))
    assert r.returncode == 0, r.stderr
    d = on(daemon, settings(tls="verify", tlsCa=str(ca[0])), noop).start()
    assert submit(d).status == 201


def test_tls_refuses_a_certificate_of_another_host(build, special, short_dir):
    ca = authority(short_dir, "right")
    settings = tls_server(special, ca, certify(short_dir, ca, "192.0.2.7"))
    r = migrate(build, settings(tls="verify", tlsCa=str(ca[0])))
    assert r.returncode == 1 and "2026" in r.stderr and "certificate" in r.stderr
    assert migrate(build, settings(tls="required")).returncode == 0


def test_tls_that_the_server_does_not_offer_is_refused(build, special):
    settings = tls_server(special)
    for tls in ("required", "verify"):
        r = migrate(build, settings(tls=tls))
        assert r.returncode == 1, f"tls={tls} went on in plain text"
        assert "offers no TLS" in r.stderr or "SSL is required" in r.stderr, r.stderr
    assert migrate(build, settings(tls="off")).returncode == 0
