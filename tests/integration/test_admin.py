# SPDX-License-Identifier: Apache-2.0
"""The operator's socket: plain words, JSON-RPC, bpctl; who may do what."""
import json
import re
import signal
import socket
import sqlite3
import stat
import threading

import pytest

from conftest import wait_until


@pytest.fixture
def d(daemon, noop):
    return daemon(extra_plugins=[noop], settings={"scale.dryRun": "true"})


def talk(d, *lines):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(d.state / "bpd.sock"))
        out = b""
        try:
            s.sendall(b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines))
            s.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass  # cut off: what it said before is still there
        try:
            while chunk := s.recv(65536):
                out += chunk
        except ConnectionResetError:
            pass
    return out.decode()


def test_plain_words_are_answered_in_words(d):
    out = talk(d, "status")
    assert "ready: true" in out and "workflows: 1" in out
    assert "bench-noop" in talk(d, "workflows")


def test_json_rpc_is_answered_with_the_same_id(d):
    out = json.loads(talk(d, '{"jsonrpc":"2.0","id":"a7","method":"status"}'))
    assert out["id"] == "a7" and out["result"]["ready"] is True
    out = json.loads(talk(d, '{"jsonrpc":"2.0","id":1,"method":"plugin.show","params":{"name":"sqlite"}}'))
    assert out["result"]["name"] == "sqlite"


def test_several_lines_are_answered_in_order(d):
    out = talk(d, '{"id":1,"method":"status"}', '{"id":2,"method":"plugin.list"}', '{"id":3,"method":"help"}').splitlines()
    assert [json.loads(line)["id"] for line in out] == [1, 2, 3]


def test_another_client_is_served_between_the_lines_of_one(d):
    """Both have sent everything before the daemon looks; the first one's later answers tell what the second has done."""
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for s in first, second:
            s.settimeout(60)
            s.connect(str(d.state / "bpd.sock"))
            s.sendall(b"help drain\n")  # each is answered once: they are accepted, in this order
            assert s.recv(65536)
        d.process.send_signal(signal.SIGSTOP)
        first.sendall(b"log\n" * 1000 + b"status\n")  # no more than one read takes
        second.sendall(b"log level admin:debug\n")
        first.shutdown(socket.SHUT_WR)
        d.process.send_signal(signal.SIGCONT)
        answers = b"".join(iter(lambda: first.recv(65536), b""))
        second.recv(65536)
    assert b"log level" in answers[-40000:]  # whose turn comes first is not promised
    assert b"ready: true" in answers[-4000:]


def test_a_client_that_reads_late_gets_every_answer_in_order(d):
    n = 4000  # of some 6 KB: more than is kept for one that does not read
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(d.state / "bpd.sock"))
        lines = b"".join(b'{"id":%d,"method":"help"}\n' % i for i in range(n))
        sender = threading.Thread(target=lambda: (s.sendall(lines), s.shutdown(socket.SHUT_WR)))
        sender.start()
        assert "ready: true" in talk(d, "status")  # others are served while it does not read
        with s.makefile("rb") as answers:
            ids = [json.loads(line)["id"] for line in answers]
        sender.join()
    assert ids == list(range(n))


def test_more_lines_than_one_may_be_long_wait_behind_one_that_waits(d):
    n = 50000
    lines = b'{"id":-1,"method":"submit","params":{"body":{"workflow":"bench-noop"}}}\n'
    lines += b"".join(b'{"id":%d,"method":"no.such"}\n' % i for i in range(n))
    got = []
    with socket.socket(socket.AF_UNIX) as s, sqlite3.connect(d.state / "plugin/sqlite/queue.db") as store:
        s.settimeout(60)
        s.connect(str(d.state / "bpd.sock"))
        sender = threading.Thread(target=lambda: (s.sendall(lines), s.shutdown(socket.SHUT_WR)))
        reader = threading.Thread(target=lambda: got.extend(s.makefile("rb")))
        store.execute("BEGIN IMMEDIATE")  # the submit waits
        sender.start()
        reader.start()
        sender.join(1)  # it is stuck once the daemon has taken what it takes; if that lasts longer, nothing is shown
        store.rollback()
        sender.join()
        reader.join()
    assert [json.loads(line)["id"] for line in got] == list(range(-1, n)), got[:3]


