"""Histories for the golden of verdicts: what is judged where an outage is expected (`outage`, `dependency`, `loss`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from builders import LANES, Requests
from story import OLD, Story, plan, target

from rollproof.core.event import Outcome
from rollproof.core.fault import FaultWord, subject_of
from rollproof.core.plan import Plan
from rollproof.core.target import FaultSettings, Traffic

__all__ = ["dependencies", "held", "losses", "outages"]

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
NAME = subject_of("database-refused")
Told = Iterator[tuple[str, Story]]


def held(
    *, until: str = "recovered", recovered: float = 5.0, by_plan: Plan | None = None, **effect: object
) -> Story:  # fmt: skip
    """The database is away from 100 s on, felt after 1 s, back at 112 s; all is well `recovered` s after that."""
    told = Story(plan=by_plan)
    planned = {"object": "Deployment/db/db", "change": "away", "limit_s": 60.0, "effect_within_s": 10.0, "held": True}
    words: list[tuple[FaultWord, float, dict[str, object]]] = [
        (FaultWord.PLANNED, 99.0, planned), (FaultWord.INJECTING, 100.0, {}), (FaultWord.INJECTED, 100.2, {}),
        (FaultWord.EFFECT, 101.0, {"watched": "a pod says so", "pods": ["uid-old-1"], **effect}),
        (FaultWord.UNDONE, 112.0, {"by": "harness"}), (FaultWord.RECOVERED, 112.0 + recovered, {}),
    ]  # fmt: skip
    for word, at, data in words:
        told.tell("fault", NAME, word, at=at, **data)
        if word == until:
            break
    return told


def asked(
    told: Story,
    *,
    health: int = 200,
    version: str = OLD,
    ready: int = 503,
    value: str | None = "down",
    at: float = 105.0,
    took: float | None = None,
) -> Story:
    """Both pods asked once while it is away. took: seconds that the readiness path took, the other took 0.1 s."""
    health_took, ready_took = ({}, {}) if took is None else ({"took_s": 0.1}, {"took_s": took})
    for name in ("old-1", "old-2"):
        subject = f"Pod/shop/{name}"
        outcome = UNKNOWN if health != 200 else Outcome.OK if version == OLD else FAIL
        told.tell(
            "proof",
            subject,
            "version",
            at=at,
            outcome=outcome,
            version=version,
            expected=OLD,
            status=health,
            **health_took,
        )
        outcome = UNKNOWN if value is None else Outcome.OK if value == "ok" else FAIL
        told.tell(
            "proof", subject, "database", at=at, outcome=outcome, value=value, expected="ok", status=ready, **ready_took
        )
    return told


def dependencies() -> Told:
    yield "nothing at all", Story()
    yield "a fault that was not held", Story().fault()
    skipped = Story().tell("fault", NAME, FaultWord.PLANNED, at=99, held=True)
    yield "skipped", skipped.tell("fault", NAME, FaultWord.SKIPPED, at=99, reason="no database is named")
    yield "planned and not begun", Story().tell("fault", NAME, FaultWord.PLANNED, at=99, held=True)
    yield "not felt", held(until="injected")
    yield "nobody was asked", held()
    for path, what in {"readiness": "database", "health": "version"}.items():
        deaf = asked(held())
        deaf.events = [one for one in deaf.events if one.what != what]
        yield f"nobody was asked at the {path} path", deaf
    yield "alive and honest", asked(held())
    yield "asked before it was felt only", asked(held(), at=100.5)
    yield "the health path fails too", asked(held(), health=503)
    yield "another version answers", asked(held(), version="ccccccc")
    yield "no version is said", asked(held(), health=404)
    yield "away with status 200", asked(held(), ready=200)
    yield "never said to be away", asked(held(), ready=200, value="ok")
    beside = {"version": "ccccccc", "expected": OLD, "status": 200}
    yield (
        "another version answers in one pod",
        asked(held()).tell("proof", "Pod/shop/old-1", "version", at=106, outcome=FAIL, **beside),
    )
    yield "said soon", asked(held(), took=0.51234)
    yield "said in time", asked(held(), took=2.0)
    yield "said late by the second answer", asked(asked(held(), took=0.5), took=2.2, at=109.0)
    yield "said late, after an answer whose way was as slow", asked(asked(held(), took=2.05), took=2.2, at=109.0)
    untimed = {"value": "down", "expected": "ok", "status": 503, "took_s": 2.5}
    yield (
        "said late, and how long the way takes was not told",
        asked(held()).tell("proof", "Pod/shop/old-1", "database", at=106, outcome=FAIL, **untimed),
    )
    yield "said late, but the way was as slow", asked(held(), took=2.05)
    yield "said late", asked(held(), took=2.2)
    silent = asked(held(), ready=0, value=None, took=3.0)
    yield "no answer, and nobody asked whether it was alive after that", silent
    yield "no answer, and alive", asked(asked(held(), ready=0, value=None, took=3.0), at=109.0)
    sick = asked(asked(held(), ready=0, value=None, took=3.0), health=0, ready=0, value=None, at=109.0, took=3.0)
    yield "no answer on either path", asked(sick, at=111.0)
    one = asked(held())
    one.tell("watch", "Pod/shop/old-1", "added", at=90, restarts=0, member=True)
    yield "a restart", one.tell("watch", "Pod/shop/old-1", "modified", at=111, restarts=1, member=True)
    yield "a restart, for its memory", _restarted("OOMKilled", 1)
    yield "a restart, by the liveness probe", _restarted("Error", 1)
    yield "a restart, and a kill for its memory before it", _restarted("OOMKilled", 3)
    other = asked(held())
    other.tell("watch", "Pod/db/db-1", "added", at=90, restarts=0, member=False)
    yield (
        "a restart of somebody else's",
        other.tell("watch", "Pod/db/db-1", "modified", at=111, restarts=1, member=False),
    )
    yield "alive and honest, and ended at once", _broken_off(asked(held()), FaultWord.ABORTED)
    yield "alive and honest, until somebody gave it back", _broken_off(asked(held()), FaultWord.VOID)
    yield "alive and honest, and the run ended before it was undone", asked(held(until="effect"), at=100.8)
    yield "alive and honest, and the run ended with the undo", asked(held(until="undone"))
    vain = held(until="undone").tell("fault", NAME, FaultWord.NOT_RECOVERED, at=172, outcome=FAIL)
    yield "alive and honest, and not recovered", asked(vain)
    early = asked(held())
    yield "a restart before", early.tell("watch", "Pod/shop/old-1", "added", at=90, restarts=3, member=True)


def _restarted(ended: str, restarts: int) -> Story:
    """A pod's container, and how its last end is told after so many restarts."""
    told = asked(held())
    for at, count in ((90, 0), (111, 1)):
        told.tell("watch", "Pod/shop/old-1", "modified", at=at, restarts=count, member=True)
    state = {"container": "web", "waiting": "", "ended": ended, "restarts": restarts}
    return told.tell("kept", "Pod/shop/old-1", "state", at=130, **state)


