# SPDX-License-Identifier: Apache-2.0
"""Trouble of fleets: no capacity, slow boots, instances that never register, that die, and notices in storms."""
import json

from conftest import wait_until
from test_fleet import done, fleet, instances, local, settings, submit


def made(d, workflow="test-copy"):
    wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", workflow)) and rows[0]["exists"])
    return d


def chaotic(daemon, *plugins, max_size=4, **more):
    workflow = {"scaleToZeroSeconds": 30, "policy": "perjob", "maxSize": max_size, "backlogTarget": 1}
    return made(daemon(settings=settings(**{"workflows": json.dumps({"test-copy": workflow}), **more}), extra_plugins=plugins))


def inject(d, what, *value):
    d.ctl("fleet", "inject", "test-copy", what, *value)


def come(d, n, state="running"):
    """The names of n instances, when there are so many."""
    there = wait_until(f"{n} are {state}", lambda: len(r := instances(d, state)) == n and r)
    return [i["id"] for i in there]


def failures(d):
    return [a for a in fleet(d)["activities"] if a["failed"]]


def ran_once(j):
    """Its timeline has one completion, and an attempt for each time it was leased for good."""
    whats = [e["what"] for e in j["timeline"]]
    return whats.count("completed") == 1 and whats[-1] == "completed" and j["attempts"] == 1


def test_a_storm_requeues_every_job_and_each_completes_once(daemon, test_copy):
    d = chaotic(daemon, test_copy)
    ids = [submit(d, steps=60, step_ms=100, checkpoint=True) for _ in range(4)]
    wait_until("all run", lambda: all((d.http.job(id)["progress"] or 0) > 0 for id in ids))
    hit = set(come(d, 4))
    assert hit == {d.http.job(id)["worker"] for id in ids}
    inject(d, "storm")
    for id in ids:
        j = done(d, id)
        assert ran_once(j) and j["requeues"] == 1, j["timeline"]
        assert j["worker"] not in hit, "it went on where it was interrupted"
    notices = {e["instance"] for e in d.ctl("events", "fleet.instance", "--last", "200") if e["reason"] == "interruption notice"}
    assert notices == hit


def activities(d, reason, instance=None):
    """Their places in what happened to the fleet, the oldest being 0."""
    all = list(reversed(fleet(d)["activities"]))
    return [n for n, a in enumerate(all) if a["reason"] == reason and instance in (None, a["instance"])]


def test_on_notice_one_replacement_is_launched_before_the_loss_and_none_after(daemon, test_copy):
    d = chaotic(daemon, test_copy, plugin=local(noticeSeconds=20))
    ids = [submit(d, steps=8, step_ms=1500, checkpoint=True) for _ in range(2)]
    wait_until("both run", lambda: all(d.http.job(id)["status"] == "leased" for id in ids))
    hit = come(d, 2)[0]
    inject(d, "interrupt", hit)
    ended = wait_until("it is ended", lambda: activities(d, "terminate", hit))[0]
    launches = activities(d, "launch")
    assert len(launches) == 3 and launches[2] < ended, "its place was not filled before it went"
    assert activities(d, "interruption", hit)[0] < launches[2]
    for id in ids:
        assert ran_once(done(d, id))
    decided = [(e["from"], e["to"]) for e in d.ctl("events", "scale.decided", "--last", "50")]
    grown = [to for was, to in decided if to > was]
    assert grown[-1] == 2 and decided.count((1, 2)) <= 2, decided
    assert len(activities(d, "launch")) == 3, "its end brought another launch"
    assert not [a for a in fleet(d)["activities"] if a["reason"] == "interruption" and "interrupted" in a["text"]], "the cloud took it"


def test_on_notice_nothing_is_launched_for_work_that_is_not_there(daemon, test_copy):
    d = chaotic(daemon, test_copy)
    d.ctl("scale", "limit", "test-copy", "--min", "1") # else it would go by itself
    done(d, submit(d))
    hit = come(d, 1)[0]
    d.ctl("scale", "pause", "test-copy", "in")
    d.ctl("scale", "limit", "test-copy", "--min", "0")
    inject(d, "interrupt", hit)
    wait_until("it is gone", lambda: not instances(d))
    wait_until("nothing is wanted", lambda: fleet(d)["desired"] == 0)
    assert len(activities(d, "launch")) == 1


def test_an_instance_that_never_registers_is_replaced_and_told(daemon, test_copy):
    d = chaotic(daemon, test_copy, max_size=1, **{"scale.registerSeconds": "2"})
    inject(d, "never-register", "1")
    id = submit(d)
    silent = wait_until("its instance runs", lambda: instances(d))[0]
    assert not silent["registered"]
    mute = set(wait_until("its process is there", d.worker_pids))
    j = done(d, id)
    assert j["worker"] != silent["id"]
    told = wait_until("it is told", lambda: d.ctl("events", "fleet.launch_failed"))
    assert [e["reason"] for e in told] == ["silent"] and "scale.registerSeconds" in told[0]["text"]
    assert [a["instance"] for a in fleet(d)["activities"] if a["reason"] == "silent"] == [silent["id"]]
    wait_until("its process is gone", lambda: not mute & set(d.worker_pids()))


