"""Troubles of the ingress itself (settings.Ingress), counted from the first rollout."""

from __future__ import annotations

from functools import partial

from rollproof_sandbox.wire.loop import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rollproof_sandbox.ingress.client import Client
    from rollproof_sandbox.ingress.shared import Shared
    from rollproof_sandbox.wire.stream import Listener

__all__ = ["Troubles"]


class Troubles:
    """Each trouble happens once. `clients` is the live collection of open connections."""

    def __init__(
        self, shared: Shared, listener: Listener, clients: set[Client], expected: list[dict[str, Any]]
    ) -> None:
        self._shared, self._listener, self._clients = shared, listener, clients
        self._expected = expected

    def rollout_begun(self) -> None:
        """The trigger."""
        expected, self._expected = self._expected, []
        for trouble in expected:
            self._shared.loop.later(trouble["after_s"], partial(self._begin, trouble))

    def _begin(self, trouble: dict[str, Any]) -> None:
        kind, for_s = trouble["kind"], trouble["for_s"]
        if kind == "refuse":
            self._listener.close()
            self._shared.loop.later(for_s, self._listener.open)
        elif kind == "reload":
            self._reload()
        elif kind == "reload-drop":
            self._reload_and_drop(for_s)
        elif kind == "drop-reused":
            self._shared.drops.begin(for_s)

    def _reload(self) -> None:
        """Workers are replaced: each connection of the old ones says "close" with its next response."""
        say({"reloads": len(self._clients)})  # a reload that loses nothing is visible only here
        self._shared.pods.close_idle()
        for client in self._clients:
            client.leave()

    def _reload_and_drop(self, for_s: float) -> None:
        """The same, but active requests are cut, and so is a client that uses its idle connection again within `for_s`.

        A client that checks before it sends notices a connection that was reset while idle. To hit those that were
        sound at that check, the reset must come with the request.
        """
        self._reload()
        chosen = [one for one in self._clients if one.used]
        doomed = [one for one in chosen if not one.busy]
        for client in doomed:
            client.doomed = True
        for client in chosen:
            if client.busy:
                client.cut()

        def over() -> None:
            for client in doomed:
                client.reset()

        self._shared.loop.later(for_s, over)
