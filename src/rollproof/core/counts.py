"""Counts in sentences: `1 proof`, `2 proofs`, `1,204 requests`. The one place that knows a plural."""

from __future__ import annotations

__all__ = ["many", "were"]

_SIBILANTS = ("s", "x", "ch", "sh")


def many(count: object, noun: str) -> str:
    """The count with its noun, which is given in the singular; a count that is no number ("?") takes the plural."""
    number = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{number} {noun if number == '1' else _plural(noun)}"


def were(count: int) -> str:
    """The verb for that many."""
    return "was" if count == 1 else "were"


def _plural(noun: str) -> str:
    if noun.endswith(_SIBILANTS):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in {"a", "e", "o", "u"}:
        return f"{noun[:-1]}ies"
    return f"{noun}s"
