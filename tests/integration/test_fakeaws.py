# SPDX-License-Identifier: Apache-2.0
"""The scripted fake AWS itself: it takes what an SDK signs, refuses what was touched afterwards, and misbehaves as it is told."""
import gzip
import http.client
import socket
import time
import urllib.parse

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

import fakeaws
from fakeaws import FakeAws

REGION = "eu-central-1"
KEYS = fakeaws.identity.Identity.USER


@pytest.fixture
def aws():
    with FakeAws(REGION) as a:
        yield a


def sdk(aws, service, keys=None, **config):
    id, secret, token = (keys.id, keys.secret, keys.token) if keys else (*KEYS, None)
    return boto3.client(service, endpoint_url=aws.url, region_name=REGION, aws_access_key_id=id, aws_secret_access_key=secret,
                        aws_session_token=token, config=Config(retries={"total_max_attempts": 1}, proxies={}, **config))


def code_of(call, **kw):
    with pytest.raises(ClientError) as e:
        call(**kw)
    return e.value.response["Error"]["Code"]


# ---- what is right ----

def test_it_takes_what_an_sdk_signs_of_every_service(aws):
    assert sdk(aws, "sts").get_caller_identity()["Arn"].endswith("user/fake")
    s3 = sdk(aws, "s3")
    for key in ("plain", "a b+c", "a=b&c@!('*)", "ü/日本", "~t_-."):
        s3.put_object(Bucket="media", Key=key, Body=b"data", ContentType="text/plain")
        assert s3.get_object(Bucket="media", Key=key)["Body"].read() == b"data"
    assert len(s3.list_objects_v2(Bucket="media", Prefix="a")["Contents"]) == 2
    sdk(aws, "ssm").put_parameter(Name="/a", Value="v", Type="SecureString")
    assert sdk(aws, "ssm").get_parameter(Name="/a", WithDecryption=True)["Parameter"]["Value"] == "v"
    aws.secretsmanager.secrets["s"] = "x"
    assert sdk(aws, "secretsmanager").get_secret_value(SecretId="s")["SecretString"] == "x"
    logs = sdk(aws, "logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "m"}])
    sdk(aws, "sns").publish(TopicArn=next(iter(aws.sns.topics)), Message="hello & <all>")
    assert aws.sns.published[0]["Message"] == "hello & <all>"
    assert not aws.unproven() and {r.service for r in aws.requests()} == {"sts", "s3", "ssm", "secretsmanager", "logs", "sns"}


def test_it_takes_a_session_token_until_the_set_ends(aws):
    keys = aws.identity.issue("worker", 3600)
    assert "worker" in sdk(aws, "sts", keys).get_caller_identity()["Arn"]
    keys.expires = aws.clock.now() - 1
    for service, call, kw, code in (("sts", "get_caller_identity", {}, "ExpiredToken"), ("s3", "get_object", {"Bucket": "media", "Key": "k"}, "ExpiredToken"),
                                    ("ssm", "get_parameter", {"Name": "x"}, "ExpiredTokenException"),
                                    ("ec2", "describe_images", {}, "RequestExpired")):
        assert code_of(getattr(sdk(aws, service, keys), call), **kw) == code
    keys.token += "x"
    assert code_of(sdk(aws, "sts", keys).get_caller_identity) == "ExpiredToken"  # its own copy changed with it
    assert code_of(boto3.client("sts", endpoint_url=aws.url, region_name=REGION, aws_access_key_id=keys.id, aws_secret_access_key=keys.secret,
                                aws_session_token="other").get_caller_identity) == "InvalidClientTokenId"


# ---- what was touched ----

def signed(aws, service, method="POST", path="/", body=b"", headers=None, keys=KEYS, token=None):
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(*keys, token), service, REGION)
    r = AWSRequest(method, aws.url + path, data=body, headers={"Host": f"127.0.0.1:{aws.wire.port}", **(headers or {})})
    auth.add_auth(r)
    return {"method": method, "path": path, "body": body, "headers": dict(r.headers.items())}


