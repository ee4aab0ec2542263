"""Which signals end a run, and that none ends the putting back."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollproof.run import signals
from rollproof.run.signals import Interrupts, as_interrupts, ending_signals

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


def library(folder: Path, code: str) -> dict[str, Any]:
    """The names of a module that is installed in site-packages."""
    names: dict[str, Any] = {"os": os, "time": time}
    exec(compile(code, str(folder / "site-packages" / "library.py"), "exec"), names)  # noqa: S102 - the file name is what is tested
    return names


def test_one_that_comes_in_a_library_is_raised_where_it_is_not_dropped(interrupts: Interrupts, tmp_path: Path) -> None:
    """`closed` is asked for as the memory of a response is freed, and what is raised there is dropped."""
    code = "def closed(number):\n  try:\n    os.kill(os.getpid(), number)\n  except BaseException:\n    pass\n"
    closed = library(tmp_path, code)["closed"]
    interrupts.catch()
    closed(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="SIGINT"):
        threading.Event().wait(60)


def test_a_process_that_had_no_cpu_for_long_still_looks_for_such_a_place(
    interrupts: Interrupts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_ANYWHERE_S", 0.0)
    code = "def closed(number):\n  try:\n    os.kill(os.getpid(), number)\n  except BaseException:\n    pass\n"
    interrupts.catch()
    library(tmp_path, code)["closed"](signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="SIGINT"):
        threading.Event().wait(60)


def test_in_a_library_that_does_not_end_it_is_raised_in_the_end(
    interrupts: Interrupts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_ANYWHERE_S", 0.1)
    code = "def spin(end_s):\n  while time.monotonic() < end_s:\n    pass\n"
    spin = library(tmp_path, code)["spin"]
    interrupts.catch()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt, match="SIGINT"):
        spin(time.monotonic() + 60)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_a_library_drops_ends_a_command_all_the_same(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while pydantic was imported was a traceback ("Exception ignored in"), and `plan` went on to its end."""

    class Dropping:
        def __del__(self) -> None:
            signal.raise_signal(number)

    with as_interrupts(), pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it comes while it is waited for
        one = Dropping()
        del one
        threading.Event().wait(60)
    assert "Traceback" not in capfd.readouterr().err


def test_what_else_a_library_drops_is_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))

    class Dropping:
        def __del__(self) -> None:
            raise ValueError

    with as_interrupts():
        one = Dropping()
        del one
    assert told == [ValueError]
