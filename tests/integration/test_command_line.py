# SPDX-License-Identifier: Apache-2.0
"""bpd and bpctl as command line programs: help, version, mistakes."""
import json
import subprocess

import pytest
from conftest import wait_until


def run(build, program, *args, **kw):
    return subprocess.run([str(build / "bin" / program), *args], capture_output=True, text=True, timeout=30, **kw)


def test_help_and_version_go_to_standard_output_and_end_0(build):
    for program in ("bpd", "bpctl"):
        for flag in ("--help", "-h"):
            r = run(build, program, flag)
            assert r.returncode == 0 and r.stdout.startswith("Usage: ") and not r.stderr
        r = run(build, program, "--version")
        assert r.returncode == 0 and r.stdout.startswith(program + " 0.")


def test_help_config_lists_every_key_with_default_and_meaning(build):
    r = run(build, "bpd", "--help-config")
    assert r.returncode == 0
    for key in ("http.listen", "dispatch.leaseTtlSeconds", "scale.policy", "plugins.auto"):
        assert key in r.stdout


def test_an_unknown_option_names_the_nearest_and_ends_2(build):
    r = run(build, "bpd", "--plugin-dir", "/tmp")
    assert r.returncode == 2 and "--plugins-dir" in r.stderr and "--help" in r.stderr
    r = run(build, "bpd", "extra")
    assert r.returncode == 2 and "extra" in r.stderr
    r = run(build, "bpd", "--config")
    assert r.returncode == 2 and "needs a value" in r.stderr
    r = run(build, "bpd", "--role", "boss")
    assert r.returncode == 2 and "controller or worker" in r.stderr


def test_a_config_error_names_file_line_key_and_the_nearest_key(build, tmp_path):
    f = tmp_path / "bpd.json"
    f.write_text('{\n  // comment\n  "http": {\n    "lisen": "127.0.0.1:1"\n  }\n}\n')
    r = run(build, "bpd", "--check-config", "--config", str(f))
    assert r.returncode == 2
    for word in (str(f), "4", "http.lisen", "http.listen"):
        assert word in r.stderr


def test_a_value_out_of_range_names_the_range(build, tmp_path):
    f = tmp_path / "bpd.json"
    f.write_text('{"dispatch": {"maxAttempts": 0}}')
    r = run(build, "bpd", "--check-config", "--config", str(f))
    assert r.returncode == 2 and "dispatch.maxAttempts" in r.stderr and "100" in r.stderr


def test_a_good_config_is_said_to_be_good(build, tmp_path):
    f = tmp_path / "bpd.json"
    f.write_text('{"dispatch": {"maxAttempts": 5}, /* fine */ "stage": "staging",}')
    r = run(build, "bpd", "--check-config", "--config", str(f))
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("wrong, words", [
    ({"log": {"levels": "hots=debug"}}, "hots"),
    ({"prices": {"g5.xlarge": -1}}, "prices.g5.xlarge"),
    ({"plugins": {"signers": ["ed25519:nothing"]}}, "plugins.signers"),
    ({"tenants": {"acme": {"token": "short"}}}, "tenants.acme.token is shorter than 8 characters"),
    ({"tenants": {"acme": {"token": "env:BP_NOT_SET"}}}, "tenants.acme.token: environment variable BP_NOT_SET is not set"),
    ({"tenants": {"acme": {"weigth": 2}}}, "did you mean weight?"),
])
def test_a_check_and_a_start_and_a_reload_refuse_the_same(build, daemon, short_dir, wrong, words):
    f = short_dir / "bpd.json"
    f.write_text(json.dumps(wrong))
    check = run(build, "bpd", "--check-config", "--config", str(f))
    assert check.returncode == 2 and words in check.stderr
    start = run(build, "bpd", "--config", str(f), "--set", f"state.dir={short_dir}/refused")
    assert (start.returncode, start.stderr) == (2, check.stderr)

    f.write_text("{}")
    d = daemon(start=False)
    command = d.command
    d.command = lambda: command() + ["--config", str(f)]
    del d.settings["log.levels"]
    d.start()
    f.write_text(json.dumps(wrong))
    r = d.ctl("config", "reload", json_form=False)
    assert r.returncode == 1 and check.stderr.removeprefix("bpd: ").strip() in r.stderr


