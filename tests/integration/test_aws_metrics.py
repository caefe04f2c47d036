# SPDX-License-Identifier: Apache-2.0
"""Metrics, alarms and dashboards against moto, read back with boto3."""
import datetime
import gzip
import json
import time
import urllib.parse

import pytest

from conftest import wait_until
from fakeaws import FakeAws
from fakeaws.identity import Keys
from objects_rig import KEYS
from watch_rig import aws_daemon, moto, recorder, server, watcher  # noqa: F401

MINUTE = 60000


@pytest.fixture
def start(build, tmp_path):
    running = []

    def run(url, settings=None):
        c = watcher(build, tmp_path, url, {"alarmPaceMilliseconds": 0, **(settings or {})})
        running.append(c)
        return c

    yield run
    for c in running:
        if c.process.poll() is None:
            c.close()


def now_ms():
    return int(time.time() * 1000)


def sample(value, at_ms=None, name="QueueDepth", workflow="upscale", unit="Count"):
    return {"name": name, "workflow": workflow, "stage": "prod", "unit": unit, "value": value, "at_ms": at_ms or now_ms()}


def stored(moto, name="QueueDepth", workflow="upscale", stage="prod"):
    """[(time, sample count, sum)] of CloudWatch; stage None: the metric of all stages."""
    dims = [{"Name": "WorkflowSlug", "Value": workflow}] + ([{"Name": "Stage", "Value": stage}] if stage else [])
    now = datetime.datetime.now(datetime.timezone.utc)
    points = moto.client("cloudwatch").get_metric_statistics(
        Namespace="BP/Workers", MetricName=name, Dimensions=dims, Period=60, Statistics=["SampleCount", "Sum"],
        StartTime=now - datetime.timedelta(hours=6), EndTime=now + datetime.timedelta(hours=3))["Datapoints"]
    return sorted((p["Timestamp"], p["SampleCount"], p["Sum"]) for p in points)


# ---- samples ----

def test_samples_arrive_under_both_sets_of_dimensions_zeros_included(moto, start):
    call = start(moto.url)
    call.ok("metrics", samples=[sample(0), sample(2.5, name="BacklogPerInstance"), sample(12, name="JobProcessingP50", unit="Seconds")])
    wait_until("the samples", lambda: stored(moto, "JobProcessingP50"))
    assert [p[1:] for p in stored(moto)] == [(1, 0)]
    assert [p[2] for p in stored(moto, stage=None)] == [0]  # moto counts those of a stage along
    assert [p[1:] for p in stored(moto, "BacklogPerInstance")] == [(1, 2.5)]
    listed = moto.client("cloudwatch").list_metrics(Namespace="BP/Workers")["Metrics"]
    assert {tuple(sorted(d["Name"] for d in m["Dimensions"])) for m in listed} == {("WorkflowSlug",), ("Stage", "WorkflowSlug")}


def test_a_thousand_datums_a_request_packed_with_a_resolution_of_a_minute(start):
    """By the fake, which checks the signature of the packed body; moto takes ten seconds for a thousand."""
    with FakeAws() as aws:
        aws.identity.add(Keys(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], "the test"))
        start(aws.url).ok("metrics", samples=[sample(i, workflow=f"workflow-{i:04}") for i in range(1200)])
        wait_until("three requests", lambda: len(aws.requests("monitoring")) == 3 and aws.requests("monitoring")[-1].status == 200)
        assert not aws.unproven() and len(aws.cloudwatch.data) == 2400
        requests = aws.requests("monitoring")
    datums = []
    for r in requests:
        assert r.headers["content-encoding"] == "gzip"
        text = gzip.decompress(r.body)
        assert len(text) < 1_000_000
        form = dict(urllib.parse.parse_qsl(text.decode()))
        assert form["Action"] == "PutMetricData" and form["Namespace"] == "BP/Workers"
        n = len([k for k in form if k.endswith(".MetricName")])
        assert n <= 1000 and f"MetricData.member.{n}.MetricName" in form
        datums += [(form[f"MetricData.member.{i}.Dimensions.member.1.Value"], form[f"MetricData.member.{i}.Value"])
                   for i in range(1, n + 1)]
        assert {form[f"MetricData.member.{i}.StorageResolution"] for i in range(1, n + 1)} == {"60"}
    assert datums == [(f"workflow-{i:04}", str(i)) for i in range(1200) for _ in range(2)]


