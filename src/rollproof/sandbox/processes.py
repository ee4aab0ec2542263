"""Processes: the one place that starts and ends the sandbox's children.

Nothing may be left over, whatever happens to us. Three things see to that: a child ends when its stdin does (its own
rule: the pipe closes when we die), the kernel kills it when its parent dies (`script_words`: also one that is
stopped or hangs), and `end_all` ends them by handle, never by name. The parent in the kernel's eyes is the thread that
forked, so one thread starts them all and lives as long as they do.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["MARKER", "Child", "Heard", "Processes", "script_words"]

MARKER = "ROLLPROOF_SANDBOX"  # in the environment of every child: the folder of the sandbox that it belongs to
Heard = Callable[[dict[str, Any]], None]
_END_S = 0.5  # between SIGTERM and SIGKILL
# Without site-packages and ctypes' helpers: 3 ms. A parent that is gone already shows as another one than told.
_BOOT = """
import os, sys
parent, path = int(sys.argv[1]), sys.argv[2]
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
except (ImportError, OSError, AttributeError):
    pass  # not Linux: stdin's end has to do
if os.getppid() != parent:
    sys.exit(0)
sys.argv[:] = sys.argv[2:]
__file__ = path
with open(path, encoding="utf-8") as stream:
    code = compile(stream.read(), path, "exec")
exec(code)
"""


def script_words(script: Path, *words: str) -> list[str]:
    """The command line of a stdlib-only Python script that dies with us."""
    return [sys.executable, "-S", "-E", "-c", _BOOT, str(os.getpid()), str(script), *words]


class Child:
    """One running child. `ended` is set when it is gone and waited for."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, heard: Heard | None) -> None:
        self.pid = process.pid
        self.name = name
        self.ended = threading.Event()
        self._process = process
        self._heard = heard
        self._writing = threading.Lock()
        threading.Thread(target=self._listen, name=f"heard-{name}", daemon=True).start()

    def tell(self, item: dict[str, Any]) -> None:
        """One JSON line on its stdin; nothing if it is gone."""
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        with self._writing, suppress(BrokenPipeError, ValueError):  # ValueError: closed by `_close`
            stdin = _pipe(self._process.stdin)
            stdin.write(line)
            stdin.flush()

    def signal(self, number: int) -> None:
        """Send a signal to it alone; nothing if it is gone."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code (negative: the signal that ended it), or None if it still runs after the timeout."""
        return self._process.returncode if self.ended.wait(timeout_s) else None

    def _listen(self) -> None:
        stdout = _pipe(self._process.stdout)
        for line in stdout:
            if self._heard is not None:
                with suppress(json.JSONDecodeError):
                    self._heard(json.loads(line))
        self._process.wait()
        self._close()
        stdout.close()
        self.ended.set()

    def _close(self) -> None:
        with self._writing, suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()


class Processes:
    """All children of one sandbox. `log` takes what they write to stderr."""

    def __init__(self, log: Path | None = None, marker: str = "") -> None:
        self._log = log
        self._environ = {**os.environ, MARKER: marker or str(os.getpid())}
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self._ending = False
        self._orders: queue.Queue[tuple[list[str], str, Heard | None, Future[Child]]] = queue.Queue()
        threading.Thread(target=self._starter, name="processes", daemon=True).start()

    def start(self, words: list[str], *, name: str, first: dict[str, Any], heard: Heard | None = None) -> Child:
        """Start a child, tell it `first`; `heard` gets each JSON line of its stdout, from a thread of the child's."""
        made: Future[Child] = Future()
        self._orders.put((words, name, heard, made))
        child = made.result()
        child.tell(first)
        return child

    def end_all(self) -> None:
        """SIGTERM and the end of stdin, a short wait, SIGKILL. Nothing can be started afterwards."""
        with self._lock:
            self._ending = True
            children = [child for child in self._children if not child.ended.is_set()]
        for child in children:
            child.signal(signal.SIGTERM)
            child._close()  # noqa: SLF001 - the two classes are one
        end_s = time.monotonic() + _END_S
        for child in children:
            if child.wait(max(0.0, end_s - time.monotonic())) is None:
                child.kill()
        for child in children:
            child.ended.wait()

    def running(self) -> list[Child]:
        """Children that have not ended."""
        with self._lock:
            return [child for child in self._children if not child.ended.is_set()]

    def _starter(self) -> None:
        while True:
            words, name, heard, made = self._orders.get()
            try:
                made.set_result(self._start(words, name, heard))
            except (OSError, RuntimeError) as error:
                made.set_exception(error)

    def _start(self, words: list[str], name: str, heard: Heard | None) -> Child:
        with self._lock:
            if self._ending:
                message = f"{name} cannot be started: the sandbox is ending"
                raise RuntimeError(message)
            stderr = self._log.open("ab") if self._log else None
            try:
                process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=self._environ,
                    process_group=0,
                )  # fmt: skip
            finally:
                if stderr is not None:
                    stderr.close()
            child = Child(process, name, heard)
            self._children = [one for one in self._children if not one.ended.is_set()] + [child]
            return child


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - for mypy: Popen was given pipes
    return stream
