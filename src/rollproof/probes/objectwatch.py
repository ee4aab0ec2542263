"""Object watch: one list and watch of the Kubernetes API, kept open in a thread of its own.

A watch that ends is resumed from its last resourceVersion: events come late, and none is lost. If that version is gone
(410), the list is read again, and facts are lost if it differs from what was known. Each interruption is reported as a
gap. It must never poll the API, and never ask Argo CD for anything: that would hide a broken watch.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import tenacity

from rollproof.clients.kube import ApiError, Kube, Object, SilenceError, WatchStream
from rollproof.errors import OutsideDataError, RollproofError
from rollproof.probes.scheduling import quick
from rollproof.probes.waiting import Changes

__all__ = ["Arrival", "Listener", "ObjectHistory", "ObjectWatch"]

_PAUSE_MAX_S = 2.0  # between two attempts to reconnect
_SHORT_S = 0.5  # a watch that ended sooner counts as a failed attempt
_CHANGES = ("ADDED", "MODIFIED", "DELETED")


class Listener(Protocol):
    """Receives the events of a watch. All but the first list is called from the watch's thread."""

    def listed(self, items: list[Object], *, initial: bool) -> bool:
        """Take a new list; True if it shows that events were missed."""
        ...

    def changed(self, change: str, item: Object, at_s: float) -> None:
        """One event: ADDED, MODIFIED or DELETED, with its arrival time on the monotonic clock."""
        ...

    def gap(self, since_s: float, reason: str, *, lost: bool) -> None:
        """The watch was interrupted from `since_s` until now; `lost`: facts may be missing."""
        ...


class ObjectWatch:
    """A watch of one collection, or of one object by `fields`.

    `open` raises the errors of the first list and watch; from `start` on everything is reported to the listener.
    `away`: why it is not connected now, "" if it is. `broken`: why it will never reconnect (a bug, or data that cannot
    be read).
    """

    def __init__(
        self, kube: Kube, kind: str, namespace: str, listener: Listener, *, labels: str = "", fields: str = "",
        stopping: threading.Event | None = None,
    ) -> None:  # fmt: skip
        self.kube, self.kind, self.namespace = kube, kind, namespace
        self.labels, self.fields = labels, fields
        self.away = ""
        self.away_since_s: float | None = None
        self.broken = ""
        self._listener = listener
        self._stopping = stopping or threading.Event()
        self._version = ""  # empty: list before the next watch
        self._lost = False  # events may have been lost since the last reported gap
        self._events: WatchStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{kind}", daemon=True)

    def open(self) -> None:
        """List what exists and connect."""
        self._list(initial=True)
        self._connect()

    def start(self) -> None:
        """Follow it in a thread from now on."""
        self._thread.start()

    def close(self) -> None:
        """Request its end; `join` waits for the thread."""
        self._stopping.set()
        if self._events is None:
            return
        self._events.close()
        if self._thread.ident is None:  # the thread was never started
            self._give_back()

    def join(self, timeout_s: float = 5.0) -> None:
        """Wait for the end of the thread."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    # -- inside -------------------------------------------------------------------------------------------------

    def _list(self, *, initial: bool = False) -> None:
        listed = self.kube.list(self.kind, self.namespace, labels=self.labels, fields=self.fields)
        missed = self._listener.listed(listed["items"], initial=initial)
        self._lost = self._lost or (missed and not initial)
        self._version = listed["metadata"]["resourceVersion"]

    def _connect(self) -> None:
        """Connect from the last version; list first if that version is gone."""
        if not self._version:
            self._list()
        try:
            self._events = self.kube.watch(
                self.kind, self.namespace, resource_version=self._version, labels=self.labels, fields=self.fields
            )
        except ApiError as error:
            if error.status == 410:
                self._version = ""
            raise
        if self._stopping.is_set():
            self._events.close()

    def _run(self) -> None:
        """Read until the watch ends, reconnect, report how long it was interrupted."""
        try:
            with quick():
                self._follow()
        except Exception as error:  # noqa: BLE001 - a bug in here: whoever waits must know that nobody looks any more
            self.broken = self.away = f"{self.kind}: {type(error).__name__}: {error}"
            self.away_since_s = time.monotonic()
            with suppress(RollproofError):
                self._listener.gap(self.away_since_s, self.broken, lost=True)
        finally:
            self._give_back()

    def _give_back(self) -> None:
        """Close the connection, which takes reading to its end; also one that was opened during `close`."""
        if self._events is not None:
            self._events.close()
            with suppress(RollproofError):
                list(self._events)

    def _follow(self) -> None:
        short = 0  # in a row: a server that ends every watch at once must not be asked a thousand times a second
        while not self._stopping.is_set():
            opened_s = time.monotonic()
            since_s, reason = self._read()
            short = short + 1 if time.monotonic() - opened_s < _SHORT_S else 0
            if short > 1:
                self._stopping.wait(min(_PAUSE_MAX_S, 0.1 * short))
            if not self._stopping.is_set():
                self._come_back(since_s, reason)

    def _read(self) -> tuple[float, str]:
        """Handle events until the watch ends: (time of the last event, reason of the end)."""
        heard_s = time.monotonic()
        try:
            for change, item in self._events or ():
                heard_s = time.monotonic()
                self._version = item["metadata"]["resourceVersion"]
                if change in _CHANGES:
                    self._listener.changed(change, item, heard_s)
        except SilenceError as error:
            return heard_s, str(error)
        except ApiError as error:
            if error.status == 410:
                self._version = ""
            return heard_s, str(error)
        except OutsideDataError:
            raise  # an object that cannot be read: no later state can be waited for
        except RollproofError as error:
            return time.monotonic(), str(error)
        return time.monotonic(), "the server ended the watch"

    def _come_back(self, since_s: float, reason: str) -> None:
        """Reconnect, for as long as it takes, and report the gap; a watch that did not end by itself has lost facts."""
        self._lost, self.away, self.away_since_s = False, reason, since_s
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_exponential(multiplier=0.05, max=_PAUSE_MAX_S),
            sleep=tenacity.sleep_using_event(self._stopping),
            stop=tenacity.stop_when_event_set(self._stopping),
            reraise=True,
        )
        try:
            retry(self._connect)
        except OutsideDataError:
            raise
        except RollproofError as error:
            self._listener.gap(since_s, f"{reason}; then: {error}", lost=True)
            return
        self.away = ""
        self._listener.gap(since_s, reason, lost=self._lost)
        self.away_since_s = None


def _may_pass(error: BaseException) -> bool:
    """Whether a retry may succeed: an object that cannot be read stays unreadable."""
    return isinstance(error, RollproofError) and not isinstance(error, OutsideDataError)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One change: arrival time, kind (LISTED, ADDED, MODIFIED, DELETED), and the object after it."""

    at_s: float
    change: str
    item: Object


