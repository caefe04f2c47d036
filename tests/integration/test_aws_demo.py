# SPDX-License-Identifier: Apache-2.0
"""The whole main job with everything on AWS, by configuration alone: etc/aws.json, against moto with its signature check on.

What `make demo` shows on one machine: a photo is submitted, the fleet scales from zero, a worker leases the job, a video comes
back, the fleet goes to zero again. The machine that moto only pretends to start is a worker process under the instance's id,
with the settings from the launch template's user data. Everything is read back with boto3.
"""
import datetime
import json
import os
import re
import signal
import subprocess

import pytest

from aws_rig import Machine
from conftest import ROOT, Daemon, wait_until
from fakeaws import FakeAws
from iam_policy import Ledger, Policy
from moto_rig import ACCOUNT, REGION, Moto
from objects_rig import environment
from test_image_to_video import photo, probe  # noqa: F401

STAGE, SLUG, BUCKET, TOPIC = "production", "image-to-video", "media-prod", "bpd-operators"
GROUP = f"asg-{STAGE}-{SLUG}"
SECRET = "the-fleet-secret-in-ssm"


@pytest.fixture(scope="module")
def moto():
    m = Moto(STAGE)
    m.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    ssm, ec2 = m.client("ssm"), m.client("ec2")
    m.image = ec2.describe_images()["Images"][0]["ImageId"]
    ssm.put_parameter(Name=f"/bp/{STAGE}/fleet-secret", Value=SECRET, Type="SecureString")
    ssm.put_parameter(Name=f"/bp/ami/{SLUG}", Value=m.image, Type="String")
    m.subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]
    m.security_group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    m.topic = m.client("sns").create_topic(Name=TOPIC)["TopicArn"]
    m.queue = m.client("sqs").create_queue(QueueName="people")["QueueUrl"]
    m.client("sns").subscribe(TopicArn=m.topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:people")
    yield m
    m.close()


def example():
    """etc/aws.json as it stands."""
    return json.loads(re.sub(r"(^|\s)//.*", "", (ROOT / "etc/aws.json").read_text()))


def settings(moto):
    """The example, with moto's names for what an account has, and times short enough to watch."""
    s = example()
    aws = s["plugin"]["aws"]
    aws["snsTopicArn"], aws["fleet"]["subnets"], aws["fleet"]["securityGroups"] = moto.topic, moto.subnets, [moto.security_group]
    aws["fleet"]["controllerUrl"] = s["http"]["url"]
    aws["fleet"]["describeSeconds"] = 0.2
    aws["minCompressBytes"] = 10485760  # moto takes the signature of packed bodies for wrong
    aws["alarmPaceMilliseconds"] = 0
    s["http"] = {"listen": "127.0.0.1:0", "registerPerMinute": 0}
    s["log"]["forward"] = "info"
    s["scale"] = {"tickMilliseconds": 300, "cooldownSeconds": 0.5}
    s["metrics"] = {"periodSeconds": 1}
    s["shutdown"] = {"graceSeconds": 5}
    s["workflows"][SLUG].pop("scaleToZeroMinutes")
    s["workflows"][SLUG].update(scaleToZeroSeconds=3, warmupSeconds=1)
    return s


class Role:
    """The metadata of an instance with this role, whose keys are moto's."""

    def __init__(self, moto, role, **pages):
        self.aws = FakeAws(REGION)
        self.aws.imds.role, self.aws.imds.role_seconds = role, 3600
        self.aws.imds.pages.update(pages)
        self.aws.identity.issue = moto.issue
        self.env = environment(moto.url, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_EC2_METADATA_DISABLED=None,
                               AWS_EC2_METADATA_SERVICE_ENDPOINT=self.aws.imds.url)


class Controller(Daemon):
    """bpd with a settings file, on a machine with the controller's role."""

    def __init__(self, build, dir, moto):
        super().__init__(build, dir, plugins=("sqlite", "aws", SLUG))
        self.settings = {}
        self.file = dir / "bpd.json"
        self.file.write_text(json.dumps(settings(moto)))
        self.machine = Role(moto, f"bpd-{STAGE}-controller")

    def command(self):
        return [*super().command(), "--config", str(self.file)]


@pytest.fixture
def controller(build, short_dir, moto, monkeypatch, request):
    c = Controller(build, short_dir, moto)
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in c.machine.env.items():
        monkeypatch.setenv(name, value)
    c.start(ready=False)
    wait_until("ready", lambda: c._alive() and c.http.get("/readyz").status == 200)
    c.ctl("tenant", "add", "acme")
    c.http.token = c.ctl("tenant", "token", "add", "acme")["token"]
    yield c
    c.clean_up()
    c.machine.aws.close()
    if getattr(request.node, "failed", False):
        for log in (c.log, *short_dir.glob("worker/log")):
            print(f"--- {log}\n{log.read_text(errors='replace')[-20000:]}")
    assert not c.sanitizer_findings(), c.sanitizer_findings()


class Worker(Machine):
    """The machine of one instance, with the worker's role."""

    def __init__(self, build, dir, moto, controller, instance):
        self.role = Role(moto, f"bpd-{STAGE}-worker", **{"instance-id": instance["InstanceId"], "instance-type": instance["InstanceType"],
                                                        "placement/availability-zone": instance["AvailabilityZone"]})
        version = moto.client("ec2").describe_launch_template_versions(LaunchTemplateName=GROUP, Versions=["$Default"])["LaunchTemplateVersions"][0]
        super().__init__(build, dir, version["LaunchTemplateData"]["UserData"], build / "plugins" / f"{SLUG}.so", self.role.env,
                         **{"worker.url": f"http://127.0.0.1:{controller.port}", "log.forward": "info"})

    def end(self):
        self.role.aws.imds.pages["autoscaling/target-lifecycle-state"] = "Terminated"
        assert self.process.wait(60) == 0, self.log.read_text(errors="replace")[-3000:]


def group(moto):
    found = moto.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    return found[0] if found else None


def instances(moto):
    return [i for i in group(moto)["Instances"] if i["LifecycleState"] == "InService"]


def said(moto, log_group):
    """Every line of a log group, by boto3."""
    logs = moto.client("logs")
    try:
        return [e["message"] for p in logs.get_paginator("filter_log_events").paginate(logGroupName=log_group) for e in p["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def samples(moto, name):
    now = datetime.datetime.now(datetime.timezone.utc)
    stats = moto.client("cloudwatch").get_metric_statistics(
        Namespace="BP/Workers", MetricName=name, Period=60, Statistics=["Maximum", "Minimum", "SampleCount"],
        Dimensions=[{"Name": "WorkflowSlug", "Value": SLUG}, {"Name": "Stage", "Value": STAGE}],
        StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(minutes=2))
    return stats["Datapoints"]


def test_the_example_is_good_settings(build):
    r = subprocess.run([build / "bin" / "bpd", "--check-config", "--config", ROOT / "etc/aws.json"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    manifest = json.loads((ROOT / "plugins/clouds/aws/manifest.json").read_text())["config"]
    given = example()["plugin"]["aws"]
    assert set(given) <= set(manifest) and set(given["fleet"]) <= set(manifest["fleet"]["members"])


def test_the_main_job_with_everything_on_aws(controller, build, moto, photo, short_dir):  # noqa: F811
    c = controller
    # The fleet is there, at zero, as the settings say.
    g = wait_until("the group is made", lambda: (g := group(moto)) and g["SuspendedProcesses"] and g)
    assert (g["MinSize"], g["MaxSize"], g["DesiredCapacity"]) == (0, 8, 0) and g["NewInstancesProtectedFromScaleIn"]
    assert {t["Key"]: t["Value"] for t in g["Tags"]}.items() >= {"WorkflowSlug": SLUG, "Stage": STAGE}.items()
    assert {p["ProcessName"] for p in g["SuspendedProcesses"]} == {"AZRebalance"}
    spot = g["MixedInstancesPolicy"]["InstancesDistribution"]
    assert spot["SpotAllocationStrategy"] == "price-capacity-optimized" and spot["OnDemandPercentageAboveBaseCapacity"] == 0

    # A photo goes to S3, and a job in.
    given = c.http.upload(photo.read_bytes(), "photo.jpg", "image/jpeg")
    assert moto.client("s3").get_object(Bucket=BUCKET, Key="bp/" + given["key"])["Body"].read() == photo.read_bytes()
    id = c.http.submit(SLUG, {"duration": 1, "width": 320, "height": 180}, [given])["id"]

    # Desired goes to one; the machine starts as its user data says, and registers with the secret of SSM.
    wait_until("desired is one", lambda: group(moto)["DesiredCapacity"] == 1)
    instance = wait_until("an instance", lambda: instances(moto))[0]
    wait_until("the waiting job is in the metrics", lambda: any(p["Maximum"] >= 1 for p in samples(moto, "QueueDepth")))
    w = Worker(build, short_dir / "worker", moto, c, instance)
    given = json.loads(w.settings)
    assert given["stage"] == STAGE and given["worker"]["url"] == example()["http"]["url"] and SECRET not in w.settings
    job = wait_until("completed", lambda: (j := c.http.job(id))["status"] in ("completed", "failed") and j, timeout=90)
    assert job["status"] == "completed" and job["worker"] == instance["InstanceId"], job

    # The video is in S3, and comes by a signed URL.
    assert job["output"]["url"].startswith(moto.url)
    out = short_dir / "out.mp4"
    out.write_bytes(c.http.get_url(job["output"]["url"]).body)
    assert probe(out)["codec_name"] == "h264"
    assert moto.client("s3").get_object(Bucket=BUCKET, Key="bp/" + job["output"]["key"])["Body"].read() == out.read_bytes()

    # Back to zero: this instance, by its id.
    wait_until("no instance is left", lambda: not instances(moto) and group(moto)["DesiredCapacity"] == 0, timeout=60)
    w.end()
    shrunk = [r.params for r in moto.calls() if r.operation == "TerminateInstanceInAutoScalingGroup"]
    assert [(p["InstanceId"], p["ShouldDecrementDesiredCapacity"]) for p in shrunk] == [(instance["InstanceId"], "true")]
    asked = [int(r.params["DesiredCapacity"]) for r in moto.calls() if r.operation == "SetDesiredCapacity"]
    assert asked == [1], "desired was lowered by a call"
    wait_until("bpd sees it", lambda: "instances: none" in c.ctl("fleet", SLUG, json_form=False).stdout)

    check_what_is_seen(c, moto)
    check_rights(moto)
    for text in (c.log.read_text(errors="replace"), w.log.read_text(errors="replace")):
        assert SECRET not in text
    w.role.aws.close()


def check_what_is_seen(c, moto):
    """Metrics, alarms, the dashboard, logs and a notice, by boto3."""
    wait_until("zeros are in the metrics too", lambda: any(p["Minimum"] == 0 for p in samples(moto, "QueueDepth")))
    cloudwatch = moto.client("cloudwatch")
    names = wait_until("alarms", lambda: {a["AlarmName"] for a in cloudwatch.describe_alarms()["MetricAlarms"]})
    assert {f"bpd-{STAGE}-{SLUG}-{x}" for x in ("queue-has-jobs", "backlog-high", "queue-empty", "no-metrics", "launch-failures")} <= names
    wait_until("the dashboard", lambda: [d for d in cloudwatch.list_dashboards()["DashboardEntries"] if d["DashboardName"] == f"bpd-{STAGE}"])
    wait_until("the controller's lines", lambda: any("ready" in m for m in said(moto, f"/bp/{STAGE}/bpd")))
    wait_until("the worker's lines", lambda: any("registered as" in m for m in said(moto, f"/gpu-workers/{SLUG}")))
    assert c.ctl("notify", "test", json_form=False).returncode == 0
    sqs = moto.client("sqs")
    wait_until("a notice", lambda: sqs.receive_message(QueueUrl=moto.queue).get("Messages"))
    assert moto.client("ssm").get_parameter(Name=f"/bp/{STAGE}/fleet-secret", WithDecryption=True)["Parameter"]["Value"] == SECRET


def check_rights(moto):
    """Every call that was made was signed right and is allowed by the policies, and no more than one role's."""
    assert not moto.recorder.refused
    values = {"STAGE": STAGE, "BUCKET": BUCKET, "PREFIX": "bp/", "TOPIC": TOPIC, "ACCOUNT": ACCOUNT}
    for who in ("controller", "worker"):
        ledger = Ledger(lambda id: GROUP, STAGE)
        ledger.sealed = {f"/bp/{STAGE}/fleet-secret": True}
        calls = moto.calls(f"bpd-{STAGE}-{who}")
        missing = {m for r in calls for m in ledger.missing(Policy(who, **values), r.service, r.operation, r.params)}
        assert calls and not missing, (who, missing)


def test_nobody_is_named_in_etc_aws():
    for f in (ROOT / "etc/aws").iterdir():
        json.loads(f.read_text())
        assert not re.search(r"\d{12}", f.read_text()), f"{f.name} has an account in it"


def test_sigterm_leaves_the_fleet_of_aws_alone(controller, moto):
    """A controller that ends takes no instance with it."""
    wait_until("the group is made", lambda: group(moto))
    before = len(moto.calls(f"bpd-{STAGE}-controller"))
    controller.process.send_signal(signal.SIGTERM)
    assert controller.process.wait(30) == 0
    assert not [r for r in moto.calls()[before:] if r.operation.startswith(("Terminate", "Delete", "SetDesired"))]