def test_late_samples_are_dropped_with_a_count(moto, start):
    call = start(moto.url, {"metricsKeepMinutes": 60})
    t = now_ms()
    call.ok("metrics", samples=[sample(1, t - 61 * MINUTE), sample(2, t - 15 * 24 * 60 * MINUTE), sample(3, t - 59 * MINUTE),
                                sample(4, t + 121 * MINUTE), sample(5, t)])
    wait_until("what is told", lambda: "samples of metrics are lost" in call.logged())
    assert [p[2] for p in stored(moto)] == [3, 5]
    assert "3 samples of metrics are lost: 3 too old or from the future" in call.logged()


def test_values_that_are_none_are_refused_at_once(moto, start):
    call = start(moto.url)
    for value in (float("nan"), float("inf"), 2.0 ** 361):
        assert call("metrics", samples=[sample(1), sample(value)])["rc"] == -2
    call.close()
    assert stored(moto) == []


def test_nothing_accepted_is_lost_while_cloudwatch_is_away(moto, start):
    call = start(moto.url, {"maxAttempts": 1, "connectTimeoutMilliseconds": 500})
    t = now_ms()
    call.ok("metrics", samples=[sample(1, t - 3 * MINUTE)])
    wait_until("the first sample", lambda: stored(moto))
    moto.stop()
    try:
        call.ok("metrics", samples=[sample(2, t - 2 * MINUTE)])
        wait_until("the outage is told", lambda: "CloudWatch does not take metrics" in call.logged())
        call.ok("metrics", samples=[sample(3, t - MINUTE), sample(4, t)])
    finally:
        moto.start()
    wait_until("all samples", lambda: [p[1:] for p in stored(moto)] == [(1, 1), (1, 2), (1, 3), (1, 4)])
    wait_until("the end is told", lambda: "CloudWatch takes metrics again" in call.logged())
    assert call.logged().count("does not take metrics") == 1


def test_one_sample_that_cloudwatch_refuses_does_not_hold_up_the_others(recorder, moto, start):
    call = start(recorder.url, {"minCompressBytes": 10485760})
    refusal = b"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameterValue</Code><Message>no</Message></Error></ErrorResponse>"
    recorder.answer = lambda body: (400, refusal) if b"poison" in body else None
    call.ok("metrics", samples=[sample(i, workflow="poison" if i == 5 else f"w{i}") for i in range(9)])
    for i in (0, 4, 6, 8):
        wait_until(f"sample {i}", lambda i=i: stored(moto, workflow=f"w{i}"))
    wait_until("the loss is told", lambda: "1 refused" in call.logged())
    assert "a sample of QueueDepth for poison is dropped" in call.logged()


def test_what_was_sent_can_be_read_back(moto, start):
    call = start(moto.url)
    t = now_ms() // MINUTE * MINUTE
    call.ok("metrics", samples=[sample(i, t - (9 - i) * MINUTE) for i in range(10)] + [sample(99, t, workflow="other")])
    wait_until("the samples", lambda: stored(moto, workflow="other"))
    got = call.ok("history", name="QueueDepth", workflow="upscale", since_ms=t - 5 * MINUTE)["samples"]
    assert [(s["at_ms"], s["value"]) for s in got] == [(t - (9 - i) * MINUTE, i) for i in range(4, 10)]
    assert len(call.ok("history", name="QueueDepth", workflow="upscale", since_ms=t - 60 * MINUTE, n=3)["samples"]) == 3
    assert call.ok("history", name="QueueDepth", workflow="none", since_ms=t - 60 * MINUTE)["samples"] == []


# ---- alarms and dashboards ----

TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
UPSCALE = {"slug": "upscale", "stage": "prod", "name": "Upscale", "backlog_target": 2, "max_size": 5, "empty_s": 600}


def alarms(moto):
    return {a["AlarmName"]: a for a in moto.client("cloudwatch").describe_alarms(MaxRecords=100)["MetricAlarms"]}


def dashboard(moto, name="bpd-prod"):
    return json.loads(moto.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]


def of_slug(widgets):
    return [w["properties"]["metrics"][0][3] for w in widgets if w["type"] == "metric"]


def actions(recorder):
    return [dict(urllib.parse.parse_qsl(body.decode()))["Action"] for _, body in recorder.requests]


