"""Scheduling: a thread that takes time stamps asks the kernel for real-time priority, where that is permitted.

On a busy machine a normal thread stamps a reply or an event tens of milliseconds late, and the delay would be blamed on
the target. Only for threads that mostly wait: one that computes would take the CPU from all others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quick"]

_PRIORITY = 50


@contextmanager
def quick() -> Iterator[bool]:
    """The calling thread runs under SCHED_FIFO until the end of the block; yields whether that was permitted.

    Threads and processes that it starts do not inherit it.
    """
    before = _become_quick()
    try:
        yield before is not None
    finally:
        if before is not None:  # SCHED_RESET_ON_FORK stays set: clearing it needs more permissions than setting it
            policy, parameters = before
            os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, parameters)


def _become_quick() -> tuple[int, os.sched_param] | None:
    """The scheduling of the thread before; None if it is unchanged, because no more was permitted."""
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except (OSError, AttributeError):  # not permitted, or not Linux
        return None
    return before
