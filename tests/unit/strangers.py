"""What tests of strangers' facts share: other data, and how far away in time they are told once more."""

from __future__ import annotations

from typing import Any

__all__ = ["FAR_S", "other"]

FAR_S = 1000.0


def other(value: Any) -> Any:
    """Something else of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 7
    return "stranger" if isinstance(value, str) else type(value)()
