"""Scene: what a drift trial watches, and its only way to wait: event driven, bounded, over all of it at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rollproof.clients.argo import ApplicationState, application_state
from rollproof.faults.sight import Sight
from rollproof.probes.views import DeploymentView

__all__ = ["Scene"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scene:
    """What one trial watches; all three wake the same condition."""

    changed: threading.Condition
    application: Sight
    deployment: Sight
    item: Sight

    def state(self) -> ApplicationState:
        """What the Application said last."""
        newest = self.application.newest()
        return application_state(newest.item) if newest else ApplicationState()

    def rollout(self, container: str = "") -> DeploymentView | None:
        """The Deployment as last seen, or None while it does not exist."""
        newest = self.deployment.newest()
        gone = newest is None or newest.change == "DELETED"
        return None if newest is None or gone else DeploymentView.of(newest.item, container)

    def wait(self, look: Callable[[], T | None], timeout_s: float) -> T | None:
        """The first value of `look` that is not None, asked after every arrival; None when the time is over."""
        deadline_s = time.monotonic() + timeout_s
        with self.changed:
            while True:
                value, left_s = look(), deadline_s - time.monotonic()
                if value is not None or left_s <= 0:
                    return value
                self.changed.wait(min(left_s, 1.0))
