# SPDX-License-Identifier: Apache-2.0
"""The AWS plugin where AWS, its metadata and the network misbehave. What broke other programs has a test named after it."""
import json
import urllib.parse

import pytest

import fakeaws
from aws_rig import Client, surroundings
from faults_rig import MIB, aws, client, file_of, objects, start  # noqa: F401
from objects_rig import DENIED, INVALID, LATER, OK, TIMEOUT, TOOLARGE, Caller

WHO = "sts:GetCallerIdentity"
GET, GET_IN = "ssm:GetParameter", {"Name": "/a"}
ROLE_PAGE = "iam/security-credentials/bpd-controller"
HOUR = 3600


# ---- every protocol: what passes is repeated, what does not is told ----

PROTOCOLS = {"query": (WHO, {}, None), "json": (GET, None, GET_IN)}
# How each protocol may say that we are too fast, or that it cannot now.
PASSING = [("Throttling", 400), ("ThrottlingException", 400), ("RequestLimitExceeded", 503), ("SlowDown", 503), ("TooManyRequestsException", 400),
           ("InternalFailure", 500), ("ServiceUnavailable", 503), ("", 429)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code,status", PASSING)
def test_throttling_as_400_and_503_is_repeated(aws, client, protocol, code, status):
    op, form, body = PROTOCOLS[protocol]
    rule = aws.script.add(op.partition(":")[0], None, fakeaws.fails(code, status), times=2)
    c = client()
    c.ok("op", op=op, **({"json": body} if body else {"form": form}))
    assert rule.acted == 2 and len(aws.requests(op.partition(":")[0])) == 3 and not aws.unproven()


@pytest.mark.parametrize("action", [fakeaws.page(502), fakeaws.page(503, "Service Unavailable"), fakeaws.cuts, fakeaws.truncated(30),
                                    fakeaws.loses, fakeaws.says(200, "<html>Welcome to the hotel</html>"), fakeaws.says(500)],
                         ids=["html-502", "html-503", "reset", "truncated", "lost", "html-200", "empty-500"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_passes_is_repeated(aws, client, protocol, action):
    op, form, body = PROTOCOLS[protocol]
    rule = aws.script.add(op.partition(":")[0], None, action, times=1)
    client().ok("op", op=op, **({"json": body} if body else {"form": form}))
    assert rule.acted == 1 and not aws.unproven()


def test_attempts_end_and_the_error_says_what_was_asked(aws, client):
    aws.script.add("sts", None, fakeaws.fails("Throttling", 400, "Rate exceeded"), times=None)
    a = client().op(WHO)
    assert a["rc"] == LATER and "sts:GetCallerIdentity" in a["text"] and "Throttling" in a["text"]
    assert len(aws.requests("sts")) == 3


def test_retry_after_is_heeded(aws, client):
    aws.script.add("sts", None, fakeaws.fails("Throttling", 400, headers={"x-amz-retry-after": "1200"}))
    aws.script.add("ssm", None, fakeaws.fails("ServiceUnavailable", 503, headers={"Retry-After": "1"}))
    c = client()
    c.ok("op", op=WHO, form={})
    c.ok("op", op=GET, json=GET_IN)
    for service, least in (("sts", 1.2), ("ssm", 1.0)):
        first, second = aws.requests(service)
        assert second.at - first.at >= least - 0.01


def test_a_page_of_a_proxy_that_refuses_is_no_word_of_aws(aws, client):
    aws.script.add("sts", None, fakeaws.page(407, "Proxy Authentication Required"))
    a = client().op(WHO)
    assert a["rc"] == INVALID and "407" in a["text"] and "proxy" in a["text"] and len(aws.requests("sts")) == 1


def test_an_answer_without_end_is_given_up(aws, client):
    aws.script.add("sts", None, fakeaws.oversized(70 * MIB), times=None)
    a = client().op(WHO)
    assert a["rc"] != OK
    client().ok("op", op=GET, json=GET_IN)


def test_a_slow_answer_is_waited_for_and_a_stopped_one_is_not(aws, client):
    aws.script.add("sts", None, fakeaws.slow(40, 0.2), nth=1)
    aws.script.add("sts", None, fakeaws.hangs(600), nth=2)
    c = client()
    c.ok("op", op=WHO, form={})
    assert len(aws.requests("sts")) == 1
    c.ok("op", op=WHO, form={})
    assert len(aws.requests("sts")) == 3


@pytest.mark.parametrize("how", ["drop", "reset"])
def test_a_connection_that_died_while_idle_costs_nobody_a_call(aws, client, how):
    aws.script.add("sts", None, fakeaws.dies_idle(how), times=None)
    c = client()
    for _ in range(5):
        c.ok("op", op=WHO, form={})
    aws.script.clear()
    for _ in range(5):
        c.ok("op", op=WHO, form={})
    assert len(aws.requests("sts")) == 10 and 5 < aws.wire.connections <= 7


def test_connections_are_kept(aws, client):
    c = client()
    for _ in range(20):
        c.ok("op", op=WHO, form={})
        c.ok("op", op=GET, json=GET_IN)
    assert aws.wire.connections == 1


@pytest.mark.parametrize("code,status", [("AccessDenied", 403), ("AccessDeniedException", 400), ("UnauthorizedOperation", 403)])
def test_what_is_denied_is_asked_once_and_named(aws, client, code, status):
    aws.script.add("ssm", None, fakeaws.fails(code, status, "no identity-based policy allows the ssm:GetParameter action"), times=None)
    a = client().op(GET, json=GET_IN)
    assert a["rc"] == DENIED and "allow ssm:GetParameter" in a["text"] and len(aws.requests("ssm")) == 1


def test_the_wrong_region_is_named(aws, build, tmp_path, client):
    a = client(settings={"region": "eu-west-1"}).op(WHO)
    assert a["rc"] == DENIED and "SignatureDoesNotMatch" in a["text"]
    o = Caller(build, tmp_path, surroundings(aws), {"region": "eu-west-1"})
    a = o("head", key="k")
    assert a["rc"] != OK
    a = o("list", prefix="")
    assert "AuthorizationHeaderMalformed" in a["text"] and "plugin.aws.region" in a["text"]
    o.close()


# ---- clocks ----

@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("hours", [-1, 1, 24])
def test_a_clock_that_is_hours_off_is_corrected_once(aws, build, tmp_path, protocol, hours):
    op, form, body = PROTOCOLS[protocol]
    c = Client(build, tmp_path, surroundings(aws))  # its clock does not follow
    aws.clock.advance(hours * HOUR)
    for _ in range(3):
        c.ok("op", op=op, **({"json": body} if body else {"form": form}))
    assert len(aws.requests(op.partition(":")[0])) == 4 and [r.verdict for r in aws.unproven()] == ["time"]
    assert f"{hours * HOUR // -1} s off" in c.logged() or "s off" in c.logged()
    c.close()


def test_s3_and_a_clock_an_hour_off(aws, build, tmp_path):
    c = Caller(build, tmp_path, surroundings(aws))
    aws.clock.advance(HOUR)
    f = file_of(tmp_path / "f", 1000)
    c.ok("put", key="k", path=str(f))
    c.ok("get", key="k", path=str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == f.read_bytes() and [r.verdict for r in aws.unproven()] == ["time"]
    c.close()


def test_ngx_aws_auth_69_the_signing_key_is_of_its_utc_day(aws, client):
    c = client()
    day = 86400
    aws.clock.advance(day - aws.clock.now() % day - 5)  # five seconds before midnight
    c.ok("op", op=WHO, form={})
    for _ in range(3):
        aws.clock.advance(10)
        c.ok("op", op=WHO, form={})
        aws.clock.advance(day - 10)
    days = {r.headers["x-amz-date"][:8] for r in aws.requests("sts")}
    assert len(days) >= 3 and not aws.unproven()


# ---- the instance's metadata ----

def test_the_role_of_the_instance_signs(aws, client):
    a = client(role=True).ok("op", op=WHO, form={})
    assert "assumed-role/bpd-controller" in a["body"] and not aws.unproven()


def test_mountpoint_s3_571_a_token_that_is_always_refused_ends(aws, client):
    aws.script.add("imds", None, fakeaws.fails("Unauthorized", 401), times=None, when=lambda r: r.operation != "token")
    a = client(role=True).op(WHO)
    assert a["rc"] == DENIED and len(aws.requests("imds")) <= 8 and not aws.requests("sts")


def test_a_token_that_is_over_is_fetched_anew(aws, client):
    c = client(role=True)
    c.ok("imds", path="/latest/meta-data/instance-id")
    aws.imds.tokens.clear()
    assert c.ok("imds", path="/latest/meta-data/instance-id")["body"] == "i-0aaaabbbbccccdddd"
    aws.clock.advance(5 * HOUR)
    c.ok("imds", path="/latest/meta-data/instance-id")
    assert len(aws.requests("imds", "token")) <= 3


def test_aws_c_auth_182_metadata_that_hang_are_given_up(aws, client):
    aws.script.add("imds", None, fakeaws.hangs(600), times=None)
    a = client(role=True).op(WHO)
    assert a["rc"] in (DENIED, LATER, TIMEOUT) and "no AWS credentials" in a["text"], a


def test_fluent_bit_2840_no_token_within_the_hop_limit_is_told(aws, client):
    aws.script.add("imds", "token", fakeaws.hangs(600), times=None)
    c = client(role=True)
    a = c("imds", path="/latest/meta-data/instance-id")
    assert a["rc"] != OK and not [r for r in aws.requests("imds") if r.operation != "token"]  # never version 1


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_metadata_without_tokens_are_refused(aws, client, status):
    aws.script.add("imds", "token", fakeaws.says(status, "no"), times=None)
    a = client(role=True)("imds", path="/latest/meta-data/instance-id")
    assert a["rc"] != OK and str(status) in a["text"]
    assert not [r for r in aws.requests("imds") if r.operation != "token"]


def test_an_instance_without_a_role_says_what_to_set(aws, client):
    aws.imds.role = None
    a = client(role=True).op(WHO)
    assert a["rc"] == DENIED and "role" in a["text"] and not aws.requests("sts")


ERROR_200 = json.dumps({"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role", "LastUpdated": "2026-01-31T00:00:00Z"})
GOOD = {"Code": "Success", "AccessKeyId": "ASIAX", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}


@pytest.mark.parametrize("body", [
    ERROR_200, "", "{", "null", "[]", "<html>login</html>", json.dumps({**GOOD, "Code": "Failed"}),
    json.dumps({**GOOD, "Expiration": "soon"}), json.dumps({k: v for k, v in GOOD.items() if k != "SecretAccessKey"}),
    json.dumps({**GOOD, "AccessKeyId": 7}), json.dumps({**GOOD, "Token": "t" * 100000})],
    ids=["200-with-error", "empty", "cut", "null", "list", "html", "failed", "no-time", "no-secret", "number", "huge"])
def test_a_page_that_holds_no_credentials_is_refused(aws, client, body):
    aws.script.add("imds", ROLE_PAGE, fakeaws.says(200, body), times=None)
    a = client(role=True).op(WHO)
    assert a["rc"] == (DENIED if len(body) < 16384 else TOOLARGE) and not aws.requests("sts"), a
    if body == ERROR_200:
        assert "AssumeRoleUnauthorizedAccess" in a["text"]


def test_the_last_set_of_a_service_that_is_away_is_used_late(aws, client):
    """While what is behind it is down, the metadata give the last set on and on, and AWS takes it longer."""
    c = client(role=True)
    aws.imds.role_seconds, aws.imds.renew_seconds = 600, -10 ** 9
    c.ok("op", op=WHO, form={})
    aws.clock.advance(700)
    aws.imds.keys.expires, told = aws.imds.keys.expires + 7200, aws.clock.iso(aws.imds.keys.expires)
    aws.script.add("imds", ROLE_PAGE, fakeaws.then_says(lambda r, a: setattr(a, "body", a.body.replace(
        aws.clock.iso(aws.imds.keys.expires).encode(), told.encode()))), times=None)
    c.ok("op", op=WHO, form={})
    assert "over already" in c.logged() and not aws.unproven()


def test_a_role_that_was_replaced_is_followed(aws, client):
    c = client(role=True)
    c.ok("op", op=WHO, form={})
    aws.identity.revoke(aws.imds.keys)
    aws.imds.role = "bpd-controller-v2"
    a = c.ok("op", op=WHO, form={})
    assert "assumed-role/bpd-controller-v2" in a["body"] and [r.verdict for r in aws.unproven()] == ["unknown"]


# ---- credentials that end ----

def test_aws_for_fluent_bit_186_credentials_rotate_for_a_day(aws, client):
    """Sets of one hour, then of six: a day in steps of five minutes, and AWS never sees one that is over."""
    c = client(role=True)
    for life, hours in ((HOUR, 6), (6 * HOUR, 13)):
        aws.imds.role_seconds = life
        for _ in range(hours * 12):
            c.ok("op", op=WHO, form={})
            aws.clock.advance(300)
    assert len(aws.requests("sts")) == 19 * 12 and not aws.unproven()
    assert 8 <= len(aws.identity.issued) <= 12
    assert len(aws.requests("imds", ROLE_PAGE)) <= 3 * len(aws.identity.issued) + 12


def test_aws_for_fluent_bit_138_sets_shorter_than_the_margin_are_renewed_all_the_same(aws, client):
    aws.imds.role_seconds, aws.imds.renew_seconds = 480, 60
    c = client(role=True)
    for _ in range(60):
        c.ok("op", op=WHO, form={})
        aws.clock.advance(60)
    assert not aws.unproven() and 6 <= len(aws.identity.issued) <= 10


def test_short_sets_do_not_hammer_the_metadata(aws, client):
    aws.imds.role_seconds, aws.imds.renew_seconds = 300, 0
    c = client(role=True)
    for _ in range(100):
        c.ok("op", op=WHO, form={})
    assert len(aws.requests("imds", ROLE_PAGE)) <= 3


def test_the_old_set_serves_while_the_metadata_are_down(aws, client):
    c = client(role=True)
    c.ok("op", op=WHO, form={})
    aws.script.add("imds", None, fakeaws.fails("ServiceUnavailable", 503), times=None)
    aws.clock.advance(6 * HOUR - 400)  # within the margin
    c.ok("op", op=WHO, form={})
    aws.clock.advance(350)
    c.ok("op", op=WHO, form={})
    aws.clock.advance(60)  # over
    a = c.op(WHO)
    assert a["rc"] != OK and "503" in a["text"] and not aws.unproven()
    aws.script.clear()
    aws.clock.advance(60)
    c.ok("op", op=WHO, form={})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fluent_bit_10727_expired_at_aws_is_renewed_and_signed_anew(aws, client, protocol):
    op, form, body = PROTOCOLS[protocol]
    c = client(role=True)
    c.ok("op", op=WHO, form={})
    old = aws.imds.keys
    old.expires, aws.imds.keys = aws.clock.now() - 1, None  # AWS ended it early
    aws.forget()
    c.ok("op", op=op, **({"json": body} if body else {"form": form}))
    first, second = aws.requests(op.partition(":")[0])
    assert (first.verdict, second.verdict) == ("expired", "ok") and (first.key_id, second.key_id) == (old.id, aws.imds.keys.id)
    assert len(aws.requests("imds", ROLE_PAGE)) == 1


def test_aws_c_s3_471_what_was_signed_too_early_is_signed_again(aws, client):
    """A call that is put off until its credentials are over goes out with the next ones."""
    c = client(role=True)
    c.ok("op", op=WHO, form={})

    def put_off(request, proceed, stop):
        aws.clock.advance(6 * HOUR)
        raise fakeaws.AwsError("Throttling", "Rate exceeded", 400)

    aws.script.add("sts", None, put_off, nth=1)
    c.ok("op", op=WHO, form={})
    last = aws.requests("sts")[-1]
    assert last.verdict == "ok" and last.key_id == aws.imds.keys.id != aws.requests("sts")[0].key_id


def test_one_flight_renews_for_everybody(aws, client):
    c = client(role=True)
    c.ok("op", op=WHO, form={})
    aws.imds.keys.expires, aws.imds.keys = aws.clock.now() - 1, None
    aws.forget()
    assert c.ok("many", threads=16, op=WHO, form={})["rcs"] == [0] * 16
    assert len(aws.requests("imds", ROLE_PAGE)) == 1 and {r.verdict for r in aws.unproven()} <= {"expired"}


def test_fluent_bit_2714_a_source_that_fails_is_not_replaced_by_a_weaker_one(aws, client):
    c = client(AWS_SESSION_TOKEN="over", AWS_EC2_METADATA_DISABLED=None)
    a = c.op(WHO)
    assert a["rc"] == DENIED and "environment" in a["text"] and not aws.requests("imds")
    c = client(AWS_SECRET_ACCESS_KEY=None, AWS_EC2_METADATA_DISABLED=None)
    assert c.op(WHO)["rc"] == DENIED and not aws.requests("imds")


@pytest.fixture
def web(aws, tmp_path):
    """The environment of a pod with a web identity, and an instance's role behind it that must not be taken."""
    token = tmp_path / "web-token"
    token.write_text("web-token-1")
    aws.sts.web_tokens = {"web-token-1"}
    return {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pod", "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_SESSION_NAME": "bpd"}


def test_a_web_identity_signs_and_is_renewed(aws, client, web, tmp_path):
    c = client(role=True, **web)
    assert "assumed-role/pod" in c.ok("op", op=WHO, form={})["body"]
    (tmp_path / "web-token").write_text("web-token-2")  # kubernetes writes a new one now and then
    aws.sts.web_tokens = {"web-token-2"}
    for _ in range(30):
        aws.clock.advance(300)
        c.ok("op", op=WHO, form={})
    assert not aws.requests("imds") and not aws.unproven() and 3 <= len(aws.identity.issued) <= 6
    assert {r.verdict for r in aws.requests("sts", "AssumeRoleWithWebIdentity")} == {"unsigned"}
    assert "web-token" not in c.logged().replace(str(tmp_path), "").replace("/web-token", "")


@pytest.mark.parametrize("wrong", ["refused", "no-file", "empty-file", "sts-down", "sts-page"])
def test_fluent_bit_11255_8278_a_web_identity_that_fails_never_becomes_the_nodes_role(aws, client, web, wrong):
    if wrong == "refused":
        aws.sts.web_tokens = set()
    elif wrong == "no-file":
        web["AWS_WEB_IDENTITY_TOKEN_FILE"] += "-elsewhere"
    elif wrong == "empty-file":
        open(web["AWS_WEB_IDENTITY_TOKEN_FILE"], "w").close()
    else:
        action = fakeaws.fails("InternalFailure", 500) if wrong == "sts-down" else fakeaws.page(200, "Login")
        aws.script.add("sts", "AssumeRoleWithWebIdentity", action, times=None)
    c = client(role=True, **web)
    for _ in range(3):
        a = c("op", op=GET, json=GET_IN)
        assert a["rc"] != OK and ("web identity" in a["text"] or "AssumeRoleWithWebIdentity" in a["text"]), a
    assert not aws.requests("imds") and not aws.requests("ssm")
    if wrong == "no-file":
        assert "-elsewhere" in a["text"]


def test_nginx_s3_gateway_550_time_goes_on_for_signed_urls(aws, objects, tmp_path):
    aws.s3.buckets["media"]["k"] = None
    aws.imds.renew_seconds = 0
    o = objects(role=True, settings={})
    seen = set()
    for _ in range(8):
        url = o.ok("presign", method="GET", key="k", ttl=900)["url"]
        args = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        assert args["X-Amz-Date"] not in seen
        seen.add(args["X-Amz-Date"])
        keys = aws.identity.known[args["X-Amz-Credential"].split("/")[0]]
        assert aws.clock.now() + int(args["X-Amz-Expires"]) <= keys.expires + 1 and int(args["X-Amz-Expires"]) > 0
        aws.clock.advance(HOUR + 2957)
