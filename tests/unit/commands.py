"""Commands of rollproof in a child process or in this one, and a stored run for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from forked import run_module
from story import good_release, plan
from targettoml import target_toml

from rollproof.cli import main
from rollproof.judge.judging import judge_run, write_reports
from rollproof.store.runfolder import RunFolder

__all__ = ["TARGET", "loaded_by", "rollproof", "stored_run", "told"]

TARGET = target_toml(context="nowhere", git_url="file:///nowhere/env.git")


def rollproof(
    *words: str, cwd: Path, stdout: IO[bytes] | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    done = run_module("rollproof", *words, cwd=cwd, environ={**kept, "COLUMNS": "200", **environ}, stdout=stdout)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def stored_run(folder: Path, *checkers: str) -> Path:
    """A run of a good release in `folder`/reports, judged by these checkers (rollout and version)."""
    with RunFolder.create(folder / "reports" / "20260101T000000Z-zero-downtime", plan()) as run:
        run.drill = "zero-downtime"
        run.record("run", "drill", "started")
        for event in good_release().events:
            run.record(
                event.source, event.subject, event.what, outcome=event.outcome, start_s=event.start_s,
                end_s=event.end_s, data=event.data,
            )  # fmt: skip
        run.record("run", "judge", "asked", data={"checkers": checkers or ("rollout", "version")})
        run.record("run", "drill", "finished")
        write_reports(run, judge_run(run))
        return run.path


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:  # fmt: skip
    """Exit code, standard output and standard error of a command, in this process."""
    monkeypatch.setattr(sys, "argv", ["rollproof", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    seen = capsys.readouterr()
    return int(ended.value.code or 0), seen.out, seen.err


_PROBE = """
import sys
from rollproof.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("LOADED", *sys.modules, file=sys.stderr)
"""


def loaded_by(*words: str, **environ: str) -> list[str]:
    """The modules that Python has imported when that command has ended, with exit code 0."""
    command = [sys.executable, "-c", _PROBE, *words]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.partition("LOADED")[2].split()
