# SPDX-License-Identifier: Apache-2.0
"""The proof that the checker can say no: it accepts what a queue without fault leaves, and finds each lie told about it."""
import copy
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check  # noqa: E402
from controller import TTL_S  # noqa: E402
from ideal import EPOCH_MS, Ideal  # noqa: E402


def found(x, faults=()):
    return "\n".join(check.run(check.Checker(x.by_client, x.store(), faults, x.objects)))


def records(x, op, status=200):
    return [r for rs in x.by_client.values() for r in rs if r["op"] == op and r["status"] == status]


def completed(x):
    """Jobs whose completion was answered, each with the record of that answer."""
    return [(x.jobs[r["id"]], r) for r in records(x, "complete")]


def given(x, token):
    """The poll that gave this lease."""
    return next(r for r in records(x, "poll") if r["answer"]["jobs"][0]["lease_token"] == token)


# ---- lies about what is stored ----


def a_job_is_lost(x):
    j = completed(x)[0][0]
    del x.jobs[j["id"]], x.events[j["id"]]


def its_params_are_lost(x):
    completed(x)[0][0]["params"] = None


def another_lease_won(x):
    completed(x)[0][0]["lease_token"] = "another"


def another_answer_was_stored(x):
    completed(x)[0][0]["provider"] = "another"


def a_completion_is_undone(x):
    completed(x)[0][0]["status"] = "failed"


def a_job_stays_leased(x):
    completed(x)[0][0]["status"] = "leased"


def a_job_stays_queued(x):
    completed(x)[0][0]["status"] = "queued"


def a_finished_lease_runs_on(x):
    completed(x)[0][0]["lease_expires_ms"] = 1


def a_key_makes_two_jobs(x):
    j = next(j for j in x.jobs.values() if j["key"])
    x.jobs[9999] = {**j, "id": 9999}
    x.events[9999] = x.events[j["id"]]


def a_key_leads_elsewhere(x):
    x.keys[next(iter(x.keys))] = 9999


def a_job_nobody_submitted(x):
    x.jobs[9999] = {**x.jobs[1], "id": 9999, "key": "nobody's"}
    x.events[9999] = x.events[1]


def counters_are_off(x):
    store = x.store
    x.store = lambda: {**store(), "counts": {"bench-noop": {"completed": 10000}}}


def a_page_is_damaged(x):
    store = x.store
    x.store = lambda: {**store(), "damage": ["page 7"]}


def an_output_of_a_loser(x):
    next(o for o in x.objects)["body"] = "another lease"


def what_it_waits_for_is_forgotten(x):
    x.after.pop()


def it_did_not_wait(x):
    """The job waits for one that ended after it."""
    id = next(id for id, lines in x.events.items() if any(e["what"] == "leased" for e in lines))
    x.after.append((id, max(x.jobs)))


def two_of_a_unique_key(x):
    """The second one was there when the first one was."""
    first, second = [lines for id, lines in x.events.items() if x.jobs[id]["unique_key"]][:2]
    second[0]["seq"] = first[0]["seq"] + 0.5


def a_duplicate_of_another_key(x):
    j = next(j for j in x.jobs.values() if not j["unique_key"])
    x.by_client["p0"].append({**records(x, "submit", 201)[0], "nonce": "d", "key": None, "unique": "only", "status": 200, "t0": x.t, "t1": x.t,
                              "answer": {"id": j["id"], "duplicate": True}})


# ---- lies in the timeline and the audit ----


def timeline_of(x, what):
    """The timeline of a job where this happened, and the place of it."""
    return next((lines, n) for lines in x.events.values() for n, e in enumerate(lines) if e["what"] == what)


def a_line_is_missing(x):
    lines, n = timeline_of(x, "completed")
    del lines[n]


def a_lease_is_not_told(x):
    lines, n = timeline_of(x, "leased")
    del lines[n]


def an_expiry_is_not_told(x):
    lines, n = timeline_of(x, "expired")
    del lines[n]


def a_requeue_is_not_told(x):
    lines, n = timeline_of(x, "requeued")
    lines[n] = {**lines[n], "what": "expired", "who": "sweeper"}


def two_completions(x):
    lines, n = timeline_of(x, "completed")
    lines[n:n] = [lines[n], {**lines[n], "what": "leased"}]


def lines_out_of_order(x):
    lines, n = timeline_of(x, "leased")
    lines[n - 1], lines[n] = lines[n], lines[n - 1]


def a_line_goes_back_in_time(x):
    lines, n = timeline_of(x, "completed")
    lines[n]["at_ms"] = 1


def completed_by_who_held_no_lease(x):
    lines, n = timeline_of(x, "completed")
    lines[n]["who"] = "worker:field-w99"


