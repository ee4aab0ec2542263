"""Tests that start processes are marked `processes`: `make test` runs the others, `make test-processes` these.

They are one test of sixteen, and take half of all CPU seconds: git, Python and locust cost more than what they are
asked. A test that starts one without the mark fails and says so: the one suite stays quick, and no test is in neither.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["check", "forget", "watch"]

_started: list[str] = []  # by the test that runs: the first word of each command


def watch(*kinds: type[Any]) -> None:
    """From now on each process that is started by one of these classes (as subprocess.Popen) is noted."""
    for kind in kinds:
        _watch(kind)


def _watch(kind: type[Any]) -> None:
    start = kind.__init__

    def noted(self: Any, command: Any, *rest: Any, **named: Any) -> None:
        _started.append(command if isinstance(command, str) else str(command[0]))
        start(self, command, *rest, **named)

    kind.__init__ = noted


def forget() -> None:
    """What was started until now belongs to no test that is still to come."""
    _started.clear()


def check(item: pytest.Item) -> None:
    """Raises pytest.fail.Exception where this test has started a process and is not marked."""
    if _started and not item.get_closest_marker("processes"):
        pytest.fail(f"it started {_started[0]!r}: mark it @pytest.mark.processes (tests/README.md)", pytrace=False)
