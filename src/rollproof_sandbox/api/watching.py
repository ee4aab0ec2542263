"""Watching: one active watch, from its first missed change to its end, as lines of JSON.

Each watch has a queue for the store's changes, so that an event is sent as soon as its thread runs: nothing is polled.
Changes are seen through the selector: an object that leaves the selection is DELETED.
"""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollproof_sandbox.api.kinds import Kind
from rollproof_sandbox.api.selectors import Selects
from rollproof_sandbox.api.store import Change, Object, Store, StoreError

__all__ = ["Watch"]

_BOOKMARK_S = 60.0
_BOOKMARK_BEFORE_END_S = 2.0
_LOOK_S = 5.0  # how often a silent watch checks whether its client is connected
_TYPES = {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}  # (matched before, matches now)


@dataclass(slots=True, eq=False)
class Watch:
    """One watch of a collection. `since` "" or "0" begins with the existing objects; `blind()` drops events."""

    store: Store
    kind: Kind
    namespace: str
    selects: Selects
    since: str
    timeout_s: float
    bookmarks: bool
    blind: Callable[[], bool]
    _inbox: queue.SimpleQueue[Change | str] = field(default_factory=queue.SimpleQueue, init=False)
    _seen: int = field(default=0, init=False)
    _first: list[Change] = field(default_factory=list, init=False)
    _refused: StoreError | None = field(default=None, init=False)
    _stop: Callable[[], None] = field(default=lambda: None, init=False)

    def __enter__(self) -> Watch:
        """Subscribe: no change is missed from here on."""
        try:
            self._begin()
        except StoreError as error:
            self._refused = error
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def end(self) -> None:
        """End it after the events that are in the queue."""
        self._inbox.put("end")

    def bookmark(self) -> None:
        """Send a bookmark now."""
        self._inbox.put("bookmark")

    def lines(self, is_gone: Callable[[], bool]) -> Iterator[bytes]:
        """Every event as a line of JSON, until the time is over, the client `is_gone`, or it is ended."""
        if self._refused:
            yield _line("ERROR", self._refused.body())
            return
        for change in self._first:
            yield from self._told(change)
        yield from self._follow(is_gone)

    def _begin(self) -> None:
        if self.since in ("", "0"):
            items, self._seen, self._stop = self.store.follow_all(self.kind.name, self.namespace, self._inbox.put)
            self._first = [Change("ADDED", item, None, self.kind.name, "") for item in items]
        else:
            self._seen = int(self.since)
            missed, self._stop = self.store.follow(self._seen, self._inbox.put)
            self._first = [*missed]

    def _follow(self, is_gone: Callable[[], bool]) -> Iterator[bytes]:
        ends_s = time.monotonic() + self.timeout_s
        bookmark_s = min(time.monotonic() + _BOOKMARK_S, ends_s - _BOOKMARK_BEFORE_END_S)
        while True:
            now_s = time.monotonic()
            if now_s >= ends_s or is_gone():
                return
            if self.bookmarks and bookmark_s <= now_s:
                bookmark_s = now_s + _BOOKMARK_S
                yield from self._bookmarked()
            next_s = min(ends_s, bookmark_s if self.bookmarks else ends_s, now_s + _LOOK_S)
            try:
                word = self._inbox.get(timeout=max(0.0, next_s - now_s))
            except queue.Empty:
                continue
            if word == "end":
                return
            if isinstance(word, Change):
                if word.version > self._seen:
                    yield from self._told(word)
            else:
                yield from self._bookmarked()

    def _told(self, change: Change) -> Iterator[bytes]:
        self._seen = max(self._seen, change.version)
        if change.kind != self.kind.name or self.namespace not in ("", change.object["metadata"].get("namespace")):
            return
        was = change.old is not None and self.selects(change.old)
        type_ = _TYPES.get((was, change.type != "DELETED" and self.selects(change.object)))
        if type_ is None or self.blind():
            return
        item: Mapping[str, Any] = change.object
        if type_ == "DELETED" and change.old is not None:  # its last state, at the new version
            version = change.object["metadata"]["resourceVersion"]
            item = {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": version}}
        yield _line(type_, item)

    def _bookmarked(self) -> Iterator[bytes]:
        version = self._newest()
        if not self.blind() and version > int(self.since or 0):  # the real server does not send what the client knows
            item: Object = {"kind": self.kind.name, "apiVersion": self.kind.api_version}
            yield _line("BOOKMARK", {**item, "metadata": {"resourceVersion": str(version)}})

    def _newest(self) -> int:
        """The newest version, unless changes are in the queue: a bookmark must not be ahead of them."""
        version = self.store.notified_version
        return max(version, self._seen) if self._inbox.empty() else self._seen


def _line(type_: str, item: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": item}, separators=(",", ":")).encode() + b"\n"