def _broken_off(told: Story, word: FaultWord) -> Story:
    return told.tell("fault", NAME, word, at=106, outcome=UNKNOWN, reason="2,001 requests were lost")


def outages() -> Told:
    yield "nothing was done", _loaded(Story(), _load())
    yield "not felt", _loaded(held(until="injected"), _load())
    yield "no load", held()
    yield "nothing was lost", _loaded(held(), _load())
    yield (
        "refused at once while it lasted",
        _loaded(held(), _load().fail("new-get", at=104, until=114, outcome="http.503")),
    )
    yield "stalled", _loaded(held(), _load().fail(at=105, outcome="read.timeout", took_ms=5000))
    yield "a wrong answer", _loaded(held(), _load().fail(at=105, outcome="body.wrong"))
    gone = _load().fail("new-get", at=105, until=107, outcome="http.404").fail(at=106, outcome="body.wrong")
    yield "wrong answers of the entry itself", _loaded(held(), gone.names_pods())
    yield "one of a pod among them", _loaded(held(), _load().names_pods().fail(at=105, outcome="body.wrong"))
    yield "lost after the recovery", _loaded(held(), _load().fail(at=120, outcome="http.503"))
    yield "one without an outcome", _loaded(held(), _load().fail(at=108, outcome="unfinished"))
    yield "one refused by a limit of the rate", _loaded(held(), _load().fail(at=108, outcome="http.429"))
    yield "sick before", _loaded(held(), _load().fail(at=95, outcome="http.503"))
    yield "no end was seen", _loaded(held(until="undone"), _load().fail(at=105, outcome="http.503"))
    yield "the load ended with it", _loaded(held(), _load(seconds=27.5))
    yield "nobody asked while it lasted", _loaded(held(), _load().without(at=100.0, until=117.0))
    yield "nobody asked after it", _loaded(held(), _load().without(at=117.0, until=140.0))
    yield "nobody asked since it began", _loaded(held(), _load().without(at=100.0, until=140.0))
    both = _load().fail("control", at=104, until=106, outcome="connect.refused")
    yield "the control lane failed too", _loaded(held(), both.fail(at=105, outcome="http.503"))

    yield from _beside_a_background("http.503")


def _beside_a_background(outcome: str) -> Told:
    """Single failures, of which 500 per million are allowed: 18,000 requests before the act, 6,000 after its end."""
    allowed = plan(target=target(traffic=Traffic(background_failures_per_million=500.0)))

    def load(*at: float) -> Requests:
        found = Requests(start=88.0, seconds=50.0, rate_per_s=1000.0).fail(at=105, outcome=outcome)
        for at_s in at:
            found.fail(at=at_s, outcome=outcome)
        return found

    yield "a background, before it and after", _loaded(held(by_plan=allowed), load(95, 119, 121))
    more = plan(target=target(traffic=Traffic(background_failures_per_million=5000.0)))
    dirtier = load(*[118 + one / 6 for one in range(20)])
    yield "a background that is more than the baseline's", _loaded(held(by_plan=more), dirtier)
    yield "a background, and two in a row after it", _loaded(held(by_plan=allowed), load(119, 119.0001))
    many = [118 + one / 8 for one in range(40)]
    yield "more than a background after it", _loaded(held(by_plan=allowed), load(*many))
    yield "more than a background before it", _loaded(held(by_plan=allowed), load(*[one - 25 for one in many]))
    yield (
        "a wrong answer beside a background",
        _loaded(held(by_plan=allowed), load(95).fail(at=119, outcome="body.wrong")),
    )


