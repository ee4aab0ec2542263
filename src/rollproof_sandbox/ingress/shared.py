"""Shared: the common state of all connections of the ingress: names, log, pods, and the active exchanges."""

from __future__ import annotations

from rollproof_sandbox.ingress.drops import Drops
from rollproof_sandbox.ingress.pods import Pods
from rollproof_sandbox.wire.loop import Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from rollproof_sandbox.ingress.accesslog import AccessLog

    class Due(Protocol):
        """An exchange as the worker sees it: `due_s` is when the pod has taken too long."""

        due_s: float

        def timed_out(self) -> None:
            """The pod has taken too long."""


__all__ = ["Shared"]


class Shared:
    """`told` is the first line of stdin (`worker.py`)."""

    def __init__(self, told: dict[str, Any], log: AccessLog) -> None:
        self.loop = Loop()
        self.app_host: bytes = told["app_host"].encode().lower()
        self.control_host: bytes = told["control_host"].encode().lower()
        self.log = log
        self.pods = Pods(self.loop)
        self.exchanges: set[Due] = set()
        self.drops = Drops(told["settings"]["drops"])
