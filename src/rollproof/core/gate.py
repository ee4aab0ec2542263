"""Gate: what the facts tell of the steady state before and after a drill of several (docs/facts.md, `run`)."""

from __future__ import annotations

from enum import StrEnum

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts

__all__ = ["SOURCE", "SUBJECT", "GateWord", "closed_gates", "why_closed"]

SOURCE, SUBJECT = "run", "gate"
_WORDS = {"before": "was not there before the drill", "after": "did not come back after the drill"}


class GateWord(StrEnum):
    """When it was looked at."""

    BEFORE = "before"
    AFTER = "after"


def closed_gates(facts: Facts) -> tuple[Event, ...]:
    """The drill's gates at which the steady state was missing, in order."""
    found = facts.find(source=SOURCE, subject=SUBJECT)
    return tuple(event for event in found if event.drill == facts.drill and event.outcome is not Outcome.OK)


def why_closed(gate: Event) -> str:
    """What was missing, as a sentence for people."""
    waited_s, missing = gate.end_s - gate.start_s, gate.data.get("missing") or "nobody noted what"
    return f"the steady state {_WORDS.get(gate.what, gate.what)}, within {waited_s:.1f} s: {missing}"
