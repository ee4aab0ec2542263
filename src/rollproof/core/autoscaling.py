"""Autoscaling: the settings of the target file's table of that name, beside those of `core.target`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rollproof.core.declared import UrlPath, above, between

__all__ = ["AutoscalingSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalingSettings:
    """The load that is added for the app's autoscaler, and within what time it must answer (docs/autoscaling.md)."""

    path: Annotated[str, UrlPath()] = ""  # what costs the app what its autoscaler measures; empty: app.home_path
    rate_per_s: Annotated[float, above(0, 10_000)] = 200.0  # beside traffic.rate_per_s
    # until more replicas are wanted: their use is measured each 15 s, and looked at each 15 s; 20 to 50 s were seen
    up_within_s: Annotated[float, above(0, 3_600)] = 90.0
    ready_within_s: Annotated[float, above(0, 3_600)] = 60.0  # from then until all of them get traffic
    hold_s: Annotated[float, between(0, 3_600)] = 15.0  # the load goes on for so long: one more look of the autoscaler
    window_s_max: Annotated[float, between(0, 3_600)] = 300.0  # a longer scaleDown window is refused; its default
    down_within_s: Annotated[float, above(0, 3_600)] = 90.0  # beyond that window, until the replicas are as before
