# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts somewhere works from there."""
import os
import subprocess

from conftest import wait_until


def test_an_installation_runs_with_its_own_plugins_and_runner(build, short_dir):
    prefix, state = short_dir / "prefix", short_dir / "state"
    subprocess.run(["cmake", "--install", str(build), "--prefix", str(prefix)], check=True, capture_output=True)
    for path in ("sbin/bpd", "bin/bpctl", "libexec/bpd/bp-runner", "libexec/bpd/bp-compare.so", "include/bp/plugin.h",
                 "lib/systemd/system/bpd.service", "share/bpd/aws/controller.json", "share/bpd/aws/worker.json"):
        assert (prefix / path).exists(), path
    env = {"PATH": os.environ["PATH"], "HOME": str(short_dir), "BPD_STATE_DIR": str(state), "BPD_HTTP_LISTEN": "127.0.0.1:0"}
    bpd = subprocess.Popen([str(prefix / "sbin/bpd")], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ask = lambda *words: subprocess.run([str(prefix / "bin/bpctl"), *words], env=env, capture_output=True, text=True)
        wait_until("it is ready", lambda: "ready: true" in ask("status").stdout)
        assert "image-to-video" in ask("workflows").stdout
        assert ask("migrate", "central", "--status").returncode == 0  # bpctl finds bpd
        assert ask("shutdown").returncode == 0
        assert bpd.wait(20) == 0
    finally:
        bpd.kill()
        bpd.wait()
