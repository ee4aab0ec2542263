"""Laws that hold for every history with a clean baseline and an act that happened, whatever else is in it.

Each was seen red once with the judging code broken on purpose; docs/mutation.md names the breaks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from builders import LANES
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from judge.properties.strategies import (
    AFTER,
    CONTROLS,
    HARD,
    HEALED,
    HEALS,
    NO_OUTCOME,
    START_S,
    STEP_S,
    WINDOW_END_S,
    histories,
    logs,
    one_more_row,
    pod,
    renumbered,
    with_outcome,
)  # fmt: skip

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.requests import RequestLog
from rollproof.core.target import Traffic
from rollproof.core.verdict import Result, Verdict, worst
from rollproof.judge.checkers import CHECKERS, judge
from rollproof.judge.judging import judge_drill

RANK = {Result.PASS: 0, Result.INCONCLUSIVE: 1, Result.FAIL: 2}


def judged(facts: Facts, *, run: bool = True) -> dict[tuple[str, str], Verdict]:
    """Every checker's verdicts; `run`: with the run's result, the worst of them, under an empty name."""
    found = {(verdict.checker, verdict.subject): verdict for verdict in judge(facts, CHECKERS)}
    result = worst(verdict.result for verdict in found.values())
    return {**found, ("", ""): Verdict("", "", result, "the run")} if run else found


def said(facts: Facts, numbers: Mapping[int, int] | None = None) -> dict[tuple[str, str], Any]:
    """All that the verdicts say; evidence by the first numbers of its events (`numbers`: new to old)."""
    return {
        who: (v.result, v.why, dict(v.numbers), sorted(numbers[n] if numbers else n for n in v.evidence), v.findings)
        for who, v in judged(facts).items()
    }


def same(after: Mapping[Any, Any], before: Mapping[Any, Any]) -> None:
    for who, words in before.items():
        for new, old in zip(after[who], words, strict=True):
            assert new == old, who


# ---- one more failed request in the window never improves a verdict ----


def in_window(log: RequestLog) -> np.ndarray[Any, Any]:
    """Requests of the app that were sent in the window and answered well, by a version that nobody objects to."""
    rows = log.rows
    app = rows["lane"] != LANES.index("control")
    inside = (rows["send_ns"] >= START_S * 1e9) & (rows["send_ns"] <= WINDOW_END_S * 1e9)
    ours = rows["version"] == np.where(rows["send_ns"] < 115e9, 1, 2)
    return np.flatnonzero(app & inside & ours & (rows["outcome"] == 0))


@examples(80)
@given(
    facts=histories(), pick=st.floats(0.0, 1.0), outcome=st.sampled_from(HARD), added=st.booleans(),
    took_ms=st.sampled_from([1.0, 900.0, 5000.0]),
)  # fmt: skip
def test_one_more_failed_request_never_improves_a_verdict(
    facts: Facts, pick: float, outcome: str, added: bool, took_ms: float
) -> None:
    """A good answer becomes a failure; or a failed attempt is added, where somebody looked already: an attempt in a
    blind gap would be one more look as well."""
    log = facts.requests
    assert log is not None
    candidates = in_window(log)
    assume(len(candidates))
    row = int(candidates[int(pick * (len(candidates) - 1))])
    worse = one_more_row(log, row, outcome, took_ms) if added else with_outcome(log, row, outcome, took_ms)
    before, after = judged(facts), judged(replace(facts, requests=worse))
    for who, verdict in before.items():
        if verdict.result is not Result.SKIPPED:
            assert RANK[after[who].result] >= RANK[verdict.result], (who, verdict.why, after[who].why)


# ---- a rule that allows more never makes a PASS worse ----


WIDER: tuple[Callable[[Traffic, float], Traffic], ...] = (
    lambda t, by: replace(t, background_failures_per_million=by * t.background_failures_per_million or 900.0),
    lambda t, by: replace(t, downtime_budget_ms=by * t.downtime_budget_ms or 50.0),
    lambda t, by: replace(t, p99_ms_max=by * t.p99_ms_max if t.p99_ms_max else None),
    lambda t, by: replace(t, outages_max=round(by) * t.outages_max if t.outages_max else None),
    lambda t, _: replace(t, p99_ms_max=None, outages_max=None),
)


@examples(80)
@given(
    facts=histories(whole=True, load=logs(unknown=False, noisy=True)),
    wider=st.sampled_from((*WIDER, WIDER[0], WIDER[0])),
    by=st.sampled_from([3.0, 100.0]),
)  # fmt: skip
def test_a_rule_that_allows_more_never_makes_a_pass_worse(
    facts: Facts, wider: Callable[[Traffic, float], Traffic], by: float
) -> None:
    """Above all the background: a rate that the baseline contradicts is no more than what the baseline allows."""
    (before,) = judge(facts, ("availability",))
    assume(before.result is Result.PASS)
    traffic = wider(facts.plan.target.traffic, by)
    target = replace(facts.plan.target, traffic=traffic)
    (after,) = judge(replace(facts, plan=replace(facts.plan, target=target)), ("availability",))
    assert after.result is Result.PASS, (traffic, before.why, after.why)


# ---- resolving an unknown never flips a firm verdict ----


def not_flipped(before: Facts, after: Facts) -> None:
    old, new = judged(before), judged(after)
    for who, verdict in old.items():
        if who in new:  # `watches` names the clock or the watch
            assert {verdict.result, new[who].result} != {Result.PASS, Result.FAIL}, (who, verdict.why, new[who].why)


@examples(120)
@given(
    facts=histories(load=logs(inconclusive=True)),
    pick=st.floats(0.0, 1.0),
    all_of_them=st.booleans(),
    good=st.booleans(),
)
def test_an_attempt_whose_outcome_becomes_known_flips_nothing(
    facts: Facts, pick: float, all_of_them: bool, good: bool
) -> None:
    """What was sent and got no answer of the app's may turn out either way; what was never sent, only well: an attempt
    that was not made cannot have been lost."""
    log = facts.requests
    assert log is not None
    names = [name for name in log.outcomes if name in NO_OUTCOME or (good and name.startswith(("connect.", "client.")))]
    names = [name for name in names if name not in HARD]
    unknown = np.flatnonzero(np.isin(log.rows["outcome"], [log.outcomes.index(name) for name in names]))
    assume(len(unknown))
    chosen = unknown if all_of_them else unknown[[int(pick * (len(unknown) - 1))]]
    not_flipped(facts, replace(facts, requests=with_outcome(log, chosen, "" if good else "http.502", 4.0)))


def resolved(facts: Facts, event: Event, ok: bool) -> Facts | None:
    """The history as it would have been had the harness known; None if a later fact has told it already."""
    if event.source == "drift":
        return _trial_seen(facts, event, ok)
    known = _known(facts, event, ok)
    if known is None:
        return None
    return replace(facts, events=tuple(known if one is event else one for one in facts.events))


def _known(facts: Facts, event: Event, ok: bool) -> Event | None:
    outcome = Outcome.OK if ok else Outcome.FAIL
    if event.source == "watch":
        return replace(event, outcome=Outcome.OK, data={**event.data, "lost": False})
    if event.source == "ingress":
        return replace(event, what="log", outcome=Outcome.OK, data={"masked": 0 if ok else 2})
    if event.source == "undo":
        return replace(event, what="done" if ok else "failed", outcome=outcome)
    if event.what == "failed":
        return replace(event, outcome=Outcome.FAIL)
    if event.source != "proof" or facts.last(source="proof", subject=event.subject, what=event.what) is not event:
        return None  # the same was asked again: silence is no answer
    other = facts.plan.new_sha if facts.drill == "release" else facts.plan.old_sha
    right, wrong = (other, "ccccccc") if event.what == "version" else ("ok", "down")
    word = "version" if event.what == "version" else "value"
    return replace(event, outcome=outcome, data={**event.data, word: right if ok else wrong})


def _trial_seen(facts: Facts, event: Event, ok: bool) -> Facts:
    """The harness did not fail in it and nobody interfered: the same drift was healed at once, or never."""
    begun = ("planned", "before", "injected")
    kept = [one for one in facts.events if one.subject != event.subject or one.what in begun]
    calm = replace(event, outcome=Outcome.OK)
    if event.subject.removeprefix("Drift/") in CONTROLS:
        told = [replace(calm, what="stayed" if ok else "restored", end_s=140.0, data={"watched_s": 10.0})]
    elif ok:
        told = [replace(calm, what="restored", end_s=130.5, data=HEALED),
                replace(calm, what="after", end_s=140.0, data={**AFTER, "attempts": 2})]  # fmt: skip
    else:
        told = [replace(calm, what="not-healed", end_s=190.0, data={"stage": "not-detected", "waited_s": 60.0})]
    return renumbered(facts, sorted([*kept, *told], key=lambda one: one.end_s))[0]


@examples(120)
@given(facts=histories(load=logs(unknown=False)), ok=st.booleans())
def test_a_fact_that_becomes_known_flips_nothing(facts: Facts, ok: bool) -> None:
    for event in facts.events:
        if event.outcome is Outcome.UNKNOWN and (known := resolved(facts, event, ok)) is not None:
            not_flipped(facts, known)


FIRM = (Result.PASS, Result.FAIL)


@examples(60)
@given(
    facts=histories(load=logs(unknown=False)), what=st.sampled_from(["error", "interfered"]), at=st.integers(261, 400),
)  # fmt: skip
def test_a_trial_in_which_the_harness_failed_or_somebody_interfered_has_no_firm_verdict(
    facts: Facts, what: str, at: int
) -> None:
    """Whenever it is told, whatever was seen beside it; and it is the verdict of that trial alone."""
    trials = {event.subject: event for event in facts.find(source="drift", what="injected")}
    before = judged(facts, run=False)
    for subject, event in trials.items():
        trouble = replace(event, what=what, outcome=Outcome.UNKNOWN, start_s=130.0, end_s=at / 2, data={"reason": "x"})
        after = judged(renumbered(facts, [*facts.events, trouble])[0], run=False)
        assert after["drift", subject].result not in FIRM, after["drift", subject].why
        others = before.keys() - {("drift", subject)}
        assert {who: after[who].result for who in others} == {who: before[who].result for who in others}


@examples(60)
@given(facts=histories(load=logs(unknown=False), stepped=True), remaining_s=st.sampled_from([0.0, 1.0, STEP_S, 11.0]))
def test_with_a_clock_that_was_set_no_heal_is_timed_and_the_right_clock_flips_nothing(
    facts: Facts, remaining_s: float
) -> None:
    """With the clock that was set, what was left of the back-off was misread."""
    found = judged(facts, run=False)
    for trial in set(HEALS) & set(facts.plan.target.drift.trials):
        assert found["drift", f"Drift/{trial}"].result not in FIRM
    events = []
    for event in facts.events:
        data = dict(event.data)
        if event.what == "read":
            data["wall_s"] = 1e9 + event.end_s
        if event.what == "before":
            data["remaining_s"] = remaining_s
        events.append(replace(event, data=data))
    not_flipped(facts, replace(facts, events=tuple(events)))


def with_frame(facts: Facts, *last: str) -> Facts:
    """The drill as the session tells it: every checker was asked; `last`: how it ended, and that the lock was lost."""
    like = facts.events[0]

    def run(subject: str, what: str, at: float, outcome: Outcome = Outcome.OK, **data: Any) -> Event:
        return replace(like, source="run", subject=subject, what=what, start_s=at, end_s=at, outcome=outcome, data=data)

    frame = [run("drill", "started", 88.0), run("judge", "asked", 200.0, checkers=list(CHECKERS))]
    for what in last:
        subject = "lock" if what == "lost" else "drill"
        outcome = Outcome.OK if what == "finished" else Outcome.UNKNOWN
        frame.append(run(subject, what, 201.0, outcome, reason="x"))
    return renumbered(facts, sorted([*facts.events, *frame], key=lambda event: event.end_s))[0]


@examples(30)
@given(facts=histories(), ends=st.sampled_from([("finished", "lost"), ("error",), ("interrupted",), ()]))
def test_a_run_that_was_not_well_claims_nothing_and_without_its_lock_blames_nobody(
    facts: Facts, ends: tuple[str, ...]
) -> None:
    """What was judged before stands; the lock that turns out to have been ours, or the end that came, flips nothing."""
    well = {(v.checker, v.subject): v for v in judge_drill(with_frame(facts, "finished"))}
    found = {(v.checker, v.subject): v for v in judge_drill(with_frame(facts, *ends))}
    harness = found.pop(("harness", facts.drill))
    assert harness.result is Result.INCONCLUSIVE
    assert found.keys() == well.keys()
    for who, verdict in found.items():
        blamed = "lost" not in ends or verdict.result is not Result.FAIL
        assert blamed, (who, verdict.why)
        if "lost" not in ends or well[who].result is not Result.FAIL:
            assert verdict.result is well[who].result, who


@examples(80)
@given(facts=histories(whole=False))
def test_the_rest_of_the_act_that_arrives_after_all_flips_nothing(facts: Facts) -> None:
    """An act that we lost sight of goes on without us, and ends well. What failed after its window is not the act's;
    without its end nobody can tell, so that no history here has such failures."""
    log = facts.requests
    assert log is not None
    late = np.flatnonzero((log.rows["send_ns"] > WINDOW_END_S * 1e9) & (log.rows["outcome"] > 0))
    facts = replace(facts, requests=with_outcome(log, late, "", 4.0))
    source = facts.drill
    failed = facts.first(source=source, what="failed")
    assume(failed is None or failed.outcome is Outcome.UNKNOWN)
    started = facts.last(source=source, what="started")
    assert started is not None
    told = {event.what for event in facts.find(source=source)}
    events = [event for event in facts.events if event is not failed]
    for what, at in (("synced", 103.0), ("rolled-out", 116.0), ("old-gone", 124.0), ("proven", 126.0)):
        if what not in told:
            events.append(replace(started, what=what, start_s=at, end_s=at, data={}))
    gone = [name for name in ("old-1", "old-2") if facts.first(subject=f"Pod/shop/{name}", what="deleted") is None]
    events.extend(event_of(pod(name, "deleted", 124.0), started) for name in gone)
    after, _ = renumbered(facts, sorted(events, key=lambda event: event.end_s))
    not_flipped(facts, after)


def event_of(fact: Any, like: Event) -> Event:
    return replace(
        like, source=fact.source, subject=fact.subject, what=fact.what, start_s=fact.at, end_s=fact.at,
        outcome=fact.outcome, data=fact.data,
    )  # fmt: skip


# ---- what must change nothing ----


@examples(80)
@given(facts=histories(), data=st.data())
def test_shuffling_the_arrival_of_facts_with_equal_times_changes_nothing(facts: Facts, data: st.DataObject) -> None:
    """Facts about one subject from one source keep their order: they come from one stream or one thread."""
    events: list[Event] = []
    for _, group in itertools.groupby(facts.events, key=lambda event: event.end_s):
        here = list(group)
        streams = {(event.source, event.subject): [] for event in here}  # type: dict[tuple[str, str], list[Event]]
        for event in here:
            streams[event.source, event.subject].append(event)
        order = data.draw(st.permutations([(event.source, event.subject) for event in here]))
        events += [streams[stream].pop(0) for stream in order]
    shuffled, numbers = renumbered(facts, events)
    same(said(shuffled, numbers), said(facts))


@examples(80)
@given(facts=histories(load=logs(unknown=False)), seed=st.integers(0, 2**32 - 1))
def test_shuffling_requests_that_were_sent_at_the_same_time_changes_nothing(facts: Facts, seed: int) -> None:
    log = facts.requests
    assert log is not None
    rows = log.rows.copy()
    rows["send_ns"] -= rows["send_ns"] % 250_000_000  # ten requests share each moment
    order = np.lexsort((np.random.default_rng(seed).random(len(rows)), rows["send_ns"]))
    before = replace(facts, requests=replace(log, rows=rows))
    after = replace(facts, requests=replace(log, rows=rows[order]))
    same(said(after), said(before))


@examples(80)
@given(
    facts=histories(load=logs(unknown=False)), seed=st.integers(0, 2**32 - 1), cut=st.floats(0.0, 1.0),
    by_time=st.booleans(),
)  # fmt: skip
def test_splitting_the_records_and_merging_them_changes_nothing(
    facts: Facts, seed: int, cut: float, by_time: bool
) -> None:
    """Two recorders share the timeline, and two generators the requests, each with string tables of its own order."""
    log = facts.requests
    assert log is not None
    chance = np.random.default_rng(seed)
    share = np.arange(len(log.rows)) < cut * len(log.rows) if by_time else chance.random(len(log.rows)) < cut
    parts = [recoded(replace(log, rows=log.rows[mask]), chance) for mask in (share, ~share)]
    watched = [event for event in facts.events if event.source == "watch"]
    told = [event for event in facts.events if event.source != "watch"]
    events = sorted([*told, *watched], key=lambda event: event.end_s)
    merged, numbers = renumbered(replace(facts, requests=joined(parts)), events)
    same(said(merged, numbers), said(facts))


def recoded(log: RequestLog, chance: np.random.Generator) -> RequestLog:
    """The same with its string tables in another order; "" stays the first."""
    tables: dict[str, Any] = {}
    rows = log.rows.copy()
    for name, column in (("outcomes", "outcome"), ("versions", "version"), ("lanes", "lane")):
        old = getattr(log, name)
        fixed = 0 if name == "lanes" else 1
        order = [*range(fixed), *(fixed + chance.permutation(len(old) - fixed))]
        tables[name] = tuple(old[i] for i in order)
        rows[column] = np.argsort(order)[rows[column]]
    return replace(log, rows=rows, **tables)


def joined(parts: list[RequestLog]) -> RequestLog:
    """One log of several."""
    tables: dict[str, Any] = {}
    pieces = [part.rows.copy() for part in parts]
    for name, column in (("outcomes", "outcome"), ("versions", "version"), ("lanes", "lane")):
        words = list(dict.fromkeys(word for part in parts for word in getattr(part, name)))
        tables[name] = tuple(words)
        for part, rows in zip(parts, pieces, strict=True):
            rows[column] = np.array([words.index(word) for word in getattr(part, name)])[rows[column]]
    rows = np.concatenate(pieces)
    return replace(parts[0], rows=rows[np.argsort(rows["send_ns"], kind="stable")], **tables)


UNRELATED: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("watch", "Node/worker", "modified", {"uid": "uid-old-1", "ready": True}),
    ("watch", "ReplicaSet/shop/other", "deleted", {"uid": "uid-old-2"}),
    ("watch", "Pod/shop/scaled-up", "modified", {"uid": "uid-scaled-up", "ready": False}),
    ("watch", "Watch/Node", "gap", {"lost": False, "reason": "410 Gone"}),
    ("run", "phase", "steady", {}),
    ("run", "note", "baseline", {}),
    ("drift", "Drift/image-of-another", "restored", {"manager": "kubectl"}),
    ("drift", "Drift/replicas", "error", {"reason": "403"}),
    ("proof", "Ingress", "certificate", {"version": "ccccccc", "value": "down"}),
    ("undo", "Undo/9", "looked-at", {}),
    ("ingress", "Ingress", "seen", {"masked": 7}),
    ("chaos", "Pod/shop/new-1", "deleted", {"uid": "uid-old-1"}),
    ("release", "Release/bbbbbbb", "refresh-asked", {"count": 3}),
    ("rollback", "Rollback/aaaaaaa", "refresh-asked", {"count": 3}),
)


@examples(80)
@given(
    facts=histories(), unrelated=st.sampled_from(UNRELATED), at=st.integers(160, 300),
    outcome=st.sampled_from(list(Outcome)),
)  # fmt: skip
def test_an_unrelated_event_changes_nothing(facts: Facts, unrelated: Any, at: int, outcome: Outcome) -> None:
    source, subject, what, words = unrelated
    extra = replace(
        facts.events[0], source=source, subject=subject, what=what, start_s=at / 2, end_s=at / 2, outcome=outcome,
        data=words,
    )  # fmt: skip
    events = sorted([*facts.events, extra], key=lambda event: event.end_s)
    more, numbers = renumbered(facts, events)
    before, after = said(facts), said(more, numbers)
    (watches,) = (who for who in before if who[0] == "watches")  # it counts what arrived
    assert after.pop(watches)[0] is before.pop(watches)[0]
    same(after, before)
