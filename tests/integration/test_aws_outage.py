# SPDX-License-Identifier: Apache-2.0
"""A controller and its workers on the fake AWS while it misbehaves: no outage shrinks a fleet, and none loses a job."""
import json
import os
import signal

import pytest

from aws_rig import Machine, surroundings
from conftest import Daemon, wait_until
from fakeaws import CAPACITY_TEXTS, AwsError, FakeAws, cuts, fails, hangs, page

SLUG, GROUP = "test-copy", "asg-staging-test-copy"
SECRET = "the-fleet-secret"
LONG = {"steps": 100000, "step_ms": 20, "checkpoint": True}


@pytest.fixture
def aws():
    with FakeAws() as a:
        a.ssm.op_PutParameter({"Name": "/bp/staging/fleet-secret", "Value": SECRET, "Type": "SecureString"})
        yield a
        assert not a.unproven()


def settings(**workflow):
    services = {s: "aws" for s in ("fleet", "objects", "params", "metrics", "logs", "notify")}
    return {
        "stage": "staging", "services": {"queue": "sqlite", **services}, "workers": {"fleetSecret": "param:/bp/staging/fleet-secret"},
        "http": {"listen": "127.0.0.1:0", "registerPerMinute": 0}, "log": {"levels": "info"}, "shutdown": {"graceSeconds": 5},
        "scale": {"tickMilliseconds": 300, "cooldownSeconds": 0.5}, "metrics": {"periodSeconds": 2},
        "workflows": {SLUG: {"amiId": "ami-11111111", "instanceTypes": ["g5.xlarge"], "scaleToZeroSeconds": 2, "warmupSeconds": 1, **workflow}},
        "plugin": {"aws": {
            "bucket": "media", "region": "eu-central-1", "retryBaseMilliseconds": 1, "readTimeoutMilliseconds": 1000, "dashboard": False,
            "fleet": {"subnets": ["subnet-aaaaaaaa"], "instanceProfile": "bpd-staging-worker", "controllerUrl": "http://controller.example",
                      "describeSeconds": 0.1}}}}


class Controller(Daemon):
    def __init__(self, build, dir, aws, **workflow):
        super().__init__(build, dir, plugins=("sqlite", "aws"), extra_plugins=[build / "tests" / "workflows" / f"{SLUG}.so"])
        self.settings, self.aws = {}, aws
        self.file = dir / "bpd.json"
        self.file.write_text(json.dumps(settings(**workflow)))

    def command(self):
        return [*super().command(), "--config", str(self.file)]

    def long_job(self):
        id = self.http.submit(SLUG, LONG, [self.given])["id"]
        return id

    def running(self, id):
        return wait_until("it runs", lambda: (j := self.http.job(id))["status"] == "leased" and j.get("progress", 0) > 0 and j)


@pytest.fixture
def controller(build, short_dir, aws, monkeypatch, request):
    made = []

    def make(**workflow):
        c = Controller(build, short_dir, aws, **workflow)
        made.append(c)
        for name in list(os.environ):
            if name.startswith("AWS_"):
                monkeypatch.delenv(name)
        for name, value in surroundings(aws, role=True).items():
            monkeypatch.setenv(name, value)
        c.start(ready=False)
        wait_until("ready", lambda: c._alive() and c.http.get("/readyz").status == 200)
        c.ctl("tenant", "add", "acme")
        c.http.token = c.ctl("tenant", "token", "add", "acme")["token"]
        wait_until("the group is made", lambda: GROUP in aws.autoscaling.groups)
        c.given = c.http.upload(b"input of the job")
        return c

    yield make
    for c in made:
        c.clean_up()
        if getattr(request.node, "failed", False):
            for log in (c.log, *short_dir.glob("i-*/log")):
                print(f"--- {log}\n{log.read_text(errors='replace')[-8000:]}")
    findings = "\n".join(filter(None, (c.sanitizer_findings() for c in made)))
    assert not findings, findings


