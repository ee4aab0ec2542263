"""Posturefacts: the facts of a look at live objects, their words, and their only reader.

One fact for each question (`Topic`): its answer as a view of `core.posture`, or the word why there is none (`Unread`).
What could not be read is never taken for what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from rollproof.core import posture
from rollproof.core.facts import Facts
from rollproof.core.outside import Outside

__all__ = ["SOURCE", "VIEWS", "Posture", "PostureWord", "Topic", "Unread", "UnreadError", "stored", "view_of"]

SOURCE = "posture"


class PostureWord(StrEnum):
    """What came of a question."""

    READ = "read"
    UNREAD = "unread"


class Unread(StrEnum):
    """Why a question has no answer."""

    FORBIDDEN = "forbidden"  # 401 or 403: the right to read it is missing
    ABSENT = "absent"  # it, or its kind, does not exist in this cluster
    NO_ANSWER = "no-answer"  # the API server, or an answer that nobody can work with
    NOT_NAMED = "not-named"  # the target file does not say where to look


class Topic(StrEnum):
    """What is asked of a cluster; the subject of the fact begins with it, `Deployment/shop/web`."""

    DEPLOYMENT = "Deployment"
    PODS = "Pods"
    NODES = "Nodes"
    ENTRY = "Entry"  # the pods of the ingress
    DATABASE = "Database"  # the pods of the app's database
    SERVICE = "Service"
    ENDPOINTS = "Endpoints"
    SCALERS = "Autoscalers"
    BUDGETS = "DisruptionBudgets"
    EVICTIONS = "Evictions"  # dry runs: nothing is evicted
    POLICIES = "NetworkPolicies"
    CONFIGS = "ConfigMaps"
    ACCOUNT = "ServiceAccount"
    EVENTS = "Events"
    APPLICATION = "Application"
    PROJECT = "AppProject"
    SCAN = "ScanFile"


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
        self.used: list[int] = []  # seq of each fact that was looked at since it was last emptied

    def view(self, cls: type[T]) -> T:
        """The answer of that type."""
        topic = next(one for one, view in VIEWS.items() if view is cls)
        event = self._told.get(topic)
        if event is None:
            raise UnreadError(topic, Unread.NO_ANSWER, "nobody has asked")
        self.used.append(event.seq)
        if event.what != PostureWord.READ:
            word, reason = str(event.data.get("cause") or ""), str(event.data.get("reason") or "")
            cause = Unread(word) if word in {*Unread} else Unread.NO_ANSWER  # of another version: not known
            raise UnreadError(topic, cause, reason or "no reason was noted")
        return _typed(cls, Outside.of(event.data, event.subject))

    def subject(self, cls: type) -> str:
        """What a topic is about: `Deployment/shop/web`; the topic's own word if nobody has asked."""
        topic = next(one for one, view in VIEWS.items() if view is cls)
        event = self._told.get(topic)
        return event.subject if event is not None else topic


def stored(view: Any) -> dict[str, Any]:
    """A view as the data of its fact."""
    return asdict(view)


def view_of(topic: str, data: Outside) -> Any:
    """The view in a fact's data; the error of `data` for the first field that is of another type."""
    return _typed(VIEWS[Topic(topic)], data)


def _typed(cls: type[T], data: Outside) -> T:
    """A view from JSON: absent, null and empty are one thing; a name, a number or a word that is needed is refused."""
    made = {}
    for name, hint, has_default in _fields(cls.__name__):
        if data.value.get(name) is not None or get_origin(hint) in (dict, tuple):
            made[name] = _field(data, name, hint)
        elif not has_default:
            data.refuse(name, "there")
    return cls(**made)


@cache
def _fields(name: str) -> tuple[tuple[str, Any, bool], ...]:
    cls = getattr(posture, name)
    hints = get_type_hints(cls)
    return tuple((one.name, hints[one.name], one.default is not MISSING) for one in fields(cls))


def _field(data: Outside, name: str, hint: Any) -> Any:
    wanted = get_args(hint)[0] if isinstance(hint, UnionType) else hint  # of `float | None`: float
    if wanted in _READERS:
        return _READERS[wanted](data, name)
    if get_origin(wanted) is tuple:
        return tuple(_typed(get_args(wanted)[0], one) for one in data.objects(name))
    return _typed(wanted, data.child(name))


_READERS: Mapping[Any, Callable[[Outside, str], Any]] = {
    str: Outside.text, int: Outside.integer, float: Outside.real, bool: Outside.flag, dict[str, str]: Outside.table,
    tuple[str, ...]: Outside.texts,
}  # fmt: skip
