# SPDX-License-Identifier: Apache-2.0
"""Images, roll-outs, failed launches and the penalty box on AWS: the facet against moto and the fake AWS, then the whole daemon."""
import json
import sqlite3
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
    fake.aws.capacity.clear()  # the first has stock again, which nobody knows; the second has none
    fake.aws.capacity.refuse("spot", zone=fake.aws.ec2.zone_of(full))
    fake.aws.forget()
    assert caller("grow", slug="upscale", to=2)["rc"] == LATER
    assert [full in str(s) for s in asked_subnets(fake)] == [True], "the one in the box is not tried while another is open"
    fake.aws.forget()
    wait_until("the rest after that is over", lambda: caller("grow", slug="upscale", to=2)["rc"] == OK, timeout=30)
    assert any(empty in str(s) for s in asked_subnets(fake)), "when all are in the box, all are tried"
    assert fake.group()["DesiredCapacity"] == 2


# ---- the whole daemon ----

class Site:
    """A controller whose fleets are in the fake AWS; its workers are ours, by the names of the fake's instances."""

    def __init__(self, fake, daemon, test_copy, build, monkeypatch, **more):  # noqa: F811
        for key, value in fake.env.items():
            if key.startswith("AWS_") or key.lower() == "no_proxy":
                monkeypatch.setenv(key, value)
        self.fake, self.group_name = fake, "asg-local-test-copy"
        settings = {"services": json.dumps({s: "local" for s in ("objects", "params", "metrics", "logs", "notify")} | {"fleet": "aws"}),
                    "plugin": json.dumps({"aws": {"region": REGION, "retryBaseMilliseconds": 1,
                                                  "fleet": {"subnets": fake.subnets, "instanceProfile": "bp-worker", "describeSeconds": 0,
                                                            "controllerUrl": "https://bp.example"}}}),
                    "workflows": json.dumps({"test-copy": {"amiSsmParameter": PARAMETER, "instanceTypes": SPEC["types"], "maxSize": 3,
                                                           "scaleToZeroSeconds": 600, "policy": "target", "backlogTarget": 1}}), **more}
        self.d = daemon(settings=settings, plugins=("sqlite", "local", "aws"), extra_plugins=[test_copy])
        wait_until("the fleet is made", lambda: self.fleet()["exists"])
        self.workers = {}

    def fleet(self):
        rows = self.d.ctl("fleet", "test-copy")
        return rows[0] if rows else {"exists": False}

    def events(self, name):
        return self.d.ctl("events", name)

    def instances(self):
        return [i for i in self.fleet()["instances"] if i["state"] in ("running", "draining")]

    def worker(self, instance):
        if instance not in self.workers:
            w = self.workers[instance] = FieldWorker(self.d.http, self.d.secret(), instance)
            assert w.register(slugs=["test-copy"]).status < 300
        return self.workers[instance]

    def finish(self, instance, job):
        headers = {k: (v[0] if isinstance(v, list) else v) for k, v in dict(job["output_headers"] or {}).items()}
        assert self.d.http.put_url(job["output_url"], b"done", headers.get("Content-Type")).status < 300
        assert self.worker(instance).complete(job, 4).status == 200

    def submit(self):
        return self.d.http.submit("test-copy", {"steps": 1, "step_ms": 0}, [self.d.http.upload(b"data")])["id"]


@pytest.fixture
def site(fake, daemon, test_copy, build, monkeypatch):  # noqa: F811
    return lambda **more: Site(fake, daemon, test_copy, build, monkeypatch, **more)


