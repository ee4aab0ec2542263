"""The access log, in the lab's format (lab/ingress/nginx.conf): one JSON line a request, written at once.

`upstream` and `upstream_status` list every attempt, by which a masked failure is found.
"""

from __future__ import annotations

import os
import time
from json.encoder import encode_basestring_ascii as quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AccessLog"]


class AccessLog:
    """Appends to a file."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(
        self, request_id: bytes, method: bytes, uri: bytes, host: bytes, status: int, took_s: float,
        upstreams: Sequence[str] = (), statuses: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """One line."""
        line = (
            f'{{"t":{time.time():.3f},"id":{_text(request_id)},"method":{_text(method)},"uri":{_text(uri)},'
            f'"status":{status},"upstream":"{", ".join(upstreams)}","upstream_status":"{", ".join(statuses)}",'
            f'"took":{took_s:.3f},"host":{_text(host)}}}\n'
        )
        os.write(self._fd, line.encode())


def _text(value: bytes) -> str:
    return quoted(value.decode("latin-1"))