def start(build, dir, aws, controller, instance):
    """The machine of one instance."""
    template = aws.ec2.templates[GROUP]
    user_data = template["versions"][template["default"] - 1]["LaunchTemplateData"]["UserData"]
    imds = aws.machine(**{"instance-id": instance.id, "instance-type": instance.type, "placement/availability-zone": instance.zone})
    return Machine(build, dir / instance.id, user_data, build / "tests" / "workflows" / f"{SLUG}.so",
                   surroundings(aws, role=True, AWS_EC2_METADATA_SERVICE_ENDPOINT=imds.url),
                   **{"worker.url": f"http://127.0.0.1:{controller.port}", "worker.heartbeatSeconds": 0.5, "plugin.aws.retryBaseMilliseconds": 1})


@pytest.fixture
def boot(build, short_dir, aws):
    """boot(controller): a worker for each instance that is in service and has none."""
    workers = {}

    def make(controller, n=1):
        group = aws.autoscaling.groups[GROUP]

        def booted():
            with aws.lock:
                aws.autoscaling.tick()
                fresh = [i for i in group.instances if i.state == "InService" and i.id not in workers]
            for i in fresh:
                workers[i.id] = start(build, short_dir, aws, controller, i)
            return len(workers) >= n

        wait_until(f"{n} machines", booted)
        return list(workers.values())[n - 1]

    yield make
    for w in workers.values():
        if w.process.poll() is None:
            w.process.send_signal(signal.SIGTERM)
            w.process.wait(30)


def lowered(aws):
    """Desired capacities that a call made smaller than the one before."""
    asked = [int(r.params["DesiredCapacity"]) for r in aws.requests("autoscaling", "SetDesiredCapacity")]
    return [b for a, b in zip(asked, asked[1:]) if b < a]


AWAY = {"503": fails("ServiceUnavailable", 503), "html": page(502), "reset": cuts, "hang": hangs(600), "denied": fails("AccessDenied", 403),
        "throttled": fails("Throttling", 400, "Rate exceeded")}


@pytest.mark.parametrize("how", AWAY)
def test_an_outage_shrinks_no_fleet_and_loses_no_job(aws, controller, boot, how):
    c = controller()
    group = aws.autoscaling.groups[GROUP]
    id = c.long_job()
    boot(c)
    c.running(id)
    waiting = c.http.submit(SLUG, {"steps": 1}, [c.given])["id"]
    rule = aws.script.add(None, None, AWAY[how], times=None, when=lambda r: r.service != "imds")
    at = rule.matched
    refused = c.http.post("/api/jobs", {"workflow": SLUG, "params": {"steps": 1}, "inputs": [c.given]})
    assert refused.status == 503 and refused.headers["Retry-After"] and "object store" in refused.json["message"]
    wait_until("bpd asked in vain", lambda: rule.matched > at + (12 if how != "hang" else 6), timeout=60)
    assert c.http.job(id)["status"] == "leased"
    aws.script.clear()
    asked = len(aws.requests("autoscaling", "DescribeAutoScalingGroups"))
    wait_until("bpd sees it again", lambda: len(aws.requests("autoscaling", "DescribeAutoScalingGroups")) > asked + 3, timeout=60)
    assert len(group.live()) >= 1 and group.desired >= 1 and not group.killed_by_shrinking
    assert not aws.requests("autoscaling", "TerminateInstanceInAutoScalingGroup") and not lowered(aws)
    job = c.http.job(id)
    assert job["status"] == "leased" and job["attempts"] == 1 and job.get("requeues", 0) == 0, job
    c.ctl("job", "cancel", str(id))
    wait_until("the other job is done", lambda: c.http.job(waiting)["status"] == "completed", timeout=60)


def test_an_instance_is_held_by_its_hook_until_it_has_let_go(aws, controller, boot):
    """Scale to zero: ended by its id, held by the hook, let go by its worker."""
    c = controller()
    group = aws.autoscaling.groups[GROUP]
    assert group.hook("TERMINATING")["LifecycleHookName"] == "bpd-hand-back"
    id = c.http.submit(SLUG, {"steps": 1}, [c.given])["id"]
    w = boot(c)
    wait_until("completed", lambda: c.http.job(id)["status"] == "completed", timeout=60)
    assert w.process.wait(60) == 0, w.log.read_text(errors="replace")[-2000:]

    def gone():
        with aws.lock:
            aws.autoscaling.tick()
            return not group.instances

    wait_until("it is gone", gone)
    ended = aws.requests("autoscaling", "TerminateInstanceInAutoScalingGroup")
    assert [r.params["ShouldDecrementDesiredCapacity"] for r in ended] == ["true"] and group.desired == 0
    completed = aws.requests("autoscaling", "CompleteLifecycleAction")
    assert completed and completed[0].status == 200 and ended[0].number < completed[0].number
    wait_until("bpd sees it", lambda: "instances: none" in c.ctl("fleet", SLUG, json_form=False).stdout)


