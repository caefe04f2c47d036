# SPDX-License-Identifier: Apache-2.0
"""Fleets on AWS, by the facet alone: made, corrected, grown and ended in moto and in the fake AWS, read back by an SDK."""
import base64
import importlib.machinery
import json
import pathlib
import subprocess
import types
import urllib.request

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from fakeaws import FakeAws, fails, loses
from conftest import wait_until
from objects_rig import CONFLICT, DENIED, INVALID, LATER, NOTFOUND, Caller, environment

UNSUPPORTED = -8
REGION, PARAMETER, GROUP = "eu-central-1", "/bp/prod/upscale/ami", "asg-prod-upscale"
PENDING, RUNNING, TERMINATING = 1, 2, 3
BPD = {"_bpd": {"stage": "prod", "url": "https://bp.example"}}


class Place:
    """A region: its subnets and one AMI, an SDK's view of it, and the facet."""

    def __init__(self, url, build, dir, subnets, ami, env):
        self.url, self.build, self.dir, self.subnets, self.ami, self.env, self.callers = url, build, dir, subnets, ami, env, []
        self.more = {}

    def sdk(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"], config=Config(retries={"total_max_attempts": 1}, proxies={}))

    def caller(self, **fleet):
        given = {"subnets": self.subnets, "instanceProfile": "bp-worker", "describeSeconds": 0, **self.more, **fleet}
        c = Caller(self.build, self.dir, self.env, {**BPD, "fleet": given}, program="aws_fleet_call")
        self.callers.append(c)
        return c

    def group(self, name=GROUP):
        groups = self.sdk("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return groups[0] if groups else None

    def versions(self, name=GROUP):
        found = self.sdk("ec2").describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
        return sorted(found, key=lambda v: v["VersionNumber"])


def finish(place):
    for c in place.callers:
        c.close()


@pytest.fixture(scope="module")
def moto_server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://%s:%d" % server.get_host_and_port()
    server.stop()


@pytest.fixture
def moto(moto_server, build, tmp_path):
    urllib.request.urlopen(urllib.request.Request(moto_server + "/moto-api/reset", method="POST")).read()
    p = Place(moto_server, build, tmp_path, [], "", environment(moto_server))
    p.more = {"rootVolumeGiB": 50}  # moto takes no root volume's size from an AMI
    ec2 = p.sdk("ec2")
    p.subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]][:2]
    p.ami = ec2.describe_images()["Images"][0]["ImageId"]
    p.sdk("ssm").put_parameter(Name=PARAMETER, Value=p.ami, Type="String")
    yield p
    finish(p)


@pytest.fixture
def fake(build, tmp_path):
    with FakeAws(REGION) as aws:
        env = environment(aws.url, AWS_ACCESS_KEY_ID=aws.identity.USER[0], AWS_SECRET_ACCESS_KEY=aws.identity.USER[1])
        p = Place(aws.url, build, tmp_path, sorted(aws.ec2.subnets)[:2], "ami-11111111", env)
        p.aws = aws
        p.sdk("ssm").put_parameter(Name=PARAMETER, Value=p.ami, Type="String")
        yield p
        finish(p)
        assert aws.unproven() == []


SPEC = {"slug": "upscale", "stage": "prod", "parameter": PARAMETER, "types": ["g6.xlarge", "g5.xlarge"], "max": 3, "warmup": 240}


def calls(fake, service=None, but=("DescribeAutoScalingGroups",)):
    return [r.operation for r in fake.aws.requests(service) if r.operation not in but]


def described(caller, slug="upscale"):
    return caller.ok("describe", slugs=[slug])["fleets"][slug]


# ---- ensure ----

