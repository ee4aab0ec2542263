"""AddedLoad: more load beside that of a drill, of one lane, by a generator of its own. Only counts are kept of it.

What it sends is what the app is to bear, not what is measured: users are stood for by the drill's own lanes.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from rollproof.clients.tempfolder import temporary
from rollproof.core.loadsettings import Lane
from rollproof.core.outcomes import Kind, kind
from rollproof.core.target import Target
from rollproof.loadgen.child import Child
from rollproof.loadgen.code import script
from rollproof.loadgen.record import read_record
from rollproof.loadgen.settings import session_settings, url_of

__all__ = ["Added", "AddedLoad"]

_START_S = 60.0
_FLUSH_S = 60.0
_BEYOND_S = 60.0  # the generator ends by itself so long after it should have been ended


@dataclass(frozen=True, slots=True)
class Added:
    """What was sent: requests, those that the app lost, and how many of each outcome that was not good."""

    requests: int
    failures: int
    rate_per_s: float
    outcomes: Mapping[str, int]


class AddedLoad:
    """Use as a context manager: `start()`, `check()`, `stop()`. `longest_s`: for how long it may be needed."""

    def __init__(self, target: Target, environ: Mapping[str, str], *, longest_s: float) -> None:
        self._target, self._environ, self._longest_s = target, environ, longest_s
        self._child: Child | None = None
        self._ending = ExitStack()
        self._record = Path()

    def start(self) -> None:
        """Start it, and wait until its schedule has begun. LoadError if it cannot."""
        target, settings = self._target, self._target.autoscaling
        folder = self._ending.enter_context(temporary("rollproof-load-"))
        self._record = folder / "requests.npz"
        url = url_of(target.app, settings.path or target.app.home_path)
        told = replace(
            session_settings(
                target.app, target.traffic, None, self._environ, record=self._record, html=folder / "locust.html",
                request_id_prefix=f"rp{secrets.token_hex(4)}", seed=secrets.randbits(31),
            ),
            lanes=(Lane(name="added", url=url, host=target.app.host, share=1),),
            rate_per_s=settings.rate_per_s, max_duration_s=self._longest_s + _BEYOND_S,
        )  # fmt: skip
        self._child = Child(script("engine.py"))
        self._ending.callback(self._child.close)
        self._child.tell(told.as_json())
        self._child.wait("started", timeout_s=_START_S)

    def check(self) -> None:
        """LoadError if it has ended by itself."""
        child = self._child
        if child is not None and child.ended:
            child.wait("done", timeout_s=0.0)

    def stop(self) -> Added:
        """End it, wait for the requests in flight, and count."""
        child = self._child
        if child is None:
            return Added(0, 0, 0.0, {})
        child.tell({"stop": True})
        child.wait("done", timeout_s=self._target.traffic.timeout_s + _FLUSH_S)
        log = read_record(self._record)
        self.close()
        counts = Counter(log.outcomes[one] for one in log.rows["outcome"] if one)
        length_s = max(1e-9, (log.engine.end_ns - log.engine.start_ns) / 1e9)
        failures = sum(count for name, count in counts.items() if kind(name) is Kind.HARD)
        return Added(len(log.rows), failures, round(log.engine.dispatched / length_s, 1), dict(counts))

    def close(self) -> None:
        """End its process, if it runs, and remove its files. May be called again."""
        self._child = None
        self._ending.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
