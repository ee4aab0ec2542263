"""The settings of one load session: the one schema, for the harness that makes them and the generator that reads them.

They travel as one JSON line over the generator's stdin. The generator (`load/`) is a program of its own and imports no
more of rollproof than this, the request log's layout and the redaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Lane", "Settings", "Tls"]


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

    def as_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return asdict(self)