def test_no_capacity_is_told_tried_ever_more_rarely_and_hurts_no_other_workflow(daemon, test_copy, noop):
    d = chaotic(daemon, test_copy, noop, max_size=1)
    made(d, "bench-noop")
    inject(d, "no-capacity", "600000")
    id = submit(d)
    failed = wait_until("three launches failed", lambda: len(a := failures(d)) >= 3 and a)
    assert {a["reason"] for a in failed} == {"capacity"}
    at = sorted(a["at_ms"] for a in failed)
    assert all(b - a >= 300 * 2**n - 1 for n, (a, b) in enumerate(zip(at, at[1:]))), f"each rest is twice the one before: {at}"
    assert fleet(d)["launch_failures"] >= 3 and fleet(d)["desired"] == 1 and d.http.job(id)["status"] == "queued"
    other = d.http.submit("bench-noop", {})["id"]
    wait_until("an instance of another workflow takes its job", lambda: d.http.job(other)["attempts"] == 1)
    assert not instances(d)
    assert d.ctl("fleet", "bench-noop")[0]["launch_failures"] == 0
    inject(d, "no-capacity", "0")
    assert done(d, id)["attempts"] == 1


def test_slow_boots_bring_no_more_instances_than_jobs(daemon, test_copy):
    d = chaotic(daemon, test_copy)
    inject(d, "boot-delay", "3000")
    ids = [submit(d, steps=5, step_ms=100) for _ in range(2)]
    booting = set(come(d, 2, "pending"))
    for id in ids:
        assert done(d, id)["worker"] in booting
    launched = [a for a in fleet(d)["activities"] if a["reason"] == "launch"]
    assert {a["instance"] for a in launched} == booting
    assert max(e["to"] for e in d.ctl("events", "scale.decided")) == 2


def test_all_instances_die_at_once_and_every_job_completes(daemon, test_copy):
    d = chaotic(daemon, test_copy, max_size=2, **{"dispatch.leaseTtlSeconds": "1.5"})
    ids = [submit(d, steps=60, step_ms=100) for _ in range(2)]  # so long that none ends before all are dead
    wait_until("all run", lambda: all((d.http.job(id)["progress"] or 0) > 0 for id in ids))
    dead = come(d, 2)
    for instance in dead:
        inject(d, "kill", instance)
    for id in ids:
        j = done(d, id)
        assert [e["what"] for e in j["timeline"]].count("completed") == 1 and j["worker"] not in dead


def lost_s(d, ids):
    """Seconds of runs that came to nothing: from a lease to an end that is no completion, without a checkpoint to go on from."""
    lost = 0
    for id in ids:
        begun = None
        for e in d.http.job(id)["timeline"]:
            if e["what"] == "leased":
                begun = e["at_ms"]
            elif begun and e["what"] in ("requeued", "expired", "retry"):
                lost += e["at_ms"] - begun
                begun = None
            elif e["what"] == "completed":
                begun = None
    return lost / 1000


def said(d, words):
    return any(words in p.read_text(errors="replace") for p in d.state.rglob("*.log"))


def work_lost_to_a_doomed_instance(daemon, plugin, at_risk_s):
    """Two idle instances, one with a rebalance notice; two long jobs come; then the notice comes true."""
    d = chaotic(daemon, plugin, max_size=2, **{"dispatch.atRiskSeconds": at_risk_s})
    d.ctl("scale", "limit", "test-copy", "--min", "2")
    doomed = come(d, 2)[0]
    wait_until("both have registered", lambda: all(i["registered"] for i in instances(d)))
    inject(d, "rebalance", doomed)
    wait_until("its worker has heard, and said so", lambda: said(d, "asks for short jobs only"))
    ids = [submit(d, steps=30, step_ms=100) for _ in range(2)]
    wait_until("what can run does", lambda: sum((d.http.job(id)["progress"] or 0) > 0.3 for id in ids) >= (2 if at_risk_s == "86400" else 1))
    inject(d, "interrupt", doomed)
    jobs = [done(d, id) for id in ids]
    assert all([e["what"] for e in j["timeline"]].count("completed") == 1 for j in jobs)
    lost = lost_s(d, ids)
    print(f"dispatch.atRiskSeconds {at_risk_s}: {lost:.1f} s of work lost")
    assert d.stop(40) == 0
    return lost


def test_leasing_by_risk_loses_no_work_where_leasing_without_it_does(daemon, test_copy):
    blind = work_lost_to_a_doomed_instance(daemon, test_copy, "86400") # every job counts as short
    aware = work_lost_to_a_doomed_instance(daemon, test_copy, "1")
    assert blind > 0.8 and aware == 0, (blind, aware)


def test_wrong_trouble_is_refused(daemon, test_copy):
    d = chaotic(daemon, test_copy)
    for words, why in ((["no-capacity", "long"], "not a number"), (["never-register", "-1"], "not a number"),
                       (["storm"], "no running instance"), (["flood"], "never-register")):
        r = d.ctl("fleet", "inject", "test-copy", *words, json_form=False)
        assert r.returncode == 1 and why in r.stderr, r.stderr
