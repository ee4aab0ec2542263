"""A child process that speaks JSON lines. It never outlives its owner.

Every wait is bounded and ends early when the child has ended; the error then carries the last lines that it wrote to
stderr. Only the process that was started here is ever signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rollproof.errors import CannotJudgeError
from rollproof.redaction import SECRETS

__all__ = ["Child", "LoadError"]

_PATIENCE_S = 5.0  # from SIGTERM to SIGKILL


class LoadError(CannotJudgeError):
    """The load generator could not do its work; nothing can be said about the target."""


class Child:
    """One running script. Messages are JSON objects; each key is remembered with its newest value."""

    def __init__(self, script: Path, *arguments: str) -> None:
        self.name = script.name
        self._stderr = os.fdopen(os.memfd_create("stderr"), "w+b")  # in memory: the disk may be full
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script), *arguments],  # -P: nothing is imported from where we happen to be
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True, bufsize=1,
            umask=0o077,  # its record is in the run folder, which is for its owner only
        )  # fmt: skip
        if self._process.stdin is None or self._process.stdout is None:
            raise LoadError(f"{self.name} has no pipes to talk over")  # cannot be: both were asked for
        self._input, self._output = self._process.stdin, self._process.stdout
        self._news = threading.Condition()
        self._newest: dict[str, Any] = {}
        self._ended = False
        self._reader = threading.Thread(target=self._read, name=f"read {self.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has closed its output, which it does by ending."""
        return self._ended

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send one line. A child that is gone does not raise here: the next wait says why it ended."""
        with contextlib.suppress(OSError, ValueError):
            self._input.write(json.dumps(message) + "\n")
            self._input.flush()

    def newest(self, key: str) -> Any:
        """The newest value that came under `key`, or None."""
        with self._news:
            return self._newest.get(key)

    def wait(self, key: str, *, timeout_s: float) -> Any:
        """The value under `key` once it has come. LoadError if the child reports an error, ends, or stays silent."""
        deadline_s = time.monotonic() + timeout_s
        with self._news:
            while key not in self._newest:
                if "error" in self._newest:
                    raise LoadError(f"{self.name} could not go on: {self._newest['error']}", self._tail())
                if self._ended:
                    code = self._process.wait()
                    raise LoadError(f"{self.name} ended with code {code} before it said {key!r}", self._tail())
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    last = ", ".join(self._newest) or "nothing"
                    message = f"{self.name} did not say {key!r} within {timeout_s:.0f} s (it had said: {last})"
                    raise LoadError(message, self._tail())
                self._news.wait(left_s)
            return self._newest[key]

    def close(self) -> None:
        """End the process, gently first, and wait for it. May be called again."""
        with contextlib.suppress(OSError):  # it may be gone already
            self._input.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._reader.join(_PATIENCE_S)
        self._output.close()
        self._stderr.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        for line in self._output:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a library printed something; it is not for us
            if isinstance(message, dict):
                with self._news:
                    self._newest.update(message)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _tail(self) -> str:
        """The last lines of stderr, as a hint."""
        if self._stderr.closed:
            return ""
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return SECRETS.foreign("its last words: " + " | ".join(lines[-3:])) if lines else ""
