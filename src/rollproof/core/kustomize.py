"""Kustomize: what its generators do to a name."""

from __future__ import annotations

import re

__all__ = ["is_hashed"]

_HASH = re.compile(r"-[2456789bcdfghkmt]{10}")  # the alphabet of its hash suffix (api/hasher)
_LENGTH = 11


def is_hashed(name: str, base: str | None = None) -> bool:
    """Whether a name ends with the hash that a generator gives it; with `base`, whether it is that name with one."""
    return bool(_HASH.fullmatch(name[-_LENGTH:])) and base in (None, name[:-_LENGTH])
