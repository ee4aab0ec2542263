"""ListRecorder: a Recorder that keeps its events in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from rollproof.core.event import Event, Outcome


class ListRecorder:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()

    def record(
        self, source: str, subject: str, what: str, *, outcome: Outcome = Outcome.OK, start_s: float | None = None,
        end_s: float | None = None, data: Mapping[str, Any] | None = None,
    ) -> Event:  # fmt: skip
        start_s = time.monotonic() if start_s is None else start_s
        with self._lock:
            event = Event(
                seq=len(self.events) + 1, start_s=start_s, end_s=start_s if end_s is None else end_s, wall="",
                drill="", source=source, subject=subject, what=what, outcome=outcome, data=dict(data or {}),
            )  # fmt: skip
            self.events.append(event)
        return event