class ObjectHistory:
    """Everything that happens to one object from `__enter__` on, with the arrival time of each change.

    It has its own connection and thread and is connected before a fault, so that a short-lived change is not missed and
    no other watch delays its time stamps. Several histories can share one `Changes`, so that one wait covers them all.
    """

    def __init__(self, kube: Kube, kind: str, namespace: str, name: str, changes: Changes) -> None:
        self.lost = False  # events were missed: a new list showed it
        self._changes = changes
        self._arrivals: list[Arrival] = []
        self._blind_s = 0.0
        self._watch = ObjectWatch(kube, kind, namespace, self, fields=f"metadata.name={name}")

    def __enter__(self) -> ObjectHistory:
        self._watch.open()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()
        self._watch.join(timeout_s=2)

    def since(self, at_s: float) -> list[Arrival]:
        """Everything that arrived at or after `at_s` (monotonic clock)."""
        with self._changes.lock:
            return [arrival for arrival in self._arrivals if arrival.at_s >= at_s]

    def newest(self) -> Arrival | None:
        """The last arrival, or None."""
        with self._changes.lock:
            return self._arrivals[-1] if self._arrivals else None

    @property
    def blind_s(self) -> float:
        """Total seconds for which the watch was interrupted, up to now; a time taken during an interruption is late."""
        since_s = self._watch.away_since_s
        return self._blind_s + (time.monotonic() - since_s if since_s is not None else 0.0)

    # -- called by its watch -------------------------------------------------------------------------------------

    def listed(self, items: list[Object], *, initial: bool) -> bool:
        """A list shows at most the one object."""
        before, missed = self.newest(), False
        if before is not None and not initial:
            was = None if before.change == "DELETED" else before.item["metadata"]["resourceVersion"]
            missed = was != (items[0]["metadata"]["resourceVersion"] if items else None)
            self.lost = self.lost or missed
            if was is not None and not items:
                self.changed("DELETED", before.item, time.monotonic())
        for item in items:
            self.changed("LISTED", item, time.monotonic())
        return missed

    def changed(self, change: str, item: Object, at_s: float) -> None:
        """Add one arrival."""
        with self._changes.lock:
            self._arrivals.append(Arrival(at_s, change, item))
        self._changes.wake()

    def gap(self, since_s: float, reason: str, *, lost: bool) -> None:  # noqa: ARG002 - the reason is the facts'
        """Add the interruption to `blind_s`."""
        self._blind_s += time.monotonic() - since_s
        self.lost = self.lost or lost
        self._changes.wake()
