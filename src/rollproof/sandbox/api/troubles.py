"""Troubles: what goes wrong with the API server for a while, once its moment has come (`settings.ApiServer`).

Two moments, a rollout and a drift (`moments.py`). Each comes once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from rollproof.sandbox.api.store import Change
from rollproof.sandbox.moments import is_drift, is_rollout
from rollproof.sandbox.settings import ApiServer, Trouble

__all__ = ["Troubles"]


class Troubles:
    """Waits for the moments. `begin` and `end` are what each kind of trouble does, by its name."""

    def __init__(
        self, settings: ApiServer, begin: Mapping[str, Callable[[Trouble], None]],
        end: Mapping[str, Callable[[Trouble], None]],
    ) -> None:  # fmt: skip
        unknown = {one.kind for one in (*settings.on_rollout, *settings.on_drift)} - begin.keys()
        if unknown:
            raise ValueError(f"no such trouble of the API server: {', '.join(sorted(unknown))}")
        self._waiting = {"rollout": settings.on_rollout, "drift": settings.on_drift}
        self._begin = begin
        self._end = end
        self._lock = threading.Lock()
        self._timers: set[threading.Timer] = set()

    def heard(self, change: Change) -> None:
        """A change of the store: is it the rollout?"""
        if is_rollout(change):
            self._start("rollout")

    def wrote(self, change: Change) -> None:
        """A client's write over HTTP that had an effect and was answered: is it the drift?"""
        if is_drift(change):
            self._start("drift")

    def stop(self) -> None:
        """Nothing more begins or ends."""
        with self._lock:
            self._waiting = {}
            timers = [*self._timers]
        for timer in timers:
            timer.cancel()

    def _start(self, moment: str) -> None:
        with self._lock:
            troubles: Iterable[Trouble] = self._waiting.pop(moment, ())
        for trouble in troubles:
            self._later(trouble.after_s, self._begin[trouble.kind], trouble)
            if trouble.kind in self._end:
                self._later(trouble.after_s + trouble.for_s, self._end[trouble.kind], trouble)

    def _later(self, delay_s: float, do: Callable[[Trouble], None], trouble: Trouble) -> None:
        timer = threading.Timer(delay_s, do, args=(trouble,))
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()