def test_a_worker_need_not_read_the_tenants_of_a_shared_file(build, tmp_path):
    f = tmp_path / "bpd.json"
    f.write_text('{"tenants": {"acme": {"token": "env:BP_NOT_SET"}}}')
    r = run(build, "bpd", "--role", "worker", "--check-config", "--config", str(f))
    assert r.returncode == 0, r.stderr


def test_a_missing_file_is_an_error_with_its_name(build):
    r = run(build, "bpd", "--check-config", "--config", "/nonexistent/bpd.json")
    assert r.returncode == 2 and "/nonexistent/bpd.json" in r.stderr


def test_a_wrong_set_and_a_wrong_environment_name_are_errors(build):
    r = run(build, "bpd", "--check-config", "--set", "http.lisen=1")
    assert r.returncode == 2 and "http.listen" in r.stderr
    r = run(build, "bpd", "--check-config", env={"BPD_HTTP_LISEN": "x", "PATH": "/bin"})
    assert r.returncode == 2 and "BPD_HTTP_LISEN" in r.stderr


def test_a_mistyped_workflow_in_the_settings_is_told(daemon, build):
    d = daemon(extra_plugins=[build / "bench/plugins/bench-noop.so"], settings={
        "scale.dryRun": "true", "workflows": json.dumps({"bench-nop": {"maxSize": 2}}),
        "effects": json.dumps({"zoom": {"workflow": "bench-nop"}, "good": {"workflow": "bench-noop"}})})
    log = [json.loads(line)["text"] for line in d.ctl("log", "--last", "100")]
    for key in ("workflows", "effects.zoom"):
        assert f'config: {key} names workflow "bench-nop", which no plugin serves; did you mean "bench-noop"?' in log, log
    assert not any("effects.good" in line for line in log)


def test_a_refused_plugin_that_settings_name_is_not_said_to_be_missing(daemon):
    d = daemon(start=False, settings={"plugin": json.dumps({"sqlite": {"foo": 1}, "sqlit": {}})}).start(ready=False)
    wait_until("it is not ready", lambda: "unknown key" in d.ctl("status").get("not_ready", ""))
    log = [json.loads(line)["text"] for line in d.ctl("log", "--last", "100")]
    assert any("unknown key plugin.sqlite.foo" in line for line in log), log
    assert [line for line in log if "names plugin" in line] == ['config: plugin names plugin "sqlit", but there is none'], log


@pytest.mark.parametrize("setting, says", [
    ("http.listen=nonsense", 'http.listen "nonsense" is no address:port; give 127.0.0.1:8080, say'),
    ("http.url=jobs.example.com", 'http.url is "jobs.example.com": it must begin with http:// or https://'),
    ("log.levels=loud", 'log.levels: there is no level "loud"'),
    ("http.listen=", 'http.listen: must be text of 3 to 256 bytes, not ""'),
])
def test_a_wrong_address_is_found_by_the_check(build, setting, says):
    r = run(build, "bpd", "--check-config", "--set", setting)
    assert r.returncode == 2 and says in r.stderr


@pytest.mark.parametrize("options, says", [
    (["--set", "log.path=/nowhere/bpd.log"], "log.path: cannot open /nowhere/bpd.log: No such file or directory; make its directory, or name another file"),
    (["--plugins-dir", "/nowhere"], "plugins directory /nowhere: No such file or directory; make it, or name another with --plugins-dir"),
    (["--set", "http.certificate=/nowhere", "--set", "http.key=/nowhere"],
     "http.certificate /nowhere: No such file or directory; give a readable PEM file"),
])
def test_what_is_not_there_is_named_with_the_remedy(build, short_dir, options, says):
    r = run(build, "bpd", "--set", f"state.dir={short_dir}/s", "--set", "http.listen=127.0.0.1:0", *options)
    assert r.returncode in (1, 2) and says in r.stderr


