"""Report: everything that any report may show, as one frozen object.

The live session and `rollproof judge` build the same object, so their reports cannot differ. It must have no file
handle and no path: the writer decides where a report goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollproof.core.diagnosis import Cause
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.plan import Plan
from rollproof.core.platform import platform_word
from rollproof.core.verdict import Result, Verdict

__all__ = ["Report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run, judged.

    `facts` maps a drill to its facts, in the order in which the drills ran. `causes` are those of `result`, the
    likeliest first; none where it is PASS. `undo` is the word of verdicts.json
    ("clean", "left", "failed", ...), "" before the undo.
    """

    plan: Plan
    facts: Mapping[str, Facts]
    verdicts: tuple[Verdict, ...]
    result: Result
    exit_code: int
    causes: tuple[Cause, ...] = ()
    undo: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kubernetes(self) -> str:
        """The API server's version, "" if unknown."""
        version = str(self.environment.get("kubernetes", ""))
        return "" if version.startswith("unknown") else version

    @property
    def platform(self) -> str:
        """The kind of cluster, as one word."""
        return platform_word(self.kubernetes, self.plan.target.cluster.context)

    def drills(self) -> Iterator[tuple[str, Facts]]:
        """The planned drills with their facts. The undo at the end has the facts of all of them, and is not a drill."""
        return ((drill, facts) for drill, facts in self.facts.items() if drill in self.plan.drills)

    def events(self) -> tuple[Event, ...]:
        """Every event of the run once, in order: run-wide events are in each drill's facts."""
        by_seq = {event.seq: event for facts in self.facts.values() for event in facts.events}
        return tuple(by_seq[seq] for seq in sorted(by_seq))
