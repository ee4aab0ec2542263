"""Which trouble hits an answer now. Probes have pools of their own in a real app, so most troubles spare them."""

from __future__ import annotations

from rollproof.sandbox.wire.loop import now
from rollproof.sandbox.wire.share import Share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rollproof.sandbox.wire.loop import Loop

__all__ = ["PROBE_PATHS", "Troubles"]

PROBE_PATHS = (b"/health", b"/ready")
_ALL_PATHS = ("old-version",)  # kinds that hit probes too


class _Active:
    __slots__ = ("kind", "share", "until_s")

    def __init__(self, trouble: dict[str, Any]) -> None:
        self.kind: str = trouble["kind"]
        self.share = Share(trouble["share"])
        self.until_s = now() + trouble["for_s"]


class Troubles:
    """Troubles that are expected or active."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._active: list[_Active] = []

    def expect(self, trouble: dict[str, Any]) -> None:
        """Its moment is now; it begins `after_s` later."""
        self._loop.later(trouble["after_s"], lambda: self._begin(trouble))

    def _begin(self, trouble: dict[str, Any]) -> None:
        active = _Active(trouble)
        self._active.append(active)
        self._loop.later(trouble["for_s"], lambda: self._active.remove(active))

    def hit(self, path: bytes, method: bytes, *, reused: bool) -> dict[str, float]:
        """The kinds that hit this request, each with its end."""
        if not self._active:
            return {}
        hit = {}
        for active in self._active:
            kind = active.kind
            spared = path in PROBE_PATHS and kind not in _ALL_PATHS
            if spared or (kind == "reset-reused" and not reused) or (kind == "reset-post" and method != b"POST"):
                continue
            if active.share.hits():
                hit[kind] = active.until_s
        return hit
