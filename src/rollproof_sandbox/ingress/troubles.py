"""What can go wrong with the ingress itself (settings.Ingress), counted from the first rollout."""

from __future__ import annotations

import math
from functools import partial

from rollproof_sandbox.wire.loop import now, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rollproof_sandbox.ingress.worker import Worker

__all__ = ["Troubles"]


class Troubles:
    """Each trouble comes once."""

    def __init__(self, worker: Worker, settings: dict[str, Any]) -> None:
        self._worker = worker
        self._expected: list[dict[str, Any]] = settings["troubles"]
        self._drops: int = settings["drops"]
        self._drops_from_s, self._drops_until_s, self._drops_every_s = math.inf, 0.0, 0.0

    def rollout_begun(self) -> None:
        """The moment from which they count."""
        expected, self._expected = self._expected, []
        for trouble in expected:
            self._worker.loop.later(trouble["after_s"], partial(self._begin, trouble))

    def _begin(self, trouble: dict[str, Any]) -> None:
        kind, for_s = trouble["kind"], trouble["for_s"]
        if kind == "refuse":
            self._worker.listener.close()
            self._worker.loop.later(for_s, self._worker.listener.open)
        elif kind == "reload":
            self._reload()
        elif kind == "reload-drop":
            self._reload_and_drop(for_s)
        elif kind == "drop-reused":
            self._drops_from_s = now()
            self._drops_until_s = now() + for_s if for_s else math.inf
            self._drops_every_s = for_s / max(1, self._drops)

    def _reload(self) -> None:
        """Workers are replaced: each connection of the old ones says "close" with its next answer."""
        say({"reloads": len(self._worker.clients)})  # a control that loses nothing shows nowhere else
        self._worker.pods.close_idle()
        for client in self._worker.clients:
            client.leave()

    def _reload_and_drop(self, for_s: float) -> None:
        """The same, but what runs is cut, and a client that uses its idle connection again within `for_s` is too.

        A client that looks before it sends notices a connection that was reset while idle. Those are hit that were
        sound when the client looked, so the reset must come with the request.
        """
        self._reload()
        chosen = [one for one in self._worker.clients if one.used]
        doomed = [one for one in chosen if not one.busy]
        for client in doomed:
            client.doomed = True
        for client in chosen:
            if client.busy:
                client.cut()

        def over() -> None:
            for client in doomed:
                client.reset()

        self._worker.loop.later(for_s, over)

    def drops(self) -> bool:
        """Whether the request that was just read on a used connection gets no answer.

        They are spread over the time: a crowd in one moment would look like a reload.
        """
        moment_s = now()
        if not self._drops_from_s <= moment_s < self._drops_until_s or not self._drops:
            return False
        self._drops -= 1
        self._drops_from_s = moment_s + self._drops_every_s
        return True