def test_each_workflow_has_the_five_alarms_and_a_row_of_widgets(moto, start):
    call = start(moto.url, {"snsTopicArn": TOPIC})
    call.ok("watch", workflows=[UPSCALE])
    a = alarms(moto)
    assert sorted(a) == [f"bpd-prod-upscale-{k}" for k in ("backlog-high", "launch-failures", "no-metrics", "queue-empty", "queue-has-jobs")]
    dims = [{"Name": "WorkflowSlug", "Value": "upscale"}, {"Name": "Stage", "Value": "prod"}]
    for alarm in a.values():
        assert alarm["Namespace"] == "BP/Workers" and alarm["Period"] == 60
        assert sorted(alarm["Dimensions"], key=lambda d: d["Name"], reverse=True) == dims

    def of(kind):
        x = a[f"bpd-prod-upscale-{kind}"]
        return (x["MetricName"], x["Statistic"], x["ComparisonOperator"], x["Threshold"], x["EvaluationPeriods"], x["TreatMissingData"],
                x["AlarmActions"])

    assert of("queue-has-jobs") == ("QueueDepth", "Maximum", "GreaterThanOrEqualToThreshold", 1, 1, "notBreaching", [])
    assert of("backlog-high") == ("BacklogPerInstance", "Minimum", "GreaterThanThreshold", 5, 10, "notBreaching", [TOPIC])
    assert of("queue-empty") == ("QueueDepth", "Maximum", "LessThanThreshold", 1, 10, "ignore", [])
    assert of("no-metrics") == ("QueueDepth", "SampleCount", "LessThanThreshold", 1, 5, "breaching", [TOPIC])
    assert of("launch-failures") == ("LaunchFailures", "Maximum", "GreaterThanOrEqualToThreshold", 3, 1, "notBreaching", [TOPIC])
    shown = {m[1] for w in dashboard(moto) for m in w["properties"]["metrics"]}
    assert {"QueueDepth", "ActiveWorkers", "BacklogPerInstance", "JobProcessingP50", "ErrorRate", "SpotInterruptionCount"} <= shown
    assert all(w["width"] * 6 == 24 and w["properties"]["region"] == "eu-central-1" for w in dashboard(moto))


def test_alarm_actions_go_before_the_topic(moto, start):
    others = ["arn:aws:sns:eu-central-1:123456789012:night", "arn:aws:ssm:eu-central-1:123456789012:opsitem:1"]
    call = start(moto.url, {"snsTopicArn": TOPIC, "alarmActions": [*others, None, 7]})
    call.ok("watch", workflows=[UPSCALE])
    call.ok("watch", workflows=[UPSCALE])
    a = alarms(moto)["bpd-prod-upscale-no-metrics"]
    assert a["AlarmActions"] == others and a["OKActions"] == others
    fifo = start(moto.url, {"snsTopicArn": TOPIC + ".fifo"})  # which alarms cannot send to
    fifo.ok("watch", workflows=[{**UPSCALE, "slug": "other"}])
    assert alarms(moto)["bpd-prod-other-no-metrics"]["AlarmActions"] == []


def test_watching_again_asks_and_changes_nothing(recorder, start):
    call = start(recorder.url, {"snsTopicArn": TOPIC})
    call.ok("watch", workflows=[UPSCALE])
    assert actions(recorder).count("PutMetricAlarm") == 5 and actions(recorder).count("PutDashboard") == 1
    recorder.requests.clear()
    call.ok("watch", workflows=[UPSCALE])
    assert actions(recorder) == ["DescribeAlarms"]
    call.close()
    recorder.requests.clear()
    start(recorder.url, {"snsTopicArn": TOPIC}).ok("watch", workflows=[UPSCALE])  # another process, the same wishes
    assert set(actions(recorder)) == {"DescribeAlarms", "GetDashboard"}


def test_only_the_alarms_that_differ_are_put_and_switched_off_actions_stay_off(recorder, moto, start):
    call = start(recorder.url)
    call.ok("watch", workflows=[UPSCALE])
    cw = moto.client("cloudwatch")
    cw.disable_alarm_actions(AlarmNames=["bpd-prod-upscale-backlog-high"])
    recorder.requests.clear()
    call.ok("watch", workflows=[{**UPSCALE, "backlog_target": 4}])
    assert actions(recorder).count("PutMetricAlarm") == 1 and actions(recorder).count("PutDashboard") == 1
    changed = alarms(moto)["bpd-prod-upscale-backlog-high"]
    assert changed["Threshold"] == 10 and changed["ActionsEnabled"] is False
    cw.delete_alarms(AlarmNames=["bpd-prod-upscale-no-metrics"])  # somebody's hand
    call.ok("watch", workflows=[{**UPSCALE, "backlog_target": 4}])
    assert "bpd-prod-upscale-no-metrics" in alarms(moto)


