"""The processes of a pod's container, as `pods/exec` shows them to whoever looks and signals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from faults.podcluster import Stage, pod

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube
from rollproof.faults.processes import LOOK

__all__ = ["Container", "deletions", "line", "play", "restarted"]

Table = dict[int, tuple[str, int, int]]  # pid -> name, parent, started (clock ticks)
NOW = 5000  # when the shell that looks began: 50 s after boot


def line(pid: int, name: str, parent: int, started: int, state: str = "S", group: int = 0) -> str:
    return f"{pid} ({name}) {state} {parent} {group} {' '.join(['0'] * 16)} {started} 0 0"


class Container:
    """The processes of every pod's container; `signalled` plays what comes of a signal, by its script."""

    def __init__(self) -> None:
        self.table: Table = {1: ("supervisord", 0, 10), 7: ("nginx", 1, 20), 8: ("nginx", 7, 21), 9: ("cron", 1, 22)}
        self.groups = {7: 7, 8: 7, 9: 9}
        self.stopped: set[int] = set()
        self.signalled: Callable[[str], object] = lambda _: self.become(nginx=(30, 1), worker=(31, 40))
        self.code = 0
        self.scripts: list[str] = []
        self.broken = 0
        self.now = NOW

    def become(self, **others: tuple[int, int]) -> None:
        """nginx and its worker are gone; these took their place: started, parent."""
        self.table = {pid: one for pid, one in self.table.items() if one[0] != "nginx"}
        for number, (started, parent) in enumerate(others.values()):
            self.table[40 + number] = ("nginx", parent, started)

    def listed(self) -> str:
        lines = [
            line(pid, *one, "T" if pid in self.stopped else "S", self.groups.get(pid, 0))
            for pid, one in self.table.items()
        ]
        return "\n".join([*lines, line(99, "sh", 0, self.now, "R", 99)])

    def __call__(
        self, _kube: Kube, _namespace: str, _pod: str, _container: str, command: Sequence[str], *, timeout_s: float
    ) -> Executed:
        script = command[2]
        assert timeout_s > 0
        self.scripts.append(script)
        if self.broken:
            raise ApiError("told", status=self.broken)
        if script == LOOK:
            return Executed(0, self.listed())
        if "kill -0" not in script and not self.code:
            self.signalled(script)
        return Executed(0 if "kill -0" in script else self.code)


def play(container: Container, monkeypatch: pytest.MonkeyPatch) -> Container:
    """It answers `pods/exec` from now on."""

    def pod_exec(*words: Any, **more: Any) -> Executed:  # a function, so that it is bound to its Kube
        return container(*words, **more)

    monkeypatch.setattr(Kube, "pod_exec", pod_exec)
    return container


def restarted(stage: Stage) -> None:
    """By the kubelet: the same pod, its container once more."""
    item = pod("web-1", "10.0.0.1")
    item["status"]["containerStatuses"] = [{"name": "web", "restartCount": 1}]
    stage.api.put("pods", item)


def deletions(stage: Stage) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method == "DELETE"]
