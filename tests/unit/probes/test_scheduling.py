"""Scheduling: asked for, given back, not inherited; and nothing breaks where it is refused."""

from __future__ import annotations

import os
import threading

import pytest

from rollproof.probes.scheduling import quick


def policy() -> int:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


def test_it_is_given_back() -> None:
    before = policy()
    with quick() as granted:
        assert policy() == (os.SCHED_FIFO if granted else before)
    assert policy() == before


def test_a_thread_started_inside_does_not_inherit_it() -> None:
    seen: list[int] = []
    with quick():
        thread = threading.Thread(target=lambda: seen.append(policy()))
        thread.start()
        thread.join()
    assert seen == [os.SCHED_OTHER]


def test_a_refusal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with quick() as granted:
        assert not granted


def test_it_is_given_back_after_an_error() -> None:
    before = policy()
    with pytest.raises(RuntimeError), quick():
        raise RuntimeError
    assert policy() == before
