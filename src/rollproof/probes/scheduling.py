"""Scheduling: a thread that takes times asks the kernel to run it before others, where that is granted.

On a busy machine an ordinary thread stamps a reply or an event tens of milliseconds late, and the target gets
the blame. Only for threads that mostly wait: one that computes would take the CPU from everybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quick"]

_PRIORITY = 50


@contextmanager
def quick() -> Iterator[bool]:
    """The calling thread runs under SCHED_FIFO until the end of the block; gives whether that was granted.

    Threads and processes that it starts do not inherit it.
    """
    before = _become_quick()
    try:
        yield before is not None
    finally:
        if before is not None:  # the flag stays: taking it off needs more permissions than putting it on
            policy, parameters = before
            os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, parameters)


def _become_quick() -> tuple[int, os.sched_param] | None:
    """How the thread was scheduled before; None if it still is, because more was not granted."""
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except (OSError, AttributeError):  # not granted, or not Linux
        return None
    return before
