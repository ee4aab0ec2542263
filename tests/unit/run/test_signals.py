"""Which signals end a run, and that none ends the putting back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from rollproof.run.signals import Interrupts, ending_signals

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    caught = Interrupts(busy=lambda _: False)
    yield caught
    caught.release()


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_ends_the_drill_and_the_second_of_two_nothing(
    interrupts: Interrupts, number: signal.Signals
) -> None:
    interrupts.catch()
    with pytest.raises(KeyboardInterrupt, match=number.name):
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), signal.SIGTERM)  # as the command line hands it on


@pytest.mark.parametrize("number", ENDING)
def test_none_ends_the_putting_back(interrupts: Interrupts, number: signal.Signals) -> None:
    said: list[str] = []
    interrupts.catch()
    interrupts.hold(lambda: said.append("wait"))
    os.kill(os.getpid(), number)
    assert said == ["wait"]


def test_a_hang_up_that_is_ignored_stays_so_and_the_handlers_before_come_back(interrupts: Interrupts) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        assert ending_signals() == (signal.SIGINT, signal.SIGTERM)
        interrupts.catch()
        os.kill(os.getpid(), signal.SIGHUP)
        interrupts.release()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
