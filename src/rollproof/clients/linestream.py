"""Line stream: an answer of the API that goes on, line by line as they arrive: a watch, a log that is followed."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import urllib3

from rollproof.clients.apierrors import SilenceError, UnreachableError
from rollproof.clients.exchange import MIB, extend, said

__all__ = ["LineStream"]

_LINE_MAX = 16 * MIB  # one event of a watch: etcd takes no object above 1.5 MiB


class LineStream:
    """Its whole lines without their ends, empty ones left out, until the server ends it or `close` is called.

    SilenceError if no whole line comes for `silence_s`: one that trickles is silence. UnreachableError if it breaks.
    """

    def __init__(self, response: Any, what: str, silence_s: float) -> None:
        self._response, self._what, self._silence_s = response, what, silence_s
        self._closed = False
        extend(response, silence_s)

    def __iter__(self) -> Generator[bytes]:
        try:
            yield from self._lines()
        except urllib3.exceptions.ReadTimeoutError:
            raise SilenceError(f"{self._what} was silent for too long and was given up") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._closed:
                raise UnreachableError(f"{self._what} broke: {said(error)}") from None
        finally:
            self._response.close()

    def _lines(self) -> Iterator[bytes]:
        """`read1` returns what is there instead of waiting for a full buffer."""
        rest = b""
        while chunk := self._response.read1(1 << 16):
            *whole, rest = (rest + chunk).split(b"\n")
            if whole:
                extend(self._response, self._silence_s)
            if len(rest) > _LINE_MAX:
                raise ValueError(f"a line is larger than {_LINE_MAX / MIB:g} MiB")
            yield from (line for line in whole if line.strip())

    def close(self) -> None:
        """End it, also while another thread waits for its next line."""
        self._closed = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has ended already
            self._response.shutdown()
