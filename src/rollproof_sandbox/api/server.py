"""ApiServer: the sandbox's Kubernetes API over HTTP on 127.0.0.1, for the unmodified client, with its troubles.

Serves a store that others write too. Must not implement what controllers do.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from rollproof_sandbox.api.handler import Handler, Serving
from rollproof_sandbox.api.listener import Listener
from rollproof_sandbox.api.podways import LogOf
from rollproof_sandbox.api.store import Store
from rollproof_sandbox.api.troubles import Troubles
from rollproof_sandbox.api.watching import Watch
from rollproof_sandbox.settings import ApiServer as Settings
from rollproof_sandbox.settings import Trouble

__all__ = ["ApiServer"]


def _no_log(_namespace: str, _pod: str, _container: str, _since_s: int) -> str:
    return ""


class ApiServer:
    """`start` listens (OSError: the port is taken), `stop` ends every connection. `port` is the real one after `start`.

    `failed` collects unexpected errors.
    """

    def __init__(
        self, store: Store, settings: Settings, port: int, token: str, log_of: LogOf = _no_log, *,
        failed: Callable[[BaseException], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._blind: set[str] = set()  # kinds whose watches deliver nothing
        self._stopped = False
        self._troubles = Troubles(
            settings,
            begin={
                "away": lambda _: self._away(), "end-watches": self._end_watches,
                "expire-watches": self._expire_watches, "blind-watches": lambda _: self._blind.add("Pod"),
            },
            end={"away": lambda _: self._back(), "blind-watches": self._see_again},
        )  # fmt: skip
        self._serving = Serving(
            store, token, log_of, settings.voids_patches, settings.voids_deletions, self._watching, self._watched,
            self._blind.__contains__, failed,
        )  # fmt: skip
        self._listener = Listener(port, self._serve)
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, and arm the troubles."""
        self._listener.start()
        self._unsubscribe = self._store.subscribe(self._troubles.heard)

    def stop(self) -> None:
        """End all watches, close all connections and the port."""
        with self._lock:
            self._stopped = True
        self._troubles.stop()
        self._unsubscribe()
        self._end_all()
        self._listener.stop()

    def bookmark(self) -> None:
        """Send every watch a bookmark now."""
        with self._lock:
            watches = [*self._watches]
        for watch in watches:
            watch.bookmark()

    def _serve(self, connection: socket.socket) -> None:
        Handler(connection, self._serving)

    def _watching(self, watch: Watch) -> None:
        with self._lock:
            self._watches.add(watch)

    def _watched(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _end_all(self) -> None:
        with self._lock:
            watches = [*self._watches]
        for watch in watches:
            watch.end()

    def _away(self) -> None:
        self._listener.stop()

    def _back(self) -> None:
        with self._lock:
            if not self._stopped:
                self._listener.start()

    def _end_watches(self, _: Trouble) -> None:
        self._store.await_notified()  # when a watch ends, it has sent the change that ended it
        self._end_all()

    def _expire_watches(self, _: Trouble) -> None:
        self._store.await_notified()
        self._store.expire()
        self._end_all()

    def _see_again(self, _: Trouble) -> None:
        self._store.expire()
        self._end_all()
        self._blind.clear()
