# SPDX-License-Identifier: Apache-2.0
"""bpctl explain and GET /api/jobs/{id}/explain: why a job is where it is, when it starts, and what a tenant is not told."""
import json
import re
import subprocess

from client import Http
from conftest import wait_until
from test_fleet import done, settings, submit


def explain(d, id):
    return d.ctl("explain", "job", str(id))


def what(e):
    return {line["what"]: line["text"] for line in e["because"]}


def the_fleet_is_made(d):
    wait_until("the fleet is made", lambda: (rows := d.ctl("fleet", "test-copy")) and rows[0]["exists"])


def test_held_by_a_dependency_while_the_other_runs(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    first = submit(d, steps=40, step_ms=100)
    after = d.http.submit("test-copy", {"steps": 1, "step_ms": 0}, [d.http.upload(b"x")], after=[first])["id"]
    wait_until("the first one runs", lambda: d.http.job(first)["progress"] > 0)
    e = explain(d, after)
    assert (e["status"], e["held_by"]) == ("scheduled", "dependency")
    assert what(e)["dependency"] == f"it waits for job {first}, which is leased"
    assert e["next"]["text"] == f"it is queued when job {first} has completed"
    e = explain(d, first)
    assert (e["status"], e["held_by"]) == ("leased", None) and e["next"]["at_ms"] > 0
    assert d.http.job(first)["worker"] in what(e)["running"] and "attempt 1 of" in what(e)["running"]
    done(d, after)
    e = explain(d, first)
    assert "it completed in attempt 1" in what(e)["completed"] and e["next"]["text"] == "nothing"


def test_held_by_not_before_and_by_the_tenants_limit(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    later = d.http.submit("test-copy", {"steps": 1, "step_ms": 0}, [d.http.upload(b"x")], not_before="2099-01-01T00:00:00Z")["id"]
    e = explain(d, later)
    assert e["held_by"] == "not-before" and e["next"]["at_ms"] == 4070908800000 and e["next"]["at"].startswith("2099-01-01T00:00:00")
    d.ctl("tenant", "set", "local", "--max-running", "1")
    one, two = submit(d, steps=60, step_ms=100), submit(d)
    wait_until("one runs", lambda: d.http.job(one)["status"] == "leased")
    e = explain(d, two)
    assert e["held_by"] == "tenant-limit" and what(e)["tenant-limit"] == "local runs 1 jobs and may run 1 at once"


def test_held_by_capacity_as_operator_and_as_tenant(daemon, test_copy):
    d = daemon(settings=settings(), extra_plugins=[test_copy])
    the_fleet_is_made(d)
    d.ctl("fleet", "inject", "test-copy", "fail-launches", "10000")
    ids = [submit(d) for _ in range(3)]
    e = wait_until("the failures are told", lambda: (e := explain(d, ids[2]))["held_by"] == "capacity" and "failure" in what(e) and e)
    assert e["status"] == "queued" and e["ahead"] == 2 and what(e)["position"].startswith("2 jobs of test-copy are leased before it")
    assert "the last with:" in what(e)["failure"] and "wants" in what(e)["policy"] and "doctor" in e["next"]["text"]
    assert e["estimate"]["start"]["p50_ms"] is None and "nobody can say" in what(e)["estimate"]
    text = d.ctl("explain", "job", str(ids[0]), json_form=False).stdout
    assert "it is the next job of test-copy" in text and "held_by: capacity" in text, text

    f = wait_until("the last job is counted", lambda: (f := d.ctl("explain", "fleet", "test-copy")) and
                   what(f)["queue"] == "3 jobs queued, 0 running" and f)
    assert "the last with:" in what(f)["failure"]
    assert "the provider goes on trying" in f["next"]["text"]
    assert "did you mean test-copy" in d.ctl("explain", "fleet", "test-cop", json_form=False).stderr

    d.ctl("tenant", "add", "rival")
    rival = Http(d.port)
    rival.token = d.ctl("tenant", "token", "add", "rival")["token"]
    assert rival.get(f"/api/jobs/{ids[0]}/explain").status == 404
    mine = rival.submit("test-copy", {"steps": 1, "step_ms": 0}, [rival.upload(b"x")])["id"]
    a = rival.get(f"/api/jobs/{mine}/explain")
    assert a.status == 200 and a.data["held_by"] == "capacity" and 0 < a.data["ahead"] <= 3
    assert "policy" not in what(a.data) and "change" not in what(a.data) and "the last with" not in what(a.data)["failure"]
    assert "local" not in str(a.data) and "bpctl" not in str(a.data), a.data


def test_an_estimate_once_runs_were_measured(daemon, test_copy):
    d = daemon(settings=settings(to_zero=60, policy="step", **{"scale.tickMilliseconds": "100"}), extra_plugins=[test_copy])
    done(d, submit(d, steps=10, step_ms=100))
    ids = [submit(d, steps=50, step_ms=100) for _ in range(6)]
    wait_until("some run", lambda: d.http.job(ids[0])["status"] == "leased")
    e = wait_until("the last one has an estimate", lambda: (e := explain(d, ids[5]))["status"] == "queued" and
                   (e["estimate"]["finish"]["p95_ms"] or 0) and e)
    start, finish = e["estimate"]["start"], e["estimate"]["finish"]
    assert start["p50_ms"] <= start["p95_ms"] <= finish["p95_ms"] and start["p50_ms"] < finish["p50_ms"]
    assert "95 % sure by" in what(e)["estimate"]
    f = wait_until("the round has seen them", lambda: (f := d.ctl("explain", "fleet", "test-copy")) and "estimate" in what(f) and f)
    assert f["estimate"]["backlog"]["p95_ms"] >= f["estimate"]["backlog"]["p50_ms"] > 0
    assert "all of these jobs have ended at about" in what(f)["estimate"]


def test_what_is_promised_is_held_against_what_came_and_the_lesson_outlives_a_restart(daemon, test_copy):
    one = {"test-copy": {"scaleToZeroSeconds": 60, "policy": "step", "maxSize": 1}}
    d = daemon(settings=settings(workflows=json.dumps(one), **{"scale.tickMilliseconds": "100"}), extra_plugins=[test_copy])
    for _ in range(6):
        done(d, submit(d))

    def learned():
        rows = d.ctl("scale", "test-copy")
        return rows[0].get("measured", {}).get("promises", {}) if rows else {}

    before = learned().get("end", {}).get("shift", 0)  # most of them were too short to be asked about
    ids = [submit(d, steps=20, step_ms=100) for _ in range(6)]  # nobody could know how long these run
    broken = wait_until("they end later than was said", lambda: (p := learned().get("end", {})) and p["shift"] > before + 0.2 and p)
    assert broken["kept"] < 1 and broken["judged"] >= 1, broken
    gauge = re.search(rb'^bpd_promises_kept{workflow="test-copy",of="end"} (\S+)$', d.http.get("/metrics").body, re.M)
    assert gauge and 0 <= float(gauge[1]) < 1, gauge
    for id in ids:
        done(d, id)
    told = learned()
    d.stop()
    d.start()
    again = wait_until("it is known again", lambda: learned().get("end"))
    assert again["judged"] >= told["end"]["judged"] and again["shift"] > 0, (told, again)


def test_what_it_costs_and_what_sooner_would_cost(daemon, test_copy):
    one = {"test-copy": {"scaleToZeroSeconds": 60, "policy": "step", "maxSize": 8, "backlogTarget": 100}}  # it stays at one instance
    d = daemon(settings=settings(workflows=json.dumps(one), prices=json.dumps({"*": {"spot": 3.6}})), extra_plugins=[test_copy])
    done(d, submit(d, steps=10, step_ms=100))
    ids = [submit(d, steps=50, step_ms=100) for _ in range(6)]
    e = wait_until("the last one has an estimate", lambda: (e := explain(d, ids[5]))["status"] == "queued" and e["sooner"] and e)
    assert e["cost"]["usd_per_hour"] == 3.6 and 0.0005 < e["cost"]["usd"] < 0.05
    assert "the setting prices" in what(e)["cost"]
    for s in e["sooner"]:
        assert s["finish"]["p50_ms"] > s["start"]["p50_ms"] > 0 and "usd_more" in s
    a = d.http.get(f"/api/jobs/{ids[5]}/explain").data
    assert "cost" not in a and "sooner" not in a, "prices are the operator's"
    f = wait_until("the queue is counted", lambda: (f := d.ctl("explain", "fleet", "test-copy")) and f["sooner"] and f)
    assert f["cost"]["instance_hours"] > 0 and f["sooner"][0]["instances"] == 1


def test_a_price_that_is_none_is_refused(build):
    said = subprocess.run([build / "bin/bpd", "--check-config", "--set", 'prices={"g5.xlarge": "cheap"}'], capture_output=True, text=True)
    assert said.returncode == 2 and "prices.g5.xlarge must be the $ of an instance-hour" in said.stderr, said.stderr


def test_what_an_operator_and_a_schedule_impose_is_told(daemon, test_copy):
    window = {"cron": "* * * * *", "minutes": 1, "max": 2}
    workflows = {"test-copy": {"scaleToZeroSeconds": 60, "policy": "perjob", "maxSize": 3, "schedule": [window]}}
    d = daemon(settings={**settings(), "workflows": json.dumps(workflows)}, extra_plugins=[test_copy])
    the_fleet_is_made(d)
    d.ctl("scale", "limit", "test-copy", "--min", "1", "--for", "600")
    d.ctl("scale", "pause", "test-copy", "in")
    d.ctl("scale", "shadow", "test-copy", "target")
    d.ctl("scale", "adopt", "test-copy")
    d.ctl("scale", "shadow", "test-copy", "direct")
    f = wait_until("the shadow has decided", lambda: "direct runs beside it" in what(f := d.ctl("explain", "fleet", "test-copy")).get("shadow", "") and f)
    rules = [b["text"] for b in f["because"] if b["what"] == "rule"]
    assert len(rules) == 2 and "at least 1 by operator:" in rules[0] and "until then" in rules[0] and "scale-in is paused by" in rules[1]
    assert 'the window "* * * * *"' in what(f)["window"] and '"max":2' in what(f)["window"]
    assert "an operator let target decide" in what(f)["adopted"]
    tenant = d.http.get(f"/api/jobs/{submit(d)}/explain").data
    assert not {"rule", "window", "adopted", "shadow"} & set(what(tenant))
