"""Faults: what is broken on purpose, one at a time, and put back.

Every change is in the undo journal before it is made; nothing here may touch an object outside of the target.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollproof.clients.kube import Kube
from rollproof.faults.objects import restore_field, restore_object
from rollproof.undo import Handler

__all__ = ["undo_handlers"]


def undo_handlers(kube: Kube) -> Mapping[str, Handler]:
    """The undo of each kind of entry that faults write."""
    return {
        "field-restore": lambda args: restore_field(kube, args),
        "object-restore": lambda args: restore_object(kube, args),
    }
