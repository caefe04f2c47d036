# SPDX-License-Identifier: Apache-2.0
"""What a job's timeline may say: its lines in order, from state to state, each by who may, and the row agrees in the end."""

FINAL = ("completed", "failed", "cancelled")
# Interruptions that no worker caused: the attempt is given back, and they are not counted.
UNCOUNTED = ("the worker went away before its lease reached it", "the object store could not sign its URLs")

WAITING = ("waiting", "queued")
# what: (from which states, to which). A requeue beyond the limit, and an expiry of the last attempt, put the job back and
# end it in the same transaction.
STEPS = {
    "submitted": ((None,), "waiting"), "due": (("waiting", "scheduled"), "queued"), "leased": (WAITING, "leased"),
    "progress": (("leased",), "leased"), "checkpoint": (("leased",), "leased"),
    "cancel requested": (("leased",), "leased"), "requeued": (("leased",), "queued"), "expired": (("leased",), "queued"),
    "retry": (("leased",), "scheduled"), "completed": (("leased",), "completed"),
    "failed": (("leased", "queued"), "failed"), "cancelled": (("leased", "waiting", "queued", "scheduled"), "cancelled"),
    "by hand": (("failed", "cancelled"), "waiting"),
}
BY_HOLDER = ("progress", "checkpoint", "completed")


class Walk:
    """One pass over a timeline."""

    def __init__(self, back_ms):
        self.back_ms = back_ms
        self.state, self.holder, self.at, self.attempts, self.requeues, self.completions = None, None, 0, 0, 0, 0

    def step(self, event):
        """None, or why this line can not be here."""
        what, who = event["what"], event["who"]
        by_hand = what == "retry" and (event["detail"] or "").startswith("by hand")
        if event["at_ms"] < self.at - self.back_ms:
            return f"its time goes back at '{what}'"
        self.at = max(self.at, event["at_ms"])
        allowed, after = STEPS["by hand" if by_hand else what]
        if self.state not in allowed:
            return f"'{what}' happened while it was {self.state}"
        if what in BY_HOLDER and who != self.holder:
            return f"'{what}' by {who}; the lease was of {self.holder}"
        self.state = after
        if what == "leased":
            self.holder = who
        self.count(what, by_hand, event["detail"])
        return None

    def count(self, what, by_hand, detail):
        self.attempts += (what == "leased") - (what == "requeued")
        self.requeues += what == "requeued" and detail not in UNCOUNTED
        self.completions += what == "completed"
        if by_hand:
            self.attempts = self.requeues = 0


def why_impossible(job, events, back_ms):
    """None when the timeline is possible and agrees with the row; else why not. back_ms: how much its times may go back."""
    w = Walk(back_ms)
    for e in events:
        text = w.step(e)
        if text:
            return text
    if w.state == "waiting" and job["status"] in ("queued", "scheduled"):
        w.state = job["status"]
    if w.state != job["status"]:
        return f"its timeline ends {w.state}"
    if w.completions != (job["status"] == "completed"):
        return f"its timeline has {w.completions} completions"
    if w.attempts != job["attempts"] or w.requeues != job["requeues"]:
        return f"its timeline counts {w.attempts} attempts and {w.requeues} interruptions"
    return None
