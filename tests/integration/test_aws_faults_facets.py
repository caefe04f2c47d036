# SPDX-License-Identifier: Apache-2.0
"""The facets of the AWS plugin (objects, parameters, logs, launches) where the service behind them misbehaves."""
import urllib.error
import urllib.parse
import urllib.request

import pytest

import fakeaws
from aws_rig import surroundings
from conftest import wait_until
from faults_rig import MIB, aws, file_of, objects, start  # noqa: F401
from objects_rig import LATER, NOTFOUND, OK, Caller

# ---- objects ----

ODD_KEYS = ["plain", "a b", "a+b", "a=b&c", "a@b!('*)", "ü/ö/ß", "日本/ключ", "a%20b", "~tilde_-.", "q?x=1#f", "semi;colon,comma", "a%2Fb", "back\\slash"]


def test_fluent_bit_1004_ngx_aws_auth_87_envoy_42165_odd_keys_are_signed_right(aws, objects, tmp_path):
    o = objects(settings={"partBytes": 5 * MIB, "multipartBytes": 5 * MIB})
    f, large = file_of(tmp_path / "f", 100), file_of(tmp_path / "large", 6 * MIB)
    for key in ODD_KEYS:
        o.ok("put", key=key, mime="text/plain", path=str(f))
        assert aws.s3.buckets["media"][key].data == f.read_bytes()
        o.ok("get", key=key, path=str(tmp_path / "back"))
        o.ok("head", key=key)
        assert [x["key"] for x in o.ok("list", prefix=key)["objects"]] == [key]
        url = o.ok("presign", method="GET", key=key)["url"]
        assert urllib.request.urlopen(url).read() == f.read_bytes()
        put = urllib.request.Request(o.ok("presign", method="PUT", key=key, mime="image/png")["url"], b"new", {"Content-Type": "image/png"}, method="PUT")
        assert urllib.request.urlopen(put).status == 200 and aws.s3.buckets["media"][key].mime == "image/png"
        o.ok("remove", key=key)
        o.ok("put", key=key, path=str(large))
        assert aws.s3.buckets["media"][key].data == large.read_bytes()
        o.ok("remove", key=key)
    assert not aws.unproven()


def test_a_signed_url_works_for_its_type_and_time_alone(aws, objects):
    o = objects()
    url = o.ok("presign", method="PUT", key="k", mime="image/png", ttl=60)["url"]

    def put(mime):
        try:
            return urllib.request.urlopen(urllib.request.Request(url, b"x", {"Content-Type": mime}, method="PUT")).status
        except urllib.error.HTTPError as e:
            return e.code

    assert (put("text/html"), put("image/png")) == (403, 200)
    aws.clock.advance(61)
    assert put("image/png") == 403


PARTS = {"partBytes": 5 * MIB, "multipartBytes": 5 * MIB, "uploadConnections": 2}


def test_fluent_bit_9214_a_complete_that_fails_rests_and_keeps_the_data(aws, objects, tmp_path):
    """A complete that fails four times, over several calls, is repeated with the parts that are there."""
    f = file_of(tmp_path / "f", 11 * MIB)
    aws.script.add("s3", "CompleteMultipartUpload", fakeaws.fails("InternalError", 500), times=4)
    o = objects(settings=PARTS)
    a = o("put", key="k", path=str(f))
    for _ in range(4):
        if a["rc"] != OK:
            assert a["rc"] == LATER
            a = o("put", key="k", path=str(f))
    assert a["rc"] == OK and aws.s3.buckets["media"]["k"].data == f.read_bytes()
    assert len(aws.requests("s3", "UploadPart")) == 3 and not aws.s3.uploads


@pytest.mark.parametrize("body", ["<?xml version=\"1.0\"?>\n   \n<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
                                  "   \n  <Error><Code>SlowDown</Code></Error>"], ids=["error", "spaces-first"])
def test_a_complete_that_says_200_and_then_error_is_no_success(aws, objects, tmp_path, body):
    f = file_of(tmp_path / "f", 6 * MIB)
    rule = aws.script.add("s3", "CompleteMultipartUpload", fakeaws.says(200, body))
    objects(settings=PARTS).ok("put", key="k", path=str(f))
    assert rule.acted == 1 and aws.s3.buckets["media"]["k"].data == f.read_bytes()


