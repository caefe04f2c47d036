# SPDX-License-Identifier: Apache-2.0
"""bpctl plugin inspect and check, on files, with no daemon anywhere."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import ROOT, SLOW


@pytest.fixture
def bpctl(build, tmp_path):
    def run(*words, **more):
        env = {**os.environ, "TMPDIR": str(tmp_path), "BPCTL_SOCKET": "/nonexistent/socket", **more}
        return subprocess.run([str(build / "bin" / "bpctl"), *map(str, words)], capture_output=True, text=True, env=env,
                              timeout=120 * SLOW)
    return run


@pytest.fixture
def check(bpctl):
    def run(file, *words):
        """(exit status, errors, warnings) with each finding as "check: text"."""
        r = bpctl("plugin", "check", "--json", "--timeout", int(5 * SLOW), *words, file)
        assert r.returncode in (0, 1), r.stderr
        found = json.loads(r.stdout)
        lists = [[f"{f['check']}: {f['text']}" for f in found["findings"] if f["level"] == level] for level in ("error", "warning")]
        assert (found["errors"], found["warnings"]) == tuple(map(len, lists)) and found["ok"] == (r.returncode == 0)
        assert all(f["level"] == "ok" or f["remedy"] for f in found["findings"]), "each problem has its remedy"
        return r.returncode, *lists
    return run


@pytest.fixture
def moody(build, tmp_path):
    """Copied where nobody else may write, so that only its own faults are found."""
    home = tmp_path / "files"
    home.mkdir(mode=0o755)

    def copy(name, to=None):
        at = home / (to or f"{name}.so")
        shutil.copyfile(build / "tests" / "plugins" / f"{name}.so", at)
        at.chmod(0o644)
        return at
    return copy


def test_inspect_prints_the_manifest_without_running_the_file(bpctl, moody):
    file = moody("moody")
    told = json.loads(bpctl("plugin", "inspect", file, "--json").stdout)
    assert (told["name"], told["kind"], told["version"], told["abi"]) == ("moody", "workflow", "1.0.0", "1.0")
    assert told["facets"] == ["bp.job/1"] and told["bytes"] == file.stat().st_size
    assert told["sha256"] == subprocess.run(["sha256sum", file], capture_output=True, text=True).stdout.split()[0]
    assert told["manifest"] == json.loads((ROOT / "tests/plugins/moody.json").read_text())
    words = bpctl("plugin", "inspect", file)
    assert words.returncode == 0 and "moody" in words.stdout and "bp.job/1" in words.stdout


def test_inspect_reads_a_file_that_could_not_even_be_loaded(bpctl, moody):
    assert bpctl("plugin", "inspect", moody("t-unresolved")).returncode == 0


@pytest.mark.parametrize("name, says", [("t-no-manifest", "no section"), ("t-bad-json", "line 1")])
def test_inspect_says_why_there_is_no_manifest(bpctl, moody, name, says):
    r = bpctl("plugin", "inspect", moody(name))
    assert r.returncode == 1 and says in r.stderr and name in r.stderr


def test_a_sound_workflow_passes_with_a_trial_run(bpctl, check, moody):
    assert check(moody("moody")) == (0, [], [])
    run = json.loads(bpctl("plugin", "check", "--json", moody("moody")).stdout)["run"]
    assert run["output_type"] == "image/png" and run["output_bytes"] == 12 and run["peak_memory_bytes"] > 100000


@pytest.mark.parametrize("name", ["sqlite", "mariadb", "local", "aws", "exec", "comfyui", "image-to-video", "video-upscale"])
def test_the_plugins_in_the_box_pass(build, check, name):
    status, errors, warnings = check(build / "plugins" / f"{name}.so", "--timeout", int(60 * SLOW))
    assert status == 0 and errors == [] and not [w for w in warnings if w.startswith(("manifest", "params"))], warnings


@pytest.mark.parametrize("part", ["start", "stop"])
@pytest.mark.parametrize("mood, says", [("crash", "signal 11"), ("abort", "signal 6"), ("exit", "exit status 3"),
                                        ("quit", "ended its process"), ("loop", "within")])
def test_a_plugin_that_dies_as_it_comes_up_or_goes_is_a_finding(check, moody, part, mood, says):
    status, errors, _ = check(moody("moody"), "--timeout", "2", "--settings", json.dumps({part: mood}))
    assert status == 1 and len(errors) == 1 and errors[0].startswith("probe: ") and says in errors[0]


@pytest.mark.parametrize("mood, says", [("crash", "signal 11"), ("exit", "exit status 3"), ("quit", "exit status 0"),
                                        ("loop", "did not end within"), ("fail", "bad mood in run"),
                                        ("silent", "no reason")])
def test_a_run_that_goes_wrong_is_a_finding(check, moody, mood, says):
    status, errors, _ = check(moody("moody"), "--timeout", "2", "--params", json.dumps({"run": mood}))
    assert status == 1 and errors[0].startswith("run: ") and says in errors[0]


@pytest.mark.parametrize("mood, says", [("crash", "signal 11"), ("loop", "open() did not end"), ("fail", "bad mood in open")])
def test_an_open_that_goes_wrong_is_a_finding(check, moody, mood, says):
    status, errors, _ = check(moody("moody"), "--timeout", "2", "--settings", json.dumps({"open": mood}))
    assert status == 1 and len(errors) == 1 and says in errors[0]


def test_an_output_that_is_missing_or_of_another_type_is_an_error(check, moody):
    assert "left no output" in check(moody("moody"), "--params", '{"write": "nothing"}')[1][0]
    assert "image/jpeg" in check(moody("moody"), "--params", '{"write": "jpeg"}')[1][0]


def test_a_result_that_differs_and_memory_that_grows_are_warnings(check, moody):
    status, errors, warnings = check(moody("moody"), "--params", '{"write": "time"}')
    assert (status, errors) == (0, []) and "different files" in warnings[0]
    status, errors, warnings = check(moody("moody"), "--params", '{"run": "leak"}')
    assert (status, errors) == (0, []) and "leak" in warnings[0]


def test_a_given_sample_that_is_refused_is_an_error_and_a_built_in_one_a_warning(check, moody, tmp_path):
    status, errors, warnings = check(moody("moody"), "--params", '{"run": "bad_input"}')
    assert status == 0 and "no photo" in warnings[0]
    sample = tmp_path / "my.jpg"
    sample.write_bytes(b"\xff\xd8\xff\xe0 not much of a photo")
    status, errors, _ = check(moody("moody"), "--params", '{"run": "bad_input"}', "--sample", sample)
    assert status == 1 and "no photo" in errors[0]


def test_params_are_checked_as_a_submit_would(check, moody):
    status, errors, _ = check(moody("moody"), "--params", '{"rum": "x"}')
    assert status == 1 and "Did you mean run" in errors[0]


def test_every_problem_of_a_wrong_manifest_is_told_at_once(check, moody):
    status, errors, _ = check(moody("erring"))
    assert status == 1 and len(errors) == 3
    assert any('did you mean "maxSize"' in e for e in errors) and any("batchMax" in e for e in errors)


def test_pitfalls_of_a_manifest_and_its_params(check, moody):
    status, errors, warnings = check(moody("sloppy"))
    assert status == 1
    for said in ('"produces" has "jpeg"', '"policy" is "plugin"', 'did you mean "strength"', "between 9 and 1",
                 "no number", 'default "c"', 'type is "text"', "([a-z cannot be read"):
        assert any(said in e for e in errors), (said, errors)
    for said in ('did you mean "bp.scaling/1"', '"version" is "one"', '"displayName" is missing',
                 'did you mean "image/jpeg"', "photo/png", "g4dn_xlarge", "2.3 days", "misspelt params",
                 'did you mean "minimum"', "want of a title", "any number is taken", "lists of any length",
                 "texts of any length", "params.note: a job without it"):
        assert any(said in w for w in warnings), (said, warnings)


def test_a_template_is_run_as_the_workflow_of_a_file(bpctl, check, moody, tmp_path):
    file = tmp_path / "files" / "my-effect.json"
    assert check(moody("mould")) == (0, [], [])
    file.write_text('{"plugin": "mould", "displayName": "Mine", "settings": {"grace": 5}}')
    assert check(moody("mould"), "--workflow", file)[:2] == (0, [])
    told = json.loads(bpctl("plugin", "check", "--json", "--workflow", file, moody("mould")).stdout)
    assert told["run"]["output_type"] == "image/png"
    file.write_text('{"plugin": "mould",\n "settings": {"grace": 500}}')
    status, errors, _ = check(moody("mould"), "--workflow", file)
    assert status == 1 and errors[0].startswith("workflow: my-effect.json:2:") and "grace" in errors[0]
    file.write_text('{"plugin": "moody"}')
    assert "no template" in check(moody("moody"), "--workflow", file)[1][0]
    assert "is for the plugin moody" in check(moody("mould"), "--workflow", file)[1][0]


def test_symbols_beside_the_entry_are_told_by_name(check, moody):
    status, errors, _ = check(moody("talkative"))
    assert status == 1 and len(errors) == 1 and "talkative_helper" in errors[0]


@pytest.mark.parametrize("name, says", [("t-no-symbol", "no symbol bp_plugin_v1"), ("t-code-abi", "ABI 3.0"),
                                        ("t-short-table", "16 bytes"), ("t-no-facet", "does not offer it"),
                                        ("t-unresolved", "undefined symbol"), ("t-name-mismatch", "meant"),
                                        ("t-failing-start", "locked"), ("t-no-manifest", "no section"),
                                        ("t-kind-mismatch", "wrong kind")])
def test_what_a_daemon_would_refuse_is_an_error(check, moody, name, says):
    status, errors, _ = check(moody(name))
    assert status == 1 and any(says in e for e in errors), errors


def test_a_file_that_others_may_write_is_warned_of(check, moody):
    file = moody("moody")
    file.chmod(0o666)
    status, _, warnings = check(file)
    assert status == 0 and "writable" in warnings[0] and warnings[0].startswith("file: ")


@pytest.mark.parametrize("bytes", [0, 3, 63, 1000])
def test_a_file_cut_short_is_an_error_and_no_crash(bpctl, moody, bytes):
    file = moody("moody")
    file.write_bytes(file.read_bytes()[:bytes])
    r = bpctl("plugin", "check", file)
    assert r.returncode == 1 and (r.stdout + r.stderr).strip()


def test_it_leaves_nothing_behind_and_no_process(check, moody, tmp_path):
    for params in ("{}", '{"run": "crash"}', '{"run": "loop"}'):
        check(moody("moody"), "--timeout", "1", "--params", params)
    assert [p.name for p in pathlib.Path(tmp_path).iterdir()] == ["files"]


def test_wrong_usage_is_told(bpctl):
    assert bpctl("plugin", "check").returncode == 2
    assert bpctl("plugin", "inspect").returncode == 2
    assert bpctl("plugin", "check", "x.so", "--sampel", "y").returncode == 2
    r = bpctl("plugin", "check", "/nonexistent/x.so")
    assert r.returncode == 1 and "No such file" in r.stderr
    assert "--sample" in bpctl("plugin", "check", "--help").stdout
