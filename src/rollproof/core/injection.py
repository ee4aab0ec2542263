"""Injection: one fault, fully resolved, as the plan carries it and the run executes it.

What `rollproof plan` printed is what happens; where it is not true any more when its turn comes, it is void.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["NO_DEAD_MAN", "Injection", "Skip"]

NO_DEAD_MAN = "not needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One change that breaks something on purpose.

    fault: the name of the fault (`rollproof.faults`), which is also the kind of its entry in the undo journal.
    subject: the object, "Pod/<namespace>/<name>".
    change, undo: in words, for people.
    args: JSON without secrets, enough for a later process to look at the object and to put it back.
    affects_traffic: whether those who use the app could feel it.
    limit_s: within what time of the start the steady state must be back.
    effect_within_s: within what time the watches must show that it had an effect.
    dead_man: what undoes it if nobody comes back: "not needed", "none possible", or what it is.
    """

    fault: str
    drill: str
    subject: str
    change: str
    undo: str
    args: Mapping[str, Any]
    affects_traffic: bool
    limit_s: float
    effect_within_s: float
    dead_man: str = NO_DEAD_MAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A fault that this target cannot have, and why: what is not tested must not be mistaken for what passed."""

    fault: str
    drill: str
    reason: str
