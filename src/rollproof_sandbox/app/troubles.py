"""Which troubles apply to a response. Most spare probes: in a real app they have resources of their own."""

from __future__ import annotations

from rollproof_sandbox.wire.loop import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rollproof_sandbox.wire.loop import Loop

__all__ = ["PROBE_PATHS", "Troubles"]

PROBE_PATHS = (b"/health", b"/ready")


class Troubles:
    """Troubles that are expected or active."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._active: list[tuple[str, float]] = []  # kind, end

    def expect(self, trouble: dict[str, Any]) -> None:
        """It was triggered; it begins `after_s` later."""
        self._loop.later(trouble["after_s"], lambda: self._begin(trouble))

    def _begin(self, trouble: dict[str, Any]) -> None:
        active = (trouble["kind"], now() + trouble["for_s"])
        self._active.append(active)
        self._loop.later(trouble["for_s"], lambda: self._active.remove(active))

    def hit(self, path: bytes, *, reused: bool) -> dict[str, float]:
        """The kinds that hit this request, each with its end."""
        if path in PROBE_PATHS:
            return {}
        return {kind: until_s for kind, until_s in self._active if reused or kind != "reset-reused"}
