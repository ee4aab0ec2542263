"""Loaded by Python at its start where `tests.crash` put this folder first: makes trouble at a write of its journal.

ROLLPROOF_CRASH_AT="N:WHEN": at the Nth append, `before` it, in the middle of it (`torn`), or `after` it (before the
change). "fault:made": before the first append that says that the change of a fault was made (not the lock, not its
dead-man, not the commit that a drill deploys: before those nothing is broken yet).
ROLLPROOF_CRASH_HOW says what happens there: `kill` (SIGKILL), or from then on for as long as the process lives `api`
(the API server answers nobody), `git` (nor does the git server), `disk` (the disk takes nothing more). Only the process
that runs the drills has it; nothing else of it is changed, but that it is less patient with who is away.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

_AT = os.environ.get("ROLLPROOF_CRASH_AT", "")
_HOW = os.environ.get("ROLLPROOF_CRASH_HOW", "kill")
_PATIENCE_S = 2.0  # instead of a minute


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _api_gone() -> None:
    from rollproof.clients.kube import Kube, UnreachableError

    def attempt(*_: object, **__: object) -> NoReturn:
        raise UnreachableError("the API server is gone: tests.crash")

    Kube._attempt = attempt  # type: ignore[method-assign]
    _impatient()


def _git_gone() -> None:
    from rollproof.clients.git import Git, GitError

    real = Git.run

    def run(git: Git, *arguments: str, **more: Any) -> Any:
        if arguments[0] in ("fetch", "ls-remote", "push"):
            raise GitError("the git server is gone: tests.crash")
        return real(git, *arguments, **more)

    Git.run = run  # type: ignore[method-assign]
    _impatient()


def _disk_full() -> None:
    from rollproof.store import folderfiles
    from rollproof.store.runfolder import RunFolder, UnwritableError

    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object, **__: object) -> NoReturn:
        raise full

    def append(folder: RunFolder, _: str) -> None:
        folder.unwritable = folder.unwritable or UnwritableError(folder.path, full)

    folderfiles.open_append = refuse
    folderfiles.write_whole = refuse
    RunFolder._append = append  # type: ignore[method-assign]


def _impatient() -> None:
    from rollproof.run import teardown

    teardown._PATIENCE_S = _PATIENCE_S


_TROUBLES = {"kill": _kill, "api": _api_gone, "git": _git_gone, "disk": _disk_full}


def _is_it(at: str) -> Callable[[Mapping[str, Any]], bool]:
    """Tells of each append in its turn whether it is the one."""
    from rollproof.faults.registry import changed_kinds
    from rollproof.store.journal import DEAD_MAN

    seen: list[Mapping[str, Any]] = []
    of_faults = {*changed_kinds()} - {DEAD_MAN}

    def nth(line: Mapping[str, Any]) -> bool:
        seen.append(line)
        return len(seen) == int(at)

    def made(line: Mapping[str, Any]) -> bool:
        seen.append(line)
        kinds = {one["number"]: one["kind"] for one in seen if "kind" in one}
        return bool(line.get("made")) and kinds.get(line["number"]) in of_faults

    return made if at == "fault" else nth


def _crash_at(at: str, when: str) -> None:
    from rollproof.store.journal import FolderStore

    real, is_it = FolderStore.append, _is_it(at)

    def append(store: FolderStore, line: Mapping[str, Any]) -> None:
        if not is_it(line):
            return real(store, line)
        if when == "after":
            real(store, line)
        if when == "torn":
            text = json.dumps(line, default=str).encode()
            with Path(store.path).open("ab") as file:
                file.write(text[: len(text) // 2])
        _TROUBLES[_HOW]()
        return None if when == "after" else real(store, line)

    FolderStore.append = append  # type: ignore[method-assign]


if _AT and "rollproof.plugin" in sys.orig_argv:
    _crash_at(_AT.partition(":")[0], _AT.partition(":")[2])
