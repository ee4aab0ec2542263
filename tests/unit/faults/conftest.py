from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from faults.podcluster import Cluster, Stage

from rollproof.faults.base import Fault


@pytest.fixture(autouse=True)
def _short_look_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._STAYS_S", 0.02)


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Fault], Stage]]:
    """Makes the stage of a fault: two pods behind a Service, watched."""
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield lambda fault: Stage(fault, Cluster(), tmp_path, stack)
