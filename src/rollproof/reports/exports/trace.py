"""Chrome trace JSON, which Perfetto's UI opens: every fact on its track, and every failed request.

A process is a drill, a track (thread) one subject of one source; "X" is an interval and "i" a moment, in microseconds
since the run's first fact. Intervals of one track may overlap, which the format cannot draw: the later one gets a
track of its own. Source: Google, "Trace Event Format"; Perfetto reads it as a legacy format, best effort.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.requests import RequestLog
from rollproof.core.visible import visible
from rollproof.reports.model import Report
from rollproof.reports.sentences import sentence

__all__ = ["text"]

_FAILED_MAX = 20_000  # of a drill; a million requests would be 120 MB of text


def text(report: Report) -> str:
    """The document."""
    events = report.events()
    begin_s = min((event.start_s for event in events), default=0.0)
    found: list[dict[str, Any]] = []
    for number, (drill, facts) in enumerate(report.drills(), start=1):
        found += _drill(number, drill, facts, begin_s)
    return json.dumps({"traceEvents": found, "displayTimeUnit": "ms"}, ensure_ascii=True)


def _drill(number: int, drill: str, facts: Facts, begin_s: float) -> Iterator[dict[str, Any]]:
    yield _named("process_name", number, 0, drill)
    tracks = _Tracks(number)
    for event in facts.events:
        start_us, end_us = _us(event.start_s, begin_s), _us(event.end_s, begin_s)
        yield from tracks.place(f"{event.source} · {visible(event.subject)}", start_us, end_us, _shown(event))
    if facts.requests is not None:
        for lane, start_us, end_us, shown in _failed(facts.requests, begin_s):
            yield from tracks.place(f"failed requests · {lane}", start_us, end_us, shown)


def _shown(event: Event) -> dict[str, Any]:
    args = {"seq": event.seq, "outcome": str(event.outcome), "sentence": visible(sentence(event))}
    return {"name": event.what, "cat": event.source, "args": args}


def _failed(log: RequestLog, begin_s: float) -> Iterator[tuple[str, float, float, dict[str, Any]]]:
    for row in log.rows[log.rows["outcome"] != 0][:_FAILED_MAX]:
        send_ns = int(row["send_ns"])
        done_ns = int(row["done_ns"]) or send_ns
        args = {
            "status": int(row["status"]), "id": log.request_id(int(row["k"])),
            "served_by": visible(log.pods[int(row["served_by"])]),
        }  # fmt: skip
        shown = {"name": log.outcomes[int(row["outcome"])], "cat": "request", "args": args}
        yield log.lanes[int(row["lane"])], _us(send_ns / 1e9, begin_s), _us(done_ns / 1e9, begin_s), shown


class _Tracks:
    """Hands out track numbers, so that no two stretches of a track overlap."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._ends_us: dict[str, list[tuple[int, float]]] = {}  # name -> (track, end of its last stretch)
        self._count = 0

    def place(self, name: str, start_us: float, end_us: float, shown: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The trace event on a free track of that name, after the track's own name if it is new."""
        own = self._ends_us.setdefault(name, [])
        index = next((index for index, (_, busy_us) in enumerate(own) if busy_us <= start_us), len(own))
        if index == len(own):
            self._count += 1
            own.append((self._count, 0.0))
            yield _named("thread_name", self._process, self._count, name)
        track = own[index][0]
        own[index] = (track, max(end_us, own[index][1]))
        place = {"pid": self._process, "tid": track, "ts": start_us}
        if end_us > start_us:
            yield {"ph": "X", "dur": round(end_us - start_us, 3), **place, **shown}
        else:
            yield {"ph": "i", "s": "t", **place, **shown}


def _named(kind: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": track, "args": {"name": name}}


def _us(at_s: float, begin_s: float) -> float:
    return round((at_s - begin_s) * 1e6, 3)
