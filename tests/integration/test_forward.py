# SPDX-License-Identifier: Apache-2.0
"""Log lines on their way to the logs service, and messages to operators, with the local cloud at the other end."""
import json

from conftest import wait_until


def lines_of(d, group, stream="*"):
    folder = d.state / "plugin" / "local" / "logs" / group.replace("/", "%2F")
    return [line for f in sorted(folder.glob(f"{stream}.log")) for line in f.read_text().splitlines()]


def test_the_controllers_lines_reach_the_logs_service_to_the_last(daemon):
    d = daemon(settings={"log.forward": "info"})
    wait_until("the ready line", lambda: any("ready after" in line for line in lines_of(d, "/bp/local/bpd")))
    d.stop()
    lines = lines_of(d, "/bp/local/bpd")
    assert any("shutting down" in line for line in lines)
    bodies = [json.loads(line.split(" ", 1)[1]) for line in lines]
    assert all(b["level"] in ("error", "warn", "info") and b["text"] for b in bodies)
    assert len({line for line in lines if "ready after" in line}) == 1


def test_nothing_is_forwarded_unless_asked_for(daemon):
    d = daemon()
    d.stop()
    assert lines_of(d, "/bp/local/bpd") == []


def test_forwarded_lines_are_counted(daemon):
    d = daemon(settings={"log.forward": "info"})
    wait_until("lines", lambda: lines_of(d, "/bp/local/bpd"))

    def forwarded():
        text = d.http.get("/metrics").body.decode()
        return int(float(next(line.split()[1] for line in text.splitlines() if line.startswith("bpd_lines_forwarded_total"))))

    assert wait_until("a count", forwarded) > 0


def test_a_test_message_reaches_the_operators(daemon):
    d = daemon()
    answer = d.ctl("notify", "test", "is anybody there?")
    assert answer["sent"] is True
    assert d.ctl("notify", "test")["sent"] is True  # never taken for a repeat
    sent = [json.loads(line) for line in (d.state / "plugin" / "local" / "notifications.jsonl").read_text().splitlines()]
    assert [s["subject"] for s in sent] == ["bpd local: test"] * 2
    assert sent[0]["text"] == "is anybody there?"


def test_launches_that_fail_in_a_row_wake_the_operators(daemon, noop):
    d = daemon(settings={"notify.launchFailures": "2", "plugin": json.dumps({"local": {"launchRetrySeconds": 0.05}})},
               extra_plugins=[noop])
    wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", "bench-noop")) and rows[0]["exists"])
    d.ctl("fleet", "inject", "bench-noop", "fail-launches", "20")
    d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {}})
    file = d.state / "plugin" / "local" / "notifications.jsonl"
    text = wait_until("an alert", lambda: file.exists() and file.read_text())
    alert = json.loads(text.splitlines()[0])
    assert alert["key"] == "launch-failures:bench-noop" and "bpctl fleet bench-noop" in alert["text"]


def test_a_workers_lines_go_to_its_workflows_group(daemon, noop):
    d = daemon(settings={"plugin": json.dumps({"local": {"workerArgs": ["log.forward=info"]}})}, extra_plugins=[noop])
    d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {}})

    def line():
        files = d.state.rglob("plugin/local/logs/%2Fgpu-workers%2Fbench-noop/*.log")
        return next((f for f in files if "job 1: complete" in f.read_text()), None)

    file = wait_until("a worker's lines", line)
    assert f'registered as {file.stem}' in file.read_text()
