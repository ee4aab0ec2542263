"""Failures: bugs of the sandbox that have shown. What was seen of such a cluster proves nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Failures"]

_log = logging.getLogger(__name__)


class Failures:
    """All parts tell of theirs, from any thread."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def add(self, error: BaseException) -> None:
        """An exception that nobody expected; the log has its traceback."""
        self._said.append(" ".join(f"{type(error).__name__}: {error}".split()))
        _log.error("the sandbox itself failed: %s", error, exc_info=error)

    def said(self) -> list[str]:
        """Each in one line, in the order of their coming."""
        return [*self._said]

    @contextmanager
    def of_threads(self) -> Iterator[None]:
        """Meanwhile, what ends any thread of this process is one of them, and is not shown on the screen."""
        before = threading.excepthook
        threading.excepthook = lambda told: self.add(told.exc_value or told.exc_type())
        try:
            yield
        finally:
            threading.excepthook = before
