# SPDX-License-Identifier: Apache-2.0
"""bp-bench on a real daemon, and what it and bench/compare say when they cannot measure."""
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from test_mariadb_server import authority, openssl
from test_tls import certify

SECRETS = ["--token", "bench-token", "--fleet-secret", "bench-secret"]
SETTINGS = {"scale.dryRun": "true"}


def certificate_of(dir, ca, name, names):
    """A certificate of an authority for these names, and its key."""
    cert, key, request, extensions = (dir / f"{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
    extensions.write_text(f"subjectAltName={names}\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-days", "2", "-out", cert, "-extfile", extensions)
    return cert, key


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(build, program, *args):
    return subprocess.run([str(build / program), *args], capture_output=True, text=True, timeout=120)


def measured(build, d, *args):
    url = f"{'https' if d.tls else 'http'}://127.0.0.1:{d.port}"
    done = run(build, "bin/bp-bench", *args, "--url", url, "--token", d.http.token, "--fleet-secret", d.secret(), "--seconds", "1", "--warmup", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["completed"] == result["leased"] == result["submitted"] > 0
    assert (result["lost"], result["doubled"], result["errors"]) == (0, 0, 0)
    assert 0 < result["submit"]["p50"] <= result["submit"]["p99"] <= result["submit"]["max"]
    return result


@pytest.mark.parametrize("more", [
    ["dispatch", "--producers", "4", "--workers", "4", "--idle-pollers", "3", "--idle-workflow", "bench-noop"],
    ["dispatch", "--submit-batch", "50", "--batch", "50", "--complete-batch", "50"],
    ["dispatch", "--take-next"],
    ["dispatch", "--producers", "2", "--think", "5", "--poll", "10", "--workers", "3"],
    ["latency", "--rate", "50", "--workers", "2"],
], ids=["one", "batches", "take-next", "think-and-poll", "latency"])
def test_every_job_of_a_run_is_accounted_for(daemon, noop, build, more):
    d = daemon(extra_plugins=[noop], settings=SETTINGS)
    measured(build, d, *more)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_https_with_the_authority_and_not_without(daemon, noop, build, short_dir):
    cert, key = certify(short_dir, "bench")
    d = daemon(start=False, extra_plugins=[noop], settings={**SETTINGS, "http.certificate": str(cert), "http.key": str(key)})
    d.tls = ssl.create_default_context(cafile=str(cert))
    d.start()
    url = f"https://127.0.0.1:{d.port}"
    measured(build, d, "dispatch", "--ca", str(cert))
    measured(build, d, "dispatch", "--insecure", "--submit-batch", "50", "--batch", "50", "--complete-batch", "50")
    done = run(build, "bin/bp-bench", "dispatch", "--url", url, *SECRETS)
    assert done.returncode == 1 and "self-signed certificate" in done.stderr, done.stderr
    done = run(build, "bin/bp-bench", "dispatch", "--url", url.replace("127.0.0.1", "localhost"), *SECRETS, "--ca", str(cert))
    assert done.returncode == 1 and "mismatch" in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_a_staging_daemon_is_measured_by_name_with_its_authority_and_secrets_of_the_environment(daemon, noop, build, short_dir):
    """As operators have it: the certificate is an authority's and names the host, and no secret is on the command line."""
    ca = authority(short_dir, "staging")
    cert, key = certificate_of(short_dir, ca, "localhost", "DNS:localhost")
    d = daemon(start=False, extra_plugins=[noop], settings={**SETTINGS, "http.certificate": str(cert), "http.key": str(key)})
    d.tls = ssl.create_default_context(cafile=str(ca[0]))
    d.tls.check_hostname = False  # the tests' own client calls it by address
    d.start()
    words = ["dispatch", "--url", f"https://localhost:{d.port}", "--ca", str(ca[0]), "--seconds", "1", "--warmup", "0.2", "--json"]
    ask = lambda **env: subprocess.run([str(build / "bin/bp-bench"), *words], capture_output=True, text=True, timeout=120,
                                       env={**os.environ, "BP_BENCH_FLEET_SECRET": d.secret(), **env})
    done = ask(BP_BENCH_TOKEN=d.http.token)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["completed"] == result["submitted"] > 0 and result["errors"] == result["lost"] == 0
    done = ask(BP_BENCH_TOKEN="another-token")
    assert done.returncode == 1 and "401" in done.stderr + done.stdout and "another-token" not in done.stderr + done.stdout


@pytest.mark.parametrize("program, args, scheme", [
    ("bin/bp-bench", ["dispatch", *SECRETS], "http"),
    ("bench/compare", ["redis", "latency"], "redis"),
    ("bench/compare", ["beanstalkd", "dispatch"], "beanstalk"),
    ("bench/compare", ["gearmand", "dispatch"], "gearman"),
    ("bench/compare", ["php", "dispatch", *SECRETS], "http"),
])
def test_a_server_that_is_not_there_ends_the_run_at_once(build, program, args, scheme):
    url = f"{scheme}://127.0.0.1:{closed_port()}"
    done = run(build, program, *args, "--url", url)
    assert done.returncode == 1 and done.stdout == ""
    assert f"cannot connect to {url}: Connection refused; is the server running there?" in done.stderr


@pytest.mark.parametrize("args, says", [
    (["dispatch", "--url", "http://127.0.0.1"], "name the queue to load first"),
    (["redis", "--url", "redis://127.0.0.1"], "dispatch or latency"),
    (["redis", "dispatch", "--url", "redis://127.0.0.1", "--batch", "5"], "one job per request"),
    (["php", "dispatch", "--url", "http://127.0.0.1"], "--token is missing"),
    (["redis", "dispatch", "--url", "redis://127.0.0.1", "--workers", "0"], "from 1 to 10000"),
])
def test_a_wrong_command_line_is_explained(build, args, says):
    done = run(build, "bench/compare", *args)
    assert done.returncode == 2 and says in done.stderr


def test_an_address_of_another_kind_is_explained(build):
    done = run(build, "bench/compare", "redis", "dispatch", "--url", "http://127.0.0.1")
    assert done.returncode == 1 and "redis://HOST:PORT" in done.stderr


def test_a_missing_server_program_names_its_package(build, tmp_path):
    """compare_run ends with the package to install, and measures nothing."""
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "python3").symlink_to(shutil.which("python3"))
    script = (build / ".." / ".." / "bench" / "compare_run").resolve()
    hidden = f"import os, runpy, shutil, sys\nsys.path.insert(0, {str(script.parent)!r})\nshutil.which = lambda *a, **k: None\nsys.argv = ['compare_run', {str(build)!r}, '--only', 'redis']\n" \
             f"runpy.run_path({str(script)!r}, run_name='__main__')"
    done = subprocess.run([str(bin / "python3"), "-c", hidden], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "redis-server is not installed; run: scripts/setup bench" in done.stderr, done.stderr


# ---- bench/need: what a measurement runs is built, or it is said how ----

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each script of bench/ that measures what a build directory holds, with what else it wants.
SCRIPTS = {"controller": [], "dispatch_run": ["--", "dispatch"], "image_to_video.sh": [], "mariadb_floor_run": [], "run": [],
           "scaling": ["."], "video_stylize.sh": [], "video_upscale.sh": [], "workflows": [],
           "compare_run": [], "wakeup": [], "runner/overhead.py": [], "runner/start.sh": [], "image_to_video_slit.py": ["out.png"],
           "aws/tick": None, "aws/transfer": None, "backlog": None}


def test_no_script_of_bench_is_missing_in_this_list():
    programs = {str(p.relative_to(ROOT / "bench")) for p in (ROOT / "bench").rglob("*")
                if p.is_file() and p.stat().st_mode & 0o100 or p.suffix == ".sh"}
    assert programs - {"need", "gpu.sh", "siblings", "image_to_video_jitter.py", "video_upscale_fit.py"} == set(SCRIPTS)


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_script_of_bench_says_what_builds_what_it_needs(tmp_path, script):
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    option = {"aws/tick": ["--build"], "aws/transfer": ["--build-dir"], "backlog": ["million"]}.get(script, [])
    program = ROOT / "bench" / script
    shell = ["sh"] if script.endswith(".sh") else []
    done = subprocess.run([*shell, program, *option, empty, *(SCRIPTS[script] or [])], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "elsewhere has no " in done.stderr and "cmake --preset release" in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("words", [["million", "--jobs", "10000", "--leases", "50"], ["pruning", "--jobs", "3000", "--seconds", "1"],
                                   ["pruning", "--mariadb", "--jobs", "3000", "--seconds", "1"]], ids=lambda words: "-".join(words[:2]).replace("---jobs", ""))
def test_a_daemon_on_a_store_that_holds_much_is_measured(build, words):
    done = subprocess.run([ROOT / "bench/backlog", words[0], build, *words[1:]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("bpd on 10000 queued: ready after", "50 jobs leased and completed") if words[0] == "million" else (
            "finished 3000 jobs", "while pruning: ", "jobs were pruned in", "after: 0 jobs pruned meanwhile, 0 left"):
        assert word in done.stdout, done.stdout + done.stderr


def test_what_is_missing_is_built_and_nothing_else_is(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(small NONE)\n"
        + "".join(f"add_custom_command(OUTPUT {f} COMMAND ${{CMAKE_COMMAND}} -E touch {f})\n" for f in ("one", "two", "three"))
        + "add_custom_target(all-of-it DEPENDS one two three)\n")
    there = tmp_path / "there"
    subprocess.run(["cmake", "-G", "Ninja", "-S", tmp_path, "-B", there], check=True, capture_output=True)
    (there / "two").write_text("older")
    need = [ROOT / "bench" / "need", there]
    subprocess.run([*need, "one", "two"], check=True, capture_output=True)
    assert (there / "one").exists() and (there / "two").read_text() == "older" and not (there / "three").exists()
    done = subprocess.run([*need, "one", "nothing.so"], capture_output=True, text=True)
    assert done.returncode == 1 and f"-B {there} -DBP_TESTS=ON" in done.stderr, done.stderr


def test_what_make_bench_runs_is_built_without_the_tests(tmp_path):
    """`make bench` configures without them. Two programs were made beside the tests only, so it ended where video began."""
    run = (ROOT / "bench/run").read_text()
    scripts = [run, *((ROOT / "bench" / name).read_text() for name in set(re.findall(r"^(?:sh )?bench/(\S+) ", run, re.M)) - {"need"})]
    wanted = {file for text in scripts for line in re.findall(r'/need"? (?:[^\n]|(?<=\\)\n)*', text)
              for file in re.findall(r"\b(?:bin|bench|plugins|tests)/[\w./-]+", line)}
    assert {"bin/bpd", "bench/image_to_video", "plugins/mariadb.so"} <= wanted
    subprocess.run(["cmake", "-G", "Ninja", "-S", ROOT, "-B", tmp_path, "-DBP_TESTS=OFF"], check=True, capture_output=True)
    done = subprocess.run(["ninja", "-C", tmp_path, "-t", "query", *sorted(wanted)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_gpu_script_begins_in_a_clone_that_has_no_build_folder(tmp_path):
    """Its log lies beside the folder it builds in: the first thing it did on a bare machine was to fail to write that."""
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "cmake").write_text("#!/bin/sh\necho configuring has begun\nexit 1\n")
    (bin / "cmake").chmod(0o755)
    done = subprocess.run(["sh", ROOT / "bench" / "gpu.sh", "--dry", tmp_path / "not" / "there"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"})
    assert done.returncode == 1 and "configuring has begun" in done.stderr, done.stderr
