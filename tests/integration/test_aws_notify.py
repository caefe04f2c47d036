# SPDX-License-Identifier: Apache-2.0
"""Messages to people by SNS, against moto: a queue is subscribed to the topic, and boto3 reads what arrived there."""
import json
import urllib.parse
import urllib.request

import pytest

from conftest import wait_until
from objects_rig import DENIED, INVALID, LATER, NOTFOUND
from watch_rig import Moto, aws_daemon, moto, recorder, server, watcher  # noqa: F401

QUICK = {"maxAttempts": 1, "connectTimeoutMilliseconds": 500}


class Topic:
    def __init__(self, moto, name):
        sns, self.sqs = moto.client("sns"), moto.client("sqs")
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        queue = {"FifoQueue": "true"} if fifo else {}
        self.arn = sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=name, Attributes=queue)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn)
        self.got = []

    def read(self):
        """All that arrived so far: [(subject, text)]."""
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
            for m in messages:
                body = json.loads(m["Body"])
                assert body["MessageAttributes"]["stage"]["Value"] == "prod"
                self.got.append((body["Subject"], body["Message"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=m["ReceiptHandle"])
        return self.got


@pytest.fixture
def topic(moto):
    return Topic(moto, "ops")


@pytest.fixture
def start(build, tmp_path):
    running = []

    def run(url, arn, **settings):
        c = watcher(build, tmp_path, url, {"snsTopicArn": arn, **settings})
        running.append(c)
        return c

    yield run
    for c in running:
        if c.process.poll() is None:
            c.close()


def test_a_message_reaches_the_topics_subscribers(moto, topic, start):
    call = start(moto.url, topic.arn)
    call.ok("notify", subject="bpd prod: test", message="is anybody there?\nZeile zwei — ü")
    assert topic.read() == [("bpd prod: test", "is anybody there?\nZeile zwei — ü")]


def test_without_a_topic_nobody_is_told(moto, start):
    a = start(moto.url, "")("notify", subject="s", message="m")
    assert a["rc"] == -8 and "snsTopicArn" in a["text"]


def test_subject_and_text_are_made_to_fit(moto, topic, start):
    call = start(moto.url, topic.arn)
    call.ok("notify", subject="  Läuft\nnicht " + "x" * 200, message="text")
    call.ok("notify", subject="large", message="ä" * 200000)
    call.ok("notify", subject="empty", message="")
    fitted, large, empty = topic.read()
    assert fitted[0] == ("L?uft nicht " + "x" * 200)[:100] and fitted[1].startswith("  Läuft\nnicht xxx") and fitted[1].endswith("x\n\ntext")
    assert len(large[1].encode()) <= 262144 and large[1].endswith("ä ... [cut: 400000 bytes]")
    assert empty == ("empty", "empty")


def test_a_key_that_went_out_lately_is_not_sent_again(moto, topic, start):
    call = start(moto.url, topic.arn)
    for _ in range(3):
        call.ok("notify", subject="down", message="m", key="queue-down:")
        call.ok("notify", subject="no key", message="m")
    call.ok("notify", subject="other", message="m", key="queue-up:")
    assert [s for s, _ in topic.read()] == ["down", "no key", "no key", "no key", "other"]


def test_what_is_too_much_comes_as_one_summary(moto, topic, start):
    call = start(moto.url, topic.arn, notifyPerMinute=3, notifySummarySeconds=0.5)
    for i in range(8):
        call.ok("notify", subject=f"alert {i}", message="m", key=f"k{i}")
        call.ok("notify", subject=f"alert {i}", message="m", key=f"k{i}")  # counted once
    assert call("notify", subject="test", message="m")["rc"] == LATER  # without a key: whoever sends it is told
    wait_until("the summary", lambda: len(topic.read()) == 4)
    assert [s for s, _ in topic.got[:3]] == ["alert 0", "alert 1", "alert 2"]
    subject, text = topic.got[3]
    assert subject == "bpd prod: 5 more messages" and all(f"- alert {i}\n" in text for i in range(3, 8)) and "alert 2" not in text


def test_a_summary_that_waits_goes_out_with_the_end(moto, topic, start):
    call = start(moto.url, topic.arn, notifyPerMinute=1, notifySummarySeconds=3600)
    call.ok("notify", subject="one", message="m", key="k1")
    call.ok("notify", subject="two", message="m", key="k2")
    call.close()
    assert [s for s, _ in topic.read()] == ["one", "bpd prod: 1 more messages"]


def test_an_outage_is_an_answer_and_the_message_is_sent_when_it_is_over(moto, topic, start):
    call = start(moto.url, topic.arn, **QUICK)
    moto.stop()
    try:
        a = call("notify", subject="down", message="m", key="k")
        assert a["rc"] == LATER and "sns:Publish" in a["text"]
    finally:
        moto.start()
    call.ok("notify", subject="down", message="m", key="k")
    assert topic.read() == [("down", "m")]  # it is known that the first one never left


def hang_up_after(recorder, moto, times):
    """Moto gets the request, but whoever sent it gets no answer."""
    def answer(body):
        if recorder.left:
            recorder.left -= 1
            headers = recorder.requests[-1][0]
            urllib.request.urlopen(urllib.request.Request(moto.url, body, headers, method="POST")).read()
            return None, None
        return None

    recorder.left, recorder.answer = times, answer


def test_a_publish_whose_answer_is_lost_is_not_repeated_by_itself(recorder, moto, topic, start):
    call = start(recorder.url, topic.arn)
    hang_up_after(recorder, moto, 1)
    assert call("notify", subject="down", message="m", key="k")["rc"] == LATER
    assert len(recorder.requests) == 1 and topic.read() == [("down", "m")]
    call.ok("notify", subject="down", message="m", key="k")  # whoever sent it wants it out
    call.ok("notify", subject="down", message="m", key="k")
    assert topic.read()[1:] == [("down", "m\n\n(Sent again: nobody knows whether the first one arrived.)")]


def test_a_fifo_topic_has_a_repeated_message_once(recorder, moto, start):
    topic = Topic(moto, "ops.fifo")
    call = start(recorder.url, topic.arn)
    hang_up_after(recorder, moto, 1)
    assert call("notify", subject="down", message="m", key="k")["rc"] == LATER
    call.ok("notify", subject="down", message="m", key="k")
    call.ok("notify", subject="no key", message="m")
    call.ok("notify", subject="no key", message="m")
    forms = [dict(urllib.parse.parse_qsl(body.decode())) for _, body in recorder.requests]
    assert [f["MessageGroupId"] for f in forms] == ["bpd-prod"] * 4
    ids = [f["MessageDeduplicationId"] for f in forms]
    assert ids[0] == ids[1] and len(set(ids)) == 3 and all(len(i) == 64 for i in ids)
    assert topic.read() == [("down", "m"), ("no key", "m"), ("no key", "m")]


def test_a_wrong_topic_is_told_with_what_to_do(moto, topic, start):
    elsewhere = start(moto.url, "arn:aws:sns:us-east-1:123456789012:ops")
    a = elsewhere("notify", subject="s", message="m")
    assert a["rc"] == INVALID and "us-east-1" in a["text"] and "eu-central-1" in a["text"]
    assert "nobody is told" in elsewhere.logged()
    assert start(moto.url, "ops")("notify", subject="s", message="m")["rc"] == INVALID
    gone = start(moto.url, topic.arn + "-gone")("notify", subject="s", message="m", key="k")
    assert gone["rc"] == NOTFOUND and "ops-gone" in gone["text"]


def test_a_denied_publish_names_the_action(recorder, moto, topic, start):
    refusal = b"<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>"
    recorder.answer = lambda body: (403, refusal)
    a = start(recorder.url, topic.arn)("notify", subject="s", message="m")
    assert a["rc"] == DENIED and "allow sns:Publish" in a["text"]


def test_bpctl_notify_test_goes_out_by_sns(daemon, moto, topic, monkeypatch):
    d = aws_daemon(daemon, moto, monkeypatch, "notify", plugin={"snsTopicArn": topic.arn})
    assert d.ctl("notify", "test", "hello")["sent"] is True
    assert topic.read() == [("bpd prod: test", "hello")]


def doctor(d):
    return {c["check"]: c for c in d.ctl("doctor", check=False)["checks"]}


def test_doctor_looks_for_the_topic(daemon, moto, topic, monkeypatch):
    d = aws_daemon(daemon, moto, monkeypatch, "notify", plugin={"snsTopicArn": topic.arn})
    row = doctor(d)["aws.topic"]
    assert row["status"] == "ok" and topic.arn in row["resource"] and topic.read() == []
    moto.client("sns").delete_topic(TopicArn=topic.arn)
    row = doctor(d)["aws.topic"]
    assert row["status"] == "fail" and row["operation"] == "sns:GetTopicAttributes" and "NotFound" in row["text"]
