"""Facts: everything that a checker may look at. A checker is a pure function Facts -> Verdict.

The same object is built from a live session and from a stored run folder, so that `rollproof judge` and the drill
itself cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollproof.core.event import Event
from rollproof.core.journal import Record
from rollproof.core.plan import Plan

if TYPE_CHECKING:  # numpy, a tenth of a second for whoever has no requests: an error, the table of `history`
    from rollproof.core.requests import RequestLog

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Plan, timeline, request log and environment of one drill of one run.

    `events` are in order of `seq` and hold the drill's own events and those of no drill (run-wide watches).
    `requests` is None when the drill ran no load. `journal` is there for the undo only, and None where none was kept.
    """

    plan: Plan
    drill: str
    events: tuple[Event, ...]
    requests: RequestLog | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    journal: Record | None = None

    def find(
        self, *, source: str | None = None, subject: str | None = None, what: str | None = None
    ) -> Iterator[Event]:
        """Events that match every given word; `subject` matches by prefix ("Pod/")."""
        for event in self.events:
            if source is not None and event.source != source:
                continue
            if subject is not None and not event.subject.startswith(subject):
                continue
            if what is not None and event.what != what:
                continue
            yield event

    def first(self, *, source: str | None = None, subject: str | None = None, what: str | None = None) -> Event | None:
        """The earliest matching event, or None."""
        return next(self.find(source=source, subject=subject, what=what), None)

    def last(self, *, source: str | None = None, subject: str | None = None, what: str | None = None) -> Event | None:
        """The latest matching event, or None."""
        return next(reversed(list(self.find(source=source, subject=subject, what=what))), None)
