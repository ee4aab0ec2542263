"""Generated histories for the laws: a clean baseline, an act that happened, and whatever may come with it.

Times lie on a coarse grid, so that facts with equal times are common; every kind of fact that a checker reads is in
some history, in a state that is good, bad or unknown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from builders import LANES, Requests
from hypothesis import strategies as st
from story import NEW, OLD, Story, plan, target

from rollproof.core.backoff import model
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.requests import RequestLog
from rollproof.core.target import DriftSettings, Ingress, Traffic

START_S, WINDOW_END_S = 100.0, 139.0  # the last old pod goes at 124 s; 10 s and 5 s after it the window ends
HARD = ("http.502", "read.eof", "read.timeout", "connect.ECONNREFUSED")
NEVER_SENT = ("connect.dns", "client.stalled")
NO_OUTCOME = ("unfinished", "http.429")
HEALS, CONTROLS = ("image", "env"), ("undeclared-annotation", "void-patch")
TRIALS = (*HEALS, *CONTROLS)
STEP_S = 5.0  # by which the wall clock moves in some histories
_LEGS = {
    "committed": 100.5, "pushed": 101.0, "seen": 102.0, "synced": 103.0, "rolled-out": 116.0, "old-gone": 124.0,
    "proven": 126.0,
}  # fmt: skip
_REVISION = "c" * 40


class Telling(Facts):
    """Facts that print as a page and not as a book when a law is broken."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(f"{self.drill}, {self.plan.target.traffic}")
        for event in self.events:
            words = f"{event.source} {event.subject} {event.what} {event.outcome} {dict(event.data)}"
            printer.text(f"\n  {event.seq} at {event.end_s:g} {words}")
        log = self.requests
        assert log is not None
        for row in log.rows[log.rows["outcome"] > 0][:40]:
            printer.text(f"\n  {row['send_ns'] / 1e9:.3f} {log.lanes[row['lane']]} {log.outcomes[row['outcome']]}")


@dataclass(frozen=True, slots=True)
class _Fact:
    """One event before it has its place on the timeline."""

    at: float
    source: str
    subject: str
    what: str
    outcome: Outcome
    data: dict[str, Any]
    start: float | None = None


def _fact(
    at: float, source: str, subject: str, what: str, *, outcome: Outcome = Outcome.OK, start: float | None = None,
    **data: Any,
) -> _Fact:  # fmt: skip
    return _Fact(at, source, subject, what, outcome, data, start)


@st.composite
def logs(draw: st.DrawFn, *, unknown: bool = True, inconclusive: bool = False, noisy: bool = False) -> RequestLog:
    """A load with a clean baseline; in the window bursts of failures, of attempts that say nothing, and late answers.

    `inconclusive`: attempts that say nothing are as common as failures; without `unknown` there are none. `noisy`: no
    bursts, and single failures for sure.
    """
    requests = Requests(start=88.0, seconds=53.0, rate_per_s=40.0, version=OLD).says(NEW, at=115.0).with_slow()
    names: tuple[str, ...] = (*HARD, *NEVER_SENT, *NO_OUTCOME) if unknown else HARD
    names = ("http.502", "read.timeout", *NO_OUTCOME, "connect.dns") if inconclusive else names
    for _ in range(0 if noisy else draw(st.integers(0, 1 if inconclusive else 3))):
        at, lane = draw(st.integers(202, 280)) / 2, draw(st.sampled_from(["", *LANES]))
        for _ in range(draw(st.integers(1, 3))):
            until = at + draw(st.sampled_from([0.1, 0.3, 1.0]))
            took_ms = draw(st.sampled_from([1.0, 700.0, 3000.0]))
            requests.fail(lane, at=at, until=until, outcome=draw(st.sampled_from(names)), took_ms=took_ms)
            at = until
    if inconclusive and draw(st.booleans()):  # known at its ends and not in the middle
        lane = draw(st.sampled_from(LANES[:3]))
        for at, until, outcome in ((110.0, 110.1, names[0]), (110.1, 111.0, names[2]), (111.0, 111.1, names[0])):
            requests.fail(lane, at=at, until=until, outcome=outcome)
    if draw(st.booleans()):
        at = draw(st.integers(202, 270)) / 2
        requests.slow(draw(st.sampled_from(["", *LANES])), at=at, until=at + 0.5, took_ms=draw(st.floats(5.0, 4000.0)))
    if noisy or draw(_one_in(4)):  # a background: single failures, before the act as well
        names = HARD if noisy else (*HARD, "body.wrong")
        for at in draw(st.lists(st.sampled_from([91.0, 95.0, 103.0, 112.0, 121.0, 130.0]), unique=True)):
            requests.fail(draw(st.sampled_from(LANES)), at=at, outcome=draw(st.sampled_from(names)))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(202, 270)) / 2
        requests.blind(at=at, until=at + draw(st.sampled_from([0.1, 0.4])))
    if draw(st.integers(0, 5)) == 0:
        requests.says(draw(st.sampled_from([OLD, "ccccccc"])), at=127.0, until=127.2)
    return requests.build()


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    load: st.SearchStrategy[RequestLog] | None = None,
    whole: bool | None = None,
    stepped: bool | None = None,
) -> Facts:
    """Plan, timeline and request log of one drill, with drifts and an undo beside it. `whole`: the act came to its
    end, and there is no drift, which might not have. `stepped`: the wall clock was set while it ran (None: drawn)."""
    source = draw(st.sampled_from(["release", "rollback"]))
    trials = tuple(draw(st.lists(st.sampled_from(TRIALS), unique=True, min_size=draw(st.sampled_from([2, 2, 0])))))
    stepped = draw(_one_in(6)) if stepped is None else stepped
    settings = target(
        traffic=draw(traffics()),
        drift=DriftSettings(trials=trials, must_heal=draw(st.booleans())),
        ingress=Ingress(masked=draw(st.sampled_from(["warn", "warn", "fail"]))),
    )
    story = Story(source, plan=plan(target=settings))
    facts = [
        _fact(99.5, "run", "phase", "baseline", start=89.0),
        _fact(90.0, "run", "clock", "calibrated", watch_delay_ms=[3.0, 5.0], median_ms=4.0),
        _fact(80.0, "load", "Load", "self-test", classes={"read.eof": [2, 2]}, passed=draw(st.integers(0, 9)) > 0),
        *draw(_act(source, whole)), *draw(_proofs(source)), *draw(_around()),
        *([] if whole else draw(_drifts(trials))),
        clock(88.0), clock(151.0, STEP_S if stepped else 0.0),
    ]  # fmt: skip
    for fact in sorted(facts, key=lambda fact: fact.at):
        story.tell(
            fact.source, fact.subject, fact.what, at=fact.at, start=fact.start, outcome=fact.outcome, **fact.data
        )
    log = draw(logs() if load is None else load)
    return Telling(plan=story.plan, drill=source, events=tuple(story.events), requests=log)


