# SPDX-License-Identifier: Apache-2.0
"""The fake AWS, and programs that call the AWS plugin against it, as fixtures."""
import functools
import os

import pytest

from aws_rig import Client, surroundings
from fakeaws import FakeAws
from objects_rig import Caller

MIB = 1 << 20


@pytest.fixture
def aws():
    with FakeAws() as a:
        a.ssm.op_PutParameter({"Name": "/a", "Value": "v"})
        yield a


@pytest.fixture
def start(aws, build, tmp_path):
    """start(program, role, settings, **env) signs with long-lived keys, with role=True with the instance's role; its wall clock follows
    the fake's."""
    made = []

    def make(program, role=False, settings=None, **env):
        clock, dir = tmp_path / f"clock{len(made)}", tmp_path / f"c{len(made)}"
        aws.clock.share(clock)
        dir.mkdir()
        made.append(program(build, dir, surroundings(aws, role, BP_FAKE_CLOCK=str(clock), **env), settings))
        return made[-1]

    yield make
    for c in made:
        c.close()
        secrets = [k.secret for k in aws.identity.issued] + [k.token for k in aws.identity.issued] + list(aws.imds.tokens)
        assert not any(s in c.logged() for s in secrets), "a secret in the log"


@pytest.fixture
def client(start):
    """The plugin's client."""
    return functools.partial(start, Client)


@pytest.fixture
def objects(start):
    """Its objects facet."""
    return functools.partial(start, Caller)


def file_of(path, n):
    path.write_bytes(os.urandom(n))
    return path
