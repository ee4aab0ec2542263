"""A process that stood still says so: what it saw afterwards it saw late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
import story
from owntime import own_time
from recorder import ListRecorder

from rollproof.core.vocabulary import is_known
from rollproof.probes import standstill
from rollproof.probes.standstill import Standstill
from rollproof.probes.watches import Watches


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time go by."""
    now_s = [100.0]

    def passed(seconds: float) -> None:
        now_s[0] += seconds

    own_time(monkeypatch, standstill, monotonic=lambda: now_s[0])
    monkeypatch.setattr(standstill, "_STILL_S", 1.0)
    return passed


def test_it_is_told_once_from_the_last_beat_to_the_next(passed: Callable[[float], None]) -> None:
    told: list[tuple[float, float]] = []
    still = Standstill(lambda since_s, until_s: told.append((since_s, until_s)), threading.Event())
    passed(0.25)
    assert not still.lately()
    passed(8.0)
    assert still.lately()
    assert still.lately()
    assert told == [(100.25, 108.25)]


@pytest.mark.parametrize("late_s", [0.0, 0.9])
def test_a_busy_machine_is_none(passed: Callable[[float], None], late_s: float) -> None:
    still = Standstill(lambda *_: pytest.fail("nothing stood still"), threading.Event())
    passed(0.25 + late_s)
    assert not still.lately()


def test_after_a_while_the_watches_have_caught_up(passed: Callable[[float], None]) -> None:
    still = Standstill(lambda *_: None, threading.Event())
    passed(8.0)
    assert still.lately()
    for _ in range(5):
        passed(1.0)
        last = still.lately()
    assert not last


def test_one_that_ends_with_the_watches_is_told_too(passed: Callable[[float], None]) -> None:
    told, stopping = list[float](), threading.Event()
    still = Standstill(lambda since_s, until_s: told.append(until_s - since_s), stopping)
    stopping.set()
    still.start()
    still.join()
    assert told == []
    still = Standstill(lambda since_s, until_s: told.append(until_s - since_s), stopping)
    passed(3.0)
    still._run()
    assert told == [3.0]


def test_it_is_a_gap_of_all_watches_in_which_nothing_was_lost(passed: Callable[[float], None]) -> None:
    """Stopped for 8 s in a drift, a run saw late what Argo CD had healed at once: FAIL, and Argo CD was named."""
    recorder = ListRecorder()
    nobody = cast(Any, None)
    watches = Watches(story.target(), nobody, nobody, recorder)
    assert watches.away() == ""
    passed(8.0)
    assert watches.away() == "rollproof itself stood still: it was stopped, or had no CPU"
    (gap,) = recorder.events
    assert (gap.subject, gap.what, gap.end_s - gap.start_s) == ("Watch/all", "gap", 8.0)
    assert gap.data == {"lost": False, "reason": watches.away()}
    assert is_known(gap)
