"""Failures: unexpected errors of the sandbox. After one, what was seen of the cluster proves nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Failures"]

_log = logging.getLogger(__name__)


class Failures:
    """Collects the errors of all parts, from any thread."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def add(self, error: BaseException) -> None:
        """Add an unexpected exception; its traceback goes to the log."""
        self._said.append(" ".join(f"{type(error).__name__}: {error}".split()))
        _log.error("the sandbox itself failed: %s", error, exc_info=error)

    def said(self) -> list[str]:
        """Each on one line, in order of occurrence."""
        return [*self._said]

    @contextmanager
    def of_threads(self) -> Iterator[None]:
        """Inside of the block, an exception that ends a thread of this process is added, and not printed."""
        before = threading.excepthook
        threading.excepthook = lambda told: self.add(told.exc_value or told.exc_type())
        try:
            yield
        finally:
            threading.excepthook = before
