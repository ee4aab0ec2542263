"""Output that never ends a step: a closed pipe, a full disk or a character that the encoding lacks."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

__all__ = ["guard"]


class _Enduring(io.TextIOBase):
    """A stream that never fails; after the first failed write nothing is written any more."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        if self._stream is not None:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            try:
                self._stream.write(text.encode(encoding, "replace").decode(encoding, "replace"))
            except (OSError, ValueError):
                self._give_up()
        return len(text)

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Drop what is buffered: it must not fail again when Python ends."""
        stream, self._stream = self._stream, None
        with suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, cast(TextIO, stream).fileno())
            os.close(null)


def guard() -> None:
    """From now on no output of this process raises."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get its number
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = (cast(TextIO, _Enduring(stream)) for stream in (sys.stdout, sys.stderr))
