"""The readers of the frame around the acts: each answer with its field, without it, and without the fact."""

from __future__ import annotations

from typing import Any

import pytest
from story import Story

from rollproof.core.event import Event
from rollproof.core.runframe import (
    IngressLog,
    SelfTest,
    answers,
    asked_checkers,
    clocks_ahead_s,
    ingress_log,
    median_delay_ms,
    reason,
    self_test,
    sha_at_start,
    unreadable_log,
    watch_delays_ms,
)


def one(what: str = "x", source: str = "run", subject: str = "drill", **data: Any) -> Story:
    return Story().tell(source, subject, what, at=100, **data)


def event(**data: Any) -> Event:
    return one(**data).events[0]


def test_reasons() -> None:
    assert [reason(None), reason(event()), reason(event(reason="why"))] == ["no reason", "no reason", "why"]
    said = [reason(found, otherwise="-") for found in (None, event(), event(reason="why"))]
    assert said == ["-", "-", "why"]


def test_the_version_at_the_start() -> None:
    told = [Story(), one("started"), one("started", sha="a"), one("finished", sha="a")]
    assert [sha_at_start(story.facts()) for story in told] == ["", "", "a", ""]


def test_checkers_clocks_and_delays() -> None:
    assert (asked_checkers(event()), asked_checkers(event(checkers=["a", "b"]))) == ([], ["a", "b"])
    assert clocks_ahead_s(event(wall_s=5, monotonic_s="2.5")) == 2.5
    assert (median_delay_ms(event()), median_delay_ms(event(median_ms=1.5))) == (None, 1.5)
    bare, told = one("calibrated"), one("calibrated", watch_delay_ms=[1, 2])
    assert watch_delays_ms(Story().facts()) == ((), None)
    assert watch_delays_ms(bare.facts()) == ((), bare.events[0])
    assert watch_delays_ms(told.facts()) == ((1.0, 2.0), told.events[0])


def test_the_self_test() -> None:
    assert self_test(Story().facts()) is None
    assert self_test(one("self-test", "load").facts()) == SelfTest(False, {}, "no reason given")
    told = one("self-test", "load", passed=True, classes={"read.eof": [3, 2]}, why="why")
    assert self_test(told.facts()) == SelfTest(True, {"read.eof": (3, 2)}, "why")


@pytest.mark.parametrize(("read", "what"), [(ingress_log, "log"), (unreadable_log, "log-unreadable")])
@pytest.mark.parametrize(
    ("data", "matched", "masked"),
    [({}, 0, None), ({"matched": 3, "masked": 0}, 3, 0), ({"matched": None, "masked": None}, 0, None)],
)
def test_the_ingresss_log(read: Any, what: str, data: dict[str, Any], matched: int, masked: int | None) -> None:
    told = one(what, "ingress", **data)
    assert read(told.facts()) == IngressLog(told.events[0], matched, masked)
    assert read(Story().facts()) is None


def test_answers_of_proofs() -> None:
    said = {"version": "a", "expected": "b", "value": [1], "status": "503", "took_s": 2}
    told = one("version", "proof", "Ingress", **said).tell("proof", "Ingress", "version", at=101)
    full, bare = answers(told.facts(), "version", since_s=100.0)
    assert (full.version, full.expected, full.value, full.status, full.took_s) == ("a", "b", [1], 503, 2.0)
    assert (bare.value, bare.status, bare.took_s) == (None, 0, None)
    assert [found.event.seq for found in answers(told.facts(), "version", since_s=100.5)] == [2]
