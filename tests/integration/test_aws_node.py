# SPDX-License-Identifier: Apache-2.0
"""A worker on an instance: who it is and what it does about each notice, by the instance metadata."""
import signal
import subprocess
import time

import pytest

from aws_rig import surroundings
from conftest import wait_until
from fakeaws import FakeAws, hangs

ID = "i-0aaaabbbbccccdddd"


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


@pytest.fixture
def aws():
    with FakeAws() as a:
        yield a


@pytest.fixture
def imds(aws):
    return aws.imds


@pytest.fixture
def controller(daemon, test_copy):
    """One that starts no workers by itself."""
    return daemon(extra_plugins=[test_copy], settings={"scale.dryRun": "true", "dispatch.atRiskSeconds": "10",
                                                       "dispatch.sweepMilliseconds": "100"})


class Worker:
    """bpd --role worker on an instance whose metadata are the fake's."""

    def __init__(self, controller, aws, build, **settings):
        self.dir = controller.dir / f"worker-{id(self)}"
        (self.dir / "plugins").mkdir(parents=True)
        self.log = self.dir / "log"
        for file in (build / "plugins" / "aws.so", build / "tests" / "workflows" / "test-copy.so"):
            target = self.dir / "plugins" / file.name
            target.write_bytes(file.read_bytes())
            target.chmod(0o644)
        given = {"state.dir": self.dir / "state", "worker.url": f"http://127.0.0.1:{controller.port}", "worker.fleet": "test-copy",
                 "worker.fleetSecret": controller.secret(), "worker.noticeSeconds": "0.2", "worker.device": "cpu",
                 "worker.waitSeconds": "20", "shutdown.graceSeconds": "10", **settings}
        args = [str(build / "bin" / "bpd"), "--role", "worker", "--plugins-dir", str(self.dir / "plugins")]
        for key, value in given.items():
            args += ["--set", f"{key}={value}"]
        env = surroundings(aws, role=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log, env=env)

    def said(self, text):
        return text in self.log.read_text(errors="replace")

    def ended(self):
        return self.process.poll() is not None


@pytest.fixture
def worker(controller, aws, build):
    made = []

    def make(**settings):
        made.append(Worker(controller, aws, build, **settings))
        wait_until("registered", lambda: made[-1].said(f"registered as {ID}"))
        return made[-1]

    yield make
    for w in made:
        if not w.ended():
            w.process.send_signal(signal.SIGTERM)
            w.process.wait(30)
        print(w.log.read_text(errors="replace")[-4000:])


LONG = {"steps": 100000, "step_ms": 20, "checkpoint": True}


def running(controller):
    given = controller.http.upload(b"input of the job")
    id = controller.http.submit("test-copy", LONG, [given])["id"]
    wait_until("running", lambda: controller.http.job(id)["status"] == "leased" and controller.http.job(id).get("progress", 0) > 0)
    return id


def test_it_registers_as_its_instance(controller, worker, imds):
    worker()
    listed = controller.ctl("workers")
    w = next(w for w in (listed["workers"] if isinstance(listed, dict) else listed) if ID in str(w))
    assert w["capacity_type"] == "spot" and w["instance_type"] == "g5.xlarge"


def test_quiet_looks_take_one_token_and_one_connection(controller, worker, imds):
    worker()
    gets = imds.gets()
    wait_until("several looks", lambda: imds.gets() > gets + 20)
    assert len(imds.tokens) == 1 and not [r for r in imds.aws.requests("imds") if r.status == 401]
    assert imds.wire.connections <= 4  # one a thread of the plugin


@pytest.mark.parametrize("page,body,reason", [
    ("spot/instance-action", lambda: f'{{"action":"terminate","time":"{when(120)}"}}', "spot_interruption"),
    ("spot/termination-time", lambda: when(120), "spot_interruption"),
    ("autoscaling/target-lifecycle-state", lambda: "Terminated", "asg_termination"),
], ids=["spot", "spot-old-form", "group"])
def test_a_notice_hands_the_job_back_and_ends_the_worker(controller, worker, imds, page, body, reason):
    w = worker()
    id = running(controller)
    imds.pages[page] = body()
    assert wait_until("ended", w.ended) and w.process.returncode == 0
    job = controller.http.job(id)
    assert job["status"] == "queued" and job["attempts"] == 0 and job["requeues"] == 1, job
    assert reason in str(controller.ctl("job", str(id)))
    assert w.said("notice " + reason)


@pytest.fixture
def group(aws):
    """The worker's group, with its instance in it and the hook that waits for it."""
    asg = aws.autoscaling
    asg.op_CreateAutoScalingGroup({"AutoScalingGroupName": "asg-local-test-copy", "MinSize": "0", "MaxSize": "2", "DesiredCapacity": "1"})
    asg.op_PutLifecycleHook({"AutoScalingGroupName": "asg-local-test-copy", "LifecycleHookName": "bpd-hand-back", "HeartbeatTimeout": "30",
                             "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"})
    asg.tick()
    asg.groups["asg-local-test-copy"].instances[0].id = ID
    return asg.groups["asg-local-test-copy"]


