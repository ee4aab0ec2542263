"""Command: the sandbox on the command line: in the foreground until Ctrl-C, or around another command.

With a command, a signal goes to the command first, so that a drill can put things back on a sandbox that is still
there; the sandbox ends after it, with its exit code. Whatever the command leaves running is ended too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rollproof.errors import CannotJudgeError
from rollproof.sandbox.defects import DEFECTS, GROUPS, with_defects
from rollproof.sandbox.folder import Folder, default_folder
from rollproof.sandbox.host import HostTroubles, check_has_command, children
from rollproof.sandbox.ports import parse_ports
from rollproof.sandbox.processes import MARKER
from rollproof.sandbox.settings import Settings
from rollproof.sandbox.world import CancelledError, World

__all__ = ["defect_list", "run_sandbox"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_S = 0.05
_LEFT_S = 2.0  # what the command left running has that long between SIGTERM and SIGKILL
# The command gets SIGTERM when we die, also by SIGKILL: a drill then ends by itself. Orphans of it become ours.
_BOOT = """
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
except (OSError, AttributeError):
    pass
if os.getppid() != int(sys.argv[1]):
    sys.exit(143)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    print(f"{sys.argv[2]} cannot be run: {error.strerror}", file=sys.stderr)
    sys.exit(127)
"""


def defect_list() -> str:
    """Every defect by group: its name, what goes wrong, the drill that shows it, and what must be said."""
    lines = []
    for group in GROUPS:
        lines.append(f"{group}:")
        for defect in (one for one in DEFECTS.values() if one.group == group):
            by = f" by {defect.checker}" if defect.checker else ""
            cause = f" ({defect.cause})" if defect.cause else ""
            lines += [f"  {defect.name}: {defect.text}"]
            lines += [f"      rollproof run {' '.join(defect.drill)}  ->  {defect.result}{by}{cause}"]
    return "\n".join(lines)


def run_sandbox(defects: Sequence[str], folder: Path | None, ports: str, seed: int, command: Sequence[str]) -> int:
    """Everything that `rollproof sandbox` does; the exit code."""
    settings = with_defects(defects, Settings(seed=seed))
    if ports:
        settings = replace(settings, ports=parse_ports(ports))
    check_has_command(settings.host, command)
    place = (folder or default_folder(os.environ)).expanduser().absolute()
    world = World(settings, Folder(place))
    with _signals(world.cancelled) as hand_to:
        try:
            begun_s = time.monotonic()
            world.start()
            took_s = time.monotonic() - begun_s
            return _around(world, command, hand_to) if command else _foreground(world, defects, took_s)
        except CancelledError:
            raise CannotJudgeError("interrupted before the sandbox was up") from None
        finally:
            world.stop()


def _foreground(world: World, defects: Sequence[str], took_s: float) -> int:
    target = world.folder.target
    wrong = f" with {', '.join(defects)}" if defects else ""
    drill = next((" ".join(DEFECTS[name].drill) for name in defects), "all")
    print(f"the sandbox is up{wrong} ({took_s:.1f} s); Ctrl-C ends it")
    print(f"  target file   {target}")
    print(f"  next          rollproof run {drill} --target {target}")
    print(f"  to look       KUBECONFIG={world.folder.kubeconfig} kubectl get pods -n shop")
    sys.stdout.flush()
    world.cancelled.wait()
    return 0


def _around(world: World, command: Sequence[str], hand_to: list[subprocess.Popen[bytes]]) -> int:
    words = [word.replace("{target}", str(world.folder.target)) for word in command]
    host = HostTroubles(world.settings.host, world.store, world.folder.host)
    environ = {**os.environ, **host.environ(), MARKER: str(world.folder.path)}
    with _adopting():
        process = subprocess.Popen([sys.executable, "-S", "-E", "-c", _BOOT, str(os.getpid()), *words], env=environ)
        hand_to.append(process)
        if world.cancelled.is_set():  # the signal came before there was anybody to hand it to
            process.send_signal(signal.SIGTERM)
        host.start(process.pid)
        try:
            code = process.wait()
        finally:
            host.stop()
            _end_rest(world)
    return code if code >= 0 else 128 - code


@contextmanager
def _signals(cancelled: threading.Event) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The first signal ends a start or the foreground; with a command, every signal is handed to it."""
    hand_to: list[subprocess.Popen[bytes]] = []

    def take(number: int, _frame: object) -> None:
        cancelled.set()
        for process in hand_to:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    before = {number: signal.signal(number, take) for number in _SIGNALS}
    try:
        yield hand_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _adopting() -> Iterator[None]:
    """Processes whose parent has ended become our children, so that they can be found and waited for."""
    _subreaper(1)
    try:
        yield
    finally:
        _subreaper(0)


def _subreaper(on: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, on, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _end_rest(world: World) -> None:
    """End what the command has left running: our children that carry its mark, and that we did not start ourselves."""
    mark = f"{MARKER}={world.folder.path}".encode()
    begun_s = time.monotonic()
    while rest := [pid for pid in _marked_children(mark) if pid not in world.pids()]:
        number = signal.SIGTERM if time.monotonic() - begun_s < _LEFT_S else signal.SIGKILL
        for pid in rest:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(_LOOK_S)
        for pid in rest:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _marked_children(mark: bytes) -> list[int]:
    found = []
    for pid in children(os.getpid()):
        with suppress(OSError):  # it has ended
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found
