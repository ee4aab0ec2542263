"""Where the CPU seconds of a test run go: `-p tests.cpu` names, at its end, the ten files that took most.

CPU and not time: on a busy machine the same test takes twice the time. Counted are a test's own process, its threads
and the processes that it started and waited for, or had forked by `tests/unit/forked.py`.
Nothing is judged by it: it shows which file has grown.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

__all__ = ["summary"]

_SHOWN = 10
_COLLECTING = "(collecting)"
_KEY = "rollproof_cpu_s"  # in what an xdist worker tells its controller at its end


def cpu_s() -> float:
    """Of this process, of those that it waited for, and of those that were forked for it."""
    now = os.times()
    forked: Any = sys.modules.get("forked")
    return now.user + now.system + now.children_user + now.children_system + (forked.CPU_S[0] if forked else 0)


def summary(took_s: Mapping[str, float], shown: int = _SHOWN) -> Iterator[str]:
    """The files that took most, and all of them together."""
    tests_s = sum(seconds for name, seconds in took_s.items() if name != _COLLECTING)
    yield f"tests {tests_s:.0f} s of CPU, collecting {took_s.get(_COLLECTING, 0.0):.0f} s (of all workers)"
    files = sorted(took_s.items(), key=lambda one: (-one[1], one[0]))
    for name, seconds in [one for one in files if one[0] != _COLLECTING][:shown]:
        yield f"{seconds:7.1f} s  {name}"


class _Account:
    """Seconds by file: counted where tests run, added up in xdist's controller."""

    def __init__(self) -> None:
        self.took_s: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Iterator[None]:
        before_s = cpu_s()
        yield
        self.took_s[_COLLECTING] += cpu_s() - before_s

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before_s = cpu_s()
        result = yield
        self.took_s[item.nodeid.partition("::")[0]] += cpu_s() - before_s
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_KEY] = dict(self.took_s)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.took_s.update(getattr(node, "workeroutput", {}).get(_KEY, {}))  # a Counter's update adds

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("CPU by file")
        for line in summary(self.took_s):
            terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Account())
