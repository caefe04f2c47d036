# SPDX-License-Identifier: Apache-2.0
"""Calls of the AWS plugin's facets without a daemon, and what they are pointed at."""
import json
import os
import subprocess

OK, INVALID, NOTFOUND, CONFLICT, LATER, TIMEOUT, DENIED, IO, TOOLARGE = 0, -2, -3, -4, -5, -6, -9, -14, -15

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test", "AWS_REGION": "eu-central-1"}


def environment(url, **more):
    """What a process sees of AWS: this endpoint, dummy keys, nothing of the machine's own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BPD_"))}
    env.update(KEYS, AWS_ENDPOINT_URL=url, AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null",
               AWS_SHARED_CREDENTIALS_FILE="/dev/null", no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


class Caller:
    """caller("put", key=..., path=...) -> {"rc": 0, "text": ""}."""

    def __init__(self, build, dir, env, settings=None, program="aws_objects_call"):
        self.log = dir / "calls.log"
        (dir / "plugin-state").mkdir(exist_ok=True, mode=0o700)
        given = {"region": "eu-central-1", "bucket": "media", "retryBaseMilliseconds": 1, **(settings or {})}
        self.process = subprocess.Popen(
            [build / "tests" / program, build / "plugins" / "aws.so", json.dumps(given), dir / "plugin-state"],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True)

    def __call__(self, call, /, **args):
        self.process.stdin.write(json.dumps({"call": call, **args}, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the caller ended: {self.log.read_text()}"
        return json.loads(line)

    def ok(self, call, /, **args):
        a = self(call, **args)
        assert a["rc"] == OK, a
        return a

    def logged(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0, self.logged()