def test_bpctl_shows_and_sets_what_new_instances_are_made_from(site, fake):  # noqa: F811
    s = site()
    fake.aws.ec2.images["ami-22222222"] = "available"
    row = s.d.ctl("ami")[0]
    assert (row["workflow"], row["ami"], row["found"], row["parameter"]) == ("test-copy", "ami-11111111", True, PARAMETER)
    text = s.d.ctl("ami", json_form=False).stdout
    assert "ami-11111111" in text and PARAMETER in text
    told = s.d.ctl("ami", "set", "test-copy", "ami-22222222")
    assert (told["before"], told["ami"]) == ("ami-11111111", "ami-22222222")
    assert fake.sdk("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == "ami-22222222"
    e = s.events("fleet.image")[0]
    assert (e["from"], e["to"]) == ("ami-11111111", "ami-22222222") and e["who"].startswith("operator:")
    for words, said in ((("ami", "set", "test-copy", "ami-2"), "is no AMI"), (("ami", "set", "test-cpy", "ami-22222222"), "did you mean test-copy"),
                        (("ami", "set", "test-copy", "ami-33333333"), "--force"), (("ami", "rollout", "test-copy", "--abort"), "no roll-out"),
                        (("ami", "rollout", "test-copy", "--abort", "--follow"), "no roll-out"),
                        (("ami", "rollout", "test-copy", "--abort", "--status"), "not both")):
        r = s.d.ctl(*words, json_form=False)
        assert r.returncode == 1 and said in r.stderr, (words, r.stderr)
    assert fake.sdk("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == "ami-22222222"
    assert s.d.ctl("ami", "set", "test-copy", "ami-33333333", "--force")["warning"]


def test_a_cloud_without_images_says_so(daemon, test_copy):
    d = daemon(extra_plugins=[test_copy])
    for words in (("ami",), ("ami", "set", "test-copy", "ami-22222222"), ("ami", "rollout", "test-copy"), ("ami", "rollout", "test-copy", "--follow")):
        r = d.ctl(*words, json_form=False)
        assert r.returncode == 1 and "from no image" in r.stderr, (words, r.stderr)


def test_a_roll_out_replaces_the_idle_and_waits_for_the_one_that_works(site, fake):  # noqa: F811
    s = site()
    s.d.ctl("scale", "hold", "test-copy", "2")
    wait_until("two run", lambda: len(s.instances()) == 2)
    old = [i["id"] for i in s.instances()]
    id = s.submit()
    job = next(j for w in old if (j := s.worker(w).poll().data["job"]))
    busy = next(w for w in old if s.d.http.job(id)["worker"] == w)
    wait_until("the busy one is protected", lambda: [i["protected"] for i in s.instances() if i["id"] == busy] == [True])
    follow = subprocess.Popen([s.d.build / "bin" / "bpctl", "--socket", s.d.state / "bpd.sock", "ami", "rollout", "test-copy", "--follow"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until("the idle one is replaced", lambda: not any(i["id"] in old and i["id"] != busy for i in s.instances()))
    wait_until("the busy one drains", lambda: [i["state"] for i in s.instances() if i["id"] == busy] == ["draining"])
    wait_until("its replacement runs already", lambda: len([i for i in s.instances() if i["id"] not in old]) >= 2)
    assert s.d.http.job(id)["status"] == "leased" and follow.poll() is None
    assert busy in [i["InstanceId"] for i in fake.group(s.group_name)["Instances"]]
    s.finish(busy, job)
    out, errors = follow.communicate(timeout=60 * SLOW)
    assert follow.returncode == 0, (out, errors)
    assert out.splitlines()[-1].startswith("successful, 100 %") and "old instances there" in out
    assert s.d.http.job(id)["status"] == "completed" and s.d.http.job(id)["attempts"] == 1
    assert not {i["id"] for i in s.instances()} & set(old)
    assert len(s.events("fleet.instance")) < 40, "each is replaced once"
    assert s.events("fleet.rollout")[0]["status"] in ("pending", "running") and s.events("fleet.rollout")[-1]["status"] == "successful"
    assert fake.aws.autoscaling.groups[s.group_name].killed_by_shrinking == []


def test_without_spot_a_job_that_waits_gets_an_on_demand_instance_of_aws(site, fake):  # noqa: F811
    s = site(**{"spot.onDemandMax": "1", "spot.waitSeconds": "1"})
    refusal = fake.aws.capacity.refuse("spot", market="spot")
    id = s.submit()
    one = wait_until("an instance comes up", lambda: s.instances(), timeout=60)[0]
    assert not one["spot"]
    assert {p["reason"] for p in s.fleet()["penalties"]} == {"capacity"} and {p["market"] for p in s.fleet()["penalties"]} == {"spot"}
    base = fake.group(s.group_name)["MixedInstancesPolicy"]["InstancesDistribution"]["OnDemandBaseCapacity"]
    assert base == 1 and s.fleet()["on_demand_allowed"] == 1
    told = s.events("fleet.launch_failed")
    assert told and {e["reason"] for e in told} == {"capacity"}
    job = s.worker(one["id"]).poll().data["job"]
    s.finish(one["id"], job)
    wait_until("it is given back", lambda: s.fleet().get("on_demand_allowed") is None)
    assert s.d.http.job(id)["status"] == "completed"
    assert fake.group(s.group_name)["MixedInstancesPolicy"]["InstancesDistribution"]["OnDemandBaseCapacity"] == 0
    assert [i["InstanceId"] for i in fake.group(s.group_name)["Instances"]] == [one["id"]], "what runs is not ended by that"
    fake.aws.capacity.refusals.remove(refusal)


def test_the_penalty_box_is_there_again_after_kill_9(site, fake):  # noqa: F811
    s = site(**{"scale.rememberSeconds": "0.2"})
    fake.aws.capacity.refuse("spot", zone=fake.aws.ec2.zone_of(fake.subnets[0]))
    s.submit()
    wait_until("an instance comes from the other zone", lambda: s.instances(), timeout=60)
    before = wait_until("the first is in the box", lambda: s.fleet().get("penalties"))

    def written():
        rows = sqlite3.connect(f"file:{s.d.state / 'plugin/sqlite/queue.db'}?mode=ro", uri=True).execute("SELECT text FROM memos WHERE kind = 'fleet.lives'").fetchall()
        return rows and json.loads(rows[0][0]).get("provider", {}).get("pools")

    wait_until("it is in the queue", lambda: len(written() or []) == len(before))
    s.d.kill9()
    fake.aws.forget()
    s.d.start()
    after = wait_until("it is shown again", lambda: s.fleet().get("penalties"))
    assert sorted(map(str, after)) == sorted(map(str, before))
    assert not fake.aws.requests("autoscaling", "LaunchInstances"), "nothing was tried and failed meanwhile"
