"""Host: troubles of the machine that the harness runs on. They hit the command that the sandbox was started with.

"stop-generator": the load generator (the descendant whose command line has load/engine.py) is stopped by SIGSTOP for
`for_s`. "clock-step": `time.time` and `time.time_ns` of the command's Python processes are shifted by `step_s`; clocks
that are read in C (`datetime.now`) are not. "disk-full": every regular file that the command's Python processes have
open for writing, except their standard streams, raises ENOSPC from the trigger on, and no other can be opened for
writing. Other programs (git) and temporary folders of the process are not affected: the disk of the run folder is
full, not /tmp. The last two use a `sitecustomize.py` that waits for a flag file; nothing outside of the command is
touched.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rollproof.errors import InputError
from rollproof_sandbox.api.moments import is_drift, is_rollout
from rollproof_sandbox.api.store import Change, Store
from rollproof_sandbox.settings import Host as HostSettings
from rollproof_sandbox.settings import Trouble

__all__ = ["HostTroubles", "check_has_command"]

_GENERATOR = "load/engine.py"
_FLAGS = ("clock-step", "disk-full")

_CUSTOMIZE = '''"""Of the sandbox (rollproof_sandbox/host.py): this machine's clock steps, or its disk is full."""
import builtins, errno, io, os, stat, tempfile, threading, time

FOLDER, STEP_S = @FOLDER@, @STEP_S@
flag = lambda kind: os.path.exists(os.path.join(FOLDER, kind))

if "clock-step" in @KINDS@:
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + (STEP_S if flag("clock-step") else 0.0)
    time.time_ns = lambda: real_ns() + (int(STEP_S * 1e9) if flag("clock-step") else 0)

if "disk-full" in @KINDS@:
    opened, made, roomy, sleep = io.open, tempfile.mkdtemp, [], time.sleep

    def mkdtemp(*words, **more):
        roomy.append(os.path.realpath(made(*words, **more)) + os.sep)
        return roomy[-1][:-1]

    def has_room(path):
        return os.path.realpath(path).startswith(tuple(roomy)) or path.startswith("/dev/")

    def full_open(file, mode="r", *words, **more):
        written = any(letter in mode for letter in "wax+") and not isinstance(file, int)
        if written and flag("disk-full") and not has_room(os.fspath(file)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(file))
        return opened(file, mode, *words, **more)

    def fill():
        while not flag("disk-full"):
            sleep(0.02)
        full = os.open("/dev/full", os.O_WRONLY)
        for name in os.listdir("/proc/self/fd"):
            number = int(name)
            try:
                regular = stat.S_ISREG(os.fstat(number).st_mode)
                where = os.readlink("/proc/self/fd/" + name)
                with opened("/proc/self/fdinfo/" + name) as lines:
                    flags = int([line for line in lines if line.startswith("flags")][0].split()[1], 8)
            except OSError:
                continue
            if number > 2 and regular and flags & os.O_ACCMODE and not has_room(where):
                os.dup2(full, number)

    tempfile.mkdtemp, io.open, builtins.open = mkdtemp, full_open, full_open
    threading.Thread(target=fill, daemon=True).start()
'''


def check_has_command(settings: HostSettings, command: Iterable[str]) -> None:
    """InputError if there is no command that the troubles could affect."""
    kinds = sorted({trouble.kind for trouble in (*settings.on_rollout, *settings.on_drift)})
    if kinds and not list(command):
        message = f"{', '.join(kinds)}: a trouble of the harness's machine needs a command that it can hit"
        raise InputError(message, "rollproof sandbox --defect NAME -- rollproof run DRILL --target {target}")


@dataclass(slots=True)
class HostTroubles:
    """Wait for the triggers, and apply the troubles to the processes below the pid that `start` gets."""

    settings: HostSettings
    store: Store
    folder: Path
    _pid: int = field(default=0, init=False)
    _timers: list[threading.Timer] = field(default_factory=list, init=False)
    _begun: set[str] = field(default_factory=set, init=False)
    _unsubscribe: Callable[[], None] | None = field(default=None, init=False)

    def environ(self) -> Mapping[str, str]:
        """Variables for the command; writes the files that they refer to."""
        troubles = (*self.settings.on_rollout, *self.settings.on_drift)
        kinds = sorted({trouble.kind for trouble in troubles} & set(_FLAGS))
        if not kinds:
            return {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            (self.folder / kind).unlink(missing_ok=True)
        text = _CUSTOMIZE.replace("@FOLDER@", repr(str(self.folder))).replace("@STEP_S@", repr(self.settings.step_s))
        (self.folder / "sitecustomize.py").write_text(text.replace("@KINDS@", repr(kinds)), encoding="utf-8")
        others = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), *others])}

    def start(self, pid: int) -> None:
        """The command runs as `pid`: from now on triggers count."""
        self._pid = pid
        if self.settings.on_rollout or self.settings.on_drift:
            self._unsubscribe = self.store.subscribe(self._see)

    def stop(self) -> None:
        """No trouble begins after this; a stopped generator is continued."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        for timer in self._timers:
            timer.cancel()
        if self._pid:
            _signal_generator(self._pid, signal.SIGCONT)

    def _see(self, change: Change) -> None:
        for moment, is_it, troubles in (
            ("rollout", is_rollout, self.settings.on_rollout),
            ("drift", is_drift, self.settings.on_drift),
        ):
            if moment not in self._begun and is_it(change):
                self._begun.add(moment)
                for trouble in troubles:
                    self._at(trouble.after_s, partial(self._begin, trouble))

    def _begin(self, trouble: Trouble) -> None:
        if trouble.kind in _FLAGS:
            (self.folder / trouble.kind).touch()
        elif trouble.kind == "stop-generator":
            _signal_generator(self._pid, signal.SIGSTOP)
            self._at(trouble.for_s, partial(_signal_generator, self._pid, signal.SIGCONT))

    def _at(self, delay_s: float, step: Callable[[], None]) -> None:
        timer = threading.Timer(delay_s, step)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


def _descendants(pid: int) -> Iterator[int]:
    """Every process below `pid`, whichever thread started it."""
    for task in _listed(Path(f"/proc/{pid}/task")):
        with suppress(OSError):
            for child in (task / "children").read_text(encoding="ascii").split():
                yield int(child)
                yield from _descendants(int(child))


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _signal_generator(pid: int, number: int) -> None:
    for child in _descendants(pid):
        with suppress(OSError):  # it has ended
            if _GENERATOR in Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace"):
                os.kill(child, number)
