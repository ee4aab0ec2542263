"""Kept: what pods that did not come up said, read before an undo takes them away; the words, and their only reader.

One fact for each container, each log and each list of events; the full texts are files of the run folder. Code decides
by the closed words (`core.reasons`, exit codes); messages and log lines are evidence for people and are only quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from rollproof.core.counts import many
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.outside import Outside
from rollproof.core.reasons import EXIT_WORDS

__all__ = [
    "SOURCE",
    "TAIL_LINES",
    "ContainerKept",
    "EventKept",
    "KeptWord",
    "LogKept",
    "file_of",
    "kept_containers",
    "kept_events",
    "kept_logs",
    "unread_parts",
]  # fmt: skip

SOURCE = "kept"
TAIL_LINES = 5  # of a log, in its fact and in every report
_FILE = re.compile(r"podlog-[a-z0-9.-]{1,200}\.log|podevents-[0-9]{1,4}\.txt")


class KeptWord(StrEnum):
    """What is told."""

    STATE = "state"  # of a container
    LOG = "log"
    EVENTS = "events"
    UNREAD = "unread"  # forbidden, absent or no answer: `core.posturefacts.Unread`


@dataclass(frozen=True, slots=True)
class ContainerKept:
    """The state of one container of a pod that was not ready, or had restarted.

    waiting: Kubernetes' reason (CrashLoopBackOff, ...); ended: why it ended last (OOMKilled, Error, ...); exit_code:
    None where it never ended.
    """

    event: Event
    pod: str
    container: str
    waiting: str
    ended: str
    exit_code: int | None
    restarts: int

    @property
    def words(self) -> str:
        """Its state for people, from closed words and numbers alone; "running" where it is in no trouble."""
        said = [f"waits: {self.waiting}"] if self.waiting else []
        if self.exit_code is not None:
            known = EXIT_WORDS.get(self.exit_code)
            why = ", ".join(one for one in (self.ended, known) if one)
            said.append(f"ended last with exit code {self.exit_code}" + (f" ({why})" if why else ""))
        if self.restarts:
            said.append(many(self.restarts, "restart"))
        return ", ".join(said) or "running, not ready"


@dataclass(frozen=True, slots=True)
class LogKept:
    """A container's log. previous: of the one before its last restart; file: in the run folder; tail: its last lines.

    file is "" where the name in the fact is none of ours: a link to it must not lead elsewhere.
    """

    event: Event
    pod: str
    container: str
    previous: bool
    file: str
    lines: int
    cut: bool
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventKept:
    """An event of Kubernetes about the Deployment, one of its ReplicaSets or pods. object: `Kind/name`."""

    event: Event
    object: str
    reason: str
    warning: bool
    count: int
    message: str


def kept_containers(facts: Facts) -> list[ContainerKept]:
    """The containers, in the order in which they were read: the pods that kept a rollout come first."""
    return [_container(event) for event in _told(facts, KeptWord.STATE)]


def kept_logs(facts: Facts) -> list[LogKept]:
    """The logs, in the same order; of a container that restarts the one before comes first: it says why."""
    return [_log(event) for event in _told(facts, KeptWord.LOG)]


def kept_events(facts: Facts) -> list[EventKept]:
    """The events, warnings first, then the newest."""
    return [
        EventKept(
            event, one.text("object"), one.text("reason"), one.flag("warning"), one.integer("count", 1),
            one.text("message"),
        )
        for event in _told(facts, KeptWord.EVENTS)
        for one in Outside.of(event.data, event.subject).objects("seen")
    ]  # fmt: skip


def unread_parts(facts: Facts) -> list[Event]:
    """What could not be read: it says nothing about what would have been there."""
    return _told(facts, KeptWord.UNREAD)


def _told(facts: Facts, word: KeptWord) -> list[Event]:
    return [event for event in facts.find(source=SOURCE, what=word) if event.drill == facts.drill]


def _pod(event: Event) -> str:
    return event.subject.rpartition("/")[2]


def _container(event: Event) -> ContainerKept:
    data = Outside.of(event.data, event.subject)
    code = data.integer("exit_code") if data.value.get("exit_code") is not None else None
    return ContainerKept(
        event, _pod(event), data.text("container"), data.text("waiting"), data.text("ended"), code,
        data.integer("restarts"),
    )  # fmt: skip


def _log(event: Event) -> LogKept:
    data = Outside.of(event.data, event.subject)
    return LogKept(
        event, _pod(event), data.text("container"), data.flag("previous"), file_of(event), data.integer("lines"),
        data.flag("cut"), tuple(data.texts("tail")[-TAIL_LINES:]),
    )  # fmt: skip


def file_of(event: Event) -> str:
    """The file that the fact names; "" if that is no name of ours."""
    name = str(event.data.get("file"))  # "None" is none of ours either
    return name if _FILE.fullmatch(name) else ""
