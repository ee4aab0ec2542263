"""Runs named steps in lanes, and shows what runs, how long it takes and, after a failure, where to look.

A lane is an ordered list of steps run by one thread; lanes run in parallel; a step starts when all that it needs has
ended. A step must be safe to run again after it was killed at any point. Must never know what the steps are about.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CommandError", "LabError", "Log", "Step", "StepError", "run_steps"]

_TAIL_LINES = 15
_PATIENCE_S = 10.0


class LabError(Exception):
    """An error that a person can fix; the text says what was expected, what was seen and what to do next."""


class CommandError(LabError):
    """A command ended with a non-zero status, or did not end in time."""


class StepError(LabError):
    """A step failed; the text has the step, its log and the log's last lines."""


class AbortedError(LabError):
    """Another lane failed, or a person pressed Ctrl-C; this lane stops as well."""


class Children:
    """The running processes of the steps, so that an abort ends exactly these."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(self, arguments: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise AbortedError("stopped before starting " + arguments[0])
            # If this process is killed, its children must not run beside the next one's.
            words = ["setpriv", "--pdeathsig", "TERM", "--", *arguments]
            child = subprocess.Popen(words, start_new_session=True, **options)  # type: ignore[call-overload]
            self._running.add(child)
            return child  # type: ignore[no-any-return]

    def forget(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(child)

    def end_all(self) -> None:
        """End all. Each child leads a session of its own, so its group is what it started and nothing else."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            _end_group(child)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def _collect(child: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a child that got SIGTERM; kill it if that takes too long."""
    try:
        child.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


class Log:
    """The log of one step: every command of the step is run by it, and logged with its output and its status."""

    def __init__(self, path: Path, children: Children | None = None) -> None:
        self.path = path
        self._children = children or Children()
        path.parent.mkdir(parents=True, exist_ok=True)

    def say(self, text: str) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as out:
            out.write(text.rstrip("\n") + "\n")

    def run(
        self,
        *arguments: str | Path,
        stdin: str | bytes | Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 1800,
        check: bool = True,
    ) -> str:
        """Run a command, return its standard output; ``env`` adds to the environment; a Path as ``stdin`` is opened."""
        words = [str(a) for a in arguments]
        self.say(f"$ {' '.join(words)}")
        given = stdin.encode() if isinstance(stdin, str) else stdin if isinstance(stdin, bytes) else None
        with ExitStack() as files:
            errors = files.enter_context(self.path.open("ab"))  # directly to the log: a long step can be followed
            source = files.enter_context(stdin.open("rb")) if isinstance(stdin, Path) else None
            if shutil.which(words[0]) is None:
                raise CommandError(f"{words[0]} is not installed (wanted for: {' '.join(words)[:200]})")
            child = self._children.start(
                words,
                stdin=source or (subprocess.PIPE if given is not None else subprocess.DEVNULL),
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            )
            return self._finish(child, words, given, timeout_s, check=check)

    def _finish(
        self, child: subprocess.Popen[bytes], words: list[str], given: bytes | None, timeout_s: float, *, check: bool
    ) -> str:
        try:
            out, _ = child.communicate(given, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end_group(child)
            _collect(child)
            raise CommandError(f"{words[0]} did not end within {timeout_s:.0f} s: {' '.join(words)[:200]}") from None
        finally:
            self._children.forget(child)
        text = out.decode(errors="replace")
        if text:
            self.say(text)
        if check and child.returncode != 0:
            self.say(f"exit status {child.returncode}")
            raise CommandError(f"`{' '.join(words)[:200]}` ended with status {child.returncode}")
        return text

    def tail(self) -> list[str]:
        """The last lines that are not empty."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line[:300] for line in lines if line.strip()][-_TAIL_LINES:]


@dataclass(frozen=True, slots=True)
class Step:
    """``run`` does the work and may return a short note; when ``is_done`` says true, the step is skipped."""

    name: str
    run: Callable[[Log], str | None]
    lane: str = "cluster"
    needs: tuple[str, ...] = ()
    is_done: Callable[[], bool] | None = None


@dataclass(slots=True)
class _Board:
    """The state that lanes share: which steps have ended, and the first failure."""

    events: dict[str, threading.Event]
    failures: list[StepError] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)


def run_steps(steps: Sequence[Step], logs: Path, say: Callable[[str], None] | None = None) -> None:
    """Run all steps; the first failure ends the children of the other lanes and is raised as StepError."""
    say = say or _say
    _check_needs(steps)
    board = _Board({step.name: threading.Event() for step in steps})
    children = Children()
    lanes: dict[str, list[Step]] = {}
    for step in steps:
        lanes.setdefault(step.lane, []).append(step)
    threads = [
        threading.Thread(target=_run_lane, args=(lane, board, children, logs, say), name=name, daemon=True)
        for name, lane in lanes.items()
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
                _show(board)
    except BaseException:
        board.stop.set()
        children.end_all()
        raise
    if board.failures:
        raise board.failures[0]


def _run_lane(lane: Sequence[Step], board: _Board, children: Children, logs: Path, say: Callable[[str], None]) -> None:
    for step in lane:
        for need in step.needs:
            while not board.events[need].wait(0.2):
                if board.stop.is_set():
                    return
        if board.stop.is_set():
            return
        board.running[step.name] = time.monotonic()
        try:
            _run_step(step, children, logs, say)
        except AbortedError:
            return
        except StepError as failure:
            if not board.stop.is_set():
                board.failures.append(failure)
                board.stop.set()
                children.end_all()
            return
        finally:
            board.running.pop(step.name, None)
        board.events[step.name].set()


def _run_step(step: Step, children: Children, logs: Path, say: Callable[[str], None]) -> None:
    log = Log(logs / f"{step.name.replace(' ', '-').replace('/', '-')}.log", children)
    log.path.write_text("", encoding="utf-8")
    start = time.monotonic()
    try:
        if step.is_done is not None and step.is_done():
            say(f"{'kept':>9}  {step.name}")
            return
        say(f"{'start':>9}  {step.name}")
        note = step.run(log)
    except AbortedError:
        raise
    except Exception as error:
        took_s = time.monotonic() - start
        log.say(f"{type(error).__name__}: {error}")
        lines = "\n".join(f"    | {line}" for line in log.tail())
        raise StepError(
            f"step '{step.name}' failed after {took_s:.1f} s: {error}\n  log: {log.path}\n{lines}"
        ) from error
    took_s = time.monotonic() - start
    say(f"{took_s:7.1f} s  {step.name}{f' ({note})' if note else ''}")


def _check_needs(steps: Sequence[Step]) -> None:
    """A need must come earlier in the list: this excludes deadlocks between lanes."""
    seen: set[str] = set()
    for step in steps:
        if missing := [need for need in step.needs if need not in seen]:
            raise LabError(f"step '{step.name}' needs {missing}, which no earlier step provides")
        if step.name in seen:
            raise LabError(f"two steps are named '{step.name}'")
        seen.add(step.name)


_say_lock = threading.Lock()


def _say(text: str) -> None:
    with _say_lock:
        sys.stdout.write(("\r\x1b[K" if sys.stdout.isatty() else "") + text + "\n")
        sys.stdout.flush()


def _show(board: _Board) -> None:
    """On a terminal, one line with the running steps and their times; elsewhere nothing."""
    if not sys.stdout.isatty():
        return
    now = time.monotonic()
    running = ", ".join(f"{name} {now - start:.0f} s" for name, start in list(board.running.items()))
    with _say_lock:
        sys.stdout.write(f"\r\x1b[K{running[:110]}")
        sys.stdout.flush()
