# SPDX-License-Identifier: Apache-2.0
"""plugins.signers on a running daemon: who may sign, and what becomes of plugins nobody trusted has signed."""
import json
import shutil
import signal
import subprocess

import pytest

from conftest import wait_until

FAST = {"dispatch.sweepMilliseconds": "100", "scale.dryRun": "true"}


class Signer:
    def __init__(self, build, dir, name):
        self.bpctl, self.key = str(build / "bin" / "bpctl"), dir / f"{name}.pem"
        made = subprocess.run([self.bpctl, "plugin", "keygen", "--out", self.key, "--json"], capture_output=True, text=True, check=True)
        self.entry = json.loads(made.stdout)["signer"] + f" {name}"

    def sign(self, file, *words):
        subprocess.run([self.bpctl, "plugin", "sign", file, "--key", self.key, *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def release(build, tmp_path):
    return Signer(build, tmp_path, "release")


@pytest.fixture
def stranger(build, tmp_path):
    return Signer(build, tmp_path, "stranger")


@pytest.fixture
def signed(daemon, release, test_copy):
    """A running daemon that trusts `release` alone, whose plugins are all signed by it."""
    d = daemon(settings=FAST, extra_plugins=[test_copy], start=False)
    d.config = d.dir / "bpd.json"
    d.trust = lambda *signers: d.config.write_text(json.dumps({"plugins": {"signers": [s.entry for s in signers]}}))
    d.trust(release)
    plain = d.command
    d.command = lambda: [*plain(), "--config", str(d.config)]
    for file in d.plugins.glob("*.so"):
        release.sign(file)
    return d.start()


def plugin(d, name):
    return next((p for p in d.ctl("plugin") if p["name"] == name), None)


def states(d, name):
    """Every state a plugin of this name reached, in order, with its reason."""
    return [(e["to"], e["reason"]) for e in d.ctl("events", "plugin.state", "--last", "500") if e["plugin"] == name]


def refused(d, name, *said):
    p = wait_until(f"{name} is refused", lambda: (p := plugin(d, name)) and p["reason"] and p, timeout=15)
    assert all(s in p["reason"] for s in said), p["reason"]
    return p


def install(d, file, name, signature=None):
    d.install(file, name)
    if signature:
        shutil.copyfile(signature, d.plugins / f"{name}.sig")


def test_signed_plugins_serve_and_one_without_a_signature_is_refused(signed, noop):
    assert {p["state"] for p in signed.ctl("plugin")} == {"running"}
    signed.install(noop)
    p = refused(signed, "bench-noop", "no signature", "bpctl plugin sign")
    assert p["state"] == "refused"
    assert [s for s, _ in states(signed, "bench-noop")].count("refused") == 1, "told once, not over and over"


def test_nothing_is_read_in_a_file_that_nobody_signed(signed):
    rubbish = signed.dir / "rubbish.so"
    rubbish.write_text("no plugin at all")
    signed.install(rubbish)
    refused(signed, "rubbish", "no signature")


def test_a_signature_that_comes_after_its_file_is_taken(signed, noop, release):
    signed.install(noop)
    refused(signed, "bench-noop", "no signature")
    release.sign(signed.plugins / noop.name)
    wait_until("it runs", lambda: plugin(signed, "bench-noop")["state"] == "running", timeout=15)


def test_a_tampered_file_and_an_unknown_signer_are_refused(signed, noop, release, stranger):
    signed.install(noop)
    stranger.sign(signed.plugins / noop.name)
    refused(signed, "bench-noop", "not in plugins.signers", stranger.entry.split()[0])
    release.sign(signed.plugins / noop.name)
    wait_until("both signed, it runs", lambda: plugin(signed, "bench-noop")["state"] == "running", timeout=15)
    tampered = signed.dir / "tampered.so"
    tampered.write_bytes(noop.read_bytes() + b"\0")
    signed.install(tampered, noop.name)
    p = refused(signed, "bench-noop", "other content")
    assert p["state"] == "running" and p["generation"] == 1, "the good one keeps serving"


def test_a_signature_of_another_file_written_over_the_digest_does_not_fit(signed, noop, release):
    signed.install(noop)
    release.sign(signed.plugins / noop.name)
    wait_until("it runs", lambda: (plugin(signed, "bench-noop") or {}).get("state") == "running", timeout=15)
    forged = signed.dir / "forged.so"
    forged.write_bytes(noop.read_bytes() + b"\0")
    digest = {f: subprocess.run(["sha256sum", f], capture_output=True, text=True).stdout.split()[0] for f in (noop, forged)}
    text = (signed.plugins / f"{noop.name}.sig").read_text().replace(digest[noop], digest[forged])
    signed.install(forged, noop.name)
    (signed.plugins / f"{noop.name}.sig").write_text(text)
    wait_until("it does not fit", lambda: "does not fit" in plugin(signed, "bench-noop")["reason"], timeout=15)


def test_a_replacement_and_its_signature_may_come_in_any_order(signed, build, release):
    newer = signed.dir / "newer.so"
    shutil.copyfile(build / "tests" / "workflows" / "test-copy-v2.so", newer)
    release.sign(newer)
    shutil.copyfile(f"{newer}.sig", signed.plugins / "test-copy.so.sig")  # the signature alone, for a while
    p = wait_until("it is told that they differ", lambda: (p := plugin(signed, "test-copy"))["reason"] and p, timeout=15)
    assert p["state"] == "running" and p["version"] == "1.0"
    signed.install(newer, "test-copy.so")
    wait_until("the new one serves", lambda: plugin(signed, "test-copy")["version"] == "2.0", timeout=15)
    assert plugin(signed, "test-copy")["reason"] == ""


def test_a_signature_that_knows_both_replaces_without_a_word(signed, build, release):
    newer = build / "tests" / "workflows" / "test-copy-v2.so"
    release.sign(newer, "--out", signed.plugins / "test-copy.so.sig", "--keep")
    signed.install(newer, "test-copy.so")
    wait_until("the new one serves", lambda: plugin(signed, "test-copy")["version"] == "2.0", timeout=15)
    assert "refused" not in [s for s, _ in states(signed, "test-copy")]


def test_a_signer_removed_by_a_reload_ends_a_workflow_and_one_added_brings_it_back(signed, release, stranger):
    for file in signed.plugins.glob("*.so"):
        if file.name != "test-copy.so":
            stranger.sign(file)  # beside the release's
    signed.trust(stranger)
    signed.ctl("config", "reload")
    p = wait_until("it is refused", lambda: (p := plugin(signed, "test-copy"))["state"] == "refused" and p, timeout=15)
    assert "not in plugins.signers" in p["reason"]
    assert signed.http.post("/api/jobs", {"workflow": "test-copy", "params": {}}).status in (404, 409, 503)
    assert plugin(signed, "sqlite")["state"] == plugin(signed, "local")["state"] == "running"
    signed.trust(stranger, release)
    signed.ctl("config", "reload")
    wait_until("it runs", lambda: plugin(signed, "test-copy")["state"] == "running", timeout=15)


def test_what_serves_the_daemon_stays_when_its_signer_goes_and_says_so(signed, stranger):
    signed.trust(stranger)
    signed.process.send_signal(signal.SIGHUP)
    wait_until("it is said of the queue", lambda: "sqlite" in (t := signed.log.read_text()) and "code stays in bpd" in t, timeout=15)
    assert plugin(signed, "sqlite")["state"] == "running"
    assert "not in plugins.signers" in plugin(signed, "sqlite")["reason"]


def test_a_wrong_signer_refuses_the_reload_and_the_start(signed, release):
    signed.config.write_text('{"plugins": {"signers": ["ed25519:nonsense"]}}')
    r = signed.ctl("config", "reload", json_form=False)
    assert r.returncode == 1 and "plugins.signers" in r.stderr
    assert plugin(signed, "test-copy")["state"] == "running"
    command = [signed.command()[0], "--check-config", "--config", str(signed.config)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 2 and "plugins.signers" in checked.stderr
    signed.stop()
    ended = subprocess.run(signed.command(), capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0 and "plugins.signers" in ended.stderr


def test_settings_of_a_signed_plugin_still_change_by_reload(signed, release):
    signed.config.write_text(json.dumps({"plugins": {"signers": [release.entry]}, "plugin": {"local": {"bootDelaySeconds": 1}}}))
    before = plugin(signed, "local")["generation"]
    signed.ctl("config", "reload")
    wait_until("a new generation runs", lambda: plugin(signed, "local")["generation"] > before and plugin(signed, "local")["state"] == "running", timeout=15)


def test_a_candidate_must_be_signed_and_takes_its_signature_along(signed, build, release):
    newer = signed.dir / "newer.so"
    shutil.copyfile(build / "tests" / "workflows" / "test-copy-good.so", newer)
    r = signed.ctl("plugin", "canary", "test-copy", "10%", "--file", str(newer), json_form=False)
    assert r.returncode == 1 and "no signature" in r.stderr
    release.sign(newer)
    signed.ctl("plugin", "canary", "test-copy", "10%", "--file", str(newer))
    signed.stop()
    signed.start()
    wait_until("it is taken up again", lambda: signed.ctl("plugin", "canary", "test-copy")["state"] == "running", timeout=15)
    assert signed.ctl("plugin", "canary", "test-copy", "promote")["state"] == "promoted"
    assert plugin(signed, "test-copy")["version"] == "3.0" and plugin(signed, "test-copy")["reason"] == ""
    assert (signed.plugins / "test-copy.so.sig").read_text() == (signed.dir / "newer.so.sig").read_text()


def test_a_workflow_of_a_file_goes_by_the_signature_of_its_template(daemon, build, release, stranger):
    d = daemon(settings={**FAST, "plugins.auto": "true"}, extra_plugins=[build / "tests" / "plugins" / "mould.so"], start=False)
    d.settings["plugins.workflowsDir"] = str(d.dir / "workflows.d")
    (d.dir / "workflows.d").mkdir(mode=0o755)
    (d.dir / "workflows.d" / "mine.json").write_text('{"plugin": "mould"}')
    (d.dir / "workflows.d" / "mine.json").chmod(0o644)
    config, plain = d.dir / "bpd.json", d.command
    trust = lambda *signers: config.write_text(json.dumps({"plugins": {"signers": [s.entry for s in signers]}}))
    trust(release)
    d.command = lambda: [*plain(), "--config", str(config)]
    for file in d.plugins.glob("*.so"):
        release.sign(file)
    d.start()
    wait_until("it serves", lambda: any(w["workflow"] == "mine" for w in d.ctl("workflows")), timeout=15)
    trust(release, stranger)
    d.ctl("config", "reload")
    assert plugin(d, "mine")["state"] == "running" and plugin(d, "mine")["generation"] == 1
    trust(stranger)
    d.ctl("config", "reload")
    wait_until("both are gone", lambda: not d.ctl("workflows"), timeout=15)
    trust(release)
    d.ctl("config", "reload")
    wait_until("both are back", lambda: any(w["workflow"] == "mine" for w in d.ctl("workflows")), timeout=15)
