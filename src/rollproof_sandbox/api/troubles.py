"""Troubles: temporary failures of the API server, each some time after its trigger (`settings.ApiServer`).

The trigger is the first rollout (`moments.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from rollproof_sandbox.api.moments import is_rollout
from rollproof_sandbox.api.store import Change
from rollproof_sandbox.settings import ApiServer, Trouble

__all__ = ["Troubles"]


class Troubles:
    """Waits for the trigger. `begin` and `end` map each kind of trouble to what it does."""

    def __init__(
        self, settings: ApiServer, begin: Mapping[str, Callable[[Trouble], None]],
        end: Mapping[str, Callable[[Trouble], None]],
    ) -> None:  # fmt: skip
        unknown = {one.kind for one in settings.on_rollout} - begin.keys()
        if unknown:
            raise ValueError(f"no such trouble of the API server: {', '.join(sorted(unknown))}")
        self._waiting = settings.on_rollout
        self._begin = begin
        self._end = end
        self._lock = threading.Lock()
        self._timers: set[threading.Timer] = set()

    def heard(self, change: Change) -> None:
        """Handle a change of the store; the rollout is the trigger."""
        if not is_rollout(change):
            return
        with self._lock:
            troubles, self._waiting = self._waiting, ()
        for trouble in troubles:
            self._later(trouble.after_s, self._begin[trouble.kind], trouble)
            if trouble.kind in self._end:
                self._later(trouble.after_s + trouble.for_s, self._end[trouble.kind], trouble)

    def stop(self) -> None:
        """No trouble begins or ends after this."""
        with self._lock:
            self._waiting = ()
            timers = [*self._timers]
        for timer in timers:
            timer.cancel()

    def _later(self, delay_s: float, do: Callable[[Trouble], None], trouble: Trouble) -> None:
        timer = threading.Timer(delay_s, do, args=(trouble,))
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()