@st.composite
def traffics(draw: st.DrawFn) -> Traffic:
    """The rules of the target file, each off in most histories."""
    budget_ms = draw(st.sampled_from([0.0, 0.0, 100.0, 600.0, 3000.0]))
    return Traffic(
        downtime_budget_ms=budget_ms,
        outages_max=draw(st.sampled_from([None, 1, 3])) if budget_ms else None,
        background_failures_per_million=draw(st.sampled_from([0.0, 0.0, 300.0, 5000.0])),
        p99_ms_max=draw(st.sampled_from([None, None, 100.0, 2000.0])),
        longest_ms_max=draw(st.sampled_from([None, None, 300.0, 2000.0])),
        resolution_ms=draw(st.sampled_from([250.0, 5000.0])),
    )


@st.composite
def _act(draw: st.DrawFn, source: str, whole: bool | None) -> list[_Fact]:
    """Started, its stages up to some point, and at least one old pod replaced."""
    subject = f"Release/{NEW}" if source == "release" else f"Rollback/{OLD}"
    old = ["old-1", "old-2"]
    pods = [{"name": name, "uid": f"uid-{name}", "template_hash": "hash-old"} for name in old]
    facts = [_fact(START_S, source, subject, "started", old_sha=OLD, new_sha=NEW, mode="push", old_pods=pods)]
    whole = draw(st.integers(0, 3)) > 0 if whole is None else whole
    until = 7 if whole else draw(st.integers(1, 5))
    facts += [
        _fact(at, source, subject, what, commit=_REVISION, revision=_REVISION)
        for what, at in list(_LEGS.items())[:until]
    ]
    if not whole and draw(st.booleans()):
        outcome = draw(st.sampled_from([Outcome.FAIL, Outcome.UNKNOWN]))
        facts.append(_fact(135.0, source, subject, "failed", outcome=outcome, stage="old-gone", cause="X", reason="y"))
    for name, at in (("new-1", 110.0), ("new-2", 116.0)):
        facts.append(pod(name, "modified", at, ready=True))
    for name, at in (("old-1", 116.0), ("old-2", 124.0)):
        if whole or name == "old-1":
            facts.append(pod(name, "deleted", at))
    return facts