def test_autoscaler_10147_a_launch_that_hangs_costs_no_working_machine(aws, controller, boot):
    c = controller(backlogTarget=1, maxSize=3)
    group = aws.autoscaling.groups[GROUP]
    first = c.long_job()
    boot(c)
    c.running(first)
    aws.capacity.boot_seconds = 10 ** 9
    others = [c.long_job() for _ in range(3)]
    wait_until("a second machine is on its way", lambda: any(i.state == "Pending" for i in group.instances))
    for id in others:
        c.ctl("job", "cancel", str(id))
    asked = len(aws.requests("autoscaling", "DescribeAutoScalingGroups"))
    wait_until("bpd looked often", lambda: len(aws.requests("autoscaling", "DescribeAutoScalingGroups")) > asked + 15, timeout=60)
    worker = c.http.job(first)["worker"]
    assert c.http.job(first)["status"] == "leased" and c.http.job(first).get("requeues", 0) == 0
    assert worker in [i.id for i in group.instances if i.state == "InService"]
    assert not group.killed_by_shrinking and not lowered(aws)
    assert worker not in [r.params["InstanceId"] for r in aws.requests("autoscaling", "TerminateInstanceInAutoScalingGroup")]


@pytest.mark.parametrize("what", ["spot", "vcpu-quota", "image", "role"])
@pytest.mark.parametrize("launch", [True, False], ids=["LaunchInstances", "SetDesiredCapacity"])
def test_why_nothing_starts_is_shown_to_the_operator(aws, controller, what, launch):
    text, code, reason = CAPACITY_TEXTS[what]
    aws.autoscaling.no_launch_instances = not launch
    aws.capacity.refuse(what)
    c = controller()
    c.http.submit(SLUG, {"steps": 1}, [c.given])
    wait_until("it is told", lambda: reason in (said := c.ctl("fleet", SLUG, json_form=False).stdout) and
               (code in said or text[:30] in said), timeout=60)
    assert c.http.get("/readyz").status == 200


def launched(group):
    return sum(a["Description"].startswith("Launching") for a in group.activities)


@pytest.mark.parametrize("rebalanced", [False, True], ids=["alone", "capacity-rebalancing"])
def test_a_spot_machine_that_goes_hands_its_job_to_the_next(aws, controller, boot, rebalanced):
    """EC2 tells of the notice: the next machine is asked for while the first still runs its job. Then the worker hears, its checkpoint goes
    to S3, the first machine is ended once and the next one goes on. Where the group's capacity rebalancing has launched one already,
    that is the next machine."""
    c = controller()
    group = aws.autoscaling.groups[GROUP]
    id = c.http.submit(SLUG, {"steps": 2000, "step_ms": 20, "checkpoint": True}, [c.given])["id"]
    first = boot(c)
    wait_until("it is on its way", lambda: (c.http.job(id).get("progress") or 0) > 0.1)
    instance = group.instances[0]
    with aws.lock:
        if rebalanced:
            group.start(instance.type, instance.zone, "spot")
        aws.ec2.notices.add(instance.id)
    wait_until("another one is wanted", lambda: group.desired == 2 and len(group.live()) == 2, timeout=60)
    assert instance in group.live() and first.process.poll() is None, "it was lost before"
    machine = next(m for m in aws.machines if m.pages["instance-id"] == instance.id)
    machine.pages["spot/instance-action"] = json.dumps({"action": "terminate", "time": aws.clock.iso(aws.clock.now() + 120)})
    assert wait_until("it has left", lambda: first.process.poll() is not None) and first.process.returncode == 0
    wait_until("it is ended, and desired is as it was", lambda: instance not in group.live() and group.desired == 1)
    boot(c, 2)
    job = wait_until("completed", lambda: (j := c.http.job(id))["status"] == "completed" and j, timeout=60)
    assert job["attempts"] == 1 and job["requeues"] == 1 and job["worker"] != instance.id
    assert launched(group) == 2 and not group.killed_by_shrinking
    assert len([r for r in aws.requests("autoscaling", "TerminateInstanceInAutoScalingGroup") if r.params["InstanceId"] == instance.id]) == 1
    assert c.http.get_url(job["output"]["url"]).body == b"input of the job"
    events = c.ctl("events", "job.*", "--last", "1000")
    again = [i for i, e in enumerate(events) if e["event"] == "job.leased"][1]
    assert next(e for e in events[again:] if e["event"] == "job.progress" and e["fraction"] > 0)["fraction"] > 0.08, "it began again"