def test_help_needs_no_daemon(build, short_dir):
    r = run(build, "bpctl", "--socket", f"{short_dir}/none.sock", "help")
    assert r.returncode == 0 and r.stdout.startswith("Usage: bpctl") and "bpctl(1)" in r.stderr and "none.sock" in r.stderr


def test_an_address_in_use_is_said_and_ends_1(build, daemon, short_dir):
    d = daemon()
    other = short_dir / "other"
    r = run(build, "bpd", "--set", f"http.listen=127.0.0.1:{d.port}", "--set", f"state.dir={other}")
    assert r.returncode == 1 and str(d.port) in r.stderr and "use" in r.stderr


def test_a_second_daemon_on_the_same_state_is_refused(build, daemon):
    d = daemon()
    r = run(build, "bpd", "--set", "http.listen=127.0.0.1:0", "--set", f"state.dir={d.state}")
    assert r.returncode == 1 and str(d.state) in r.stderr


def test_bpctl_without_a_daemon_says_where_it_looked(build, tmp_path):
    r = run(build, "bpctl", "--socket", str(tmp_path / "no.sock"), "status")
    assert r.returncode == 1 and "no.sock" in r.stderr and "running" in r.stderr


def test_migrate_says_what_is_wrong_with_its_words(build):
    for program, words, said in (("bpctl", ("migrate",), "central|pools"), ("bpctl", ("migrate", "ponds"), "central or pools"),
                                 ("bpd", ("--dry-run",), "--migrate"), ("bpd", ("--migrate", "central", "--dry-run", "--status"), "not both"),
                                 ("bpctl", ("migrate", "central", "--sttus"), "--status")):
        r = run(build, program, *words)
        assert r.returncode == 2 and said in r.stderr, r
    r = run(build, "bpctl", "migrate", "--help")
    assert r.returncode == 0 and r.stdout.startswith("Usage: bpctl migrate central|pools")


def test_migrate_names_a_plugin_that_is_not_there_or_is_refused(build, tmp_path):
    words = ("migrate", "central", "--plugins-dir", str(tmp_path), "--set", "services.queue=mariadb")
    r = run(build, "bpctl", *words)
    assert r.returncode == 1 and "no queue plugin mariadb" in r.stderr and str(tmp_path) in r.stderr
    (tmp_path / "mariadb.so").write_text("not a plugin")
    r = run(build, "bpctl", *words)
    assert r.returncode == 1 and "mariadb.so refused: not an ELF file" in r.stderr
    r = run(build, "bpctl", "--json", *words)
    assert r.returncode == 1 and "not an ELF file" in json.loads(r.stdout)["error"]


def test_migrate_looks_at_the_embedded_queue_of_a_running_daemon_and_leaves_it_alone(build, daemon, noop):
    d = daemon(extra_plugins=[noop], settings={"scale.dryRun": "true"})
    words = ("--plugins-dir", str(d.plugins), "--set", f"state.dir={d.state}")
    for more in (("--status",), ("--dry-run",), ()):
        r = run(build, "bpctl", "migrate", "central", *more, *words)
        assert r.returncode == 0 and "up to date" in r.stdout and f"{d.state}/plugin/sqlite/queue.db" in r.stdout, r
        assert d.http.submit("bench-noop")["id"] > 0
    r = run(build, "bpctl", "migrate", "pools", *words)
    assert r.returncode == 0 and "no pools" in r.stdout
    r = run(build, "bpctl", "migrate", "central", "--status", "--plugins-dir", str(d.plugins), "--set", f"state.dir={d.dir}/none")
    assert r.returncode == 3 and "pending" in r.stdout and not (d.dir / "none").exists()
