# SPDX-License-Identifier: Apache-2.0
"""Fleets of real worker processes: from zero and back, interruptions, failed launches, never a busy one ended."""
import json
import os
import re
import signal
import time

import pytest

from conftest import wait_until


def local(**settings):
    """Settings of the local cloud with times short enough for a test."""
    return json.dumps({"local": {"bootDelaySeconds": 0.1, "noticeSeconds": 3, "launchRetrySeconds": 0.3, "endedReportSeconds": 1,
                                 "terminateGraceSeconds": 10, "stopGraceSeconds": 8,
                                 "workerArgs": ["worker.noticeSeconds=0.2", "worker.heartbeatSeconds=0.5", "shutdown.graceSeconds=4"],
                                 **settings}})


def settings(to_zero=2, policy="step", **more):
    return {"plugin": local(), "dispatch.sweepMilliseconds": "100", "dispatch.leaseTtlSeconds": "10", "dispatch.retryBaseSeconds": "0.1",
            "workflows": json.dumps({"test-copy": {"scaleToZeroSeconds": to_zero, "policy": policy, "maxSize": 3, "backlogTarget": 1}}),
            **more}


def fleet(d):
    return d.ctl("fleet", "test-copy")[0]


def instances(d, state="running"):
    return [i for i in fleet(d)["instances"] if i["state"] == state]


def submit(d, steps=1, step_ms=0, data=b"data", **params):
    return d.http.submit("test-copy", {"steps": steps, "step_ms": step_ms, **params}, [d.http.upload(data)])["id"]


