"""A test that starts a process and is not marked fails: none of them comes back into the quick suite unseen."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import processes
import pytest
from forked import run_module


class Started:
    """As subprocess.Popen, which is watched in all tests."""

    def __init__(self, command: Any) -> None:
        self.command = command


def item(*marks: str) -> Any:
    return SimpleNamespace(get_closest_marker=lambda name: name if name in marks else None)


@pytest.mark.parametrize("command", [["git", "clone"], "git clone"])
def test_one_that_is_not_marked_is_told(command: Any) -> None:
    processes.watch(Started)
    assert Started(command).command == command
    with pytest.raises(pytest.fail.Exception, match=r"it started 'git.*@pytest\.mark\.processes"):
        processes.check(item("deep"))
    processes.check(item("processes"))
    processes.forget()
    processes.check(item())


@pytest.mark.processes
@pytest.mark.parametrize("way", ["started", "forked"])
def test_either_way_to_start_one_is_seen(way: str, tmp_path: Any) -> None:
    if way == "started":
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    else:
        run_module("rollproof", "--version", cwd=tmp_path, environ={})
    with pytest.raises(pytest.fail.Exception):
        processes.check(item())
