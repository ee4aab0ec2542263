"""Proofs: did the unusual event happen at all, in a run with PASS? Without it, a sound control shows nothing.

Read from what the run recorded and from the sandbox's own logs; no judging code is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PROOFS", "Record", "happened"]


@dataclass(frozen=True, slots=True)
class Record:
    """The events of a run's timeline, and the text of the sandbox's logs (empty on another target)."""

    events: tuple[Mapping[str, Any], ...] = ()
    log: str = ""

    @classmethod
    def of(cls, run: Path | None, sandbox: Path | None = None) -> Record:
        """What exists of them; what is missing proves nothing."""
        timeline = run / "timeline.jsonl" if run else None
        lines = timeline.read_text().splitlines() if timeline and timeline.is_file() else []
        logs = sorted((sandbox / "logs").glob("*.log")) if sandbox else []
        return cls(
            tuple(json.loads(line) for line in lines), "".join(path.read_text(errors="replace") for path in logs)
        )

    def data(self, what: str) -> Iterator[Mapping[str, Any]]:
        """The data of every event with that word."""
        return (event.get("data") or {} for event in self.events if event["what"] == what)


def _listed_again(record: Record) -> bool:
    return any("410" in str(gap.get("reason")) for gap in record.data("gap"))


def _resumed(record: Record) -> bool:
    return any(gap.get("reason") == "the server ended the watch" for gap in record.data("gap"))


def _backed_off(record: Record) -> bool:
    """Six heals before; the back-off was still running when the trial was planned, and was over when it began."""
    planned_s = next((event["end_s"] for event in record.events if event["what"] == "planned"), None)
    before = next((event for event in record.events if event["what"] == "before"), None)
    if planned_s is None or before is None or before["data"]["attempts"] != 6:
        return False
    quiet_s, gap_s = before["data"]["quiet_s"], before["data"]["gap_s"]
    return bool(quiet_s - (before["end_s"] - planned_s) < gap_s <= quiet_s)


def _new_uid(record: Record) -> bool:
    was, now = ({data.get("uid") for data in record.data(what)} for what in ("injected", "restored"))
    return len(was) == len(now) == 1 and was != now and None not in was | now


def _reloaded(record: Record) -> bool:
    told = r"^\S+ \S+ rollproof_sandbox\.sandbox ingress: reloads; [1-9]"
    return re.search(told, record.log, re.MULTILINE) is not None


def _asked_again(record: Record) -> bool:
    return any(asked["count"] > 1 for asked in record.data("refresh-asked"))


PROOFS: Mapping[str, Callable[[Record], bool]] = {
    "watch-410-resumed": _listed_again,
    "watch-ended-resumed": _resumed,
    "back-off-at-attempt-6": _backed_off,
    "deleted-object-new-uid": _new_uid,
    "ingress-reload-clean": _reloaded,
    "refresh-lost": _asked_again,
}


def happened(name: str, record: Record) -> bool:
    """Whether the record shows that the defect took place. True where its verdict alone shows that."""
    return name not in PROOFS or PROOFS[name](record)
