"""Attempt: one drift or one fault, as the facts tell it: its events by their word, the last of each.

What was planned again was tried again, and only the last time is judged. The kinds are in `drift` and `fault`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollproof.core.event import Event
from rollproof.core.facts import Facts

__all__ = ["Attempt", "said_by_subject"]

_PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`subject` is that of its events ("Drift/image"); `said` maps a word to the last event that has it."""

    subject: str
    said: Mapping[str, Event]

    @property
    def short_name(self) -> str:
        """What is behind the subject's slash: the trial's or the fault's name."""
        return self.subject.partition("/")[2]

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that is known of it, in the order in which it was written."""
        return tuple(sorted(self.said.values(), key=lambda event: event.seq))

    @property
    def end_s(self) -> float | None:
        """When the last that is known of it ended."""
        return max((event.end_s for event in self.said.values()), default=None)

    def reason(self, word: str) -> str:
        """The sentence for people that came with the word."""
        event = self.said.get(word)
        return str(event.data.get("reason") or "no reason") if event is not None else "no reason"

    def last_word(self) -> str:
        """The last that is known of it; "" if nothing is."""
        return str(self.events[-1].what) if self.said else ""


def said_by_subject(facts: Facts, source: str, kind: str) -> dict[str, dict[str, Event]]:
    """By subject, in the order of their first event: the events of each attempt's last time, by word."""
    found: dict[str, dict[str, Event]] = {}
    for event in facts.find(source=source, subject=f"{kind}/"):
        if event.what == _PLANNED:
            found[event.subject] = {}
        found.setdefault(event.subject, {})[event.what] = event
    return found
