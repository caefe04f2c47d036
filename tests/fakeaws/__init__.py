# SPDX-License-Identifier: Apache-2.0
"""An AWS on loopback for tests: a few services with their state, a signature check of its own, and a script of what goes wrong.

    aws = FakeAws()
    aws.script.add("autoscaling", "SetDesiredCapacity", fails("Throttling", 400), times=2)
    ... a client, pointed at aws.url and aws.imds.url, calls ...
    aws.requests("autoscaling")   # what came, with the verdict on each signature

Shares no code with the client, and none with an SDK: what both would get wrong in the same way would never be seen.
"""
from .aws import FakeAws
from .capacity import CAPACITY_TEXTS
from .errors import AwsError
from .script import (cuts, dies_idle, fails, hangs, loses, oversized, page, proceeds, says, slow, then_says, truncated)

__all__ = ["FakeAws", "AwsError", "CAPACITY_TEXTS", "cuts", "dies_idle", "fails", "hangs", "loses", "oversized", "page", "proceeds",
           "says", "slow", "then_says", "truncated"]
