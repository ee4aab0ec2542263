"""Overhead: wall time of a drill minus the time that the platform itself needed.

Platform time is what no harness can save: the stages of the rollouts (push to old pods gone), the back-off and
repair of each drift, and the settle, baseline and tail that the target file asks for. Reads a run folder.

usage: python bench/overhead.py reports/<run>
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Spans = list[tuple[float, float]]


def events_of(folder: Path) -> list[dict[str, Any]]:
    """The timeline of a run."""
    return [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]


def union_s(spans: Spans) -> float:
    """Length of the union of spans in seconds: what overlaps counts once."""
    total, end = 0.0, float("-inf")
    for begin, stop in sorted(spans):
        total += max(0.0, stop - max(begin, end))
        end = max(end, stop)
    return total


def platform_spans(events: list[dict[str, Any]]) -> Spans:
    """When the platform was working, or the target file asked for waiting."""
    spans: Spans = []
    started: dict[str, float] = {}
    planned: dict[str, float] = {}
    for event in events:
        source, what, begin, stop = event["source"], event["what"], event["start_s"], event["end_s"]
        if source == "run" and event["subject"] == "phase" and what in ("settle", "baseline", "recovery", "steady"):
            spans.append((begin, stop))
        elif source in ("release", "rollback"):
            if what == "started":
                started[source] = begin
            elif source in started:
                spans.append((started[source], stop))
        elif source == "drift":
            if what == "injected":
                started[event["subject"]] = begin
            elif what in ("restored", "synced", "healthy", "stayed", "not-healed") and event["subject"] in started:
                spans.append((started[event["subject"]], stop))
            elif what == "planned":
                planned[event["subject"]] = stop
            elif what == "before" and event["subject"] in planned:
                spans.append((planned[event["subject"]], stop))  # Argo CD's back-off, and the wait for rest
        elif source == "undo" and what in ("done", "left", "not-needed"):
            spans.append((begin, stop))
    return spans


def main() -> None:
    """One table row."""
    folder = Path(sys.argv[1])
    events = events_of(folder)
    wall_s = events[-1]["end_s"] - events[0]["start_s"]
    platform_s = union_s(platform_spans(events))
    print(
        f"| overhead of {folder.name.split('-', 1)[1]} | wall {wall_s:.1f} s | platform and required waits "
        f"{platform_s:.1f} s | overhead {wall_s - platform_s:.1f} s ({(wall_s - platform_s) / wall_s:.0%}) |"
    )


if __name__ == "__main__":
    main()