def test_many_workflows_fill_further_dashboards(moto, start):
    call = start(moto.url, {"alarms": False})
    all = [{**UPSCALE, "slug": f"w{i:03}"} for i in range(85)]
    for i in range(0, 85, 8):
        call.ok("watch", workflows=all[i:i + 8])
    first, second = dashboard(moto), dashboard(moto, "bpd-prod-2")
    assert len(first) == 480 and len(second) == 30
    assert set(of_slug(first)) | set(of_slug(second)) == {w["slug"] for w in all}
    assert of_slug(first) == sorted(of_slug(first))
    rows = {(w["properties"]["metrics"][0][3], w["y"]) for w in first}
    assert len(rows) == 80 and len({y for _, y in rows}) == 80
    assert alarms(moto) == {}


def test_widgets_of_others_stay_on_the_dashboard(moto, start):
    own = {"type": "text", "x": 0, "y": 0, "width": 24, "height": 2, "properties": {"markdown": "# Ask the night shift"}}
    moto.client("cloudwatch").put_dashboard(DashboardName="bpd-prod", DashboardBody=json.dumps({"periodOverride": "inherit", "widgets": [own]}))
    call = start(moto.url, {"alarms": False})
    call.ok("watch", workflows=[UPSCALE])
    widgets = dashboard(moto)
    assert widgets[0] == own and len(widgets) == 7 and {w["y"] for w in widgets[1:]} == {2}
    call.ok("unwatch", slug="upscale", stage="prod")
    assert dashboard(moto) == [own]


def test_a_workflow_that_retires_takes_its_alarms_and_widgets_along(moto, start):
    call = start(moto.url)
    call.ok("watch", workflows=[UPSCALE, {**UPSCALE, "slug": "upscale-2"}])
    moto.client("cloudwatch").delete_alarms(AlarmNames=["bpd-prod-upscale-no-metrics"])
    call.ok("unwatch", slug="upscale", stage="prod")
    assert all(name.startswith("bpd-prod-upscale-2-") for name in alarms(moto)) and len(alarms(moto)) == 5
    assert set(of_slug(dashboard(moto))) == {"upscale-2"}
    call.ok("unwatch", slug="upscale", stage="prod")  # nothing is there any more


def test_what_is_switched_off_is_not_made(recorder, start):
    start(recorder.url, {"alarms": False, "dashboard": False}).ok("watch", workflows=[UPSCALE])
    assert recorder.requests == []


def test_the_daemon_publishes_and_is_watched_over(daemon, moto, noop, monkeypatch):
    d = aws_daemon(daemon, moto, monkeypatch, "metrics", plugin={"alarmPaceMilliseconds": 0},
                   **{"metrics.periodSeconds": "1", "extra_plugins": [noop]})
    wait_until("alarms", lambda: len(alarms(moto)) == 5)
    assert "bpd-prod-bench-noop-no-metrics" in alarms(moto)
    wait_until("samples", lambda: stored(moto, workflow="bench-noop") and stored(moto, "LaunchFailures", workflow="bench-noop"))
    assert stored(moto, workflow="bench-noop")[0][2] == 0  # nothing waits: zeros are facts
    wait_until("the dashboard", lambda: set(of_slug(dashboard(moto))) == {"bench-noop"})
    rows = {c["check"]: c for c in d.ctl("doctor", check=False)["checks"]}
    assert rows["aws.metrics"]["status"] == "ok" and "samples were sent" in rows["aws.metrics"]["text"]
    assert rows["aws.alarms"]["text"] == "none of 5 is in alarm"
    moto.client("cloudwatch").set_alarm_state(AlarmName="bpd-prod-bench-noop-no-metrics", StateValue="ALARM", StateReason="test")
    rows = {c["check"]: c for c in d.ctl("doctor", check=False)["checks"]}
    assert rows["aws.alarms"]["status"] == "warn" and "1 of 5 are in alarm: bpd-prod-bench-noop-no-metrics" in rows["aws.alarms"]["text"]
    d.stop()
