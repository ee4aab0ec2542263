"""Faults: what is broken on purpose, one at a time, and put back.

Every change is in the undo journal before it is made; nothing here may touch an object outside of the target.
"""

from __future__ import annotations

from rollproof.faults.objects import undo_handlers

__all__ = ["undo_handlers"]
