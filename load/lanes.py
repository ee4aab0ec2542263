"""The lanes (their settings: `rollproof.core.loadsettings`), and the order in which they send.

Each lane sees faults that the others cannot: a closed listener affects new connections only, a reset reused ones only,
a retrying ingress hides lost GETs but not POSTs (docs/measurement.md 2 and 9.2). Pure; reads no clock.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

from rollproof.core.loadsettings import Lane, Settings, Tls

__all__ = ["SLOW_BASE", "Lane", "Settings", "Tls", "turns"]

SLOW_BASE = 1 << 30  # attempts of the closed-loop lanes are numbered from here: they are in no schedule


def turns(shares: Mapping[str, int], seed: int) -> Iterator[str]:
    """Lane names, for ever, in shuffled blocks: in each block every lane has exactly its share.

    Within a block each attempt is drawn at random from its own stratum of the block, so a lane's gaps stay below about
    two strata, and the order never falls into step with a load balancer's round robin (aliasing).
    """
    chance = random.Random(seed)  # noqa: S311 - an order of requests, no secret
    strata = [(lane, i / count, 1 / count) for lane, count in shares.items() for i in range(count)]
    if not strata:
        raise ValueError("no lane has a share of the rate: nothing could be sent")
    if len(shares) == 1:  # nothing to shuffle
        yield from itertools.repeat(strata[0][0])
    while True:
        drawn = sorted((start + chance.random() * width, lane) for lane, start, width in strata)
        yield from (lane for _, lane in drawn)
