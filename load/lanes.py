"""What is sent: the settings of one load session, its lanes, and the order in which the lanes take turns.

Each lane sees faults that the others cannot: a closed listener hurts new connections only, a reset hurts reused ones
only, a retrying ingress hides lost GETs but not POSTs (docs/measurement.md 2 and 9.2). Pure; reads no clock.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SLOW_BASE", "Lane", "Settings", "Tls", "turns"]

SLOW_BASE = 1 << 30  # attempts of the lanes driven by concurrency are numbered from here: they are in no schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One kind of request.

    `url` is absolute, its query included. `share` is how many of a block's attempts are this lane's; 0 means that the
    lane is driven by `concurrency` instead, with `pause_s` at least from one start to the next. `host` is the Host
    header, empty for the URL's own. `version` is "" (no version is looked for), "optional" or "expected" (then a good
    answer without one is `body.wrong`).
    """

    name: str
    url: str
    method: str = "GET"
    share: int = 0
    concurrency: int = 0
    pause_s: float = 0.1  # an answer or failure that comes at once must not make a busy loop
    new_connection: bool = False
    host: str = ""
    version: str = ""
    secrets: bool = True  # whether the configured headers (credentials) go along


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How TLS peers are verified. Verification cannot be turned off."""

    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One load session, as it comes over stdin: header values are secrets and must not be in an argument list."""

    lanes: tuple[Lane, ...]
    rate_per_s: float
    timeout_s: float
    max_duration_s: float
    record: str
    html: str = ""
    control: str = ""
    request_id_prefix: str = "rollproof"
    headers: Mapping[str, str] = field(default_factory=dict)
    version_header: str = ""
    version_pointer: str = ""
    served_by_header: str = ""
    in_flight_max: int = 5000
    seed: int = 0
    tls: Tls = field(default_factory=Tls)
    secrets_known: Mapping[str, Any] = field(default_factory=dict)  # what Redactor.add takes: nothing written holds one

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Settings from a parsed line; an unknown key is an error, a misspelt one must not be ignored."""
        parts = dict(data)
        parts["lanes"] = tuple(Lane(**lane) for lane in parts["lanes"])
        parts["tls"] = Tls(**parts.get("tls", {}))
        return cls(**parts)


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
