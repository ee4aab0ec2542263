"""Back-off of self-heal and of sync retries, computed as in Argo CD 3.6.1 and 3.2.6. Pure; times are arguments.

Written from Argo CD's source (controller/appcontroller.go, types.go) and not from the harness, so that the harness has
to find a difference by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["SelfHeal", "retry_wait_s"]

_SUCCESSFUL = "Succeeded"
_COOLDOWN_S = 330.0
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class SelfHeal:
    """The controller's settings; the defaults are those of argocd-cmd-params-cm. Only lines before 3.3 cool down."""

    start_s: float = 2.0
    factor: float = 3.0
    cap_s: float = 300.0
    cooldown_s: float = math.inf

    @classmethod
    def of(cls, line: tuple[int, int]) -> SelfHeal:
        """The rules of that line."""
        return cls(cooldown_s=_COOLDOWN_S) if line < (3, 3) else cls()

    def gap_s(self, attempts: int) -> float:
        """Least time between the end of an operation with so many heals and the next heal."""
        if attempts <= 0:
            return 0.0
        return min(self.cap_s, self.start_s * self.factor ** (attempts - 1))

    def attempts(self, operation_state: Mapping[str, Any], finished_ago_s: float | None) -> int:
        """The heals that count. Before 3.3: 0 if the last operation succeeded long enough ago, or has not finished."""
        if self.cooldown_s < math.inf:
            cooled = finished_ago_s is None or finished_ago_s >= self.cooldown_s
            if cooled and (finished_ago_s is None or operation_state.get("phase") == _SUCCESSFUL):
                return 0
        sync = (operation_state.get("operation") or {}).get("sync") or {}
        return int(sync.get("autoHealAttemptsCount") or 0)

    def remaining_s(self, attempts: int, finished_ago_s: float | None) -> float:
        """Seconds until the next heal may start; 0 or less: now."""
        return self.gap_s(attempts) - (finished_ago_s or 0.0)


def retry_wait_s(retry: Mapping[str, Any], count: int) -> float:
    """Seconds from the end of a failed attempt to the next; `count` attempts were made before it."""
    backoff = retry.get("backoff") or {}
    first_s = _duration_s(backoff.get("duration") or "5s")
    most_s = _duration_s(backoff.get("maxDuration") or "3m")
    wait_s = first_s * float(backoff.get("factor") or 2) ** count
    return min(wait_s, most_s) if most_s > 0 else wait_s


def _duration_s(text: str) -> float:
    if re.fullmatch(r"\d+", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"duration {text!r}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
