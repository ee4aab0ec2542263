"""Execute: one command in a container of a pod (pods/exec), with one deadline for all of it and a limit of bytes.

Channels 1 and 2 are what it says, channel 3 a Status at its end. A command that ends its own container may get none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from rollproof.clients.podstream import CLOSE, ClosedError, opened
from rollproof.core.outside import Outside, parsed

__all__ = ["Executed", "run"]

_OUT, _ERR, _STATUS = 1, 2, 3
_FRAMES_MAX = 100_000  # a peer that sends empty frames for ever is ended by this or by the deadline


@dataclass(frozen=True, slots=True)
class Executed:
    """What came of a command. `code`: its exit code; None if it was not started (`refused` says why), or nobody said.

    output: what it wrote, on both channels, in the order in which it came.
    """

    code: int | None
    output: str = ""
    refused: str = ""


def run(
    api: Any, place: str, container: str, command: Sequence[str], *, timeout_s: float, limit: int
) -> Executed:  # fmt: skip
    """Run it in the pod whose exec subresource is `place`. StreamError if no answer came."""
    query = urlencode(
        [*(("command", word) for word in command), ("container", container), ("stdout", "1"), ("stderr", "1")]
    )
    with opened(api, place, query, timeout_s=timeout_s, limit=limit) as web:
        output, status = _received(web, limit)
    return _ended(output.decode(errors="replace"), status)


def _received(web: Any, limit: int) -> tuple[bytes, bytes]:
    """All that came until the end: what the command wrote, and the Status."""
    output, status = bytearray(), bytearray()
    for _ in range(_FRAMES_MAX):
        try:
            kind, data = web.recv_data()
        except ClosedError:
            break
        if kind == CLOSE:
            break
        channel, rest = (data[0], data[1:]) if data else (-1, b"")
        if channel not in (_OUT, _ERR, _STATUS):
            raise OSError(f"the API server sent a frame of channel {channel}")
        (status if channel == _STATUS else output).extend(rest)
        if len(output) + len(status) > limit:
            raise ValueError("what the command wrote is too large")
    else:
        raise OSError("the API server sends frames for ever")
    return bytes(output), bytes(status)


def _ended(output: str, status: bytes) -> Executed:
    if not status:
        return Executed(None, output)
    said = Outside.of(parsed(status, "the Status of an exec"), "the Status of an exec")
    if said.text("status") == "Success":
        return Executed(0, output)
    codes = [one.text("message") for one in said.child("details").objects("causes") if one.text("reason") == "ExitCode"]
    if codes and codes[0].isascii() and codes[0].isdecimal():
        return Executed(int(codes[0]), output)
    return Executed(None, output, refused=said.text("message") or "it was not started")
