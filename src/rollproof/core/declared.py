"""What a field of the target may hold, beyond its type, declared beside it: `Annotated[float, above(0, 300)]`.

Only the declarations: `target.rules` holds a target against them, and says in words what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

__all__ = ["Distinct", "Names", "Needed", "OneOf", "Pointer", "Range", "Rule", "UrlPath", "above", "between", "one_of"]


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` (itself only if `low_allowed`) to `high`; of a table, each of its values. None passes."""

    low: float
    high: float
    low_allowed: bool


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needed:
    """A text that is not empty."""


@dataclass(frozen=True, slots=True)
class UrlPath:
    """A path of the app, or empty; a query may follow, without a credential in it."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A JSON pointer (RFC 6901), or empty."""


@dataclass(frozen=True, slots=True)
class Distinct:
    """A list that has each of its entries once: what is done, judged or looked for twice was meant to be another."""


Rule = Range | OneOf | Needed | UrlPath | Pointer | Distinct
Names = Annotated[tuple[str, ...], Distinct()]


def above(low: float, high: float) -> Range:
    """More than `low`, and at most `high`."""
    return Range(low, high, low_allowed=False)


def between(low: float, high: float) -> Range:
    """At least `low`, and at most `high`."""
    return Range(low, high, low_allowed=True)


def one_of(*words: str) -> OneOf:
    """One of these words."""
    return OneOf(words)