def an_attempt_is_not_counted(x):
    completed(x)[0][0]["attempts"] -= 1


def a_registration_is_not_in_the_audit(x):
    x.audit.pop()


def a_registration_nobody_asked_for(x):
    x.audit.append(dict(x.audit[0]))


# ---- lies in the histories ----


def an_error(x):
    records(x, "submit", 201)[0]["status"] = 500


def a_token_stops_working(x):
    records(x, "poll")[-1].update(status=401, answer=None)


def a_living_lease_is_refused(x):
    token = next(r["token"] for _, r in completed(x) if r["t1"] - given(x, r["token"])["t0"] < TTL_S)
    for r in records(x, "complete"):
        if r["token"] == token:
            r["status"] = 404


def a_completion_is_refused_the_second_time(x):
    again = next(r for _, r in completed(x) if any(o["token"] == r["token"] and o["t0"] < r["t0"] for _, o in completed(x)))
    again["status"] = 404


def a_refused_submit_makes_a_job(x):
    j = next(j for j in x.jobs.values() if not j["key"])
    r = next(r for r in records(x, "submit", 201) if r["answer"]["id"] == j["id"])
    r.update(status=503, message="The disk is full", answer=None)


def a_submit_is_two_jobs(x):
    again = dict(next(r for r in records(x, "submit", 201) if r["key"]))
    again.update(status=200, answer={"id": again["answer"]["id"] + 1})
    x.by_client["p0"].append(again)


def a_submit_is_new_twice(x):
    x.by_client["p0"].append(dict(next(r for r in records(x, "submit", 201) if r["key"])))


def a_lease_ends_twice(x):
    r = next(r for r in records(x, "heartbeat") if any(o["token"] == r["token"] for _, o in completed(x)))
    r["op"] = "fail"


def a_failure_is_not_told(x):
    r = next(r for r in records(x, "complete", 404))
    r.update(op="fail", status=200, answer={"status": "scheduled"})


def a_final_failure_is_undone(x):
    r = next(r for r in records(x, "fail") if r["answer"]["status"] == "scheduled")
    r["answer"]["status"] = "failed"
    x.jobs[r["id"]].update(status="completed")


def leased_to(x, id, t0, t1, token="second"):
    """One more worker was given this job."""
    lease = {"dispatch_id": id, "lease_token": token, "attempt": 1, "workflow": "bench-noop"}
    x.by_client["w99"] = [{"client": "w99", "op": "poll", "t0": t0, "t1": t1, "status": 200, "worker": "field-w99",
                           "answer": {"jobs": [lease]}}]


def two_hold_it_at_once(x):
    _, r = next((j, r) for j, r in completed(x) if r["t0"] - given(x, r["token"])["t1"] > 0.5)
    middle = (given(x, r["token"])["t1"] + r["t0"]) / 2
    leased_to(x, r["id"], middle, middle + 0.001)


def leased_after_its_completion(x):
    _, r = completed(x)[0]
    leased_to(x, r["id"], r["t1"] + 1, r["t1"] + 1.1)


def a_token_is_given_twice(x):
    _, r = completed(x)[0]
    leased_to(x, r["id"], r["t1"], r["t1"], r["token"])


def it_is_shown_unfinished(x):
    j, r = completed(x)[0]
    x.by_client["p0"].append({**r, "op": "get", "t0": r["t1"] + 1, "t1": r["t1"] + 1.1, "answer": {"id": j["id"], "status": "leased"}})


LIES = {
    a_job_is_lost: "the job is gone", its_params_are_lost: "lost the params it was submitted with",
    another_lease_won: "but the output is that of", another_answer_was_stored: "what was stored came with",
    a_completion_is_undone: "but the job is not completed", a_job_stays_leased: "it is still leased", a_job_stays_queued: "it is still queued",
    a_finished_lease_runs_on: "has a lease that expires", a_key_makes_two_jobs: "made 2 jobs", a_key_leads_elsewhere: "leads to 9999",
    a_job_nobody_submitted: "nobody submitted it", counters_are_off: "is said to have 10000", a_page_is_damaged: "damaged: page 7",
    an_output_of_a_loser: "its output reads", what_it_waits_for_is_forgotten: ", the job for []", it_did_not_wait: "for which it waits",
    two_of_a_unique_key: "which was pending", a_duplicate_of_another_key: "which has another unique key", a_line_is_missing: "its timeline ends leased",
    a_lease_is_not_told: "leases were given, the timeline knows", an_expiry_is_not_told: "'leased' happened while it was leased",
    a_requeue_is_not_told: "requeue of", two_completions: "'leased' happened while it was completed",
    lines_out_of_order: "happened while it was None", a_line_goes_back_in_time: "its time goes back at 'completed'",
    completed_by_who_held_no_lease: "'completed' by worker:field-w99; the lease was of", an_attempt_is_not_counted: "its timeline counts",
    a_registration_is_not_in_the_audit: "the audit has 0 times 'registered'", a_registration_nobody_asked_for: "the audit has 2 times",
    an_error: "was answered 500 to submit", a_token_stops_working: "its token stopped working by itself",
    a_living_lease_is_refused: "was refused to", a_completion_is_refused_the_second_time: "and its repetition refused",
    a_refused_submit_makes_a_job: "was refused with 503, but there are 1 jobs", a_submit_is_two_jobs: "was accepted as several jobs",
    a_submit_is_new_twice: "was new more than once", a_lease_ends_twice: "ended by complete and by fail",
    a_failure_is_not_told: "were accepted, the timeline has fewer", a_final_failure_is_undone: "it was answered as failed",
    two_hold_it_at_once: "were alive at once", leased_after_its_completion: "after its completion had been accepted",
    a_token_is_given_twice: "was given twice", it_is_shown_unfinished: "then it was shown as leased",
}
SEEDS = range(6)


