# SPDX-License-Identifier: Apache-2.0
"""Images, roll-outs, failed launches and the penalty box on AWS: the facet against moto and the fake AWS, then the whole daemon."""
import json
import subprocess

import pytest

from client import FieldWorker
from conftest import SLOW, wait_until
from fakeaws import CAPACITY_TEXTS, fails
from objects_rig import CONFLICT, INVALID, LATER, NOTFOUND, OK
from test_aws_fleet import BPD, GROUP, PARAMETER, REGION, RUNNING, SPEC, calls, described, fake, moto, moto_server  # noqa: F401

STATUS, START, ABORT = 1, 2, 3
WHICH = {"slug": "upscale", "stage": "prod", "parameter": PARAMETER}


# ---- images ----

def test_an_image_is_set_by_its_parameter(moto):  # noqa: F811
    caller = moto.caller()
    images = [i["ImageId"] for i in moto.sdk("ec2").describe_images()["Images"]]
    other = next(i for i in images if i != moto.ami)
    assert caller.ok("image", **WHICH)["image"]["ami"] == moto.ami
    told = caller.ok("image", **WHICH, ami=other)["image"]
    assert (told["before"], told["ami"], told["changed"], told["state"]) == (moto.ami, other, True, "available")
    assert moto.sdk("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == other
    assert caller.ok("image", **WHICH)["image"]["ami"] == other, "what was read before is not shown again"
    assert caller.ok("image", **WHICH, ami=other)["image"]["changed"] is False
    assert moto.sdk("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Version"] == 2


def test_an_image_of_another_region_is_refused_unless_forced(moto):  # noqa: F811
    caller, nowhere = moto.caller(), "ami-0123456789abcdef0"
    a = caller("image", **WHICH, ami=nowhere)
    assert a["rc"] == NOTFOUND and REGION in a["text"] and nowhere in a["text"]
    assert moto.sdk("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == moto.ami
    told = caller.ok("image", **WHICH, ami=nowhere, force=1)["image"]
    assert told["found"] is False and "launches will fail" in told["warning"]
    assert moto.sdk("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == nowhere
    assert caller.ok("image", **WHICH)["image"]["found"] is False


def test_a_parameter_that_is_not_there_yet_is_made(moto):  # noqa: F811
    caller, new = moto.caller(), {**WHICH, "parameter": "/bp/prod/new/ami"}
    assert caller("image", **new)["rc"] == NOTFOUND
    told = caller.ok("image", **new, ami=moto.ami)["image"]
    assert told["before"] is None and told["changed"] is True
    assert moto.sdk("ssm").get_parameter(Name="/bp/prod/new/ami")["Parameter"]["Value"] == moto.ami


# ---- roll-outs ----

def test_a_roll_out_is_started_followed_and_aborted(fake):  # noqa: F811
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    assert caller.ok("rollout", slug="upscale")["rollout"]["status"] == "none"
    caller.ok("grow", slug="upscale", to=2)
    wait_until("both run", lambda: [i["state"] for i in described(caller)["instances"]] == [RUNNING, RUNNING])
    # A template of its own makes them old; the fake's refresh passes over what is protected, as ours asks it to.
    fake.sdk("ec2").create_launch_template_version(LaunchTemplateName=GROUP, SourceVersion="1", LaunchTemplateData={"ImageId": "ami-2"})
    fake.sdk("ec2").modify_launch_template(LaunchTemplateName=GROUP, DefaultVersion="2")
    first = caller.ok("rollout", slug="upscale", what=START)["rollout"]
    assert first["running"] and first["id"]
    assert fake.aws.autoscaling.groups[GROUP].refreshes[0]["Preferences"]["ScaleInProtectedInstances"] == "Ignore"
    now = wait_until("it runs", lambda: (r := caller.ok("rollout", slug="upscale")["rollout"])["status"] == "running" and r)
    assert now["left"] == 2 and now["percent"] == 0 and now["began_ms"] > 0
    a = caller("rollout", slug="upscale", what=START)
    assert a["rc"] == CONFLICT and "--follow" in a["text"] and GROUP in a["text"]
    assert caller.ok("rollout", slug="upscale", what=ABORT)["rollout"]["status"] == "cancelling"
    last = caller.ok("rollout", slug="upscale")["rollout"]
    assert (last["status"], last["running"], last["reason"]) == ("cancelled", False, "Cancelled by user.")
    assert caller("rollout", slug="upscale", what=ABORT)["rc"] == NOTFOUND
    assert len(fake.group()["Instances"]) == 2, "protected instances are not replaced"


# ---- why launches fail ----

def failures(caller, slug="upscale"):
    return [a for a in caller.ok("activities", slug=slug)["activities"] if a["failed"]]


@pytest.mark.parametrize("what", sorted(CAPACITY_TEXTS))
def test_each_text_of_a_failed_activity_has_its_reason(fake, what):  # noqa: F811
    fake.aws.autoscaling.no_launch_instances = True
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.refuse(what)
    caller.ok("grow", slug="upscale", to=1)
    described(caller)
    told = failures(caller)
    assert [a["reason"] for a in told] == [CAPACITY_TEXTS[what][2]]
    assert CAPACITY_TEXTS[what][0][:80] in told[0]["text"]
    penalty = caller.ok("penalties", slug="upscale")["penalties"][0]
    assert penalty["reason"] == CAPACITY_TEXTS[what][2] and penalty["failures"] == 1
    assert (penalty["until_ms"] > 0) == (CAPACITY_TEXTS[what][2] == "capacity"), "only what another pool may have is left out"


@pytest.mark.parametrize("what", sorted(CAPACITY_TEXTS))
def test_each_code_of_a_failed_launch_has_its_reason(fake, what):  # noqa: F811
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.refuse(what)
    assert caller("grow", slug="upscale", to=1)["rc"] == LATER
    told = failures(caller)
    assert {a["reason"] for a in told} == {CAPACITY_TEXTS[what][2]} and {a["type"] for a in told} == set(SPEC["types"])
    assert len(told) == 4, "two types in two subnets"


def test_activities_are_read_only_while_instances_lack_and_told_once(fake):  # noqa: F811
    fake.aws.autoscaling.no_launch_instances = True
    caller = fake.caller()
    for slug in ("upscale", "other"):
        caller.ok("ensure", **{**SPEC, "slug": slug})
    described(caller), described(caller, "other")
    fake.aws.forget()
    assert failures(caller) == [] and "DescribeScalingActivities" not in calls(fake)
    fake.aws.capacity.refuse("spot", times=4)  # both types in both zones, once
    for slug in ("upscale", "other"):
        caller.ok("grow", slug=slug, to=1)
        described(caller, slug)
    fake.aws.forget()
    assert len(failures(caller)) == 1 and failures(caller, "other") == []
    assert calls(fake).count("DescribeScalingActivities") == 1, "one read serves all fleets"
    assert len(failures(caller)) == 1


def test_a_fleet_that_may_not_read_activities_says_so_and_goes_on(fake):  # noqa: F811
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    fake.aws.capacity.boot_seconds = 60
    caller.ok("grow", slug="upscale", to=1)
    described(caller)
    fake.aws.script.add("autoscaling", "DescribeScalingActivities", fails("AccessDenied", 403), times=9)
    assert failures(caller) == [] and len(described(caller)["instances"]) == 1
    assert "autoscaling:DescribeScalingActivities" in caller.logged()


# ---- the penalty box ----

def asked_subnets(place):
    return [r.params["SubnetIds"] for r in place.aws.requests("autoscaling", "LaunchInstances")]


def test_a_subnet_without_stock_is_passed_over_until_all_are_without(fake):  # noqa: F811
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    empty, full = fake.subnets
    fake.aws.capacity.refuse("spot", zone=fake.aws.ec2.zone_of(empty))
    caller.ok("grow", slug="upscale", to=1)
    assert len(asked_subnets(fake)) == 2
    pools = caller.ok("penalties", slug="upscale")["penalties"]
    assert {(p["type"], p["zone"], p["market"]) for p in pools} == {(t, fake.aws.ec2.zone_of(empty), "spot") for t in SPEC["types"]}
    again = fake.caller()  # a process that starts anew begins with the first subnet, and with an empty box
    again.ok("grow", slug="upscale", to=2)
    fake.aws.forget()
    caller.ok("grow", slug="upscale", to=3)
    asked = asked_subnets(fake)
    assert len(asked) == 1 and full in str(asked[0])


def test_when_every_subnet_is_without_stock_all_are_tried(fake):  # noqa: F811
    fake.aws.autoscaling.no_launch_instances = False
    caller = fake.caller()
    caller.ok("ensure", **SPEC)
    refusal = fake.aws.capacity.refuse("spot")
    assert caller("grow", slug="upscale", to=1)["rc"] == LATER
    fake.aws.capacity.refusals.remove(refusal)
    wait_until("the rest after that is over", lambda: caller("grow", slug="upscale", to=1)["rc"] == OK, timeout=30)
    assert fake.group()["DesiredCapacity"] == 1
