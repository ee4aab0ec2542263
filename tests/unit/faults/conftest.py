from __future__ import annotations

import importlib
import math
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import recorder
from fakeapi import FakeApi
from fakecluster import FakeCluster
from faults.podcluster import Cluster, Stage
from owntime import SteadyClock, own_time

from rollproof import faults, probes
from rollproof.faults.base import Fault
from rollproof.probes import standstill, waiting

for package in (faults, probes):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
# All that measure a time here do it by one clock: a limit that one has set may be read by another.
_TIMED = [
    module for name, module in sys.modules.items()
    if name.startswith(("rollproof.faults.", "rollproof.probes.")) and vars(module).get("time") is time
]  # fmt: skip


@pytest.fixture(autouse=True)
def _clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what never comes, and no stall of the machine ends what is still to come."""
    clock = SteadyClock()
    if request.node.get_closest_marker("processes"):
        clock.quickly = 1  # it cannot know that a process is at work
    own_time(monkeypatch, *_TIMED, recorder, monotonic=clock.monotonic, sleep=clock.sleep)
    monkeypatch.setattr(waiting, "_WAKE_S", SteadyClock.STEP_S)
    monkeypatch.setattr(standstill, "_STILL_S", math.inf)  # in a hurry each of its beats is late
    clock.hears(monkeypatch, waiting.Changes, "wake")
    clock.hears(monkeypatch, FakeApi, "put", "remove", "told")
    clock.hears(monkeypatch, FakeCluster, "put", "delete")


@pytest.fixture(autouse=True)
def _short_look_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._STAYS_S", 0.02)


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Fault], Stage]]:
    """Makes the stage of a fault: two pods behind a Service, watched."""
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield lambda fault: Stage(fault, Cluster(), tmp_path, stack)
