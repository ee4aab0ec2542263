"""The steady clock hurries where nothing comes any more, and nowhere else."""

from __future__ import annotations

import threading

import owntime
import pytest
from fakeapi import FakeApi
from owntime import SteadyClock, own_time

STEP_S, QUICKLY = SteadyClock.STEP_S, 10


class Looks:
    """A clock, and a machine on which time passes only between two looks at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        own_time(monkeypatch, owntime, monotonic=lambda: self.now_s, sleep=self.stand)
        self.clock = SteadyClock()

    def stand(self, seconds: float) -> None:
        self.now_s += seconds

    def passed_s(self, looks: int, apart_s: float = STEP_S) -> float:
        """By the clock, over so many looks."""
        begun_s = ended_s = self.clock.monotonic()
        for _ in range(looks):
            self.stand(apart_s)
            ended_s = self.clock.monotonic()
        return pytest.approx(ended_s - begun_s)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


def test_a_stall_of_the_machine_is_one_step(looks: Looks) -> None:
    assert looks.passed_s(1, apart_s=30.0) == STEP_S


def test_it_hurries_after_a_quiet_time(looks: Looks) -> None:
    assert looks.passed_s(14) == 14 * STEP_S
    looks.passed_s(2)
    assert looks.passed_s(5) == 5 * STEP_S * QUICKLY
    looks.clock.quickly = 1
    assert looks.passed_s(20) == 20 * STEP_S


def test_what_comes_begins_the_quiet_time_anew(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    looks.clock.hears(monkeypatch, FakeApi, "put")
    looks.passed_s(20)
    FakeApi().put("pods", {"metadata": {"name": "web-1"}})
    assert looks.passed_s(14) == 14 * STEP_S


def test_it_does_not_hurry_while_a_part_of_the_cluster_acts(looks: Looks) -> None:
    over = threading.Event()
    part = threading.Thread(target=over.wait)
    part.start()
    try:
        assert looks.passed_s(50) == 50 * STEP_S
    finally:
        over.set()
        part.join()
    assert looks.passed_s(14) == 14 * STEP_S, "what it did last is still to be heard"
    looks.passed_s(2)
    assert looks.passed_s(5) == 5 * STEP_S * QUICKLY


def test_a_sleep_is_over_when_the_clock_says_so(looks: Looks) -> None:
    begun_s = looks.now_s
    looks.clock.sleep(0.1)
    assert looks.now_s - begun_s == pytest.approx(0.1)
    looks.passed_s(20)
    begun_s = looks.now_s
    looks.clock.sleep(10.0)
    assert looks.now_s - begun_s < 1.0 + 2 * STEP_S
