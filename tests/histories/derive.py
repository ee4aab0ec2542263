"""Derive the murky histories that a sound lab does not produce by itself, each from a recorded run and one change.

usage: python tests/histories/derive.py     (writes the folders anew; read the diff before you commit)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Event = dict[str, Any]


def only_rollback(events: list[Event]) -> list[Event]:
    """The rollback of a run of all, killed right after the sync: nobody saw the rest; there is no request log."""
    kept = [event for event in events if event["drill"] in ("", "rollback", "undo")]
    after = ("rolled-out", "old-gone", "proven")
    kept = [event for event in kept if not (event["source"] == "rollback" and event["what"] in after)]
    return [event for event in kept if event["source"] not in ("proof", "load")]


def somebody_else_changed(events: list[Event]) -> list[Event]:
    """The last undo found a newer change and left it."""
    last = [e for e in events if e["source"] == "undo" and e["what"] in ("done", "not-needed")][-1]
    last.update(what="left", outcome="unknown")
    last["data"].update(expected="ours", found="theirs", reason="changed by somebody else")
    return events


def plain_auto_sync(events: list[Event]) -> list[Event]:
    """Restored, but the operation was no self-heal: the count did not grow (argocd.md 1.7)."""
    for event in events:
        if event["source"] == "drift" and event["what"] == "after":
            event["data"]["attempts"] = 0
    return events


def lossy_watch(events: list[Event]) -> list[Event]:
    """The watch of pods was away for 20 s, and things had changed when it came back."""
    first = next(event for event in events if event["source"] == "watch")
    gap = {
        **first, "subject": "Watch/Pod", "what": "gap", "outcome": "unknown", "end_s": first["start_s"] + 20,
        "data": {"lost": True, "reason": "the API server was away"},
    }  # fmt: skip
    return [event for old in events for event in ((old, gap) if old is first else (old,))]


CASES: dict[str, tuple[str, tuple[str, ...], Callable[[list[Event]], list[Event]], dict[str, list[str]]]] = {
    "rollback-not-followed": ("good/all", ("rollback",), only_rollback, {"rollback": ["INCONCLUSIVE"]}),
    "somebody-else-changed": ("good/drift", ("drift",), somebody_else_changed, {"undo": ["INCONCLUSIVE"]}),
    "auto-sync-not-self-heal": ("good/drift", ("drift",), plain_auto_sync, {"drift": ["INCONCLUSIVE"]}),
    "watch-lost-facts": ("good/drift", ("drift",), lossy_watch, {"watches": ["INCONCLUSIVE"]}),
}


def derive(name: str) -> None:
    """Write one case: the source's facts with one change; expected.json holds what that change must lead to."""
    source, drills, change, must = CASES[name]
    case = HERE / "murky" / name
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir(parents=True)
    plan = json.loads((HERE / source / "plan.json").read_text())
    (case / "plan.json").write_text(json.dumps({**plan, "drills": list(drills)}, indent=1) + "\n")
    shutil.copy(HERE / source / "environment.json", case)
    events = [json.loads(line) for line in (HERE / source / "timeline.jsonl").read_text().splitlines()]
    lines = [json.dumps({**event, "seq": number}) for number, event in enumerate(change(events), 1)]
    (case / "timeline.jsonl").write_text("\n".join(lines) + "\n")
    expected = {"origin": f"derived from {source}", "why": " ".join((change.__doc__ or "").split()), "must": must}
    (case / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    for case_name in CASES:
        derive(case_name)
