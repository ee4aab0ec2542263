from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import recorder
from faults.podcluster import Cluster, Stage
from owntime import SteadyClock, own_time

from rollproof.faults.base import Fault
from rollproof.faults.registry import all_faults
from rollproof.probes import waiting

all_faults()  # so that all of their modules are imported
# All that measure a time here do it by one clock: a limit that one has set may be read by another.
_TIMED = [
    module for name, module in sys.modules.items()
    if name.startswith(("rollproof.faults.", "rollproof.probes.")) and vars(module).get("time") is time
]  # fmt: skip


@pytest.fixture(autouse=True)
def _stalls_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits here are short, so that what never comes is not waited for long: no stall of the machine ends them."""
    own_time(monkeypatch, *_TIMED, recorder, monotonic=SteadyClock().monotonic)
    monkeypatch.setattr(waiting, "_WAKE_S", SteadyClock.STEP_S)


@pytest.fixture(autouse=True)
def _short_look_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._STAYS_S", 0.02)


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Fault], Stage]]:
    """Makes the stage of a fault: two pods behind a Service, watched."""
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield lambda fault: Stage(fault, Cluster(), tmp_path, stack)