def _slowly_asked(by_plan: Plan) -> Story:
    """The request that makes the fault is answered after 2 s: it may have begun then only."""
    told = held(by_plan=by_plan)
    told.events = [
        replace(one, end_s=102.0) if one.what == FaultWord.INJECTED
        else replace(one, end_s=102.5) if one.what == FaultWord.EFFECT else one
        for one in told.events
    ]  # fmt: skip
    return told


def losses() -> Told:
    """The budget is 60 s from the start; here the fault is over after 17 s, or after 100."""
    yield "nothing was done", _loaded(Story(), _load())
    yield "not felt", _loaded(held(until="injected"), _load())
    yield "no load", held()
    yield "nothing was lost", _loaded(held(), _load())
    hung = _load().fail(at=101, until=106, outcome="read.timeout", took_ms=5000)
    yield "lost until it was noticed", _loaded(held(), hung.fail(at=106, until=112, outcome="http.502"))
    for also, hurt in (
        ("", _load().fail(at=108, until=112, outcome="http.503")),
        (", and one has no outcome", _load().fail(at=108, outcome="unfinished")),
    ):
        fellow = held()
        fellow.tell("watch", "Pod/shop/old-2", "added", at=90, uid="uid-old-2", ready=True, member=True)
        fellow.tell("watch", "Pod/shop/old-2", "modified", at=108, uid="uid-old-2", ready=False, member=True)
        yield f"a pod elsewhere got unready too{also}", _loaded(fellow, hurt)
    all_lost = _load()
    for lane in LANES[:3]:
        all_lost.fail(lane, at=100, until=117)
    yield "every request was lost while it lasted", _loaded(held(), all_lost)
    late = _load(seconds=130).fail(at=101, until=163, outcome="connect.timeout", took_ms=5000)
    yield "lost for too long", _loaded(held(recovered=70.0), late)
    stalled = _load().fail(at=99.9, until=101, outcome="read.timeout", took_ms=5000)
    yield "one that was in flight as it began", _loaded(held(), stalled)
    own = plan(target=target(faults=FaultSettings(loss_budgets_s={"database-refused": 9.0, "another": 1.0})))
    short, long = (_load().fail(at=101, until=end_s, outcome="http.502") for end_s in (108, 110))
    rate = Traffic(background_failures_per_million=500.0)
    both = plan(target=target(traffic=rate, faults=FaultSettings(loss_budgets_s={"database-refused": 9.0})))
    many = Requests(start=88.0, seconds=50.0, rate_per_s=1000.0).fail(at=105, until=106, outcome="http.502")
    yield "a background later than its own budget", _loaded(held(by_plan=both), many.fail(at=112, outcome="http.502"))
    yield "within this fault's own budget", _loaded(held(by_plan=own), short)
    yield "longer than its own budget", _loaded(held(by_plan=own), long)
    yield "longer than its own budget, by less than it was asked for", _loaded(_slowly_asked(own), long)
    yield "a wrong answer", _loaded(held(), _load().fail(at=105, outcome="body.wrong"))
    yield "lost after the recovery", _loaded(held(), _load().fail(at=120, outcome="http.503"))
    yield "one without an outcome", _loaded(held(), _load().fail(at=108, outcome="unfinished"))
    yield "one refused by a limit of the rate", _loaded(held(), _load().fail(at=108, outcome="http.429"))
    yield "sick before", _loaded(held(), _load().fail(at=95, outcome="http.503"))
    yield "no end was seen", _loaded(held(until="undone"), _load().fail(at=105, outcome="read.timeout"))
    yield "the load ended with it", _loaded(held(), _load(seconds=27.5))
    yield "nobody asked while it lasted", _loaded(held(), _load().without(at=100.0, until=117.0))
    yield "nobody asked after it", _loaded(held(), _load().without(at=117.0, until=140.0))
    yield "nobody asked since it began", _loaded(held(), _load().without(at=100.0, until=140.0))
    both = _load().fail("control", at=104, until=106, outcome="connect.refused")
    yield "the control lane failed too", _loaded(held(), both.fail(at=105, outcome="read.timeout"))
    yield from _beside_a_background("http.502")


def _load(*, seconds: float = 50.0) -> Requests:
    return Requests(start=88.0, seconds=seconds)


def _loaded(told: Story, requests: Requests) -> Story:
    told.tell("run", "phase", "baseline", start=89.0, at=99.0)
    told.requests = requests.build()
    return told