def test_mistakes_name_the_command_and_the_nearest(d):
    assert 'did you mean "workflows"' in talk(d, "workflws")
    assert "usage: job <id>" in talk(d, "job")
    assert "not a whole number" in talk(d, "job x")
    e = json.loads(talk(d, '{"id":1,"method":"jobs","params":{"limt":3}}'))["error"]
    assert "limt" in e["message"] and e["code"] == -32602
    assert json.loads(talk(d, '{"id":1'))["error"]["code"] == -32700
    assert "NUL" in talk(d, b"status\0\n")


def test_an_endless_line_is_cut_off(d):
    assert "at most" in talk(d, b"a" * (3 << 20))
    assert "ready: true" in talk(d, "status")


def test_the_socket_is_not_open_to_others(d):
    assert stat.S_IMODE((d.state / "bpd.sock").stat().st_mode) == 0o660


def test_every_command_of_help_that_changes_nothing_works(d):
    for c in d.ctl("help"):
        if not c["changes"] and "<" not in c["usage"]:
            r = d.ctl(*c["name"].split(), json_form=False)
            # the local cloud makes instances from no image, and says so
            assert r.returncode == 0 or (c["name"] == "ami" and "makes instances from no image" in r.stderr), c["name"]


def test_a_job_is_submitted_listed_shown_and_cancelled(d):
    r = d.ctl("submit", "bench-noop", "--param", "a=1", "--priority", "7")
    id = str(r["id"])
    assert r["status"] == "queued"
    jobs = d.ctl("jobs", "--status", "queued")["jobs"]
    assert [j["id"] for j in jobs] == [r["id"]]
    head, row = d.ctl("jobs", "--status", "queued", json_form=False).stdout.splitlines()[1:3]
    assert re.fullmatch(r"\d+ s", row[head.index("AGE"):head.index("WORKER")].strip()), row
    assert d.ctl("job", id)["priority"] == 7
    assert d.ctl("job", "cancel", id)["status"] == "cancelled"
    assert d.ctl("job", "retry", id)["status"] == "queued"
    refused = d.ctl("job", "cancel", "99999", json_form=False)
    assert refused.returncode == 1 and "99999" in refused.stderr


def test_a_plugin_that_needs_an_account_waits_until_a_setting_names_it(daemon, build):
    served = lambda d: {p["name"]: p["services"] for p in d.ctl("plugin", "list") if p["kind"] == "cloud"}
    aws = build / "plugins/aws.so"
    unnamed = served(daemon(extra_plugins=[aws]))
    assert set(unnamed) == {"local"} and {"fleet", "objects", "node"} <= set(unnamed["local"])
    named = daemon(extra_plugins=[aws], settings={"services": json.dumps({s: "local" for s in ("fleet", "objects", "params", "metrics", "logs", "notify")}
                                                                         | {"node": "aws"})})
    assert served(named)["aws"] == ["node"]


def test_a_refused_upload_is_told_with_the_servers_reason(daemon, noop, tmp_path):
    d = daemon(extra_plugins=[noop], settings={"scale.dryRun": "true", "plugin": json.dumps({"local": {"minFreeBytes": 10**15}})})
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    r = d.ctl("submit", "bench-noop", str(tmp_path / "photo.jpg"), json_form=False)
    assert r.returncode == 1 and "the server answered 503: only " in r.stderr and "less than minFreeBytes" in r.stderr, r.stderr


def test_events_tell_what_happened(d):
    d.ctl("submit", "bench-noop")
    assert any(e["event"] == "job.submitted" for e in d.ctl("events", "job.*"))
    assert "job.submitted" in d.ctl("events", json_form=False).stdout


def test_settings_are_read_again_and_a_bad_file_changes_nothing(daemon, noop, short_dir):
    f = short_dir / "bpd.json"
    f.write_text('{"dispatch": {"maxAttempts": 4}}')
    d = daemon(start=False, extra_plugins=[noop], settings={"scale.dryRun": "true"})
    command = d.command
    d.command = lambda: command() + ["--config", str(f)]
    d.start()
    value = lambda: d.ctl("config", "dispatch.maxAttempts")[0]["value"]
    assert value() == 4
    f.write_text('{"dispatch": {"maxAttempts": 6}}')
    assert d.ctl("config", "reload")["changed"] == 1 and value() == 6
    f.write_text('{"dispatch": {"maxAttempt": 7}}')
    r = d.ctl("config", "reload", json_form=False)
    assert r.returncode == 1 and "dispatch.maxAttempts" in r.stderr
    assert value() == 6 and d.http.get("/readyz").status == 200
    f.write_text('{"dispatch": {"maxAttempts": 8}}')
    d.process.send_signal(signal.SIGHUP)
    wait_until("SIGHUP reads it", lambda: value() == 8)