def test_fluent_bit_2859_an_etag_cut_short_is_found_out(aws, objects, tmp_path):
    def short(request, answer):
        answer.headers["ETag"] = answer.headers["ETag"][:-5]
    aws.script.add("s3", "UploadPart", fakeaws.then_says(short), times=None)
    f = file_of(tmp_path / "f", 6 * MIB)
    o = objects(settings=PARTS)
    a = o("put", key="k", path=str(f))
    assert a["rc"] != OK and "k" not in aws.s3.buckets["media"]
    aws.script.clear()
    o.ok("put", key="k", path=str(f))
    assert aws.s3.buckets["media"]["k"].data == f.read_bytes()


def test_fluent_bit_7699_a_broken_pipe_drops_nothing(aws, objects, tmp_path):
    f = file_of(tmp_path / "f", 21 * MIB)
    aws.script.add("s3", "UploadPart", fakeaws.cuts, nth=(1, 3))
    aws.script.add("s3", "UploadPart", fakeaws.loses, nth=2)
    o = objects(settings=PARTS)
    o.ok("put", key="k", path=str(f))
    assert aws.s3.buckets["media"]["k"].data == f.read_bytes()


def test_expired_at_s3_is_renewed_without_a_new_upload(aws, objects, tmp_path):
    f = file_of(tmp_path / "f", 16 * MIB)

    def end(request, proceed, stop):
        with aws.lock:
            if request.key_id == aws.imds.keys.id:
                aws.imds.keys.expires, aws.imds.keys = aws.clock.now() - 1, None
        raise fakeaws.AwsError("ExpiredToken", "The provided token has expired.", 400)

    aws.script.add("s3", "UploadPart", end, nth=2)
    o = objects(role=True, settings={**PARTS, "uploadConnections": 1})
    o.ok("put", key="k", path=str(f))
    assert aws.s3.buckets["media"]["k"].data == f.read_bytes() and len(aws.requests("s3", "CreateMultipartUpload")) == 1


def test_a_head_without_a_body_says_that_credentials_are_over(aws, objects):
    o = objects(role=True)
    assert o("head", key="k")["rc"] == NOTFOUND
    aws.imds.keys.expires, aws.imds.keys = aws.clock.now() - 1, None
    assert o("head", key="k")["rc"] == NOTFOUND
    assert [r.verdict for r in aws.requests("s3")] == ["ok", "expired", "ok"]


@pytest.mark.parametrize("action", [fakeaws.page(503), fakeaws.fails("SlowDown", 503), fakeaws.fails("RequestTimeout", 400), fakeaws.cuts],
                         ids=["html", "slow-down", "timeout-400", "reset"])