def test_a_fleet_is_made_whole_and_a_second_time_finds_nothing_to_do(moto):
    caller = moto.caller(securityGroups=["sg-12345678"], rootVolumeGiB=200)
    said = caller.ok("ensure", **SPEC, dry_run=1)["diff"]
    assert [s.split(" of ")[0] for s in said] == [f"create launch template {GROUP}", f"create group {GROUP}", "create hook bpd-hand-back"]
    assert moto.group() is None, "a dry run makes nothing"
    assert caller.ok("ensure", **SPEC)["diff"] == said
    assert caller.ok("ensure", **SPEC)["diff"] == []
    assert len(moto.versions()) == 1

    data = moto.versions()[0]["LaunchTemplateData"]
    assert data["ImageId"] == f"resolve:ssm:{PARAMETER}" and data["InstanceType"] == "g6.xlarge"
    assert data["IamInstanceProfile"] == {"Name": "bp-worker"} and data["SecurityGroupIds"] == ["sg-12345678"]
    assert data["MetadataOptions"]["HttpTokens"] == "required" and int(data["MetadataOptions"]["HttpPutResponseHopLimit"]) == 1
    disk = data["BlockDeviceMappings"][0]["Ebs"]
    assert disk["VolumeType"] == "gp3" and disk["Encrypted"] in (True, "true") and int(disk["VolumeSize"]) == 200

    g = moto.group()
    assert (g["MinSize"], g["MaxSize"], g["DesiredCapacity"]) == (0, 3, 0)
    assert g["VPCZoneIdentifier"] == ",".join(moto.subnets) and g["NewInstancesProtectedFromScaleIn"] and g["CapacityRebalance"]
    policy = g["MixedInstancesPolicy"]
    assert policy["LaunchTemplate"]["LaunchTemplateSpecification"] == {
        **policy["LaunchTemplate"]["LaunchTemplateSpecification"], "LaunchTemplateName": GROUP, "Version": "$Default"}
    assert [o["InstanceType"] for o in policy["LaunchTemplate"]["Overrides"]] == ["g6.xlarge", "g5.xlarge"]
    spread = policy["InstancesDistribution"]
    assert spread["SpotAllocationStrategy"] == "price-capacity-optimized"
    assert (spread["OnDemandBaseCapacity"], spread["OnDemandPercentageAboveBaseCapacity"]) == (0, 0)
    assert [p["ProcessName"] for p in g["SuspendedProcesses"]] == ["AZRebalance"]
    assert {t["Key"]: (t["Value"], t["PropagateAtLaunch"]) for t in g["Tags"]} == {
        "WorkflowSlug": ("upscale", True), "Stage": ("prod", True), "Project": ("bp", True), "Name": (GROUP, True)}
    hook = moto.sdk("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"][0]
    assert hook["LifecycleHookName"] == "bpd-hand-back" and hook["LifecycleTransition"].endswith("EC2_INSTANCE_TERMINATING")
    assert hook["HeartbeatTimeout"] == 300 and hook["DefaultResult"] == "CONTINUE"


def test_a_process_that_starts_anew_finds_nothing_to_do_and_writes_nothing(fake):
    fake.caller().ok("ensure", **SPEC)
    fake.aws.forget()
    assert fake.caller().ok("ensure", **SPEC)["diff"] == []
    assert {c for c in calls(fake)} == {"GetParameter", "DescribeImages", "DescribeLaunchTemplateVersions", "DescribeLifecycleHooks"}


def test_user_data_starts_a_worker_that_finds_its_secret_by_name(fake):
    fake.caller(workerSettings={"log": {"forward": "info"}, "worker": {"device": "cuda"}}).ok("ensure", **SPEC)
    script = base64.b64decode(fake.versions()[0]["LaunchTemplateData"]["UserData"]).decode()
    lines = script.split("\n")
    settings = json.loads(lines[lines.index("cat >/etc/bpd/worker.json <<'BPD_WORKER_SETTINGS'") + 1])
    assert settings["stage"] == "prod"
    assert settings["worker"] == {"url": "https://bp.example", "fleet": "upscale", "fleetSecret": "param:/bp/prod/fleet-secret", "device": "cuda"}
    assert settings["services"] == {"node": "aws", "params": "aws"} and settings["log"] == {"forward": "info"}
    assert settings["plugin"]["aws"] == {"region": REGION, "group": GROUP, "lifecycleHook": "bpd-hand-back"}
    assert "systemctl restart --no-block bp-worker.service" in lines and lines[0] == "#!/bin/bash"