def _one_in(count: int) -> st.SearchStrategy[bool]:
    """True in about one of so many: not at an end of the range, which is drawn more often than the rest."""
    return st.integers(0, count - 1).map(lambda number: number == count // 2)


def clock(at: float, step_s: float = 0.0) -> _Fact:
    """A reading of both clocks."""
    return _fact(at, "run", "clock", "read", monotonic_s=at, wall_s=1e9 + at + step_s)


def pod(name: str, what: str, at: float, *, ready: bool = False) -> _Fact:
    return _fact(at, "watch", f"Pod/shop/{name}", what, uid=f"uid-{name}", ready=ready, image="x:y")


@st.composite
def _proofs(draw: st.DrawFn, source: str) -> list[_Fact]:
    """Answers of pods and ingress, most of them right."""
    expected = NEW if source == "release" else OLD
    facts = []
    for name, right, wrong in (("version", expected, "ccccccc"), ("database", "ok", "down")):
        subjects = ["Pod/shop/new-1", "Pod/shop/new-2", *["Ingress"] * draw(st.integers(3, 5))]
        odd = draw(st.integers(-6, len(subjects) - 1))  # one answer that is not right, in some histories
        for i, subject in enumerate(subjects):
            answers = draw(_odd_answers()) if i == odd else [Outcome.OK]
            for outcome in answers:
                value = {Outcome.OK: right, Outcome.FAIL: wrong, Outcome.UNKNOWN: None}[outcome]
                word = "version" if name == "version" else "value"
                at = draw(st.sampled_from([125.0, 125.5]))
                words: dict[str, Any] = {word: value, "status": 200}
                facts.append(_fact(at, "proof", subject, name, outcome=outcome, **words))
    return facts


def _odd_answers() -> st.SearchStrategy[list[Outcome]]:
    """Of one that was asked up to three times, and did not always say the right thing."""
    odd = st.sampled_from([[Outcome.FAIL], [Outcome.UNKNOWN]])
    right = st.sampled_from([[], [Outcome.OK]])
    return st.tuples(right, odd, right).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


@st.composite
def _around(draw: st.DrawFn) -> list[_Fact]:
    """Watches that were away, the ingress's log, the undo."""
    facts = []
    for kind in draw(st.lists(st.sampled_from(["Pod", "Deployment"]), max_size=2, unique=True)):
        lost = draw(st.integers(0, 2)) == 0
        outcome, at = Outcome.UNKNOWN if lost else Outcome.OK, draw(st.sampled_from([120.0, 132.0]))
        since = at - draw(st.sampled_from([0.5, 2.0]))
        facts.append(_fact(at, "watch", f"Watch/{kind}", "gap", start=since, outcome=outcome, lost=lost, reason="x"))
    masked = draw(st.sampled_from([0, 2, None]))
    if masked is not None:
        facts.append(_fact(140.0, "ingress", "Ingress", "log", masked=masked, retried=masked))
    elif draw(st.booleans()):
        facts.append(_fact(140.0, "ingress", "Ingress", "log-unreadable", outcome=Outcome.UNKNOWN, reason="x"))
    for i in range(draw(st.integers(0, 2))):
        facts.append(_fact(101.0, "undo", f"Undo/{i}", "written"))
        end = draw(st.sampled_from(["done", "done", "not-needed", "left", "failed", ""]))
        outcome = {"left": Outcome.UNKNOWN, "failed": Outcome.FAIL}.get(end, Outcome.OK)
        if end:
            facts.append(_fact(150.0, "undo", f"Undo/{i}", end, outcome=outcome, reason="x", expected="a", found="b"))
    return facts


@st.composite
def _drifts(draw: st.DrawFn, trials: tuple[str, ...]) -> list[_Fact]:
    """The plan's trials: some healed, some not, and some went otherwise or never came."""
    version = draw(st.sampled_from(["v3.2.6", "v3.5.1", "v3.5.1", "unknown"]))
    facts = [_fact(128.0, "drift", "Drift", "model", version=version, **asdict(model(version)))]
    for trial in trials:
        subject, kind = f"Drift/{trial}", "heal" if trial in HEALS else "control"
        word = draw(st.sampled_from(["tried"] * 8 + ["skipped", "never"]))
        if word == "never":
            continue
        facts.append(_fact(129.0, "drift", subject, "planned", kind=kind))
        if word == "skipped":
            facts.append(_fact(129.0, "drift", subject, "skipped", reason="an HPA owns it"))
            continue
        before = {**BEFORE, "fair": not draw(_one_in(10)), "remaining_s": draw(st.sampled_from([0.0, 0.0, 6.0]))}
        facts.append(_fact(129.5, "drift", subject, "before", **before))
        if draw(_one_in(10)) or (trial == "void-patch" and not draw(_one_in(4))):
            facts.append(_fact(130.0, "drift", subject, "void", resource_version="7"))
            continue
        facts.append(_fact(130.0, "drift", subject, "injected", field="image"))
        facts += draw(_heal(subject) if kind == "heal" else _control(subject))
    return facts


BEFORE: dict[str, Any] = {
    "attempts": 1, "gap_s": 2.0, "quiet_s": 5.0, "sync_revision": _REVISION, "operation_revision": _REVISION,
    "started_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
AFTER: dict[str, Any] = {"operation_revision": _REVISION, "automated": True}
HEALED: dict[str, Any] = {"manager": "argocd-controller", "complete": True, "value": "x:y"}


@st.composite
def _heal(draw: st.DrawFn, subject: str) -> list[_Fact]:
    """What came of a drift that was injected at 130 s."""
    facts: list[_Fact] = []
    end = draw(st.sampled_from(["restored"] * 6 + ["not-healed"] * 2 + ["nothing"]))
    took_s = draw(st.sampled_from([0.5, 4.5, 9.0]))
    if end == "restored":
        healed = {**HEALED, "complete": not draw(_one_in(10))}
        facts.append(_fact(130.0 + took_s, "drift", subject, "restored", start=130.0, **healed))
        after = {
            **AFTER,
            "attempts": draw(st.sampled_from([2, 2, 2, 2, 1, 0])),
            "automated": not draw(_one_in(10)),
        }
        facts.append(_fact(140.0, "drift", subject, "after", **after))
    elif end == "not-healed":
        checked = {"self_heal_off": draw(st.booleans())}
        facts.append(_fact(190.0, "drift", subject, "not-healed", stage="not-synced", checked=checked, waited_s=60.0))
    if draw(_one_in(4)):
        at, later = draw(st.sampled_from([(130.25, False), (130.0 + took_s + 0.5, end == "restored")]))
        words = {"manager": draw(st.sampled_from(["kubectl-edit", ""])), "value": "z", "after_restored": later}
        facts.append(_fact(at, "drift", subject, "interfered", outcome=Outcome.UNKNOWN, start=130.0, **words))
    return facts + draw(_error(subject))


@st.composite
def _control(draw: st.DrawFn, subject: str) -> list[_Fact]:
    """What came of a change that nobody should undo."""
    facts: list[_Fact] = []
    end = draw(st.sampled_from(["stayed", "stayed", "restored", "nothing"]))
    if end == "stayed":
        facts.append(
            _fact(140.0, "drift", subject, "stayed", start=130.0, watched_s=draw(st.sampled_from([10.0, 4.0])))
        )
    elif end == "restored":
        facts.append(_fact(131.0, "drift", subject, "restored", start=130.0, **HEALED))
    return facts + draw(_error(subject))


@st.composite
def _error(draw: st.DrawFn, subject: str) -> list[_Fact]:
    """Of the harness, in some trials: right after the change, or at its end."""
    if not draw(_one_in(5)):
        return []
    at = draw(st.sampled_from([130.0, 141.0]))
    return [_fact(at, "drift", subject, "error", outcome=Outcome.UNKNOWN, reason="403")]


def renumbered(facts: Facts, events: list[Event]) -> tuple[Facts, dict[int, int]]:
    """The facts with these events instead, numbered anew; and the old number of each new one (0: it is new)."""
    known = {id(event): event.seq for event in facts.events}
    numbers = {i: known.get(id(event), 0) for i, event in enumerate(events, start=1)}
    told = tuple(replace(event, seq=i) for i, event in enumerate(events, start=1))
    return replace(facts, events=told), numbers


def one_more_row(log: RequestLog, beside: int, outcome: str, took_ms: float) -> RequestLog:
    """The log with one more request, which failed, a nanosecond after the row `beside` and on its lane."""
    rows = np.insert(log.rows, beside + 1, log.rows[beside])
    added = rows[beside + 1 : beside + 2]
    added["send_ns"] += 1
    log = replace(
        log, rows=rows,
        engine=replace(
            log.engine, planned=log.engine.planned + 1, dispatched=log.engine.dispatched + 1,
            locust_requests=log.engine.locust_requests + 1,
        ),
    )  # fmt: skip
    return with_outcome(log, np.array([beside + 1]), outcome, took_ms)


def with_outcome(log: RequestLog, index: Any, outcome: str, took_ms: float) -> RequestLog:
    """The log in which these rows ended otherwise."""
    outcomes = log.outcomes if outcome in log.outcomes else (*log.outcomes, outcome)
    rows = log.rows.copy()
    rows["outcome"][index] = outcomes.index(outcome)
    rows["status"][index] = 200 if not outcome else 0
    rows["done_ns"][index] = rows["send_ns"][index] + int(took_ms * 1e6)
    if outcome:
        rows["version"][index] = 0
    return replace(log, rows=rows, outcomes=outcomes)
