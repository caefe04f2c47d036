# SPDX-License-Identifier: Apache-2.0
"""Calls of the AWS plugin's client by tests/aws/aws_call, against the fake AWS."""
import json
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
