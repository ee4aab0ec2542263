"""Check: one thing that is asked of live objects, with what is advised, why, its source, and the drill that proves it.

A check is a small function with its data above it: from what was seen to what is to be said of it. It must not guess:
what could not be read raises UnreadError where it is asked for, and nobody here catches that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rollproof.core.posturefacts import Posture
from rollproof.core.target import Target

__all__ = ["Check", "Level", "Said", "check", "finding", "nothing", "sound", "unclear"]


class Level(StrEnum):
    """What a check says of an object."""

    SOUND = "sound"
    FINDING = "finding"  # FAIL where the target file promises it
    NOTHING = "nothing"  # there is nothing here that could be judged: SKIPPED
    UNCLEAR = "unclear"  # it was read, and does not say it: INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a check found. place: the object; note: what else belongs to it, in words; advised: "" for the check's."""

    level: Level
    place: str
    field: str
    value: str
    note: str = ""
    advised: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. drill: the command that shows the harm, "" for none; promised: whether a setting promises it."""

    id: str
    asks: str
    advised: str
    why: str
    source: str
    drill: str
    look: Callable[[Posture], Said]
    promised: Callable[[Target], bool]

    @property
    def code(self) -> str:
        """Of its finding."""
        return self.id.upper().replace("-", "_")


def check(
    name: str, *, asks: str, advised: str, why: str, source: str, drill: str = "",
    promised: Callable[[Target], bool] = lambda _: False,
) -> Callable[[Callable[[Posture], Said]], Check]:  # fmt: skip
    """Make a check of the function below it."""

    def made(look: Callable[[Posture], Said]) -> Check:
        return Check(
            id=name, asks=asks, advised=advised, why=why, source=source, drill=drill, look=look, promised=promised
        )

    return made


def sound(place: str, field: str, value: object, note: str = "") -> Said:
    """As advised."""
    return Said(level=Level.SOUND, place=place, field=field, value=str(value), note=note)


def finding(place: str, field: str, value: object, note: str = "", advised: str = "") -> Said:
    """Not as advised."""
    return Said(level=Level.FINDING, place=place, field=field, value=str(value), note=note, advised=advised)


def nothing(place: str, field: str, note: str) -> Said:
    """Nothing that could be judged, and why."""
    return Said(level=Level.NOTHING, place=place, field=field, value="none", note=note)


def unclear(place: str, field: str, value: object, note: str) -> Said:
    """It was read, and does not say what was asked; the note says what would."""
    return Said(level=Level.UNCLEAR, place=place, field=field, value=str(value), note=note)
