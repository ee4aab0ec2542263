"""The real readers of what rollproof exports, in the versions that were tried; each is fetched once, into the cache.

Go programs are built by lab/gobuild.py, npm packages installed by npm. What cannot be had skips its tests, and the skip
says why: no Go or npm here, no network, or a version that is gone.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import gobuild, settings
from lab.steps import LabError, Log

__all__ = ["ACTIONLINT", "OTELCOL", "PROMTOOL", "PUSHGATEWAY", "go_program", "junit_xsd", "run", "taplo"]

# Without the clients of every cloud, which take half an hour to build; no alert and no metric needs one.
PROMTOOL = gobuild.Program(
    "promtool", install="github.com/prometheus/prometheus/cmd/promtool@v0.316.0", tags="remove_all_sd"
)
ACTIONLINT = gobuild.Program("actionlint", install="github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
PUSHGATEWAY = gobuild.Program("pushgateway", package="github.com/prometheus/pushgateway")  # 1.11.1: lab/go/pushgateway
OTELCOL = gobuild.Program("otelcol")  # parts of 0.161.0: lab/go/otelcol

_TAPLO = "0.7.0"
_PYTEST = "9.0.2"
_FETCH_S = 600


@functools.cache
def go_program(program: gobuild.Program) -> Path:
    """The built program. Skips the test if it cannot be built here."""
    log = Log(settings.cache() / f"readers-{program.name}.log")
    try:
        return gobuild.build(program, log)
    except LabError as error:
        pytest.skip(f"{program.name} cannot be built here: {error} ({log.path})")


@functools.cache
def taplo() -> Path:
    """The TOML checker of editors, from npm. Skips the test if npm cannot install it."""
    folder = settings.cache() / f"taplo-{_TAPLO}"
    command = folder / "node_modules/.bin/taplo"
    if not command.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not on the PATH, and taplo comes from it")
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", f"@taplo/cli@{_TAPLO}")
    return command


@functools.cache
def junit_xsd() -> Path:
    """Jenkins' xunit-plugin's junit-10.xsd, which pytest's source archive holds. Skips if pip cannot fetch that."""
    folder = settings.cache() / f"pytest-{_PYTEST}-source"
    path = folder / f"pytest-{_PYTEST}/testing/example_scripts/junit-10.xsd"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = ("--no-deps", "--no-binary", ":all:", "--dest", str(folder), f"pytest=={_PYTEST}")
        _fetch(sys.executable, "-m", "pip", "download", "--quiet", *wanted)
        shutil.unpack_archive(folder / f"pytest-{_PYTEST}.tar.gz", folder, filter="data")
    return path


def run(*command: str | Path, stdin: str = "", cwd: Path | None = None, **environ: str) -> tuple[int, str]:
    """The exit code and all that the reader said."""
    done = subprocess.run(
        [str(one) for one in command], input=stdin, cwd=cwd, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=_FETCH_S, check=False, env={**os.environ, "NO_COLOR": "1", **environ},
    )  # fmt: skip
    return done.returncode, done.stdout


def _fetch(*command: str) -> None:
    try:
        code, said = run(*command)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(command)} did not end within {_FETCH_S} s")
    if code != 0:
        pytest.skip(f"{' '.join(command)} failed: {said.strip().splitlines()[-1:]}")
