"""Watched: the object watches of one drift trial, and its only way to wait, over all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rollproof.clients.argo import ApplicationState, application_state
from rollproof.probes.objectwatch import ObjectHistory
from rollproof.probes.views import DeploymentView
from rollproof.probes.waiting import Changes

__all__ = ["Watched"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watched:
    """The Application, the Deployment and the object that is drifted; all three wake the same wait."""

    changes: Changes
    application: ObjectHistory
    deployment: ObjectHistory
    item: ObjectHistory

    def state(self) -> ApplicationState:
        """What the Application said last."""
        newest = self.application.newest()
        return application_state(newest.item) if newest else ApplicationState()

    def rollout(self, container: str = "") -> DeploymentView | None:
        """The Deployment as last seen, or None while it does not exist."""
        newest = self.deployment.newest()
        gone = newest is None or newest.change == "DELETED"
        return None if newest is None or gone else DeploymentView.of(newest.item, container)

    def arrived_s(self) -> float:
        """When the newest that was seen of Application and Deployment arrived."""
        newest = [one for one in (self.application.newest(), self.deployment.newest()) if one is not None]
        return max((one.at_s for one in newest), default=0.0)

    def wait(self, look: Callable[[], T | None], timeout_s: float) -> T | None:
        """The first value of `look` that is not None, asked after every arrival; None when the time is over."""
        return self.changes.wait(look, timeout_s=timeout_s)
