"""No test knows the secrets of another: the register belongs to the process. What several folders' tests start."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from forked import forked_script, start_servers

from rollproof.redaction import SECRETS


def pytest_configure(config: pytest.Config) -> None:
    """What workers would otherwise do each for itself."""
    if config.getoption("workers", 0):
        import storedruns  # not before: it imports most of rollproof

        start_servers()
        storedruns.share()


def pytest_collection_finish() -> None:
    """Nine thousand collected tests are not looked through again and again: an eighth of all CPU seconds, measured."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@pytest.fixture(autouse=True)
def _no_secrets_known() -> Iterator[None]:
    SECRETS.clear()
    yield
    SECRETS.clear()


@pytest.fixture
def forked_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator and its fault server are forked from a process that has imported locust, instead of started."""
    names = {"Popen": forked_script, "PIPE": subprocess.PIPE, "TimeoutExpired": subprocess.TimeoutExpired}
    monkeypatch.setattr("rollproof.loadgen.child.subprocess", SimpleNamespace(**names))
