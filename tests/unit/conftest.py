"""No test knows the secrets of another: the register belongs to the process. What several folders' tests start."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import processes
import pytest
from forked import Forked, forked_script

from rollproof.probes import standstill
from rollproof.redaction import SECRETS


def pytest_configure(config: pytest.Config) -> None:
    """Processes are noted from here on; xdist's workers share the stored histories as judged (storedruns.py)."""
    processes.watch(subprocess.Popen, Forked)
    standstill._STILL_S = 30.0  # a busy machine lets tests stand still; those that are about it set it themselves
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="rollproof-judged-")
        os.environ["JUDGED_HISTORIES"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_collection_finish() -> None:
    """Nine thousand collected tests are not looked through again and again: an eighth of all CPU seconds, measured."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    processes.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield
    processes.check(item)


@pytest.fixture(autouse=True)
def _no_secrets_known() -> Iterator[None]:
    SECRETS.clear()
    yield
    SECRETS.clear()


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process and its children put temporary files. TMPDIR alone does not: Python keeps its first answer."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def forked_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator and its fault server are forked from a process that has imported locust, instead of started."""
    names = {"Popen": forked_script, "PIPE": subprocess.PIPE, "TimeoutExpired": subprocess.TimeoutExpired}
    monkeypatch.setattr("rollproof.loadgen.child.subprocess", SimpleNamespace(**names))