def send(aws, method, path, body=b"", headers=None):
    c = http.client.HTTPConnection("127.0.0.1", aws.wire.port, timeout=20)
    c.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
    for k, v in {**(headers or {}), "Content-Length": str(len(body))}.items():
        c.putheader(k, v)
    c.endheaders(body)
    a = c.getresponse()
    a.text = a.read().decode()
    c.close()
    return a


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REQUESTS = {"query": ("sts", "POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", FORM),
            "json": ("ssm", "POST", "/", b'{"Name":"/a"}', {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameter"}),
            "s3": ("s3", "PUT", "/media/a%20b?x=1&y", b"data", {"Content-Type": "text/plain", "x-amz-meta-a": "1"})}
TOUCHES = {
    "body": lambda r: r.update(body=r["body"].replace(b"a", b"b", 1)),
    "path": lambda r: r.update(path=r["path"].replace("/", "/other", 1)),
    "query": lambda r: r.update(path=r["path"] + ("&" if "?" in r["path"] else "?") + "z=1"),
    "method": lambda r: r.update(method="DELETE"),
    "type": lambda r: r["headers"].update({"Content-Type": "text/html"}),
    "date": lambda r: r["headers"].update({"X-Amz-Date": r["headers"]["X-Amz-Date"][:-2] + "%dZ" % (int(r["headers"]["X-Amz-Date"][-2]) ^ 1)}),
    "signature": lambda r: r["headers"].update(Authorization=r["headers"]["Authorization"][:-64] + "0" * 64),
    "unsigned header": lambda r: r["headers"].update({"x-amz-acl": "public-read"}),
    "token added": lambda r: r["headers"].update({"x-amz-security-token": "t"}),
    "host": lambda r: r["headers"].update(Host="elsewhere.example"),
    "scope": lambda r: r["headers"].update(Authorization=r["headers"]["Authorization"].replace(REGION, "eu-west-1")),
    "not signed": lambda r: r["headers"].pop("Authorization"),
}


@pytest.mark.parametrize("which", REQUESTS)
def test_it_refuses_what_was_touched_after_signing(aws, which):
    service, method, path, body, headers = REQUESTS[which]
    aws.ssm.op_PutParameter({"Name": "/a", "Value": "v"})
    make = lambda: signed(aws, service, method, path, body, headers)  # noqa: E731
    assert send(aws, **make()).status == 200
    for name, touch in TOUCHES.items():
        r = make()
        touch(r)
        a = send(aws, **r)
        assert a.status in (400, 403), (name, a.status, a.text)
        assert aws.seen[-1].verdict != "ok", name
    wrong = signed(aws, service, method, path, body, headers, keys=(KEYS[0], "wrong"))
    assert send(aws, **wrong).status in (400, 403) and aws.seen[-1].verdict == "mismatch"
    nobody = signed(aws, service, method, path, body, headers, keys=("AKIANOBODY", KEYS[1]))
    assert send(aws, **nobody).status in (400, 403) and aws.seen[-1].verdict == "unknown"


def test_a_clock_an_hour_off_is_refused_in_each_protocols_words(aws):
    aws.clock.advance(3600)
    assert code_of(sdk(aws, "s3").get_object, Bucket="media", Key="k") == "RequestTimeTooSkewed"
    assert code_of(sdk(aws, "sts").get_caller_identity) == "SignatureDoesNotMatch"
    assert code_of(sdk(aws, "ssm").get_parameter, Name="a") == "InvalidSignatureException"
    assert code_of(sdk(aws, "ec2").describe_images) == "RequestExpired"
    a = send(aws, **signed(aws, "s3", "GET", "/media/k"))
    assert "<ServerTime>" in a.text and abs(time.mktime(time.strptime(a.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone - time.time() - 3600) < 60


def test_presigned_urls_are_checked_for_signature_type_and_end(aws):
    s3 = sdk(aws, "s3", signature_version="s3v4")
    put = s3.generate_presigned_url("put_object", {"Bucket": "media", "Key": "a b", "ContentType": "video/mp4"}, ExpiresIn=60)
    get = s3.generate_presigned_url("get_object", {"Bucket": "media", "Key": "a b"}, ExpiresIn=60)
    rest = lambda url: url.removeprefix(aws.url)  # noqa: E731
    assert send(aws, "PUT", rest(put), b"film", {"Content-Type": "text/html"}).status == 403
    assert send(aws, "PUT", rest(put), b"film").status == 403
    assert send(aws, "PUT", rest(put), b"film", {"Content-Type": "video/mp4"}).status == 200
    assert send(aws, "GET", rest(get)).text == "film"
    assert send(aws, "PUT", rest(get), b"x").status == 403
    assert send(aws, "GET", rest(get).replace("a%20b", "a%20c")).status == 403
    assert send(aws, "GET", rest(get).replace("Expires=60", "Expires=600")).status == 403
    aws.clock.advance(61)
    a = send(aws, "GET", rest(get))
    assert a.status == 403 and "expired" in a.text


# ---- what it does on order ----

def test_faults_come_where_the_script_says(aws):
    sts = sdk(aws, "sts")
    aws.script.add("sts", "GetCallerIdentity", fakeaws.fails("Throttling", 400), nth=2)
    aws.script.add("sts", None, fakeaws.page(503), nth=3)
    sts.get_caller_identity()
    assert code_of(sts.get_caller_identity) == "Throttling"
    with pytest.raises(ResponseParserError) as e:
        sts.get_caller_identity()
    assert "Bad Gateway" in str(e.value)
    sts.get_caller_identity()


def test_answers_are_cut_slowed_and_lost(aws):
    form = REQUESTS["query"]
    aws.script.add("sts", None, fakeaws.truncated(10))
    aws.script.add("sts", None, fakeaws.loses)
    aws.script.add("sts", None, fakeaws.oversized(100000))
    with pytest.raises(http.client.IncompleteRead):
        send(aws, **signed(aws, *form))
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        send(aws, **signed(aws, *form))
    assert len(send(aws, **signed(aws, *form)).text) == 100001
    assert send(aws, **signed(aws, *form)).status == 200 and not aws.unproven()


def test_a_kept_connection_is_dead_when_told(aws):
    def raw(r):
        head = "".join(f"{k}: {v}\r\n" for k, v in {**r["headers"], "Content-Length": len(r["body"])}.items())
        return f"{r['method']} {r['path']} HTTP/1.1\r\n{head}\r\n".encode() + r["body"]
    aws.script.add("sts", None, fakeaws.dies_idle(), nth=2)
    with socket.create_connection(("127.0.0.1", aws.wire.port), timeout=20) as s:
        s.sendall(raw(signed(aws, *REQUESTS["query"])))
        assert b"200 OK" in s.recv(65536)
        s.sendall(raw(signed(aws, *REQUESTS["query"])))
        text = b""
        while piece := s.recv(65536):
            text += piece
        assert b"200 OK" in text and b"close" not in text.lower()
    assert aws.wire.connections == 1


def test_packed_metrics_are_checked_as_sent_and_read_unpacked(aws):
    form = urllib.parse.urlencode({"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "N", "MetricData.member.1.MetricName": "M",
                                   "MetricData.member.1.Value": "1"}).encode()
    a = send(aws, **signed(aws, "monitoring", body=gzip.compress(form), headers={**FORM, "Content-Encoding": "gzip"}))
    assert a.status == 200 and aws.cloudwatch.data == [{"Namespace": "N", "MetricName": "M", "Value": "1"}]


# ---- groups ----

GROUP = "asg-test-flow"


@pytest.fixture
def asg(aws):
    c = sdk(aws, "autoscaling")
    ec2 = sdk(aws, "ec2")
    ec2.create_launch_template(LaunchTemplateName="lt-flow", LaunchTemplateData={"ImageId": "ami-11111111", "InstanceType": "g5.xlarge"})
    spec = {"LaunchTemplateName": "lt-flow", "Version": "$Latest"}
    c.create_auto_scaling_group(
        AutoScalingGroupName=GROUP, MinSize=0, MaxSize=5, VPCZoneIdentifier="subnet-aaaaaaaa,subnet-bbbbbbbb", NewInstancesProtectedFromScaleIn=True,
        MixedInstancesPolicy={"LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g6.xlarge"}]},
                              "InstancesDistribution": {"OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 0}})
    return c


def group(asg):
    return asg.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]


def test_a_group_launches_and_ends_what_it_is_asked_to(aws, asg):
    aws.capacity.boot_seconds = 60
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    assert [i["LifecycleState"] for i in group(asg)["Instances"]] == ["Pending", "Pending"]
    aws.clock.advance(61)
    ids = [i["InstanceId"] for i in group(asg)["Instances"]]
    assert group(asg)["Instances"][0]["LifecycleState"] == "InService"
    assert group(asg)["Instances"][0]["ProtectedFromScaleIn"]
    assert code_of(asg.set_desired_capacity, AutoScalingGroupName=GROUP, DesiredCapacity=6) == "ValidationError"
    assert code_of(asg.set_desired_capacity, AutoScalingGroupName="none", DesiredCapacity=1) == "ValidationError"
    aws.capacity.end_seconds = 3600
    asg.terminate_instance_in_auto_scaling_group(InstanceId=ids[0], ShouldDecrementDesiredCapacity=True)
    g = group(asg)
    assert g["DesiredCapacity"] == 1 and g["Instances"][0]["LifecycleState"] == "Terminating"
    assert code_of(asg.terminate_instance_in_auto_scaling_group, InstanceId=ids[0], ShouldDecrementDesiredCapacity=True) == "ScalingActivityInProgress"
    aws.capacity.end_seconds = 0
    assert [i["InstanceId"] for i in group(asg)["Instances"]] == ids[1:]
    assert code_of(asg.terminate_instance_in_auto_scaling_group, InstanceId="i-none", ShouldDecrementDesiredCapacity=True) == "ValidationError"


def test_a_lower_desired_capacity_ends_the_oldest_unprotected_instance(aws, asg):
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    first, second = [i["InstanceId"] for i in group(asg)["Instances"]]
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    assert not aws.autoscaling.groups[GROUP].killed_by_shrinking  # all are protected
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    asg.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[first, second], ProtectedFromScaleIn=False)
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    assert aws.autoscaling.groups[GROUP].killed_by_shrinking == [first]


@pytest.mark.parametrize("what", fakeaws.CAPACITY_TEXTS)
def test_every_capacity_text_shows_in_the_activities(aws, asg, what):
    aws.capacity.refuse(what)
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    a = asg.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"][0]
    assert a["StatusCode"] == "Failed" and a["StatusMessage"] == fakeaws.CAPACITY_TEXTS[what][0][:255] and "Availability Zone" in a["Details"]
    assert not group(asg)["Instances"] and group(asg)["DesiredCapacity"] == 1
    aws.capacity.clear()
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    assert len(group(asg)["Instances"]) == 1


def test_launch_instances_succeeds_in_part(aws, asg):
    aws.capacity.refuse("insufficient", type="g6.xlarge")
    aws.capacity.refuse("insufficient", type="g5.xlarge", times=1)
    kw = {"AutoScalingGroupName": GROUP, "RequestedCapacity": 2, "ClientToken": "t-1"}
    assert code_of(asg.launch_instances, **kw) == "ValidationError"  # which of its subnets?
    a = asg.launch_instances(**kw, SubnetIds=["subnet-bbbbbbbb"])
    assert len(a["Instances"][0]["InstanceIds"]) == 1 and a["Instances"][0]["MarketType"] == "spot"
    assert {e["ErrorCode"] for e in a["Errors"]} == {"InsufficientInstanceCapacity"}
    assert asg.launch_instances(**kw, SubnetIds=["subnet-bbbbbbbb"])["Instances"] == a["Instances"]
    assert group(asg)["DesiredCapacity"] == 1


def test_a_hook_holds_the_end_until_it_is_completed_or_times_out(aws, asg):
    asg.put_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="h", LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING", HeartbeatTimeout=100)
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    first, second = [i["InstanceId"] for i in group(asg)["Instances"]]
    aws.imds.pages["instance-id"] = first
    for id in (first, second):
        asg.terminate_instance_in_auto_scaling_group(InstanceId=id, ShouldDecrementDesiredCapacity=True)
    assert {i["LifecycleState"] for i in group(asg)["Instances"]} == {"Terminating:Wait"}
    assert aws.imds.pages["autoscaling/target-lifecycle-state"] == "Terminated"
    what = {"AutoScalingGroupName": GROUP, "LifecycleHookName": "h", "InstanceId": first}
    deadline = aws.autoscaling.member(first)[1].deadline
    asg.record_lifecycle_action_heartbeat(**what)
    assert aws.autoscaling.member(first)[1].deadline > deadline
    asg.complete_lifecycle_action(**what, LifecycleActionResult="CONTINUE")
    assert [i["InstanceId"] for i in group(asg)["Instances"]] == [second]
    assert code_of(asg.complete_lifecycle_action, **what, LifecycleActionResult="CONTINUE") == "ValidationError"
    aws.autoscaling.member(second)[1].deadline -= 101
    assert not group(asg)["Instances"]


def test_a_refresh_replaces_what_is_old_and_can_be_cancelled(aws, asg):
    asg.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    old = {i["InstanceId"] for i in group(asg)["Instances"]}
    asg.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=list(old), ProtectedFromScaleIn=False)
    sdk(aws, "ec2").create_launch_template_version(LaunchTemplateName="lt-flow", SourceVersion="$Latest", LaunchTemplateData={"ImageId": "ami-22222222"})
    id = asg.start_instance_refresh(AutoScalingGroupName=GROUP)["InstanceRefreshId"]
    assert code_of(asg.start_instance_refresh, AutoScalingGroupName=GROUP) == "InstanceRefreshInProgress"
    for _ in range(10):
        r = asg.describe_instance_refreshes(AutoScalingGroupName=GROUP, InstanceRefreshIds=[id])["InstanceRefreshes"][0]
        for i in aws.autoscaling.groups[GROUP].instances:
            i.protected = False
    assert r["Status"] == "Successful" and not old & {i["InstanceId"] for i in group(asg)["Instances"]}
    assert code_of(asg.cancel_instance_refresh, AutoScalingGroupName=GROUP) == "ActiveInstanceRefreshNotFound"


def test_a_template_is_read_back_as_it_was_written(aws):
    ec2 = sdk(aws, "ec2")
    data = {"ImageId": "resolve:ssm:/ami", "MetadataOptions": {"HttpTokens": "required"}, "UserData": "IyE=", "SecurityGroupIds": ["sg-11111111"],
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3"}}],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]}
    ec2.create_launch_template(LaunchTemplateName="lt-flow", LaunchTemplateData=data)
    v = ec2.describe_launch_template_versions(LaunchTemplateName="lt-flow", Versions=["$Latest"])["LaunchTemplateVersions"][0]
    assert v["LaunchTemplateData"] == data and v["VersionNumber"] == 1
    assert code_of(ec2.describe_launch_templates, LaunchTemplateNames=["none"]).startswith("InvalidLaunchTemplateName.NotFound")


# ---- metadata ----

def imds(aws, method, path, **headers):
    c = http.client.HTTPConnection("127.0.0.1", aws.imds.wire.port, timeout=20)
    c.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    a = c.getresponse()
    return a.status, a.read().decode()


def test_metadata_need_a_token_and_give_credentials_that_work(aws):
    assert imds(aws, "GET", "/latest/meta-data/instance-id")[0] == 401
    assert imds(aws, "PUT", "/latest/api/token")[0] == 400
    token = imds(aws, "PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")[1]
    get = lambda path: imds(aws, "GET", "/latest/meta-data/" + path, X_aws_ec2_metadata_token=token)  # noqa: E731
    assert get("instance-id") == (200, "i-0aaaabbbbccccdddd") and get("spot/instance-action")[0] == 404
    assert "AccessKeyId" in get("iam/security-credentials/" + get("iam/security-credentials/")[1])[1]
    assert "bpd-controller" in sdk(aws, "sts", aws.imds.keys).get_caller_identity()["Arn"]
    first = aws.imds.keys
    aws.imds.role = "other"
    get("iam/security-credentials/other")
    assert aws.imds.keys is not first
    aws.clock.advance(61)
    assert get("instance-id")[0] == 401
