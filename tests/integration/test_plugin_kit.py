# SPDX-License-Identifier: Apache-2.0
"""A plugin of each kind, made outside of the tree from the installed kit, serves a running daemon."""
import subprocess

import pytest

from conftest import wait_until
from kit_rig import Kit, pixels, png

FAST = {"dispatch.leaseTtlSeconds": "5", "dispatch.sweepMilliseconds": "100"}


@pytest.fixture(scope="module")
def kit(build, tmp_path_factory):
    return Kit(build, tmp_path_factory.mktemp("kit") / "prefix")


def plugin(d, name):
    return next((p for p in d.ctl("plugin") if p["name"] == name), None)


def test_a_scaffolded_workflow_is_dropped_in_and_completes_a_job(kit, daemon, tmp_path):
    so = kit.scaffold("workflow", "less-colour", tmp_path)
    d = daemon(settings=FAST)
    d.install(so)
    wait_until("it is submittable", lambda: any(w["workflow"] == "less-colour" for w in d.ctl("workflows")), timeout=10)
    photo = png(40, 30, lambda x, y: (x * 6, y * 8, 200))
    id = d.http.submit("less-colour", {"strength": 1}, [d.http.upload(photo, "photo.png", "image/png")])["id"]
    done = wait_until("its job completes", lambda: (j := d.http.job(id))["status"] in ("completed", "failed") and j, timeout=40)
    assert done["status"] == "completed", done
    out = tmp_path / "out.png"
    out.write_bytes(d.http.get_url(done["output"]["url"]).body)
    seen = pixels(out)
    assert len(seen) == 40 * 30
    for i, p in enumerate(seen):
        grey = 0.299 * (i % 40 * 6) + 0.587 * (i // 40 * 8) + 0.114 * 200
        assert all(abs(c - grey) < 0.51 for c in p), (i, p, grey)


def test_a_scaffolded_queue_carries_a_job_from_submit_to_completion(kit, daemon, tmp_path, test_copy):
    so = kit.scaffold("queue", "ring", tmp_path)
    d = daemon(settings={**FAST, "services.queue": "ring"}, plugins=("local",), extra_plugins=[so, test_copy])
    assert plugin(d, "ring")["services"] == ["queue"]
    id = d.http.submit("test-copy", {}, [d.http.upload(b"through the ring")])["id"]
    done = wait_until("its job completes", lambda: (j := d.http.job(id))["status"] == "completed" and j, timeout=40)
    assert d.http.get_url(done["output"]["url"]).body == b"through the ring"
    assert [e["what"] for e in d.ctl("job", str(id))["timeline"]] == ["submitted", "leased", "completed"]
    wait_until("its numbers say that nothing is left", lambda: [w["queued"] + w["leased"] for w in d.ctl("workflows")] == [0])
    later = d.http.submit("test-copy", {}, [d.http.upload(b"x")], priority=3)["id"]
    assert later > id and [j["id"] for j in d.ctl("jobs")["jobs"]] == [later, id]
    assert d.http.post("/api/jobs", {"workflow": "test-copy", "inputs": [d.http.upload(b"x")], "after": [id]}).status == 501
    d.stop()
    assert "kept in memory only" in d.log.read_text()


def test_the_installed_conformance_suite_runs_against_a_third_queue(kit, tmp_path):
    """As its author would call it: every case there is, of which those of what the plugin lacks are left out."""
    so = kit.scaffold("queue", "ring", tmp_path)
    suite = kit.prefix / "libexec/bpd/queue_conformance"
    cases = kit.run(suite, "--list").stdout.splitlines()
    assert len(cases) >= 80 and len(set(cases)) == len(cases)
    forgets = ["-*_a_restart*", "-worker_is_remembered_by_its_finished_jobs", "-prune_never_lets_an_id_be_used_again"]
    r = kit.run(suite, "--partial", so, "{}", *"submit lease extend complete fail requeue cancel retry sweep worker read batch stats".split(),
                *forgets, cwd=tmp_path)
    words = r.stdout.splitlines()[-1].replace(",", "").split()  # 186 cases 0 failed 6 left out
    assert words[1:4] == ["cases", "0", "failed"] and int(words[0]) >= 80, words
    r = kit.run(suite, so, "{}", "unique", cwd=tmp_path, check=False)
    assert r.returncode == 1 and "FAIL unique." in r.stdout, "what it does not do is a failure when it is not excused"


def test_a_scaffolded_cloud_plugin_tells_the_operators(kit, daemon, tmp_path):
    so = kit.scaffold("cloud", "town-crier", tmp_path)
    told = tmp_path / "told.txt"
    d = daemon(settings={**FAST, "services.notify": "town-crier", "plugin.town-crier.path": str(told)}, extra_plugins=[so])
    assert plugin(d, "town-crier")["services"] == ["notify"]
    d.ctl("notify", "test", "hear ye")
    assert "hear ye" in told.read_text()
    row = next(c for c in d.ctl("doctor")["checks"] if c["check"] == "town-crier.file")
    assert row["status"] == "ok" and row["resource"] == str(told)
    (d.plugins / "broken.so").write_bytes(b"no plugin at all")
    wait_until("a real alert arrives", lambda: "plugin refused" in told.read_text(), timeout=20)


def test_names_that_cannot_be_and_folders_that_are_there_are_refused_in_words(kit, tmp_path):
    def new(*words):
        r = kit.run("bpctl", "plugin", "new", *words, cwd=tmp_path, check=False)
        return r.returncode, r.stderr

    assert new("workflow", "Sepia") == (1, "bpctl: \"Sepia\" cannot be a plugin's name: it may have a-z, 0-9 and '-', not 'S'\n")
    for name, word in (("3d", "letter"), ("a--b", "between two words"), ("-a", "usage"), ("x" * 65, "1 to 64"), ("a/b", "not '/'"), ("", "1 to 64")):
        status, text = new("workflow", name)
        assert status in (1, 2) and word in text, (name, text)
    assert new("gadget", "x")[1] == "bpctl: there is no kind of plugin \"gadget\": it is workflow, queue or cloud\n"
    assert new("cloud")[0] == 2
    assert "no folder /nowhere" in new("cloud", "x", "--dir", "/nowhere")[1]
    (tmp_path / "sepia").mkdir()
    assert new("workflow", "sepia") == (1, "bpctl: sepia is there already; remove it, or give --dir or another name\n")
    assert list((tmp_path / "sepia").iterdir()) == []


def test_a_template_that_cannot_be_copied_leaves_nothing_behind(kit, tmp_path):
    templates = tmp_path / "templates/cloud"
    templates.mkdir(parents=True)
    (templates / "a.txt").write_text("my-cloud")
    (templates / "b.bin").write_bytes(b"\0")
    env = kit.environment(BPD_TEMPLATES=str(tmp_path / "templates"))
    new = lambda kind: subprocess.run(["bpctl", "plugin", "new", kind, "x"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert new("cloud").returncode == 1 and "b.bin: it is no text" in new("cloud").stderr
    assert not (tmp_path / "x").exists()
    assert "BPD_TEMPLATES names another folder" in new("queue").stderr
    (templates / "b.bin").unlink()
    assert new("cloud").returncode == 0 and (tmp_path / "x/a.txt").read_text() == "x"


def test_what_the_machine_lacks_is_named_with_its_package(kit, tmp_path):
    """Without FFmpeg and cmocka a cloud plugin still builds; what does need them says so."""
    lacking = kit.environment(PKG_CONFIG_LIBDIR="/nowhere", PKG_CONFIG_PATH="")

    def configure(kind, *options):
        kit.run("bpctl", "plugin", "new", kind, f"a-{kind}", "--dir", tmp_path) if not (tmp_path / f"a-{kind}").exists() else None
        r = subprocess.run(["cmake", "-B", "build", *options], cwd=tmp_path / f"a-{kind}", env=lacking, capture_output=True, text=True)
        return r.returncode, " ".join(r.stderr.split())

    status, text = configure("workflow")
    assert status != 0 and "a-workflow uses bp_media, but FFmpeg's libraries were not found" in text and "libavcodec-dev" in text
    status, text = configure("cloud")
    assert status != 0 and "apt-get install libcmocka-dev" in text
    assert configure("cloud", "-DBUILD_TESTING=OFF")[0] == 0
    kit.run("cmake", "--build", "build", cwd=tmp_path / "a-cloud")
    kit.run("cmake", "--install", "build", cwd=tmp_path / "a-cloud")
    assert (kit.prefix / "lib/bpd/plugins/a-cloud.so").exists()


@pytest.mark.parametrize("kind,name", [("workflow", "pixel"), ("queue", "list"), ("cloud", "check"), ("workflow", "float")])
def test_names_that_the_templates_use_themselves_build_too(kit, tmp_path, kind, name):
    kit.scaffold(kind, name, tmp_path)


def test_the_package_is_found_by_its_version_and_by_pkg_config(kit, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES C)\nfind_package(bpd 9.0 REQUIRED)\n")
    r = kit.run("cmake", "-B", "build", cwd=tmp_path, check=False)
    assert r.returncode != 0 and "9.0" in r.stderr
    env = {**kit.environment(), "PKG_CONFIG_PATH": f"{kit.prefix}/lib/pkgconfig"}
    ask = lambda *words: subprocess.run(["pkg-config", *words, "bpd"], env=env, check=True, capture_output=True, text=True).stdout.strip()
    assert ask("--modversion") in subprocess.run([kit.prefix / "sbin/bpd", "--version"], capture_output=True, text=True).stdout
    source = tmp_path / "x.c"
    source.write_text('#include <bp/sdk.h>\nint main(void)\n{\n    struct bp_err e;\n    return bp_error(&e, 0, "%d", 1);\n}\n')
    subprocess.run(["cc", *kit.flags.split(), str(source), "-o", str(tmp_path / "x"), *ask("--cflags", "--libs").split()], check=True)
    assert subprocess.run([tmp_path / "x"]).returncode == 0
    assert (kit.prefix / "lib/bpd/plugins").samefile(ask("--variable=plugindir"))