def test_s3_that_is_busy_is_asked_again(aws, objects, tmp_path, action):
    f = file_of(tmp_path / "f", 1000)
    aws.script.add("s3", "PutObject", action, times=2)
    aws.script.add("s3", "GetObject", action, times=1)
    o = objects()
    o.ok("put", key="k", path=str(f))
    o.ok("get", key="k", path=str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == f.read_bytes()


# ---- parameters ----

def test_a_parameter_is_served_from_the_cache_while_ssm_is_down(aws, objects):
    aws.ssm.op_PutParameter({"Name": "/s", "Value": "one", "Type": "SecureString"})
    o = objects(settings={"paramCacheSeconds": 10, "paramStaleSeconds": 1000})
    assert o.ok("param", name="/s")["value"] == "one"
    aws.script.add("ssm", None, fakeaws.fails("InternalServerError", 500), times=None)
    aws.clock.advance(20)
    assert o.ok("param", name="/s")["value"] == "one"
    aws.script.clear()
    aws.ssm.op_PutParameter({"Name": "/s", "Value": "two", "Overwrite": True})
    aws.clock.advance(20)
    assert o.ok("param", name="/s", fresh=1)["value"] == "two"
    assert "one" not in o.logged().split() and "two" not in o.logged().split()


# ---- logs ----

@pytest.fixture
def logs(aws, build, tmp_path):
    c = Caller(build, tmp_path, surroundings(aws), {"_bpd": {"stage": "prod"}}, program="aws_watch_call")
    yield c
    if c.process.poll() is None:
        c.close()


def lines_of(aws):
    return [e["message"] for streams in aws.logs.groups.values() for events in streams.values() for e in events]


@pytest.mark.parametrize("action", [fakeaws.fails("ThrottlingException", 400), fakeaws.then_says(lambda r, a: setattr(a, "body", b"")), fakeaws.says(200, "{"), fakeaws.says(503, ""),
                                    fakeaws.loses, fakeaws.cuts, fakeaws.page(502)],
                         ids=["throttled", "empty-200", "cut-200", "empty-503", "lost", "reset", "html"])
def test_fluent_bit_4553_one_bad_answer_does_not_stop_later_lines(aws, logs, action):
    """What was taken but not said to be may come twice; what was not taken comes again."""
    now = int(aws.clock.now() * 1000)
    aws.script.add("logs", "PutLogEvents", action, nth=(2, 3, 4, 5))
    for i in range(12):
        logs.ok("log", group="/bp/prod/bpd", stream="s", lines=[[now + i, f"line {i}"]])
    wait_until("every line is there", lambda: {f"line {i}" for i in range(12)} <= set(lines_of(aws)))
    assert not aws.unproven()


def test_a_group_that_somebody_deleted_is_made_again(aws, logs):
    now = int(aws.clock.now() * 1000)
    logs.ok("log", group="/bp/prod/bpd", stream="s", lines=[[now, "before"]])
    wait_until("there", lambda: "before" in lines_of(aws))
    with aws.lock:
        aws.logs.groups.clear()
    logs.ok("log", group="/bp/prod/bpd", stream="s", lines=[[now + 1, "after"]])
    wait_until("there again", lambda: "after" in lines_of(aws))


# ---- launches ----

@pytest.fixture
def fleet(aws, build, tmp_path):
    aws.ssm.op_PutParameter({"Name": "/bp/ami/flow", "Value": "ami-11111111"})
    given = {"subnets": ["subnet-aaaaaaaa"], "instanceProfile": "p", "describeSeconds": 0}
    c = Caller(build, tmp_path, surroundings(aws), {"_bpd": {"stage": "prod", "url": "https://bp.example"}, "fleet": given}, program="aws_fleet_call")
    c.ok("ensure", slug="flow", stage="prod", parameter="/bp/ami/flow", types=["g5.xlarge"], max=5)
    yield c
    c.close()


@pytest.mark.parametrize("what", fakeaws.CAPACITY_TEXTS)
def test_every_reason_not_to_launch_is_told_by_its_class(aws, fleet, what):
    text, code, reason = fakeaws.CAPACITY_TEXTS[what]
    aws.capacity.refuse(what)
    a = fleet("grow", slug="flow", to=1)
    assert a["rc"] != OK and code in a["text"], a
    told = [x for x in fleet.ok("activities", slug="flow", since_ms=0)["activities"] if x["failed"]]
    assert told and told[0]["reason"] == reason, told
    assert text[:40] in told[0]["text"] or code in told[0]["text"]
    assert aws.autoscaling.groups["asg-prod-flow"].desired == 0


def test_autoscaler_5829_nothing_lowers_a_desired_capacity(aws, fleet):
    """Whatever is asked of a fleet whose launches hang, no machine that works ends for it."""
    group = aws.autoscaling.groups["asg-prod-flow"]
    aws.capacity.boot_seconds = 10 ** 9  # they stay pending
    fleet.ok("grow", slug="flow", to=3)
    ids = [i.id for i in group.instances]
    fleet("grow", slug="flow", to=1)
    fleet("grow", slug="flow", to=0)
    fleet.ok("ensure", slug="flow", stage="prod", parameter="/bp/ami/flow", types=["g5.xlarge"], max=1)
    assert [i.id for i in group.instances] == ids and group.desired == 3 and not group.killed_by_shrinking
    fleet.ok("terminate", slug="flow", instance=ids[1])
    aws.autoscaling.tick()
    assert group.desired == 2 and [i.id for i in group.instances if i.state in ("Pending", "InService")] == [ids[0], ids[2]]
    lowered = [r for r in aws.requests("autoscaling", "SetDesiredCapacity")]
    assert not lowered, lowered
