"""A sandbox as a process of its own, as a person starts it, and its processes and files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rollproof_sandbox.processes import MARKER
from tests.waiting import until

PYTHON = [sys.executable, "-m", "rollproof"]
PATIENCE_S = 120.0  # nothing waits that long but on a machine that is busy with other work


class Sandbox:
    """`rollproof sandbox` in a folder of its own, on ports that it chooses."""

    def __init__(self, folder: Path, *words: str, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.target = folder / "target.toml"
        self.output = folder.with_suffix(".log")
        options = ["--folder", str(folder)] + ([] if "--ports" in words else ["--ports", "auto"])
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*PYTHON, "sandbox", *options, *words], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env={**os.environ, **(environ or {})}, process_group=0,
            )  # fmt: skip

    def ctrl_c(self) -> None:
        """SIGINT for the process group of the command line, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(PATIENCE_S)

    def said(self) -> str:
        """All of its output, in one line."""
        return " ".join(self.output.read_text().split())

    def up(self) -> None:
        """Wait until it reports that it is up."""
        until(lambda: "the sandbox is up" in self.said(), self.said)

    def alive(self) -> list[int]:
        """Every process with its mark in the environment; it marks what it starts, not itself."""
        mark = f"{MARKER}={self.folder}".encode()
        return [pid for pid in _pids() if mark in _environ(pid)]

    def words(self) -> list[str]:
        """The command lines of those."""
        return [_words(pid) for pid in self.alive()]

    def runs(self, what: str) -> bool:
        """Whether one of them has that in its command line."""
        return any(what in words for words in self.words())

    def nobody_is_left(self) -> None:
        """Wait until it has no process any more: the kernel ends the orphans of a killed one after it."""
        until(lambda: not self.alive(), lambda: f"left over: {self.words()}")

    def left_files(self) -> set[str]:
        """The names in its folder."""
        return {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")  # empty for one that has ended
    except OSError:
        return []


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[-200:]
    except OSError:
        return "gone"