def with_a_file(daemon, dir, **how):
    """(a daemon to be started, its settings file), which is empty."""
    f = dir / "bpd.json"
    f.write_text("{}")
    d = daemon(start=False, **how)
    command = d.command
    d.command = lambda: command() + ["--config", str(f)]
    return d, f


def test_a_new_fleet_secret_is_taken_by_a_reload(daemon, noop, short_dir):
    d, f = with_a_file(daemon, short_dir, extra_plugins=[noop], settings={"scale.dryRun": "true", "workers.formerSecretSeconds": "0"})
    old, new = "the-former-fleet-secret", "n" * 300
    f.write_text(json.dumps({"workers": {"fleetSecret": old}}))
    d.start()

    def register(secret):
        return d.http.post("/api/worker/register", {"worker_id": "w", "fleet_slug": "bench-noop"},
                           headers={"X-Fleet-Secret": secret}).status

    assert register(old) == 200
    f.write_text(json.dumps({"workers": {"fleetSecret": new}}))
    assert d.ctl("config", "reload")["changed"] == 1
    assert register(old) == 401 and register(new) == 200
    assert d.secret() == new


def test_a_plugin_that_no_setting_names_says_so_and_starts_with_the_reload_that_names_it(daemon, build, short_dir):
    d, f = with_a_file(daemon, short_dir, extra_plugins=[build / "plugins/mariadb.so"], settings={"services": '{"queue":"sqlite"}'})
    f.write_text("{}")
    d.start()
    assert [p["name"] for p in d.ctl("plugin", "list") if p["name"] == "mariadb"] == []
    shown = d.ctl("plugin", "show", "mariadb")
    assert (shown["state"], shown["kind"]) == ("found", "queue") and shown["file"].endswith("/mariadb.so")
    assert "no setting names it; give plugin.mariadb or let services name it, then bpctl config reload" in shown["reason"]
    f.write_text(json.dumps({"plugin": {"mariadb": {"socket": "/nowhere/mariadb.sock"}}}))
    d.ctl("config", "reload")
    wait_until("it is started", lambda: d.ctl("plugin", "show", "mariadb")["state"] != "found")
    assert not any("names plugin" in line["text"] for line in map(json.loads, d.ctl("log", "--last", "100")))


def test_a_refused_reload_leaves_the_log_where_it_was(daemon, short_dir):
    d, f = with_a_file(daemon, short_dir)
    del d.settings["log.levels"]
    d.start()
    f.write_text(json.dumps({"log": {"path": str(short_dir / "other.log"), "levels": "hots=debug"}}))
    assert d.ctl("config", "reload", json_form=False).returncode == 1
    assert not (short_dir / "other.log").exists()


def test_a_reader_of_events_that_is_too_slow_is_told_how_many_it_missed(daemon, short_dir):
    d, f = with_a_file(daemon, short_dir)
    del d.settings["log.levels"]
    d.start()
    f.write_text(json.dumps({"log": {"levels": "x" * 400 + "=debug"}}))  # each reload is refused, in an event of 500 bytes
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(d.state / "bpd.sock"))
        s.sendall(b'{"id":1,"method":"events","params":{"match":"config.*","last":0,"follow":true}}\n')
        lines = s.makefile()
        assert json.loads(lines.readline())["result"] == []
        talk(d, *['{"id":1,"method":"config.reload"}'] * 3000)  # and nothing is read meanwhile
        seqs, lost = [], 0
        while len(seqs) + lost < 3000:
            news = json.loads(lines.readline())
            if news["method"] == "lost":
                lost += news["params"]["lost"]
            else:
                seqs.append(news["params"]["seq"])
    assert lost > 0 and len(seqs) > 1000 and seqs == sorted(set(seqs))


def test_events_that_nobody_publishes_are_refused_with_the_nearest(d):
    assert "did you mean job.completed?" in talk(d, "events job.complete")
    assert "no event is named nothing.*" in talk(d, "events nothing.*")


def test_log_levels_change_while_running(d):
    assert d.ctl("log", "level", "debug")
    assert d.ctl("log", "level", "hots=debug", json_form=False).returncode == 1
    assert d.ctl("log", "--last", "5")


def test_shutdown_ends_the_daemon_with_0(d):
    d.ctl("shutdown")
    assert d.process.wait(20) == 0
    assert not (d.state / "bpd.sock").exists()


def test_sigterm_answers_waiting_polls_and_ends_with_0(d):
    assert d.stop() == 0
