"""What a test needs from a registry, fetched once into the cache; what cannot be had is a reason to skip, never red.

All fetches of one test run share one time (ROLLPROOF_FETCH_S), so that a network that does not answer costs that and no
more; what could not be had is not asked for again. What is unfinished is never taken for finished: it gets its name at
its end.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import gobuild, settings
from lab.steps import LabError, Log

__all__ = ["Allowance", "Fetcher", "from_npm", "go_program", "pip_source"]

_WORDS = ("npm error code", "ERROR: ")  # how npm and pip begin the line that says why
_UNTOLD = ("$ ", "exit status")  # lines of the log that are not the command's


class Allowance:
    """The time for all fetches together."""

    def __init__(self, whole_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._whole_s, self._left_s, self._now = whole_s, whole_s, now

    @contextmanager
    def spent(self) -> Iterator[float]:
        """For the time of one fetch: how long it may take. A LabError if nothing is left."""
        if self._left_s <= 0:
            raise LabError(f"the {self._whole_s:.0f} s for all fetches (ROLLPROOF_FETCH_S) are used up")
        begun = self._now()
        try:
            yield self._left_s
        finally:
            self._left_s -= self._now() - begun


class Fetcher:
    """Fetches each thing once, whatever comes of it."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._failed: dict[Path, str] = {}

    def get(self, path: Path, make: Callable[[Log, float], None]) -> Path:
        """The path; if it is not there, it is made first, with a log and in a time. Skips the test if that fails."""
        if path.exists():
            return path
        if path not in self._failed:
            log = Log(settings.cache() / "fetched" / f"{path.name}.log")
            log.path.unlink(missing_ok=True)
            try:
                with self._allowance.spent() as left_s:
                    make(log, left_s)
                return path
            except LabError as error:
                self._failed[path] = ": ".join([str(error), *_why(log)])
        pytest.skip(f"{path.name} cannot be had here: {self._failed[path]}")

    def folder(self, path: Path, make: Callable[[Path, Log, float], None]) -> Path:
        """The same for a folder, which is made under another name."""

        def whole(log: Log, left_s: float) -> None:
            unfinished = path.with_name(f".{path.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished, log, left_s)
            unfinished.rename(path)

        return self.get(path, whole)


# All of it is less than the timeout of one test, which would be red.
_FETCHER = Fetcher(Allowance(float(os.environ.get("ROLLPROOF_FETCH_S", "1500"))))


def go_program(program: gobuild.Program) -> Path:
    """The built program. Skips the test if it cannot be built here."""

    def build(log: Log, left_s: float) -> None:
        gobuild.build(program, log, timeout_s=left_s)

    return _FETCHER.get(gobuild.path_of(program), build)


def from_npm(package: str, version: str, command: str) -> Path:
    """A command of an npm package, whose own scripts are not run. Skips the test if npm cannot install it."""

    def install(folder: Path, log: Log, left_s: float) -> None:
        npm, node = shutil.which("npm"), shutil.which("node")
        if npm is None or node is None:
            raise LabError("npm and node are not on the PATH")
        # One try more, after 10 s: npm's own two would be a minute more without a network.
        flags = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries", "1")
        log.run(npm, "install", "--prefix", folder, *flags, f"{package}@{version}", timeout_s=left_s)

    name = f"npm-{package.replace('/', '-').strip('@')}-{version}"
    return _FETCHER.folder(settings.cache() / "fetched" / name, install) / "node_modules/.bin" / command


def pip_source(package: str, version: str) -> Path:
    """The unpacked source archive of a package on PyPI. Skips the test if pip cannot fetch it."""

    def download(folder: Path, log: Log, left_s: float) -> None:
        wanted = ("--no-deps", "--no-binary", package, "--dest", folder, f"{package}=={version}")
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
        log.run(*pip, *wanted, timeout_s=left_s)
        archive = folder / f"{package}-{version}.tar.gz"  # by tar: see lab/apprepo.py
        log.run("tar", "--extract", "--no-same-owner", f"--file={archive}", f"--directory={folder}")

    name = f"{package}-{version}-source"
    return _FETCHER.folder(settings.cache() / "fetched" / name, download) / f"{package}-{version}"


def _why(log: Log) -> list[str]:
    """The line of the log that says why, and where the rest is."""
    if not log.path.exists():
        return []
    lines = log.path.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if line.startswith(_WORDS)]
    told = told or [line for line in lines if line.strip() and not line.startswith(_UNTOLD)]
    return [f"{''.join(told[-1:])[:300]} ({log.path})"]