def done(d, id, timeout=60):
    return wait_until(f"job {id} completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=timeout)


def test_from_zero_and_back(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", "test-copy")) and rows[0]["exists"])
    assert fleet(d)["instances"] == []
    for words in (["--dry-run"], ["test-copy"]):
        assert [(r["workflow"], r["state"]) for r in d.ctl("fleet", "ensure", *words)] == [("test-copy", "right")]
    id = submit(d)
    decided = wait_until("the size is decided", lambda: d.ctl("events", "scale.decided"))
    assert decided[0]["to"] == 1 and "queued" in decided[0]["reason"]
    done(d, id)
    wait_until("the fleet is empty again", lambda: not fleet(d)["instances"] and fleet(d)["desired"] == 0)
    assert not d.worker_pids()
    assert d.ctl("workers")["workers"] == []


def test_a_busy_instance_is_never_ended_by_scale_in(daemon, test_copy):
    d = daemon(settings=settings(to_zero=0.1, policy="target"), extra_plugins=[test_copy])
    long = submit(d, steps=60, step_ms=100)
    short = [submit(d) for _ in range(3)]
    for id in short:
        done(d, id)
    j = done(d, long)
    assert j["attempts"] == 1 and j["requeues"] == 0, j["timeline"]
    assert [e["what"] for e in j["timeline"] if e["what"] in ("requeued", "expired", "retry")] == []


def test_a_spot_notice_hands_the_job_back_with_its_checkpoint_within_the_notice(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    id = submit(d, steps=80, step_ms=100, checkpoint=True)
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0.2)
    at = d.http.job(id)["progress"]
    victim = wait_until("its instance is seen running", lambda: instances(d))[0]["id"]
    d.ctl("fleet", "inject", "test-copy", "interrupt", victim)
    j = wait_until("the job is handed back", lambda: (j := d.http.job(id))["requeues"] == 1 and j, timeout=5)
    assert any(e["what"] == "requeued" and "spot" in (e["detail"] or "") for e in j["timeline"])
    seen = []
    wait_until("another instance goes on where it stopped",
               lambda: (j := d.http.job(id))["status"] == "leased" and j["worker"] != victim and j["progress"] and seen.append(j["progress"]) is None)
    assert seen[0] >= at * 0.8, f"it began again at {seen[0]} after {at}"
    assert done(d, id)["attempts"] == 1


def test_an_instance_that_dies_is_replaced_and_its_job_completes(daemon, test_copy):
    d = daemon(settings=settings(**{"dispatch.leaseTtlSeconds": "1.5"}), extra_plugins=[test_copy])
    id = submit(d, steps=30, step_ms=100)
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0)
    d.ctl("fleet", "inject", "test-copy", "kill", wait_until("its instance is seen running", lambda: instances(d))[0]["id"])
    j = done(d, id)
    assert j["attempts"] == 2 and any(e["what"] == "expired" for e in j["timeline"])


def test_failed_launches_are_told_and_tried_again(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", "test-copy")) and rows[0]["exists"])
    d.ctl("fleet", "inject", "test-copy", "fail-launches", "2")
    id = submit(d)
    done(d, id)
    wait_until("the failures are told", lambda: d.ctl("events", "fleet.launch_failed"))
    assert fleet(d)["launch_failures"] >= 1
    assert any(a["failed"] for a in fleet(d)["activities"])


def test_without_spot_capacity_a_job_that_waits_too_long_gets_an_on_demand_instance(daemon, test_copy):
    d = daemon(settings=settings(**{"spot.onDemandMax": "1", "spot.waitSeconds": "1", "scale.tickMilliseconds": "200"}),
               extra_plugins=[test_copy])
    wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", "test-copy")) and rows[0]["exists"])
    d.ctl("fleet", "inject", "test-copy", "fail-launches", "10000")
    first, second = submit(d, steps=20, step_ms=100), submit(d, steps=20, step_ms=100)
    one = wait_until("an instance comes up", lambda: instances(d))[0]
    assert not one["spot"]
    assert fleet(d)["on_demand_allowed"] == 1 and d.ctl("scale", "test-copy")[0]["on_demand"] == 1
    done(d, first)
    done(d, second)
    assert len({d.http.job(id)["worker"] for id in (first, second)}) == 1, "a second one is more than is allowed"
    events = wait_until("it is given back", lambda: (e := d.ctl("events", "fleet.on_demand")) and e[-1]["to"] == 0 and e)
    assert [(e["from"], e["to"]) for e in events] == [(0, 1), (1, 0)] and "waited for" in events[0]["reason"]
    wait_until("it ends as any other", lambda: not fleet(d)["instances"])


def test_instances_outlive_a_killed_controller_and_the_next_one_adopts_them(daemon, test_copy):
    d = daemon(settings=settings(to_zero=30), extra_plugins=[test_copy])
    done(d, submit(d))
    before = wait_until("its instance is seen running", lambda: [i["id"] for i in instances(d)])
    pids = d.worker_pids()
    d.settings["http.listen"] = f"127.0.0.1:{d.port}"
    d.kill9()
    assert d.worker_pids() == pids
    d.start()
    wait_until("it is adopted", lambda: [i["id"] for i in instances(d)] == before)
    id = submit(d)
    assert done(d, id)["worker"] == before[0]
    assert d.worker_pids() == pids


def test_a_clean_end_leaves_no_process_and_loses_no_job(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    id = submit(d, steps=100, step_ms=100, checkpoint=True)
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0.05)
    assert d.stop(40) == 0
    assert not d.worker_pids()
    d.start()
    j = d.http.job(id)
    assert j["status"] in ("queued", "leased") and j["requeues"] >= 1, j
    assert done(d, id)["status"] == "completed"


def test_a_hold_keeps_the_size_and_its_release_ends_that(daemon, test_copy):
    d = daemon(settings=settings(to_zero=0.5), extra_plugins=[test_copy])
    d.ctl("scale", "hold", "test-copy", "2")
    wait_until("two instances run", lambda: len(instances(d)) == 2)
    assert "held at 2" in d.ctl("scale", "test-copy")[0]["reason"]
    d.ctl("scale", "release", "test-copy")
    wait_until("none is left", lambda: not fleet(d)["instances"])


def test_more_work_during_scale_in_needs_no_new_launch_of_what_was_draining(daemon, test_copy):
    d = daemon(settings=settings(to_zero=0.3), extra_plugins=[test_copy])
    for _ in range(4):
        id = submit(d)
        done(d, id)
        time.sleep(0.4)
    wait_until("the fleet is empty", lambda: not fleet(d)["instances"])
    assert all(j["status"] == "completed" and j["attempts"] == 1 for j in d.ctl("jobs")["jobs"])


@pytest.mark.parametrize("how,words,attempts", [("crash", "signal", 2), ("bad_input", "", 1), ("exit", "exit", 2)])
def test_what_a_runner_does_costs_only_its_job(daemon, test_copy, how, words, attempts):
    d = daemon(settings=settings(**{"dispatch.maxAttempts": "2"}), extra_plugins=[test_copy])
    bad = submit(d, misbehave=how)
    good = submit(d)
    j = wait_until("it fails", lambda: (j := d.http.job(bad))["status"] == "failed" and j, timeout=60)
    assert j["attempts"] == attempts and words in j["error"]
    done(d, good)


def test_a_cancel_reaches_a_running_job(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    id = submit(d, steps=300, step_ms=100)
    wait_until("the job runs", lambda: d.http.job(id)["progress"] > 0)
    assert d.http.request("DELETE", f"/api/jobs/{id}").status == 200
    wait_until("it is cancelled", lambda: d.http.job(id)["status"] == "cancelled", timeout=20)


def test_a_drained_worker_finishes_takes_no_more_and_comes_back(daemon, test_copy):
    d = daemon(settings=settings(to_zero=60, **{"scale.policy": "step"}), extra_plugins=[test_copy])
    d.ctl("scale", "hold", "test-copy", "1")
    first = submit(d, steps=20, step_ms=100)
    wait_until("the job runs", lambda: d.http.job(first)["progress"] > 0)
    worker = d.http.job(first)["worker"]
    d.ctl("worker", "drain", worker)
    second = submit(d)
    done(d, first)
    time.sleep(1)
    assert d.http.job(second)["status"] == "queued"
    d.ctl("worker", "undrain", worker)
    assert done(d, second)["worker"] == worker


def test_a_stopped_worker_process_is_replaced(daemon, test_copy):
    d = daemon(settings=settings(to_zero=60), extra_plugins=[test_copy])
    done(d, submit(d))
    os.kill(d.worker_pids()[0], signal.SIGKILL)
    wait_until("another instance runs", lambda: len(d.worker_pids()) == 1 and instances(d))
    done(d, submit(d))


def scale(d):
    return d.ctl("scale", "test-copy")[0]


def refused(d, *words):
    r = d.ctl(*words, json_form=False)
    assert r.returncode == 1
    return r.stderr


def test_limits_pauses_and_a_shadow_that_is_adopted(daemon, test_copy):
    d = daemon(settings=settings(to_zero=600, policy="perjob"), extra_plugins=[test_copy])
    d.ctl("scale", "limit", "test-copy", "--min", "2")
    wait_until("two are there without a job", lambda: len(instances(d)) == 2)
    assert "at least 2" in scale(d)["reason"] and scale(d)["rules"][0]["rule"] == "min"
    assert "contradict" in refused(d, "scale", "limit", "test-copy", "--max", "1")
    assert "give --min" in refused(d, "scale", "limit", "test-copy")
    assert "in (no instance goes)" in refused(d, "scale", "pause", "test-copy", "up")
    d.ctl("scale", "pause", "test-copy", "in")
    d.ctl("scale", "limit", "test-copy", "--min", "0")
    wait_until("the pause holds them", lambda: "scale-in is paused" in scale(d)["reason"])
    assert "no shadow to adopt" in refused(d, "scale", "adopt", "test-copy")
    d.ctl("scale", "shadow", "test-copy", "target")
    wait_until("the shadow has decided", lambda: scale(d).get("shadow", {}).get("reason"))
    assert scale(d)["policy"] == "perjob" and scale(d)["shadow"]["policy"] == "target"
    assert "workflows.test-copy.policy" in d.ctl("scale", "adopt", "test-copy")["note"]
    wait_until("it decides", lambda: scale(d)["policy"] == "target")
    assert scale(d)["adopted"] == "target" and "shadow" not in scale(d)
    d.kill9()
    d.start()
    wait_until("it decides again", lambda: (rows := d.ctl("scale", "test-copy")) and rows[0]["policy"] == "target")
    assert scale(d)["adopted"] == "target" and [r["rule"] for r in scale(d)["rules"]] == ["min", "pause-in"]
    d.ctl("scale", "resume", "test-copy")
    assert scale(d)["rules"] == []
    wait_until("both are still there", lambda: len(instances(d)) == 2) # target goes to zero after the idle time only


def test_what_was_measured_of_instances_survives_a_restart(daemon, test_copy):
    d = daemon(settings=settings(to_zero=600), extra_plugins=[test_copy])
    done(d, submit(d))
    before = wait_until("a boot is measured", lambda: (m := scale(d).get("measured", {})).get("boots") and "first_job" in m["stage_s"] and m)
    stages = [before["stage_s"][name] for name in ("registered", "device_ready", "first_job")]
    assert before["launches"] == 1 and stages == sorted(stages) and before["stage_s"]["running"] > 0
    assert d.stop(40) == 0
    d.start()
    after = wait_until("it is there again", lambda: (rows := d.ctl("scale", "test-copy")) and rows[0].get("measured"))
    for key in ("boot_s", "stage_s"):
        assert after[key] == before[key] or after["boots"] > before["boots"], (before, after)
    assert after["launches"] >= 1


def figures(d):
    """What slo has learned and what its shadow would have cost."""
    rows = d.ctl("scale", "test-copy")
    shown = rows[0] if rows else {}
    return shown.get("measured", {}).get("learned", {}).get("slo"), shown.get("shadow", {})


def test_what_policies_learned_and_a_shadow_would_have_cost_survive_kill_9(daemon, test_copy):
    d = daemon(settings=settings(to_zero=600, policy="slo", **{"scale.rememberSeconds": "0.2", "scale.tickMilliseconds": "200"}),
               extra_plugins=[test_copy])
    made = wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", "test-copy")) and rows[0]["exists"])
    assert made and d.ctl("scale", "shadow", "test-copy", "direct")
    for id in [submit(d) for _ in range(4)]:
        done(d, id)
    wait_until("jobs ran in thought too, in both models and in the policy's eyes",
               lambda: (f := figures(d))[0] and f[0].get("jobs_seen") == 4 and all(f[1][k]["jobs"] == 4 for k in ("modelled", "live_modelled")),
               timeout=60)
    learned, shadow = figures(d)
    hours = shadow["instance_hours"] + 2 / 3600
    wait_until("that has been written down, several times", lambda: figures(d)[1]["instance_hours"] > hours)
    assert figures(d)[0] == learned, "nothing more came"
    d.kill9()
    d.start()
    after, again = wait_until("it is there again", lambda: (f := figures(d))[0] and f[1].get("since_ms") and f)
    assert after == learned
    assert again["since_ms"] == shadow["since_ms"] and again["instance_hours"] >= shadow["instance_hours"] > 0
    for key in ("modelled", "live_modelled"):
        for number in ("jobs", "wait_hours", "wait_mean_s", "wait_p95_s"):
            assert again[key][number] == shadow[key][number], (key, number, shadow, again)
        assert again[key]["instance_hours"] >= shadow[key]["instance_hours"] > 0


def scheduled(cron):
    window = {"cron": cron, "zone": "UTC", "minutes": 60, "min": 1, "policy": "direct"}
    return {**settings(), "workflows": json.dumps({"test-copy": {"policy": "perjob", "maxSize": 3, "schedule": [window]}})}


def test_a_schedules_window_has_its_own_limits_and_policy(daemon, test_copy):
    d = daemon(settings=scheduled("* * * * *"), extra_plugins=[test_copy])
    wait_until("the window's least is there", lambda: len(instances(d)) == 1)
    shown = scale(d)
    assert shown["policy"] == "direct" and shown["schedule"][0]["open"] and shown["schedule"][0]["open_until_ms"] > 0


def test_a_wrong_window_is_refused_with_its_place(daemon, test_copy):
    d = daemon(settings=scheduled("0 25 * * *"), extra_plugins=[test_copy])
    plugin = [p for p in d.ctl("plugin") if p["name"] == "test-copy"][0]
    assert 'workflows.test-copy: "schedule": window 1: cron: field 2 (hour) is "25"' in plugin["reason"]


@pytest.mark.parametrize("how,said", [("many", "asked for more than maxSize"), ("slow", "took longer than 5 ms"),
                                      ("waits", "took longer than 5 ms"), ("never", "has not answered for"), ("few", "asked for fewer instances than are busy")])
def test_a_plugins_policy_that_misbehaves_is_held_named_and_replaced(daemon, build, how, said):
    plugin = {**json.loads(local(workerArgs=["worker.noticeSeconds=0.2"])), "planner": {"plan": how}}
    d = daemon(settings={**settings(), "plugin": json.dumps(plugin), "workflows": "{}"}, extra_plugins=[build / "tests" / "plugins" / "planner.so"])
    row = wait_until("its fleet is looked at", lambda: (rows := d.ctl("scale", "planner")) and rows[0])
    assert row["configured"] == "plugin"
    id = d.http.submit("planner")["id"]
    if how == "few":  # what is busy is what instances do: the worker of one keeps the job a while, in case the plugin that can run it comes
        wait_until("its job is leased", lambda: d.http.job(id)["status"] == "leased")
    for _ in range(8):
        d.http.submit("planner")
    row = wait_until("direct decides for it", lambda: (r := d.ctl("scale", "planner")[0])["policy"] == "direct" and r)
    assert row["offences"] == 3 and all(x["to"] <= 3 for x in row["decisions"])
    log = d.log.read_text()
    assert re.search(rf"planner: the policy of plugin planner {said}[^(]* \(offence 3 of 3; direct takes over until the plugin is replaced\)", log)
    told = {b["what"]: b["text"] for b in d.ctl("explain", "fleet", "planner")["because"]}
    if how == "never":
        assert d.stop(40) == 0, "it held up the end"
    assert "misbehaved 3 times, and another one decides for it" in told["offences"]