def test_nth_416_493_the_group_waits_until_the_job_is_handed_back(controller, worker, aws, group):
    w = worker()
    id = running(controller)
    with aws.lock:
        aws.autoscaling.op_TerminateInstanceInAutoScalingGroup({"InstanceId": ID, "ShouldDecrementDesiredCapacity": "true"})
        group.tick()
        assert group.instances[0].state == "Terminating:Wait"
    assert wait_until("ended", w.ended) and w.process.returncode == 0
    assert controller.http.job(id)["requeues"] == 1
    wait_until("the group let it go", lambda: group.tick() or not group.instances)
    calls = aws.requests("autoscaling")
    assert calls[0].operation == "RecordLifecycleActionHeartbeat" and calls[-1].operation == "CompleteLifecycleAction"
    assert calls[-1].params["LifecycleActionResult"] == "CONTINUE" and not aws.unproven()
    assert not w.said("could not be told") and not w.said("cannot be held up")


def test_a_group_without_the_hook_ends_the_worker_all_the_same(controller, worker, aws, imds):
    w = worker()
    id = running(controller)
    imds.pages["autoscaling/target-lifecycle-state"] = "Terminated"
    assert wait_until("ended", w.ended) and w.process.returncode == 0
    assert controller.http.job(id)["requeues"] == 1
    assert {r.operation for r in aws.requests("autoscaling")} == {"RecordLifecycleActionHeartbeat", "CompleteLifecycleAction"}
    assert not w.said("could not be told") and not w.said("cannot be held up")


def test_a_rebalance_recommendation_keeps_the_worker_but_off_long_jobs(controller, worker, imds):
    w = worker()
    wait_until("it waits for a job", lambda: controller.http.get("/api/admin/state").data["waiting_polls"] == 1)
    time.sleep(1.2)  # the poll is no young one
    imds.pages["events/recommendations/rebalance"] = f'{{"noticeTime":"{when(-5)}"}}'
    wait_until("heard", lambda: w.said("notice rebalance"))
    given = controller.http.upload(b"input")
    id = controller.http.submit("test-copy", {"steps": 1}, [given])["id"]  # the workflow's timeout says that it may be long
    time.sleep(2)
    assert controller.http.job(id)["status"] == "queued"
    del imds.pages["events/recommendations/rebalance"]
    wait_until("completed", lambda: controller.http.job(id)["status"] == "completed")
    # measured by now, and short: even a worker at risk gets it
    imds.pages["events/recommendations/rebalance"] = f'{{"noticeTime":"{when(-5)}"}}'
    wait_until("heard again", lambda: w.log.read_text().count("notice rebalance") == 2)
    id = controller.http.submit("test-copy", {"steps": 1}, [given])["id"]
    wait_until("completed", lambda: controller.http.job(id)["status"] == "completed")
    assert not w.ended()


def test_a_rebalance_recommendation_lets_the_running_job_go_on(controller, worker, imds):
    w = worker()
    given = controller.http.upload(b"input")
    id = controller.http.submit("test-copy", {"steps": 100, "step_ms": 20, "checkpoint": True}, [given])["id"]
    wait_until("running", lambda: controller.http.job(id).get("progress", 0) > 0)
    imds.pages["events/recommendations/rebalance"] = f'{{"noticeTime":"{when(0)}"}}'
    job = wait_until("completed", lambda: (j := controller.http.job(id))["status"] == "completed" and j)
    assert job["requeues"] == 0 and not w.ended()


def test_hostile_pages_are_no_notice(controller, worker, imds):
    w = worker()
    id = running(controller)
    for body in ("<html>terminate</html>", '{"action":"terminate"}', "x" * 100000, '{"action":"terminate","time":"now"}', "\x00\xff"):
        for page in ("spot/instance-action", "spot/termination-time", "events/recommendations/rebalance",
                     "autoscaling/target-lifecycle-state"):
            imds.pages[page] = body
        gets = imds.gets()
        wait_until("looked at", lambda: imds.gets() > gets + 8)
    for status in (500, 503, 403):
        for page in list(imds.pages):
            if "/" in page and not page.startswith("placement"):
                imds.pages[page] = status
        gets = imds.gets()
        wait_until("looked at", lambda: imds.gets() > gets + 4)
    assert not w.ended() and controller.http.job(id)["status"] == "leased"
    # and a true one is heard after all that
    imds.pages.update({"spot/instance-action": f'{{"action":"stop","time":"{when(120)}"}}'})
    wait_until("ended", w.ended)
    assert controller.http.job(id)["requeues"] == 1


def test_metadata_that_hang_do_not_hold_up_the_job(controller, worker, imds):
    w = worker()
    imds.aws.script.add("imds", None, hangs(60), times=None)
    given = controller.http.upload(b"input")
    id = controller.http.submit("test-copy", {"steps": 3}, [given])["id"]
    wait_until("completed", lambda: controller.http.job(id)["status"] == "completed")
    assert not w.ended()
