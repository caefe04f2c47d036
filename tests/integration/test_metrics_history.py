# SPDX-License-Identifier: Apache-2.0
"""Past samples of a metric, for operators and their page, from whoever keeps them: the local cloud, or CloudWatch (moto)."""
import time

import pytest

from conftest import wait_until
from watch_rig import Moto, aws_daemon


def ask(d, workflow="bench-noop", metric="QueueDepth", **more):
    query = "&".join(f"{k}={v}" for k, v in {"workflow": workflow, "metric": metric, **more}.items())
    return d.http.get(f"/api/admin/metrics?{query}")


def test_operators_and_their_page_read_what_was_published(daemon, noop):
    d = daemon(settings={"metrics.periodSeconds": "0.2", "scale.dryRun": "true"}, extra_plugins=[noop])
    d.http.submit("bench-noop")
    d.http.submit("bench-noop")
    wait_until("two samples of two jobs", lambda: [s["value"] for s in ask(d).data["samples"]].count(2) >= 2)
    shown = d.ctl("metrics", "history", "bench-noop", "QueueDepth", "--minutes", "5")
    assert shown[-1]["value"] == 2 and [s["at_ms"] for s in shown] == sorted(s["at_ms"] for s in shown)
    assert abs(shown[-1]["at_ms"] - time.time() * 1000) < 60000
    assert all(s["value"] == 0 for s in ask(d, metric="ErrorRate").data["samples"])


def test_what_is_not_known_is_said(daemon, noop):
    d = daemon(extra_plugins=[noop])
    assert ask(d, workflow="none").status == 404 and "no workflow none" in ask(d, workflow="none").body.decode()
    assert ask(d, metric="Nonsense").status == 404
    assert ask(d, minutes="x").status == 422
    assert "no metric that is published" in d.ctl("metrics", "history", "bench-noop", "Nonsense", json_form=False).stderr
    assert "--minutes" in d.ctl("metrics", "history", "bench-noop", "QueueDepth", "--minutes", "0", json_form=False).stderr


@pytest.fixture
def moto():
    m = Moto()
    yield m
    m.stop()


def test_from_cloudwatch(daemon, moto, noop, monkeypatch):
    d = aws_daemon(daemon, moto, monkeypatch, "metrics", plugin={"alarms": False, "dashboard": False},
                   **{"metrics.periodSeconds": "0.5", "extra_plugins": [noop]})
    shown = wait_until("samples", lambda: d.ctl("metrics", "history", "bench-noop", "QueueDepth"))
    assert shown[0]["value"] == 0
    moto.stop()
    try:
        assert "monitoring:GetMetricData" in d.ctl("metrics", "history", "bench-noop", "QueueDepth", json_form=False).stderr
    finally:
        moto.start()