def test_what_a_worker_is_told_are_settings_that_it_knows(fake, build, tmp_path):
    fake.caller().ok("ensure", **SPEC)
    script = base64.b64decode(fake.versions()[0]["LaunchTemplateData"]["UserData"]).decode().split("\n")
    file = tmp_path / "worker.json"
    file.write_text(next(line for line in script if line.startswith("{")))
    checked = subprocess.run([build / "bin" / "bpd", "--role", "worker", "--config", file, "--check-config"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_file_of_ones_own_is_filled_in(fake, tmp_path):
    own = tmp_path / "user-data"
    own.write_text("#!/bin/sh\nexec start @SLUG@ @STAGE@ @URL@ @REGION@ '@SETTINGS@' a@b\n")
    fake.caller(userDataFile=str(own), controllerUrl="http://10.0.0.5:8080").ok("ensure", **SPEC)
    script = base64.b64decode(fake.versions()[0]["LaunchTemplateData"]["UserData"]).decode()
    assert script.startswith("#!/bin/sh\nexec start upscale prod http://10.0.0.5:8080 eu-central-1 '{") and script.endswith(" a@b\n")
    own.write_text("x" * 16385)
    refused = fake.caller(userDataFile=str(own))("ensure", **SPEC)
    assert refused["rc"] < 0 and "16384" in refused["text"]


def test_drift_is_told_and_corrected(moto):
    caller = moto.caller()
    caller.ok("ensure", **SPEC)
    asg = moto.sdk("autoscaling")
    asg.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=9, MinSize=1, MixedInstancesPolicy={
        "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": GROUP, "Version": "1"}, "Overrides": [{"InstanceType": "g5.xlarge"}]},
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 100}}, NewInstancesProtectedFromScaleIn=False)
    asg.resume_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["AZRebalance"])
    asg.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="bpd-hand-back")
    asg.delete_tags(Tags=[{"ResourceId": GROUP, "ResourceType": "auto-scaling-group", "Key": "Stage"}])
    said = caller.ok("ensure", **SPEC, dry_run=1)["diff"]
    for sentence in ("minimum size 1 becomes 0", "maximum size 9 becomes 3", "protection of new instances false becomes true",
                     "template version 1 becomes $Default", "instance types g5.xlarge becomes g6.xlarge,g5.xlarge",
                     "on-demand per cent above the base 100 becomes 0", "tag Stage none becomes prod", "the process AZRebalance becomes suspended"):
        assert f"group {GROUP}: {sentence}" in said, said
    assert f"create hook bpd-hand-back of group {GROUP}" in said
    assert moto.group()["MaxSize"] == 9, "a dry run changes nothing"
    assert caller.ok("ensure", **SPEC)["diff"] == said
    assert caller.ok("ensure", **SPEC)["diff"] == []
    assert moto.group()["MaxSize"] == 3 and moto.group()["NewInstancesProtectedFromScaleIn"]


def test_a_template_that_differs_gets_a_new_default_version(moto):
    moto.caller().ok("ensure", **SPEC)
    caller = moto.caller(metadataHopLimit=2, keyName="night")
    said = caller.ok("ensure", **SPEC)["diff"]
    assert f"launch template {GROUP}: metadata hop limit 1 becomes 2" in said and f"launch template {GROUP}: key none becomes night" in said
    versions = moto.versions()
    assert [v["DefaultVersion"] for v in versions] == [False, True]
    assert versions[1]["LaunchTemplateData"]["KeyName"] == "night"
    assert caller.ok("ensure", **SPEC)["diff"] == [] and len(moto.versions()) == 2


