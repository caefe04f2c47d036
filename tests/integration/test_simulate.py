# SPDX-License-Identifier: Apache-2.0
"""bpctl simulate: the exact form it is used in, what it prints, and what wrong input gets."""
import json
import subprocess
import xml.dom.minidom

import pytest

from conftest import SLOW
from test_fleet import done, settings, submit


def simulate(build, *words, check=True):
    r = subprocess.run([str(build / "bin" / "bpctl"), "simulate", *map(str, words)], capture_output=True, text=True, timeout=120 * SLOW)
    if check:
        assert r.returncode == 0, r.stderr
    return r


@pytest.fixture
def trace(tmp_path):
    """Ten jobs of a minute at 5 s, and one an hour later."""
    path = tmp_path / "small.csv"
    path.write_text("arrival_s,duration_s\n" + "5.0,60.0\n" * 10 + "3605,60\n")
    return path


def test_the_judged_form_gives_each_policy_and_seed(build, trace):
    r = simulate(build, "--trace", trace, "--policy", "direct,deployed,perjob,clairvoyant", "--boot", 240, "--max", 32, "--seeds", "1,2,3", "--json")
    answer = json.loads(r.stdout)
    runs = answer["runs"]
    assert [(x["policy"], x["seed"]) for x in runs] == [(p, s) for p in ("direct", "deployed", "perjob", "clairvoyant") for s in (1, 2, 3)]
    for x in runs:
        assert x["trace"] == "small" and x["jobs"] == 11 and x["unfinished"] == 0
        assert x["hours"] > 0 and x["cost"] == x["hours"] and x["launches"] > 0 and x["lost_work_hours"] >= 0
        assert x["completion_s"] >= 3605 and 0 <= x["wait_s"]["p50"] <= x["wait_s"]["p95"] <= x["wait_s"]["p99"]
        assert x["j"] == pytest.approx(x["hours"] + x["wait_hours"])
        assert x["wait_s"]["mean"] * 11 / 3600 == pytest.approx(x["wait_hours"])
    assert answer["model"]["boot"] == 240 and answer["model"]["max"] == 32
    means = {x["policy"]: x for x in answer["means"]}
    for policy, mean in means.items():
        assert mean["hours"] == pytest.approx(sum(x["hours"] for x in runs if x["policy"] == policy) / 3)
    # seen at 10 s, ready at 250 s: the wait of all of them with an instance each
    perjob = means["perjob"]["wait_s"]
    assert perjob["p50"] == 245 <= perjob["p99"]
    assert means["clairvoyant"]["j"] < min(means[p]["j"] for p in ("direct", "deployed", "perjob"))
    ratios = {x["policy"]: x for x in answer["against_deployed"]}
    assert ratios["deployed"]["j"] == 1 and ratios["deployed"]["j_to_clairvoyant"] > 1
    assert ratios["direct"]["hours"] == pytest.approx(means["direct"]["hours"] / means["deployed"]["hours"])


def test_results_do_not_depend_on_how_many_threads_there_are(build, trace):
    form = ("--trace", trace, "--trace", trace, "--interruptions", 1, "--spread", 0.3, "--json")
    one, many = (simulate(build, *form, "--threads", n).stdout for n in (1, 8))
    assert one == many


def test_a_grid_is_every_value_with_every_policy(build, trace):
    answer = json.loads(simulate(build, "--trace", trace, "--policy", "direct,perjob", "--grid", "boot=60,240", "--grid", "max=2,32", "--json").stdout)
    seen = {(x["policy"], x["grid"]["boot"], x["grid"]["max"]): x for x in answer["means"]}
    assert len(seen) == len(answer["means"]) == 8
    assert seen["perjob", 60, 32]["wait_s"]["p50"] == 65
    assert seen["perjob", 240, 2]["peak_instances"] == 2


def test_the_table_and_the_picture(build, trace, tmp_path):
    svg = tmp_path / "out.svg"
    out = simulate(build, "--trace", trace, "--policy", "direct,deployed", "--svg", svg).stdout
    assert out.startswith("small: 11 jobs over 1.0 h, mean of 3 seeds\n") and "against deployed" in out
    picture = xml.dom.minidom.parse(str(svg))
    assert len(picture.getElementsByTagName("circle")) == 2 and len(picture.getElementsByTagName("polyline")) == 4
    r = simulate(build, "--trace", trace, "--svg", tmp_path / "no" / "out.svg", check=False)
    assert r.returncode == 1 and "cannot write" in r.stderr


