"""Posturefacts: the facts of a look at live objects, and their only reader.

One fact for each question (`Topic`): its answer as a view of `core.posture`, or the word why there is none (`Unread`).
What could not be read is never taken for what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from rollproof.core import posture
from rollproof.core.facts import Facts
from rollproof.core.outside import Outside
from rollproof.core.posturewords import SOURCE, PostureWord, Topic, Unread
from rollproof.core.typedviews import read_view

__all__ = ["VIEWS", "Posture", "UnreadError", "view_of"]

VIEWS: Mapping[Topic, type] = {
    Topic.DEPLOYMENT: posture.DeploymentSeen,
    Topic.PODS: posture.PodsSeen,
    Topic.NODES: posture.NodesSeen,
    Topic.ENTRY: posture.EntrySeen,
    Topic.DATABASE: posture.DatabaseSeen,
    Topic.SERVICE: posture.ServiceSeen,
    Topic.ENDPOINTS: posture.EndpointsSeen,
    Topic.SCALERS: posture.ScalersSeen,
    Topic.BUDGETS: posture.BudgetsSeen,
    Topic.EVICTIONS: posture.EvictionsSeen,
    Topic.POLICIES: posture.PoliciesSeen,
    Topic.CONFIGS: posture.ConfigsSeen,
    Topic.ACCOUNT: posture.AccountSeen,
    Topic.EVENTS: posture.EventsSeen,
    Topic.APPLICATION: posture.ApplicationSeen,
    Topic.PROJECT: posture.ProjectSeen,
    Topic.SCAN: posture.ScanSeen,
    Topic.REGISTRY: posture.RegistrySeen,
}

T = TypeVar("T")


class UnreadError(Exception):
    """A question without an answer: `cause` says why, the message in words."""

    def __init__(self, topic: Topic, cause: Unread, reason: str) -> None:
        super().__init__(f"{topic}: {reason}")
        self.topic, self.cause, self.reason = topic, cause, reason


class Posture:
    """What was seen of one target. `view` gives a topic's answer, or raises UnreadError."""

    def __init__(self, facts: Facts) -> None:
        self.target = facts.plan.target
        told = [event for event in facts.find(source=SOURCE) if event.drill == facts.drill]
        self._told = {event.subject.partition("/")[0]: event for event in told}  # the last of each topic
        self._views: dict[type, Any] = {}  # by their class; read once, 25 checks ask for the same few
        self.used: list[int] = []  # seq of each fact that was looked at since it was last emptied

    def view(self, cls: type[T]) -> T:
        """The answer of that type."""
        topic = next(one for one, view in VIEWS.items() if view is cls)
        event = self._told.get(topic)
        if event is None:
            raise UnreadError(topic, Unread.NO_ANSWER, "this run did not ask for it")
        self.used.append(event.seq)
        if event.what != PostureWord.READ:
            word, reason = str(event.data.get("cause") or ""), str(event.data.get("reason") or "")
            cause = Unread(word) if word in {*Unread} else Unread.NO_ANSWER  # of another version: not known
            raise UnreadError(topic, cause, reason or "no reason was noted")
        if cls not in self._views:
            self._views[cls] = read_view(cls, Outside.of(event.data, event.subject))
        found: T = self._views[cls]
        return found

    def subject(self, cls: type) -> str:
        """What a topic is about: `Deployment/shop/web`; the topic's own word if nobody has asked."""
        topic = next(one for one, view in VIEWS.items() if view is cls)
        event = self._told.get(topic)
        return event.subject if event is not None else str(topic)


def view_of(topic: str, data: Outside) -> Any:
    """The view in a fact's data; the error of `data` for the first field that is of another type."""
    return read_view(VIEWS[Topic(topic)], data)