def test_a_default_version_made_by_hand_is_followed_by_ours(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    ec2 = fake.sdk("ec2")
    ec2.create_launch_template_version(LaunchTemplateName=GROUP, SourceVersion="1", LaunchTemplateData={"ImageId": "ami-22222222"})
    ec2.modify_launch_template(LaunchTemplateName=GROUP, DefaultVersion="2")
    assert f"launch template {GROUP}: image ami-22222222 becomes resolve:ssm:{PARAMETER}" in caller.ok("ensure", **SPEC)["diff"]
    assert [v["DefaultVersion"] for v in fake.versions()] == [False, False, True]


def test_a_smaller_maximum_ends_nobody(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    caller.ok("grow", slug="upscale", to=3)
    assert caller.ok("ensure", **{**SPEC, "max": 1})["diff"] == [], "three are desired: the group's own maximum waits for them"
    assert described(caller)["max"] == 1 and fake.group()["DesiredCapacity"] == 3
    caller.ok("grow", slug="upscale", to=3)
    assert fake.aws.autoscaling.groups[GROUP].killed_by_shrinking == []


# ---- what cannot be ----

@pytest.mark.parametrize("settings, spec, rc, words", [
    ({"subnets": []}, {}, INVALID, ["plugin.aws.fleet.subnets"]),
    ({"instanceProfile": ""}, {}, INVALID, ["plugin.aws.fleet.instanceProfile"]),
    ({}, {"types": []}, INVALID, ["workflows.upscale.instanceTypes"]),
    ({}, {"parameter": None}, INVALID, ["workflows.upscale.amiSsmParameter"]),
    ({}, {"parameter": "/bp/none"}, NOTFOUND, ["/bp/none", "does not exist", "bpctl ami set upscale"]),
    ({}, {"parameter": None, "ami": "ami-33333333"}, NOTFOUND, ["ami-33333333", REGION, "copy it there"]),
])
def test_what_is_missing_is_named_with_the_remedy(fake, settings, spec, rc, words):
    a = fake.caller(**settings)("ensure", **{**SPEC, **spec})
    assert a["rc"] == rc and all(w in a["text"] for w in words), a
    assert fake.group() is None


def test_a_controller_that_no_instance_can_reach_is_no_controller(fake):
    caller = Caller(fake.build, fake.dir, fake.env, {"_bpd": {"stage": "prod", "url": "http://127.0.0.1:8080"},
                    "fleet": {"subnets": fake.subnets, "instanceProfile": "x"}}, program="aws_fleet_call")
    fake.callers.append(caller)
    a = caller("ensure", **SPEC)
    assert a["rc"] == INVALID and "plugin.aws.fleet.controllerUrl" in a["text"]


@pytest.mark.parametrize("call, message, setting", [
    ("CreateAutoScalingGroup", "The subnet ID 'subnet-0' does not exist", "plugin.aws.fleet.subnets"),
    ("CreateAutoScalingGroup", "You must use a valid fully-formed launch template. The security group 'sg-0' does not exist",
     "plugin.aws.fleet.securityGroups"),
    ("CreateAutoScalingGroup", "You must use a valid fully-formed launch template. Value (x) for parameter iamInstanceProfile.name is invalid. "
     "Invalid IAM Instance Profile name", "plugin.aws.fleet.instanceProfile"),
    ("CreateAutoScalingGroup", "You must use a valid fully-formed launch template. The key pair 'night' does not exist", "plugin.aws.fleet.keyName"),
    ("CreateAutoScalingGroup", "The specified instance type g99.xlarge is not valid", "workflows.upscale.instanceTypes"),
])
def test_a_refusal_names_the_setting_that_it_is_about(fake, call, message, setting):
    fake.aws.script.add("autoscaling", call, fails("ValidationError", 400, message), times=1)
    a = fake.caller()("ensure", **SPEC)
    assert a["rc"] == INVALID and a["text"].endswith(f"correct {setting}") and message[:60] in a["text"] and GROUP in a["text"]


def test_a_denied_call_names_what_to_allow(fake):
    fake.aws.script.add("autoscaling", "CreateAutoScalingGroup", fails("AccessDenied", 403), times=9)
    a = fake.caller()("ensure", **SPEC)
    assert a["rc"] == DENIED and "autoscaling:CreateAutoScalingGroup ec2:RunInstances iam:PassRole" in a["text"] and GROUP in a["text"]


# ---- groups made elsewhere ----

def test_an_adopted_group_is_used_as_it_is(fake):
    fake.caller().ok("ensure", **SPEC)
    fake.sdk("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=9)
    fake.aws.forget()
    caller = fake.caller(manage=False, subnets=[], instanceProfile="")
    assert caller.ok("ensure", **SPEC)["diff"] == []
    assert f"not corrected, since plugin.aws.fleet.manage is off: group {GROUP}: maximum size 9 becomes 3" in caller.logged()
    assert caller.ok("ensure", **SPEC, dry_run=1)["diff"] == [f"group {GROUP}: maximum size 9 becomes 3"]
    assert calls(fake) == [] and fake.group()["MaxSize"] == 9
    caller.ok("grow", slug="upscale", to=9)
    assert fake.group()["DesiredCapacity"] == 3, "the workflow's own maximum holds all the same"


def test_an_adopted_group_may_have_any_name_but_must_exist(fake):
    a = fake.caller(manage=False)("ensure", **SPEC)
    assert a["rc"] == NOTFOUND and GROUP in a["text"] and "plugin.aws.fleet.groups" in a["text"]
    fake.sdk("autoscaling").create_auto_scaling_group(AutoScalingGroupName="gpu night", MinSize=0, MaxSize=3,
                                                      AvailabilityZones=[REGION + "a"])
    caller = fake.caller(manage=False, groups={"upscale": "gpu night"})
    caller.ok("ensure", **SPEC)
    assert described(caller)["exists"] == 1


def test_a_group_whose_sizes_are_no_numbers_of_instances_is_refused(fake):
    fake.sdk("autoscaling").create_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=0, MaxSize=3, AvailabilityZones=[REGION + "a"])
    fake.aws.autoscaling.groups[GROUP].p["MixedInstancesPolicy"] = {"LaunchTemplate": {"Overrides": [
        {"InstanceType": "g5.xlarge", "WeightedCapacity": "1"}, {"InstanceType": "g5.2xlarge", "WeightedCapacity": "2"}]}}
    a = fake.caller(manage=False)("ensure", **SPEC)
    assert a["rc"] == UNSUPPORTED and "weights" in a["text"]


# ---- size ----

def test_it_grows_in_moto_by_its_desired_capacity_and_ends_the_chosen_one(moto):
    caller = moto.caller()
    caller.ok("ensure", **SPEC)
    assert described(caller) == {"exists": 1, "desired": 0, "min": 0, "max": 3, "instances": []}
    caller.ok("grow", slug="upscale", to=2)
    assert moto.group()["DesiredCapacity"] == 2
    caller.ok("grow", slug="upscale", to=1)
    assert moto.group()["DesiredCapacity"] == 2, "growing never shrinks"
    caller.ok("grow", slug="upscale", to=7)
    assert moto.group()["DesiredCapacity"] == 3, "nor goes beyond the maximum"
    state = described(caller)
    ids = [i["id"] for i in state["instances"]]
    assert len(ids) == 3 and all(i["state"] == RUNNING and i["protected"] == 1 and i["launched_ms"] > 0 for i in state["instances"])

    caller.ok("protect", slug="upscale", instance=ids[0], on=0)
    assert {i["InstanceId"]: i["ProtectedFromScaleIn"] for i in moto.group()["Instances"]} == {ids[0]: False, ids[1]: True, ids[2]: True}
    assert [i["protected"] for i in described(caller)["instances"]] == [0, 1, 1]
    caller.ok("protect", slug="upscale", instances=ids, on=0)
    assert not any(i["ProtectedFromScaleIn"] for i in moto.group()["Instances"])

    caller.ok("terminate", slug="upscale", instance=ids[1])
    g = moto.group()
    assert g["DesiredCapacity"] == 2 and {i["InstanceId"] for i in g["Instances"]} == {ids[0], ids[2]}
    assert caller("terminate", slug="upscale", instance=ids[1])["rc"] == NOTFOUND
    assert caller("terminate", slug="upscale", instance="i-0000000000")["rc"] == NOTFOUND
    assert moto.group()["DesiredCapacity"] == 2, "an end that is asked for twice counts once"
    assert caller("grow", slug="unknown", to=1)["rc"] == NOTFOUND


def test_where_the_endpoint_can_it_launches_and_says_what_it_did_not_get(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.refuse("insufficient", type="g6.xlarge")
    fake.aws.capacity.refuse("spot", zone=fake.aws.ec2.zone_of(fake.subnets[0]))
    fake.aws.forget()
    caller.ok("grow", slug="upscale", to=2)
    assert calls(fake) == ["LaunchInstances", "LaunchInstances"], "the second subnet had what the first had not"
    state = described(caller)
    assert state["desired"] == 2 and {i["type"] for i in state["instances"]} == {"g5.xlarge"} and all(i["spot"] for i in state["instances"])
    assert {i["zone"] for i in state["instances"]} == {fake.aws.ec2.zone_of(fake.subnets[1])}
    told = caller.ok("activities", slug="upscale")["activities"]
    assert {a["reason"] for a in told if a["failed"]} == {"capacity"}


def test_launches_that_fail_everywhere_fail_at_once_and_are_not_hammered(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.refuse("spot")
    a = caller("grow", slug="upscale", to=2)
    assert a["rc"] == LATER and "UnfulfillableCapacity" in a["text"] and fake.group()["DesiredCapacity"] == 0
    fake.aws.capacity.clear()
    fake.aws.forget()
    assert caller("grow", slug="upscale", to=2)["rc"] == LATER and "LaunchInstances" not in calls(fake)


def test_what_was_had_in_part_counts_and_the_rest_is_asked_for_elsewhere(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.refuse("spot", times=2)  # both types, once
    fake.aws.forget()
    caller.ok("grow", slug="upscale", to=3)
    asked = [(r.params["SubnetIds"], r.params["RequestedCapacity"]) for r in fake.aws.requests("autoscaling", "LaunchInstances")]
    assert [n for _, n in asked] == ["3", "1"] and asked[0][0] != asked[1][0]
    assert fake.group()["DesiredCapacity"] == 3 and len(fake.group()["Instances"]) == 3


@pytest.mark.parametrize("how", [{"no_launch_instances": True}, {}])
def test_an_endpoint_without_it_is_asked_once(fake, how):
    fake.aws.autoscaling.no_launch_instances = how.get("no_launch_instances", False)
    if not how:
        fake.aws.script.add("autoscaling", "LaunchInstances", fails("AccessDenied", 403), times=9)
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    for to in (1, 2):
        caller.ok("grow", slug="upscale", to=to)
    assert calls(fake).count("LaunchInstances") == 1 and calls(fake).count("SetDesiredCapacity") == 2
    assert fake.group()["DesiredCapacity"] == 2


def test_an_end_whose_answer_is_lost_is_looked_at_before_it_is_asked_again(fake):
    caller = fake.caller(describeSeconds=300)
    caller.ok("ensure", **SPEC)
    caller.ok("grow", slug="upscale", to=2)
    fake.aws.capacity.end_seconds = 3600
    id = described(caller)["instances"][0]["id"]
    fake.aws.script.add("autoscaling", "TerminateInstanceInAutoScalingGroup", loses, times=1)
    assert caller("terminate", slug="upscale", instance=id)["rc"] == LATER
    assert caller("terminate", slug="upscale", instance=id)["rc"] == NOTFOUND, "it is ending: AWS had heard"
    assert calls(fake).count("TerminateInstanceInAutoScalingGroup") == 1 and fake.group()["DesiredCapacity"] == 1


def test_the_minimum_of_an_adopted_group_is_told(fake):
    fake.sdk("autoscaling").create_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=1, MaxSize=3, AvailabilityZones=[REGION + "a"])
    caller = fake.caller(manage=False)
    caller.ok("ensure", **SPEC)
    id = described(caller)["instances"][0]["id"]
    a = caller("terminate", slug="upscale", instance=id)
    assert a["rc"] == CONFLICT and "minimum size" in a["text"]


def test_states_are_those_of_the_machines(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.boot_seconds = 3600
    fake.aws.capacity.end_seconds = 3600
    caller.ok("grow", slug="upscale", to=2)
    ids = [i["id"] for i in described(caller)["instances"] if i["state"] == PENDING]
    assert len(ids) == 2
    caller.ok("terminate", slug="upscale", instance=ids[0])
    state = described(caller)
    assert {i["id"]: i["state"] for i in state["instances"]} == {ids[0]: TERMINATING, ids[1]: PENDING} and state["desired"] == 1


def test_an_on_demand_allowance_raises_the_base_and_is_given_back(moto):
    caller = moto.caller(onDemandBase=1)
    caller.ok("ensure", **SPEC)
    was = moto.group()["MixedInstancesPolicy"]
    caller.ok("afford", slug="upscale", on_demand=2)
    now = moto.group()["MixedInstancesPolicy"]
    assert now["InstancesDistribution"]["OnDemandBaseCapacity"] == 3
    now["InstancesDistribution"]["OnDemandBaseCapacity"] = 1
    assert now == was, "the rest of the policy is as it was"
    assert caller.ok("ensure", **SPEC)["diff"] == [], "it is no drift"
    caller.ok("afford", slug="upscale", on_demand=0)
    assert moto.group()["MixedInstancesPolicy"] == was


def test_an_allowance_ends_the_rest_after_failed_launches(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.refuse("spot", market="spot")
    assert caller("grow", slug="upscale", to=1)["rc"] == LATER
    caller.ok("afford", slug="upscale", on_demand=1)
    caller.ok("grow", slug="upscale", to=1)
    assert [i["spot"] for i in described(caller)["instances"]] == [0]


def test_a_spot_notice_is_shown(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    caller.ok("grow", slug="upscale", to=2)
    id = described(caller)["instances"][1]["id"]
    fake.aws.ec2.notices.add(id)
    assert {i["id"] for i in described(caller)["instances"] if i["interrupting"]} == {id}
    fake.aws.forget()
    described(caller)
    assert "DescribeSpotInstanceRequests" not in calls(fake), "not at each look"


# ---- outages ----

def test_an_outage_is_an_error_and_no_empty_fleet(fake):
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    caller.ok("grow", slug="upscale", to=2)
    fake.aws.script.add("autoscaling", "DescribeAutoScalingGroups", fails("ServiceUnavailable", 503), times=3)
    a = caller("describe", slugs=["upscale"])
    assert a["rc"] == LATER and GROUP in a["text"] and a["fleets"] == {}
    assert len(described(caller)["instances"]) == 2
    fake.aws.script.add("ec2", "DescribeInstances", fails("UnauthorizedOperation", 403), times=9)
    assert len(described(caller)["instances"]) == 2, "what EC2 adds is not needed"


# ---- many ----

def test_five_hundred_fleets_are_described_by_five_calls(fake):
    slugs = [f"w{i:03}" for i in range(500)]
    for s in slugs:
        fake.aws.autoscaling.op_CreateAutoScalingGroup({"AutoScalingGroupName": f"asg-prod-{s}", "MinSize": "0", "MaxSize": "2"})
    caller = fake.caller(describeSeconds=300)
    fake.aws.forget()
    first = caller.ok("describe", slugs=slugs)["fleets"]
    assert len(first) == 500 and all(f["exists"] for f in first.values())
    assert calls(fake, but=()) == ["DescribeAutoScalingGroups"] * 5
    fake.aws.forget()
    caller.ok("grow", slug="w250", to=1)
    assert len(caller.ok("describe", slugs=slugs)["fleets"]["w250"]["instances"]) == 1
    assert calls(fake, but=()) == ["SetDesiredCapacity", "DescribeAutoScalingGroups", "DescribeInstances"], "one for what changed"


def test_a_tick_over_five_hundred_fleets_costs_at_most_eight_calls(build):
    """As bench/aws/tick measures it, with instances that are all new at first."""
    path = pathlib.Path(__file__).resolve().parents[2] / "bench" / "aws" / "tick"
    bench = types.ModuleType("tick")
    bench.__file__ = str(path)
    importlib.machinery.SourceFileLoader("tick", str(path)).exec_module(bench)
    ticks = bench.measure(build, 500, 2, 8)
    assert all(sum(calls.values()) <= 8 for calls, _, _ in ticks), ticks
    assert sum(calls.get("DescribeInstances", 0) for calls, _, _ in ticks) == 5, "1,000 instances, 200 a call, each once"


# ---- the daemon ----

@pytest.fixture
def controller(daemon, noop, fake, monkeypatch):
    """controller(**settings): a daemon with its fleet in the fake, all else here."""

    def make(**settings):
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        services = {f"services.{s}": "local" for s in ("objects", "params", "metrics", "logs", "notify", "node")}
        return daemon(plugins=("sqlite", "local", "aws"), extra_plugins=[noop], settings={
            **services, "services.fleet": "aws", "plugin.aws.region": REGION, "scale.tickMilliseconds": "200",
            "workflows": json.dumps({"bench-noop": {"amiSsmParameter": "/bp/ami/noop", "instanceTypes": ["g6.xlarge"], "maxSize": 2}}),
            "plugin": json.dumps({"aws": {"fleet": {"subnets": fake.subnets, "instanceProfile": "bp-worker", "describeSeconds": 0,
                                                    "controllerUrl": "https://bp.example"}}}), **settings})

    return make


def test_a_dry_run_decides_for_fleets_that_it_does_not_make(controller, fake):
    fake.sdk("ssm").put_parameter(Name="/bp/ami/noop", Value=fake.ami, Type="String")
    d = controller(**{"scale.dryRun": "true"})
    d.http.submit("bench-noop", {})
    decided = wait_until("it is decided", lambda: d.ctl("events", "scale.decided"))
    assert decided[0]["workflow"] == "bench-noop" and decided[0]["to"] == 1
    assert {r["state"] for r in d.ctl("fleet", "ensure", "--dry-run")} == {"differs"}
    assert fake.group("asg-local-bench-noop") is None
    assert "left as it is (scale.dryRun), it would be made or corrected" in json.dumps(d.ctl("log", "--last", "200"))
    writes = ("CreateAutoScalingGroup", "CreateLaunchTemplate", "SetDesiredCapacity", "LaunchInstances")
    assert not set(writes) & set(calls(fake))


def test_a_daemon_says_what_is_wrong_with_a_fleet_and_corrects_it_when_told(controller, fake):
    d = controller()

    def row(check):
        return {r["check"]: r for r in d.ctl("doctor", check=False)["checks"]}[check]

    wait_until("it is told", lambda: row("fleet bench-noop")["status"] == "fail")
    assert "/bp/ami/noop" in row("fleet bench-noop")["text"] and "bpctl ami set" in row("fleet bench-noop")["remedy"]
    assert row("aws.groups")["status"] == "ok" and "2 subnets" in row("aws.fleet-settings")["text"]
    tries = len(fake.aws.requests("ssm", "GetParameter"))
    for _ in range(20):
        d.http.submit("bench-noop", {})  # each job has the fleets looked at
    assert len(fake.aws.requests("ssm", "GetParameter")) - tries < 8, "a fleet that cannot be made is not tried at each look"

    fake.sdk("ssm").put_parameter(Name="/bp/ami/noop", Value=fake.ami, Type="String")
    d.ctl("fleet", "ensure", "bench-noop")
    wait_until("jobs have it grow", lambda: fake.group("asg-local-bench-noop")["DesiredCapacity"] > 0)
    wait_until("it is described", lambda: row("fleet bench-noop")["status"] == "ok")
    assert d.ctl("fleet", "ensure") == [{"workflow": "bench-noop", "state": "right", "text": "it is as its workflow wants it"}]
    wait_until("its instance is known", lambda: d.ctl("fleet", "bench-noop")[0]["instances"])
    fake.aws.script.add("autoscaling", "DescribeAutoScalingGroups", fails("ServiceUnavailable", 503), times=200)
    wait_until("the outage is told", lambda: "DescribeAutoScalingGroups" in (d.ctl("fleet", "bench-noop")[0]["error"] or ""))
    assert row("fleet bench-noop")["status"] == "fail"
    kept = d.ctl("fleet", "bench-noop")[0]
    assert kept["desired"] > 0 and kept["instances"], "an outage empties no fleet"
    assert calls(fake).count("TerminateInstanceInAutoScalingGroup") == 0