@pytest.mark.parametrize("text,said", [
    ("arrival_s,duration_s\n5,1\n4,1\n", "line 3, column 1: arrival_s 4.000 is before"),
    ("arrival_s,duration_s\n5,-1\n", "line 2, column 3: duration_s is -1; it must not be negative"),
    ("arrival_s,duration_s\n5\n", "line 2, column 2: duration_s is missing"),
    ("arrival_s,duration_s\n5,soon\n", 'line 2, column 3: duration_s is "soon", which is no number'),
    ("when,how long\n5,1\n", "line 1, column 1: the first line names other fields"),
])
def test_a_wrong_trace_is_refused_with_its_place(build, tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    r = simulate(build, "--trace", path, check=False)
    assert r.returncode == 2 and r.stdout == "" and "bad.csv, " + said in r.stderr


@pytest.mark.parametrize("words,said", [
    ((), "Give --trace FILE"),
    (("--trace", "nowhere.csv"), "cannot read the trace nowhere.csv: No such file"),
    (("--policy", "derect"), "did you mean direct?"),
    (("--boot", "soon"), "--boot must be a number from 0 to 86400"),
    (("--max", "0"), "--max must be a number from 1"),
    (("--seeds", "1,,2"), "--seeds takes"),
    (("--grid", "boots=1"), "did you mean boot?"),
    (("--type", "g5"), "is no instance type"),
    (("--shortage", "9-3"), "is no shortage"),
    (("--trice", "x"), "unknown option --trice"),
])
def test_wrong_words_are_refused_with_the_remedy(build, trace, words, said):
    more = ("--trace", trace) if words and words[0] != "--trace" else ()
    r = simulate(build, *more, *words, check=False)
    assert r.returncode in (1, 2) and r.stdout == "" and said in r.stderr


def test_history_and_live_take_what_the_daemon_knows(daemon, test_copy, build):
    d = daemon(settings=settings(policy="direct"), extra_plugins=[test_copy])
    socket = ("--socket", str(d.state / "bpd.sock"))

    def ask(*words):
        return subprocess.run([str(build / "bin" / "bpctl"), *socket, "simulate", *words], capture_output=True, text=True, timeout=120 * SLOW)

    r = ask("--history", "test-copy")
    assert r.returncode == 1 and "remembers no completed job of test-copy" in r.stderr
    for job in [submit(d) for _ in range(3)]:
        done(d, job)
    answer = json.loads(ask("--history", "test-copy", "--policy", "perjob", "--json").stdout)
    assert answer["means"][0]["jobs"] == 3 and answer["means"][0]["trace"] == "test-copy" and answer["model"]["max"] == 32
    answer = json.loads(ask("--live", "test-copy", "--tick", "5", "--json").stdout)
    assert answer["model"]["max"] == 3 and answer["model"]["backlog"] == 1 and answer["model"]["tick"] == 5
    assert answer["model"]["boot"] < 240 # as measured
    assert [x["policy"] for x in answer["means"]] == ["direct", "deployed", "clairvoyant"]
    r = ask("--live", "nobody")
    assert r.returncode == 1 and "nobody" in r.stderr


def test_a_schedule_counts_on_a_trace_and_live(daemon, test_copy, build, trace, tmp_path):
    windows = [{"cron": "* * * * *", "minutes": 1, "min": 2}]
    (tmp_path / "windows.json").write_text(json.dumps(windows))
    plain, held = (json.loads(simulate(build, "--trace", trace, "--policy", "perjob", "--json", *more).stdout)
                   for more in ((), ("--schedule", tmp_path / "windows.json")))
    assert "schedule" not in plain["model"] and held["model"]["schedule"] == windows
    assert held["means"][0]["hours"] != plain["means"][0]["hours"]
    (tmp_path / "wrong.json").write_text('[{"cron": "0 25 * * *", "minutes": 60}]')
    r = simulate(build, "--trace", trace, "--schedule", tmp_path / "wrong.json", check=False)
    assert r.returncode == 2 and "window 1: cron: field 2 (hour)" in r.stderr
    d = daemon(settings={**settings(), "workflows": json.dumps({"test-copy": {"policy": "direct", "maxSize": 3, "schedule": windows}})},
               extra_plugins=[test_copy])
    done(d, submit(d))
    r = subprocess.run([str(build / "bin" / "bpctl"), "--socket", str(d.state / "bpd.sock"), "simulate", "--live", "test-copy", "--json"],
                       capture_output=True, text=True, timeout=120 * SLOW)
    assert json.loads(r.stdout)["model"]["schedule"] == windows, r.stderr


def test_live_inside_a_window_takes_the_workflows_own_policy_and_replays_the_windows(daemon, test_copy, build):
    window = {"cron": "* * * * *", "minutes": 1, "min": 1, "max": 2, "policy": "perjob"}
    d = daemon(settings={**settings(), "workflows": json.dumps({"test-copy": {"policy": "direct", "maxSize": 3, "schedule": [window]}})},
               extra_plugins=[test_copy])
    for job in [submit(d) for _ in range(3)]:
        done(d, job)
    assert d.ctl("scale", "test-copy")[0]["policy"] == "perjob", "a window is open"

    def live():
        r = subprocess.run([str(build / "bin" / "bpctl"), "--socket", str(d.state / "bpd.sock"), "simulate", "--live", "test-copy", "--json"],
                           capture_output=True, text=True, timeout=120 * SLOW)
        return json.loads(r.stdout)

    said = live()
    assert said["means"][0]["policy"] == "direct" and said["model"]["max"] == 3 and said["model"]["schedule"] == [window]
    assert max(r["peak_instances"] for r in said["runs"] if r["policy"] == "direct") <= 2, "the window's most holds where it is open"
    d.ctl("scale", "shadow", "test-copy", "target")
    d.ctl("scale", "adopt", "test-copy")
    said = live()
    assert said["means"][0]["policy"] == "target" and "policy" not in said["model"]["schedule"][0], "an adopted policy goes before a window's"
