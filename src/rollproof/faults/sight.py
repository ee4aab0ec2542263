"""Sight: what happens to one object while a drift trial runs, with the arrival time of each change.

It has its own connection and thread and is up before the fault, so that a short-lived change is not missed and no
other watcher's work delays its time stamps. It must never ask Argo CD for anything: that would hide a broken watch.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from rollproof.clients.kube import ApiError, Kube, Object, SilenceError, WatchStream
from rollproof.errors import RollproofError
from rollproof.probes.scheduling import quick

__all__ = ["Arrival", "Sight"]

_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Arrival:
    """One change: when it arrived, what it was (LISTED, ADDED, MODIFIED, DELETED), and the object then."""

    at_s: float
    change: str
    item: Object


class Sight:
    """A watch of one object. All sights of a trial share one condition, so that one wait sees them all."""

    def __init__(self, kube: Kube, kind: str, namespace: str, name: str, changed: threading.Condition) -> None:
        self._kube, self._kind, self._namespace = kube, kind, namespace
        self._fields = f"metadata.name={name}"
        self._changed = changed
        self._stopping = threading.Event()
        self._stream: WatchStream | None = None
        self._version = ""
        self._arrivals: list[Arrival] = []
        self._blind_s = 0.0
        self._away_since_s: float | None = None
        self.lost = False  # something happened that was not seen: a new list showed it
        self._thread = threading.Thread(target=self._follow, name=f"sight-{kind}", daemon=True)

    def __enter__(self) -> Sight:
        self._list()
        self._connect()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join(timeout=2)

    def since(self, at_s: float) -> list[Arrival]:
        """Everything that arrived at or after `at_s`."""
        with self._changed:
            return [arrival for arrival in self._arrivals if arrival.at_s >= at_s]

    @property
    def blind_s(self) -> float:
        """How long the watch was away in all, up to now; a time that was taken in it is late."""
        since_s = self._away_since_s
        return self._blind_s + (time.monotonic() - since_s if since_s is not None else 0.0)

    def newest(self) -> Arrival | None:
        """The last thing that arrived."""
        with self._changed:
            return self._arrivals[-1] if self._arrivals else None

    def _take(self, change: str, item: Object) -> None:
        at_s = time.monotonic()
        with self._changed:
            self._arrivals.append(Arrival(at_s, change, item))
            self._changed.notify_all()

    def _list(self) -> None:
        listed = self._kube.list(self._kind, self._namespace, fields=self._fields)
        self._version = listed["metadata"]["resourceVersion"]
        before, items = self.newest(), listed["items"]
        if before is not None:
            was = None if before.change == "DELETED" else before.item["metadata"]["resourceVersion"]
            self.lost = self.lost or was != (items[0]["metadata"]["resourceVersion"] if items else None)
            if was is not None and not items:
                self._take("DELETED", before.item)
        for item in items:
            self._take("LISTED", item)

    def _connect(self) -> None:
        self._stream = self._kube.watch(
            self._kind, self._namespace, resource_version=self._version, fields=self._fields
        )

    def _follow(self) -> None:
        try:
            with quick():
                self._look()
        except Exception:  # noqa: BLE001 - a bug in here: whoever asks must know that nobody looks any more
            self._away_since_s = time.monotonic()

    def _look(self) -> None:
        while not self._stopping.is_set():
            since_s, gone = self._read()
            if not self._stopping.is_set():
                self._away_since_s = since_s
                self._again(gone=gone)
                self._blind_s += time.monotonic() - since_s
                self._away_since_s = None

    def _read(self) -> tuple[float, bool]:
        """Take events until the watch ends: (since when nothing came, whether its version is gone)."""
        heard_s = time.monotonic()
        try:
            for change, item in self._stream or ():
                heard_s = time.monotonic()
                self._version = item["metadata"]["resourceVersion"]
                if change != "BOOKMARK":
                    self._take(change, item)
        except SilenceError:
            return heard_s, False
        except RollproofError as error:
            return time.monotonic(), _is_gone(error)
        return time.monotonic(), False

    def _again(self, *, gone: bool) -> None:
        """Connect again, for as long as it takes; with a new list if the version is gone."""
        while not self._stopping.is_set():
            try:
                if gone:
                    self._list()
                    gone = False
                self._connect()
                return
            except RollproofError as error:
                gone = gone or _is_gone(error)
                self._stopping.wait(_PAUSE_S)


def _is_gone(error: RollproofError) -> bool:
    return isinstance(error, ApiError) and error.status == 410
