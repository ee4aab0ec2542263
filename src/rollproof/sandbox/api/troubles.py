"""Troubles: what goes wrong with the API server for a while, once its moment has come (`settings.ApiServer`).

Two moments: the first change of the Deployment's pod template by Argo CD (a rollout), and rollproof's first write to
an object of the app (a drift). Each comes once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from rollproof.sandbox.api.store import Change
from rollproof.sandbox.settings import ApiServer, Trouble

__all__ = ["ARGO_MANAGER", "Troubles"]

ARGO_MANAGER = "argocd-controller"


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
        if change.kind != "Deployment" or change.manager != ARGO_MANAGER or change.type != "MODIFIED":
            return
        if change.old and change.old["spec"].get("template") != change.object["spec"].get("template"):
            self._start("rollout")

    def wrote(self, kind: str, manager: str, *, deleted: bool) -> None:
        """A client's write over HTTP that had an effect: is it the drift? A deletion names no field manager."""
        if kind not in ("Lease", "Application") and (deleted or manager == "rollproof"):
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
