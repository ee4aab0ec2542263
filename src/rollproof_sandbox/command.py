"""Command: `rollproof sandbox`: in the foreground until Ctrl-C, or around another command.

With a command, a signal goes to the command first, so that a drill can undo its changes while the sandbox still runs;
the sandbox ends after it, with its exit code. No process of the command is left (`guard.py`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rollproof.errors import CannotJudgeError, InputError
from rollproof_sandbox.defects import DEFECTS, GROUPS, with_defects
from rollproof_sandbox.folder import Folder, default_folder
from rollproof_sandbox.host import HostTroubles, check_has_command
from rollproof_sandbox.jitter import with_jitter
from rollproof_sandbox.ports import parse_ports
from rollproof_sandbox.processes import MARKER
from rollproof_sandbox.relay import Relay
from rollproof_sandbox.sandbox import CancelledError, Sandbox
from rollproof_sandbox.settings import Settings

__all__ = ["defect_list", "run_sandbox"]

_GUARD = Path(__file__).parent / "guard.py"
# A Ctrl-C that the kernel gave to another thread of ours may be noticed after git, which it ended, was.
_ON_ITS_WAY_S = 0.2


def defect_list() -> str:
    """Every defect by group: its name, what is wrong, the drill that shows it, and the expected verdict."""
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
    """Run `rollproof sandbox`; returns the exit code."""
    settings = with_jitter(with_defects(defects, Settings(seed=seed)))
    if ports:
        settings = replace(settings, ports=parse_ports(ports))
    check_has_command(settings.host, command)
    place = _usable(folder or default_folder(os.environ))
    sandbox = Sandbox(settings, Folder(place))
    with Relay(sandbox.cancelled) as relay, sandbox.failed.of_threads():
        try:
            took_s = _start(sandbox)
            code = _around(sandbox, command, relay) if command else _foreground(sandbox, defects, took_s)
        finally:
            sandbox.stop()
    sandbox.check()
    return code


def _usable(folder: Path) -> Path:
    """The whole path. InputError for a folder that its target file could not name: there `$` begins a variable."""
    try:
        place = folder.expanduser().absolute()
    except (RuntimeError, OSError) as error:  # no such user; or a current folder that is gone
        raise InputError(f"the sandbox's folder {folder} cannot be found: {error}", "write the whole path") from None
    if "$" in str(place) or not str(place).isprintable():
        message = f"the sandbox's folder {str(place)!r} has a '$' in it, or a character that cannot be printed"
        raise InputError(message, "its target file could not name it; name another one: --folder DIR")
    return place


def _start(sandbox: Sandbox) -> float:
    """Start; returns the seconds that it took. After Ctrl-C (git gets it too), errors count as interruption."""
    begun_s = time.monotonic()
    try:
        sandbox.start()
    except (CancelledError, InputError):
        if sandbox.cancelled.wait(_ON_ITS_WAY_S):
            raise CannotJudgeError("interrupted before the sandbox was up") from None
        raise
    return time.monotonic() - begun_s


def _foreground(sandbox: Sandbox, defects: Sequence[str], took_s: float) -> int:
    target = shlex.quote(str(sandbox.folder.target))
    wrong = f" with {', '.join(defects)}" if defects else ""
    drill = next((" ".join(DEFECTS[name].drill) for name in defects), "all")
    print(f"the sandbox is up{wrong} ({took_s:.1f} s); Ctrl-C ends it")
    print(f"  target file   {target}")
    print(f"  next          rollproof run {drill} --target {target}")
    print(f"  to look       KUBECONFIG={shlex.quote(str(sandbox.folder.kubeconfig))} kubectl get pods -n shop")
    sys.stdout.flush()
    sandbox.cancelled.wait()
    return 0


def _around(sandbox: Sandbox, command: Sequence[str], relay: Relay) -> int:
    words = [word.replace("{target}", str(sandbox.folder.target)) for word in command]
    host = HostTroubles(sandbox.settings.host, sandbox.store, sandbox.folder.host)
    with sandbox.folder.writing():
        environ = {**os.environ, **host.environ(), MARKER: str(sandbox.folder.path)}
    reader, writer = os.pipe()
    guard = [sys.executable, "-S", "-E", str(_GUARD), str(reader), str(os.getpgrp())]
    process = subprocess.Popen([*guard, *words], env=environ, pass_fds=[reader], process_group=0)
    os.close(reader)
    relay.begin(writer)
    host.start(process.pid)
    try:
        return process.wait()
    finally:
        host.stop()
        relay.end()