def test_the_word_of_the_worker_is_enough_where_ec2_does_not_tell(aws, controller, boot):
    """A role that may not ask for the notices: the worker's goodbye tells."""
    c = controller()
    group = aws.autoscaling.groups[GROUP]
    aws.script.add("ec2", "DescribeSpotInstanceRequests", fails("UnauthorizedOperation", 403), times=1000)
    id = c.http.submit(SLUG, {"steps": 200, "step_ms": 20, "checkpoint": True}, [c.given])["id"]
    first = boot(c)
    wait_until("it is on its way", lambda: (c.http.job(id).get("progress") or 0) > 0.1)
    instance = group.instances[0]
    machine = next(m for m in aws.machines if m.pages["instance-id"] == instance.id)
    machine.pages["spot/instance-action"] = json.dumps({"action": "terminate", "time": aws.clock.iso(aws.clock.now() + 120)})
    assert wait_until("it has left", lambda: first.process.poll() is not None) and first.process.returncode == 0
    wait_until("it is ended, and another one is there", lambda: instance not in group.live() and len(group.live()) == 1, timeout=60)
    boot(c, 2)
    wait_until("completed", lambda: c.http.job(id)["status"] == "completed", timeout=60)
    assert launched(group) == 2 and group.desired <= 1


def test_urls_whose_credentials_ended_are_renewed(aws, controller, boot):
    """S3 says 400 ExpiredToken to the worker, whose next heartbeat brings a URL of the controller's new credentials."""
    c = controller()
    id = c.http.submit(SLUG, {"steps": 50, "step_ms": 20}, [c.given])["id"]
    old = []

    def end(request, proceed, stop):
        with aws.lock:
            old.append(aws.imds.keys)
            aws.imds.keys.expires, aws.imds.keys = aws.clock.now() - 1, None
        raise AwsError("ExpiredToken", "The provided token has expired.", 400)

    aws.script.add("s3", "PutObject", end, when=lambda r: "X-Amz-Signature" in r.args)
    boot(c)
    job = wait_until("completed", lambda: (j := c.http.job(id))["status"] == "completed" and j, timeout=60)
    assert job["attempts"] == 1 and c.http.get_url(job["output"]["url"]).body == b"input of the job"
    put = [r for r in aws.requests("s3", "PutObject") if r.key_id and r.number > 1][1:]
    assert put[0].code == "ExpiredToken" and put[-1].status == 200 and put[-1].key_id not in (old[0].id, put[0].key_id)
    assert {r.verdict for r in aws.unproven()} <= {"expired"}
    aws.forget()


def test_a_controller_that_was_killed_finds_its_fleet_and_its_job_again(aws, controller, boot):
    c = controller()
    group = aws.autoscaling.groups[GROUP]
    id = c.http.submit(SLUG, {"steps": 400, "step_ms": 20}, [c.given])["id"]
    boot(c)
    c.running(id)
    ids, token = [i.id for i in group.instances], c.http.token
    c.kill9()
    c.file.write_text(json.dumps({**json.loads(c.file.read_text()), "http": {"listen": f"127.0.0.1:{c.port}", "registerPerMinute": 0}}))
    c.start(ready=False)
    wait_until("ready", lambda: c.http.get("/readyz").status == 200)
    c.http.token = token
    job = wait_until("completed", lambda: (j := c.http.job(id)) and j.get("status") == "completed" and j, timeout=60)
    assert job["attempts"] == 1 and job["worker"] == ids[0]
    made = [r.operation for r in aws.requests() if r.operation.startswith("Create") and r.service != "logs"]
    assert sorted(made) == ["CreateAutoScalingGroup", "CreateLaunchTemplate"], "what was there was made again"
    assert len(aws.requests("autoscaling", "LaunchInstances")) == 1 and not group.killed_by_shrinking
