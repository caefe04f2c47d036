# SPDX-License-Identifier: Apache-2.0
"""Log lines to CloudWatch Logs against moto, read back with boto3: limits, outages, and what waits on disk."""
import itertools
import json
import os
import socket
import time

import pytest

from conftest import wait_until
from objects_rig import INVALID
from watch_rig import aws_daemon, moto, recorder, server, watcher  # noqa: F401

GROUP = "/bp/prod/bpd"
QUICK = {"maxAttempts": 1, "connectTimeoutMilliseconds": 500}


@pytest.fixture
def start(build, tmp_path):
    running = []

    def run(url, settings=None):
        c = watcher(build, tmp_path, url, settings)
        running.append(c)
        return c

    yield run
    for c in running:
        if c.process.poll() is None:
            c.close()


def now_ms():
    return int(time.time() * 1000)


def lines_of(moto, group=GROUP, stream="ctl-1"):
    logs = moto.client("logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNames=[stream])
        return [e["message"] for page in pages for e in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


clock = itertools.count(now_ms() - 600000)  # no two lines have the same time: so moto keeps their order


def say(call, *texts, at=None, stream="ctl-1", group=GROUP):
    lines = [[at + i if at else next(clock), t] for i, t in enumerate(texts)]
    call.ok("log", group=group, stream=stream, lines=lines)


def puts(recorder):
    """The PutLogEvents that were sent."""
    return [json.loads(body) for headers, body in recorder.requests if headers["X-Amz-Target"].endswith(".PutLogEvents")]


def spooled(tmp_path):
    return sum(f.stat().st_size for f in (tmp_path / "plugin-state" / "log-spool").glob("*.log"))


def test_groups_and_streams_are_made_and_lines_keep_their_order_and_times(moto, start):
    call = start(moto.url, {"logRetentionDays": 14})
    t = now_ms() - 5000
    say(call, "eins", "zwei — ü", "", at=t)
    say(call, "worker's", stream="i-0abc:1", group="/gpu-workers/upscale")
    wait_until("lines", lambda: lines_of(moto, "/gpu-workers/upscale", "i-0abc-1") == ["worker's"])
    assert lines_of(moto) == ["eins", "zwei — ü", " "]
    events = moto.client("logs").get_log_events(logGroupName=GROUP, logStreamName="ctl-1")["events"]
    assert [e["timestamp"] for e in events] == [t, t + 1, t + 2]
    groups = {g["logGroupName"]: g["retentionInDays"] for g in moto.client("logs").describe_log_groups()["logGroups"]}
    assert groups == {GROUP: 14, "/gpu-workers/upscale": 14}


def test_a_group_that_is_there_keeps_its_own_retention(moto, start):
    logs = moto.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=365)
    call = start(moto.url)
    say(call, "a")
    wait_until("a line", lambda: lines_of(moto) == ["a"])
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 365


def test_calls_keep_to_the_limits(recorder, moto, start):
    call = start(recorder.url)
    t = now_ms() - 3 * 86400 * 1000
    lines = [[t + i, "x" * 50] for i in range(12000)] + [[t + 12000 + i, "y" * 200000] for i in range(8)]
    lines += [[t + 2 * 86400 * 1000, "the next day"]]
    call.ok("log", group=GROUP, stream="ctl-1", lines=lines)
    wait_until("all lines", lambda: sum(len(p["logEvents"]) for p in puts(recorder)[1:]) == 12009)  # the first found no stream
    assert max(len(p["logEvents"]) for p in puts(recorder)) == 10000
    for p in puts(recorder):
        times = [e["timestamp"] for e in p["logEvents"]]
        assert len(times) <= 10000 and times == sorted(times) and times[-1] - times[0] < 86400 * 1000
        assert sum(len(e["message"]) + 26 for e in p["logEvents"]) <= 1048576


def test_lines_out_of_order_are_sorted_in_their_call(recorder, moto, start):
    call = start(recorder.url)
    t = now_ms() - 10000
    call.ok("log", group=GROUP, stream="ctl-1", lines=[[t + 2, "c"], [t, "a"], [t + 1, "b1"], [t + 1, "b2"]])
    wait_until("lines", lambda: lines_of(moto))
    assert lines_of(moto) == ["a", "b1", "b2", "c"]


def test_a_line_that_is_too_long_is_cut_with_a_mark(moto, start):
    call = start(moto.url)
    say(call, "ä" * 200000)
    text = wait_until("the line", lambda: lines_of(moto))[0]
    assert len(text.encode()) + 26 <= 262144 and text.endswith(" ... [cut: 400000 bytes]")
    assert set(text[:-len(" ... [cut: 400000 bytes]")]) == {"ä"}


def test_lines_outside_the_times_that_cloudwatch_takes_are_counted(recorder, moto, start):
    call = start(recorder.url)
    t = now_ms()
    call.ok("log", group=GROUP, stream="ctl-1", lines=[[t - 15 * 86400000, "old"], [t, "now"], [t + 3 * 3600000, "future"]])
    wait_until("the loss is told", lambda: "2 too old or from the future" in call.logged())
    assert lines_of(moto) == ["now"]


def test_lines_that_cloudwatch_rejects_are_counted(recorder, moto, start):
    answer = json.dumps({"nextSequenceToken": "1", "rejectedLogEventsInfo": {"expiredLogEventEndIndex": 1, "tooNewLogEventStartIndex": 4}})
    recorder.answer = lambda body: (200, answer.encode()) if b"logEvents" in body else None
    call = start(recorder.url)
    say(call, "a", "b", "c", "d", "e")
    wait_until("the loss is told", lambda: "2 rejected" in call.logged())


def test_one_line_that_is_refused_does_not_hold_up_the_others(recorder, moto, start):
    refusal = b'{"__type":"InvalidParameterException","message":"no"}'
    recorder.answer = lambda body: (400, refusal) if b"poison" in body else None
    call = start(recorder.url)
    say(call, *[f"line {i}" for i in range(5)], "poison", "the end")
    wait_until("the others", lambda: lines_of(moto) == [f"line {i}" for i in range(5)] + ["the end"])
    wait_until("the loss is told", lambda: "1 refused" in call.logged())


def test_names_that_are_none_are_refused(moto, start):
    call = start(moto.url)
    assert call("log", group="/bp/ü", stream="a", lines=[[now_ms(), "x"]])["rc"] == INVALID
    assert call("log", group="", stream="a", lines=[[now_ms(), "x"]])["rc"] == INVALID
    assert call("log", group=GROUP, stream="", lines=[[now_ms(), "x"]])["rc"] == INVALID


# ---- CloudWatch is away ----

def test_nothing_accepted_is_lost_in_an_outage_and_the_spool_drains(moto, start, tmp_path):
    call = start(moto.url, QUICK)
    say(call, "before")
    wait_until("the first line", lambda: lines_of(moto) == ["before"])
    moto.stop()
    try:
        for i in range(20):
            say(call, f"{i} a", f"{i} b")
        wait_until("the outage is told", lambda: "does not take log lines" in call.logged())
        assert spooled(tmp_path) > 0
    finally:
        moto.start()
    wait_until("all lines in order", lambda: lines_of(moto) == ["before"] + [f"{i} {k}" for i in range(20) for k in "ab"], timeout=30)
    wait_until("the end is told", lambda: "takes log lines again" in call.logged())
    assert call.logged().count("does not take log lines") == 1


def test_what_waits_survives_a_kill_and_goes_out_after_the_restart(moto, start, tmp_path):
    call = start("http://127.0.0.1:9", QUICK)  # nobody is there
    for i in range(50):
        say(call, f"line {i}")
    call.kill()
    newest = max((tmp_path / "plugin-state" / "log-spool").glob("*.log"))
    with open(newest, "ab") as f:
        f.write(open(newest, "rb").read()[:37])  # the power went while one was written
    again = start(moto.url)
    say(again, "after")
    wait_until("all lines", lambda: lines_of(moto) == [f"line {i}" for i in range(50)] + ["after"])
    wait_until("the tear is told", lambda: "1 stretches of the spool damaged" in again.logged())


def test_a_full_spool_drops_the_oldest_and_counts_them(moto, start, tmp_path):
    call = start("http://127.0.0.1:9", {**QUICK, "logSpoolBytes": 1 << 20})
    for i in range(40):
        say(call, *[f"{i} {'x' * 1000}"] * 50)
    assert spooled(tmp_path) <= 1 << 20
    call.close()
    again = start(moto.url, {"logSpoolBytes": 1 << 20})
    wait_until("the newest", lambda: any(line.startswith("39 ") for line in lines_of(moto)))
    seen = [int(line.split()[0]) for line in lines_of(moto)]
    assert seen == sorted(seen) and seen.count(39) == 50 and len(seen) < 2000 and 0 not in seen
    wait_until("the spool is empty", lambda: spooled(tmp_path) < 1 << 17)
    again.close()


def test_a_disk_that_takes_nothing_does_not_stop_lines_while_cloudwatch_takes_them(moto, start, tmp_path):
    (tmp_path / "plugin-state").mkdir(exist_ok=True, mode=0o700)
    (tmp_path / "plugin-state" / "log-spool").write_text("in the way")
    call = start(moto.url, QUICK)
    say(call, "a")
    assert lines_of(moto) == ["a"]
    assert "cannot wait on disk" in call.logged()
    moto.stop()
    try:
        assert call("log", group=GROUP, stream="ctl-1", lines=[[now_ms(), "b"]])["rc"] == -5
    finally:
        moto.start()
    say(call, "b")
    assert lines_of(moto) == ["a", "b"]
    os.unlink(tmp_path / "plugin-state" / "log-spool")


def test_a_denied_call_is_told_with_its_action_and_keeps_the_lines(recorder, moto, start):
    recorder.answer = lambda body: (400, b'{"__type":"AccessDeniedException","message":"no"}')
    call = start(recorder.url)
    say(call, "a")
    told = wait_until("it is told", lambda: next((x for x in call.logged().splitlines() if "does not take" in x), None))
    assert "logs:PutLogEvents" in told and "AccessDenied" in told
    recorder.answer = lambda body: None
    wait_until("the line", lambda: lines_of(moto) == ["a"])


def test_the_daemons_lines_are_there_to_the_last(daemon, moto, monkeypatch):
    d = aws_daemon(daemon, moto, monkeypatch, "logs", **{"log.forward": "info"})
    logs = moto.client("logs")
    stream = wait_until("a stream", lambda: moto_streams(logs))[0]
    wait_until("lines", lambda: lines_of(moto, stream=stream))
    row = {c["check"]: c for c in d.ctl("doctor", check=False)["checks"]}["aws.logs"]
    assert row["status"] == "ok" and "lines were sent" in row["text"]
    d.stop()
    texts = [json.loads(line)["text"] for line in lines_of(moto, stream=stream)]
    assert any("ready after" in t for t in texts) and any("shutting down" in t for t in texts)


def moto_streams(logs):
    try:
        return [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=GROUP)["logStreams"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def test_doctor_says_that_cloudwatch_takes_no_lines(daemon, moto, recorder, monkeypatch):
    recorder.answer = lambda body: (400, b'{"__type":"AccessDeniedException","message":"no"}') if b"logEvents" in body else None
    d = aws_daemon(daemon, recorder, monkeypatch, "logs", **{"log.forward": "info"})

    def row():
        found = {c["check"]: c for c in d.ctl("doctor", check=False)["checks"]}["aws.logs"]
        return found if found["status"] == "fail" else None

    row = wait_until("doctor knows", row)
    assert "bytes wait" in row["text"] and "allow logs:PutLogEvents" in row["text"]
    assert d.http.get("/readyz").status == 200


def test_a_cloudwatch_that_never_answers_keeps_lines_on_disk_and_holds_up_no_caller(moto, start, tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        call = start("http://127.0.0.1:%d" % silent.getsockname()[1])
        for i in range(5):
            say(call, f"line {i}")  # accepted while the sender waits for an answer that never comes
        assert spooled(tmp_path) > 0
        call.kill()
    again = start(moto.url)
    wait_until("the lines", lambda: lines_of(moto) == [f"line {i}" for i in range(5)])
    again.close()
