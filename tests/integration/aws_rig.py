# SPDX-License-Identifier: Apache-2.0
"""Calls of the AWS plugin's client by tests/aws/aws_call, against the fake AWS."""
import base64
import json
import re
import subprocess

from fakeaws.identity import Identity
from objects_rig import Caller, environment

USER = {"AWS_ACCESS_KEY_ID": Identity.USER[0], "AWS_SECRET_ACCESS_KEY": Identity.USER[1]}
# The instance's role instead of keys.
ROLE = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": None}


def surroundings(aws, role=False, **more):
    """The environment of a process under test: with the fake's user, or with its instance's role."""
    env = {**USER, **(ROLE if role else {}), "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.imds.url, **more}
    return environment(aws.url, **env)


class Client(Caller):
    """client("op", op="sts:GetCallerIdentity") -> {"rc": 0, ...}; client.op(name, {"Field": "x"}) the same."""

    def __init__(self, build, dir, env, settings=None):
        self.log = dir / "calls.log"
        (dir / "plugin-state").mkdir(exist_ok=True, mode=0o700)
        given = {"region": "eu-central-1", "retryBaseMilliseconds": 1, "readTimeoutMilliseconds": 1000, **(settings or {})}
        self.process = subprocess.Popen([build / "tests" / "aws_call", json.dumps(given), dir / "plugin-state"], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True)

    def op(self, name, form=None, json=None):
        return self("op", op=name, **({"json": json} if json is not None else {"form": form or {}}))


class Machine:
    """What an instance does with its user data: writes the worker's settings and starts it, here as a process of this machine."""

    def __init__(self, build, dir, user_data, workflow, env, **overrides):
        """user_data: base64, as in a launch template; workflow: the plugin file; overrides: settings that a test must have."""
        self.settings = re.search(r"<<'(\w+)'\n(.*?)\n\1\n", base64.b64decode(user_data).decode(), re.S)[2]
        (dir / "plugins").mkdir(parents=True, mode=0o755)
        for file in (build / "plugins" / "aws.so", workflow):
            (dir / "plugins" / file.name).write_bytes(file.read_bytes())
            (dir / "plugins" / file.name).chmod(0o644)
        self.log = dir / "log"
        (dir / "worker.json").write_text(self.settings)
        args = [str(build / "bin" / "bpd"), "--role", "worker", "--config", str(dir / "worker.json"), "--plugins-dir", str(dir / "plugins")]
        for key, value in {"state.dir": dir / "state", "worker.device": "cpu", "worker.noticeSeconds": 0.3, **overrides}.items():
            args += ["--set", f"{key}={value}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log, env=env)
