"""Processes: starts and ends all child processes of the sandbox.

No process may be left, however we end. Three mechanisms: a child ends when its stdin does (the pipe closes when we
die), the kernel kills it when its parent dies (`script_words`, and setpriv for programs: also one that is stopped or
hangs), and `end_all` ends them by handle, never by name. To the kernel the parent is the thread that forked: one thread
starts all permanent children and lives as long as they do, and a thread that runs a program waits for it. Each has a
process group of its own: a terminal's Ctrl-C reaches only us, and we end them in order.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["MARKER", "Child", "Heard", "Processes", "script_words"]

MARKER = "ROLLPROOF_SANDBOX"  # in the environment of every child: the folder of its sandbox
Heard = Callable[[dict[str, Any]], None]
_END_S = 0.5  # between SIGTERM and SIGKILL
# Without site-packages and ctypes' helpers: 3 ms. If the parent is gone, its pid differs from the given one.
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
    """The command line of a stdlib-only Python script that is killed when we die."""
    return [sys.executable, "-S", "-E", "-c", _BOOT, str(os.getpid()), str(script), *words]


class Child:
    """One child process. `ended` is set when it has ended and was reaped."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, heard: Heard | None) -> None:
        self.pid = process.pid
        self.name = name
        self.ended = threading.Event()
        self._process = process
        self._heard = heard
        self._writing = threading.Lock()
        threading.Thread(target=self._listen, name=f"heard-{name}", daemon=True).start()

    def tell(self, item: dict[str, Any]) -> None:
        """Send one JSON line to its stdin; ignored if it has ended."""
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        with self._writing, suppress(BrokenPipeError, ValueError):  # ValueError: closed by `_close`
            stdin = _pipe(self._process.stdin)
            stdin.write(line)
            stdin.flush()

    def signal(self, number: int) -> None:
        """Send a signal to it alone; ignored if it has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code (negative: the signal that ended it), or None if it still runs after the timeout (s)."""
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
    """All children of one sandbox. `log` receives their stderr."""

    def __init__(self, log: Path | None = None, marker: str = "") -> None:
        self._log = log
        self._environ = {**os.environ, MARKER: marker or str(os.getpid())}
        self._children: list[Child] = []
        self._programs: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ending = False
        self._orders: queue.Queue[tuple[list[str], str, Heard | None, Future[Child]]] = queue.Queue()
        self._thread = threading.Thread(target=self._starter, name="processes", daemon=True)

    def start(self, words: list[str], *, name: str, first: dict[str, Any], heard: Heard | None = None) -> Child:
        """Start a child and send it `first`; `heard` gets each JSON line of its stdout, in a thread of its own."""
        with self._lock:
            if not self._thread.is_alive():
                self._thread.start()
        made: Future[Child] = Future()
        self._orders.put((words, name, heard, made))
        child = made.result()
        child.tell(first)
        return child

    def run(
        self, words: list[str], *, environ: Mapping[str, str], stdin: bytes = b"", timeout_s: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end, with `environ` and MARKER. subprocess.TimeoutExpired, OSError, RuntimeError."""
        program = _program(words, environ)
        with self._lock:
            self._check_not_ending(words[0])
            with _out_of_reach():
                process = subprocess.Popen(
                    program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env={**environ, MARKER: self._environ[MARKER]}, process_group=0,
                )  # fmt: skip
            self._programs.add(process)
        try:
            with process:
                try:
                    stdout, stderr = process.communicate(stdin, timeout=timeout_s)
                finally:
                    _kill_group(process)
        finally:
            with self._lock:
                self._programs.discard(process)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    def end_all(self) -> None:
        """SIGTERM and end of stdin, a short wait, SIGKILL; programs at once. Nothing can be started afterwards."""
        with self._lock:
            self._ending = True
            children = [child for child in self._children if not child.ended.is_set()]
            for program in self._programs:
                _kill_group(program)
            programs = [*self._programs]
        for child in children:
            child.signal(signal.SIGTERM)
            child._close()  # noqa: SLF001 - the two classes are one
        end_s = time.monotonic() + _END_S
        for child in children:
            if child.wait(max(0.0, end_s - time.monotonic())) is None:
                child.kill()
        for child in children:
            child.ended.wait()
        for program in programs:
            program.wait()

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
            self._check_not_ending(name)
            stderr = self._log.open("ab") if self._log else None
            try:
                with _out_of_reach():
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

    def _check_not_ending(self, name: str) -> None:
        if self._ending:
            message = f"{name} cannot be started: the sandbox is ending"
            raise RuntimeError(message)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - for mypy: Popen was given pipes
    return stream


def _program(words: list[str], environ: Mapping[str, str]) -> list[str]:
    """The command line of a program that is killed when its starting thread dies."""
    found = shutil.which(words[0], path=environ.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    setpriv = shutil.which("setpriv")  # of util-linux; without it a program ends only with its pipes
    return [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), found, *words[1:]]


@contextmanager
def _out_of_reach() -> Iterator[None]:
    """Processes started inside of the block never get SIGINT, even before they have a process group of their own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and its descendants, if it has not ended and been reaped."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
