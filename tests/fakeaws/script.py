# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, and when: rules in the order they were added, the first that matches a request acts.

An action is a function (request, proceed, stop) -> Answer, or None for a connection that is reset. proceed() lets the service do
what it was asked and returns its answer; stop is an event that is set when the fake ends.
"""
import threading

from .errors import AwsError
from .wire import Answer


class Rule:
    """service, operation: None is any. nth: acts only on these of the matching requests, 1 the first. times: so often at most."""

    def __init__(self, service, operation, action, nth=None, times=1, when=None):
        self.service, self.operation, self.action, self.when = service, operation, action, when
        self.nth = None if nth is None else {nth} if isinstance(nth, int) else set(nth)
        self.times = times
        self.matched = self.acted = 0

    def wants(self, r):
        return self.service in (None, r.service) and self.operation in (None, r.operation) and not (self.when and not self.when(r))

    def is_due(self):
        return self.matched in self.nth if self.nth is not None else self.times is None or self.acted < self.times


class Script:
    def __init__(self):
        self.rules, self.lock = [], threading.Lock()

    def add(self, service, operation, action, **kw):
        rule = Rule(service, operation, action, **kw)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules = []

    def action_for(self, request):
        with self.lock:
            wanting = [r for r in self.rules if r.wants(request)]
            for r in wanting:
                r.matched += 1
            due = next((r for r in wanting if r.is_due()), None)
            if due:
                due.acted += 1
            return due.action if due else None


def fails(code, status=400, message="as told", headers=None, more=None):
    """The service's own error shape."""
    def act(request, proceed, stop):
        raise AwsError(code, message, status, more, headers)
    return act


def says(status, body=b"", headers=None, **kw):
    """Exactly this."""
    return lambda request, proceed, stop: Answer(status, body.encode() if isinstance(body, str) else body, headers, **kw)


def page(status=502, title="Bad Gateway"):
    """What a proxy or a load balancer shows to people."""
    return says(status, f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1><hr><br>\n</body></html>",
                {"Content-Type": "text/html"})


def hangs(seconds=60):
    """Nothing comes for so long, then the end of the connection."""
    def act(request, proceed, stop):
        stop.wait(seconds)
        return None
    return act


def cuts(request, proceed, stop):
    """Reset before anything was done."""
    return None


def loses(request, proceed, stop):
    """Done, but the answer never arrives."""
    proceed()
    return None


def proceeds(request, proceed, stop):
    return proceed()


def truncated(after=20):
    """The head says all, and the body ends early."""
    def act(request, proceed, stop):
        a = proceed()
        a.length, a.body, a.after = len(a.body), a.body[:after], "drop"
        return a
    return act


def slow(step=1, rest=0.2):
    """The body in drops."""
    def act(request, proceed, stop):
        a = proceed()
        a.pace = (step, rest)
        return a
    return act


def oversized(n=64 << 20):
    """A body that no answer of AWS can be."""
    return says(200, b"<" + b"a" * n, {"Content-Type": "text/xml"})


def dies_idle(how="drop"):
    """A good answer on a connection that is then dead, unsaid: drop (closed) or reset."""
    def act(request, proceed, stop):
        a = proceed()
        a.after = how
        return a
    return act


def then_says(change):
    """The service's own answer, changed by change(request, answer)."""
    def act(request, proceed, stop):
        a = proceed()
        return change(request, a) or a
    return act
