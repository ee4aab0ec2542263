"""Output: text for a terminal, a pipe or the log of a CI. It must never raise into a run or an undo.

Text from outside (an answer of the app, a git author's name, a message of Argo CD) is made visible on one line before
it is printed: it must not move a cursor, change the reading direction, begin a line of its own, or be a command to a CI
that reads its logs. Characters that the encoding lacks are replaced; a stream that fails is not written any more.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from rollproof.core.visible import visible
from rollproof.errors import CannotJudgeError
from rollproof.redaction import SECRETS

__all__ = ["Outlet", "check_told", "guarded", "one_line", "print_all"]

# Azure and GitHub find `##vso[` and `##[` anywhere in a line, GitHub `::error::` at its begin, TeamCity `##teamcity[`.
_COMMAND = re.compile(r"#(?=#+[\[\w])|^\s*:(?=:[a-z][a-z-]*(?: [^:]*)?::)", re.MULTILINE)
_PLAIN = str.maketrans({"✖": "x", "✔": "+", "·": "-", "…": "...", "→": "->", "─": "-", "≥": ">=", "≤": "<=", "±": "+-"})


def one_line(text: str) -> str:
    """The text on one line: line feeds are escaped, and so is what a CI takes for a command."""
    return _COMMAND.sub(r"\g<0> ", visible(text).replace("\t", " ").replace("\n", "\\n"))


class Outlet(io.TextIOBase):
    """A stream that never fails: secrets are hidden, and characters that cannot be written are replaced.

    After the first failed write (a closed pipe, a full disk, a closed terminal) nothing is written any more. It has
    no `buffer`, so that nothing can bypass it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._gone = stream is None
        self._lost = stream is None
        self.reader_left = False  # it was a pipe, and its reader has closed it

    @property
    def lossy(self) -> bool:
        """Whether some output could not be written."""
        return self._lost

    @property
    def encoding(self) -> str:  # type: ignore[override] # rich and click ask which characters they may draw
        """The encoding of the underlying stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters that cannot be encoded are handled."""
        return "replace"

    def isatty(self) -> bool:
        """Whether it is a terminal; a closed stream is not."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """The descriptor of the underlying stream, for child processes."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always True."""
        return True

    def write(self, text: str) -> int:
        """Write what can be written; returns the length of the text, as if all of it were."""
        if not isinstance(text, str):
            raise TypeError(f"a text was expected, not {type(text).__name__}")  # click tests for text streams by it
        if self._stream is not None:
            stream, said = self._stream, self._fit(SECRETS.text(text))
            self._unless_gone(lambda: stream.write(said))
        return len(text)

    def flush(self) -> None:
        """Flush the underlying stream."""
        if self._stream is not None:
            self._unless_gone(self._stream.flush)

    def _fit(self, text: str) -> str:
        """The text in characters that the encoding has."""
        try:
            text.encode(self.encoding)
        except UnicodeError:
            return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding, "replace")
        except LookupError:  # an encoding that Python does not have
            return text.translate(_PLAIN).encode("ascii", "replace").decode()
        return text

    def _unless_gone(self, action: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            action()
        except BlockingIOError:  # a reader that is slow, on a pipe that does not wait: this text is lost, not the next
            self._lost = True
        except (OSError, ValueError) as error:
            self.reader_left = isinstance(error, BrokenPipeError)
            self._give_up()

    def _give_up(self) -> None:
        """What is still buffered must not fail again when Python ends: that would change the exit code."""
        self._gone = self._lost = True
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self.fileno())
            finally:
                os.close(null)
            if self._stream is not None:
                self._stream.flush()


def print_all(text: str) -> None:
    """Print the output of a command; CannotJudgeError if not all of it could be written."""
    print(text, end="", flush=True)
    check_told()


def check_told(*, to_people: bool = False) -> None:
    """CannotJudgeError if not all that was printed could be written: for a command whose product is its output.

    to_people: whoever closed the pipe (`| head`) has seen enough.
    """
    sys.stdout.flush()
    if isinstance(sys.stdout, Outlet) and sys.stdout.lossy and not (to_people and sys.stdout.reader_left):
        hint = "" if sys.stdout.reader_left else "free the disk that it was written to"
        raise CannotJudgeError("standard output did not take all of it", hint)


class _Notes(logging.Handler):
    """Log records of libraries, each printed as a note on one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        with suppress(Exception):
            print(f"note: {one_line(SECRETS.foreign(record.getMessage()))}", file=sys.stderr)


@contextmanager
def guarded() -> Iterator[None]:
    """Inside of the block, no output of this process raises or shows a secret."""
    _open_closed()
    before = sys.stdout, sys.stderr
    ours = [stream if isinstance(stream, Outlet) else Outlet(stream) for stream in before]
    notes = _Notes(logging.WARNING)
    sys.stdout, sys.stderr = (cast(TextIO, outlet) for outlet in ours)
    logging.getLogger().addHandler(notes)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(notes)
        for outlet in ours:
            outlet.flush()
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open a closed standard stream on /dev/null: else the next file that is opened gets its number, and its output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                if null != descriptor:
                    os.dup2(null, descriptor)
                    os.close(null)
                else:
                    os.set_inheritable(null, True)  # for the child that runs the drills