def test_a_queue_without_fault_is_believed():
    for seed in range(50):
        assert found(Ideal(seed)) == "", f"seed {seed}"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_the_checker_finds_each_lie(lie):
    for seed in SEEDS:
        x = copy.deepcopy(Ideal(seed))
        lie(x)
        assert LIES[lie] in found(x), f"seed {seed}"


def test_a_lease_that_ran_out_before_it_was_answered_is_no_lie():
    """The store was away after the commit: the answer came when the job had been leased to another."""
    for long, words in ((TTL_S * 1.1, ""), (TTL_S * 0.5, "were alive at once")):
        x = Ideal(1)
        _, r = next((j, r) for j, r in completed(x) if r["t0"] - given(x, r["token"])["t1"] > 0.5)
        middle = (given(x, r["token"])["t1"] + r["t0"]) / 2
        leased_to(x, r["id"], middle - long, middle)
        said = found(x)
        assert ("were alive at once" in said) == bool(words), said


def begun(x, id, t, nonce, **more):
    """A worker that waited was given a job, finished it and was told that there is no such lease."""
    leased_to(x, id, t - 0.002, t - 0.001)
    x.by_client["w99"][0]["answer"]["jobs"][0].update(nonce=nonce, **more)
    x.by_client["w99"].append({"client": "w99", "op": "complete", "t0": t + 0.1, "t1": t + 0.101, "status": 404, "answer": None,
                               "worker": "field-w99", "id": id, "token": "second"})


def test_a_lease_of_a_job_that_was_never_accepted_is_no_lie():
    for seed in SEEDS:
        x = Ideal(seed)
        begun(x, 7777, x.t, "lost")
        assert found(x) == "", f"seed {seed}"
        x.by_client["w99"][1]["status"] = 200
        assert "but the job is not completed" in found(x), "nothing about it may be accepted"


def test_nor_is_that_of_one_whose_number_was_given_anew():
    """To a request sent later: by whoever repeats what was lost, or by somebody else."""
    for nonce in ("same", "other"):
        x = Ideal(2)
        submit = next(r for r in records(x, "submit", 201) if not r["key"])
        id = submit["answer"]["id"]
        nonce = submit["nonce"] if nonce == "same" else "lost"
        begun(x, id, submit["t0"], nonce)
        assert found(x) == ""
        begun(x, id, submit["t0"], nonce, attempt=2)
        assert "leases were given, the timeline knows" in found(x)
    begun(x, id, submit["t1"] + 0.01, submit["nonce"])
    assert "leases were given, the timeline knows" in found(x), "the job it is of was accepted before"
    begun(x, id, submit["t1"] + 0.01, "lost")
    assert found(x) == "", "this one is of another job"


def test_a_lease_that_a_wrong_clock_may_have_ended_is_no_lie():
    x = Ideal(1)
    a_living_lease_is_refused(x)
    assert "was refused to" in found(x)
    jump = {"kind": "clock", "t0": 0, "t1": x.t, "ms": 5000}
    assert "was refused to" not in found(x, [jump])
    # A sweep that was asked for while the clock was ahead, and done when it was right again.
    clocks = [{"kind": "epoch", "ms": EPOCH_MS}, {**jump, "t1": 1}]
    assert "was refused to" in found(x, clocks)
    id = next(r["id"] for r in records(x, "complete", 404) if x.jobs[r["id"]]["status"] == "completed" and x.jobs[r["id"]]["lease_token"] == r["token"])
    x.events[id][-1].update(what="expired", at_ms=x.events[id][-1]["at_ms"] + 4000)
    assert f"job {id}: the lease {x.jobs[id]['lease_token']} was refused to" not in found(x, clocks)
