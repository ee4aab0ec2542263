"""Old facts: the one place that reads what versions with less to say have recorded, so that old runs judge the same.

A newer version carries the word that decides as data; here, and nowhere else, its absence is given a meaning. Each
function names the fact, and what was there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.core.reasons import Found

__all__ = ["found_at_the_end", "is_member", "own_change_seen", "translated", "was_kept"]

_KEPT = "kept: "  # until run folders of November 2026 an entry that stays on purpose said so in its reason only


def translated(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A fact's data in today's words: until November 2026 the stage at which a release failed was its `leg`."""
    return {("stage" if name == "leg" else name): value for name, value in data.items()} if "leg" in data else data


def was_kept(undo: Mapping[str, Any]) -> bool:
    """Of an ended journal entry: does its change stay, as the plan says? Once told by the beginning of `reason`."""
    return bool(undo["kept"]) if "kept" in undo else str(undo.get("reason", "")).startswith(_KEPT)


def own_change_seen(end: Mapping[str, Any]) -> bool:
    """Of `not-healed` and `stayed`: did the trial's own watch show the drift? Once taken for granted."""
    return end.get("seen", True) is True


def found_at_the_end(end: Mapping[str, Any]) -> Found:
    """Of `not-healed` and `stayed`: the field when it was read once more. Once not read, but taken to be still ours."""
    said = str(end.get("found", Found.OURS))
    return Found(said) if said in set(Found) else Found.UNREAD


def is_member(pod: Mapping[str, Any]) -> bool:
    """Of a pod's watch event: is it the Deployment's? Once told by its labels, by which the watch had chosen it."""
    return pod.get("member", True) is not False
