"""The exit code comes from verdicts.json, and only without one from the child."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rollproof.core.journal import LEASE_KIND
from rollproof.errors import InputError
from rollproof.loadgen.code import script
from rollproof.preflight.planning import Order
from rollproof.run.process import EXIT_BASE, exit_code_of, pytest_words, run_drills
from rollproof.store.journal import FolderStore
from rollproof.store.reading import JOURNAL


@pytest.mark.parametrize("pytest_code", [0, 1, 2, 3, 4, 5, EXIT_BASE + 3])
def test_the_verdict_decides_whatever_pytest_said(tmp_path: Path, pytest_code: int) -> None:
    (tmp_path / "verdicts.json").write_text(json.dumps({"exit_code": 1}))
    assert exit_code_of(tmp_path, pytest_code) == 1


@pytest.mark.parametrize(
    ("child", "code"),
    [(EXIT_BASE + 2, 2), (EXIT_BASE + 3, 3), (0, 3), (1, 3), (2, 3), (4, 3), (5, 3), (-9, 3), (70, 3)],
)
def test_without_a_verdict_nothing_is_ever_green_nor_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], child: int, code: int
) -> None:
    assert exit_code_of(tmp_path / "nothing", child) == code
    nowhere = capsys.readouterr().err
    assert exit_code_of(tmp_path, child) == code
    somewhere = capsys.readouterr().err
    if child > EXIT_BASE and child < 70:  # then the child has spoken
        assert nowhere == somewhere == ""
    else:
        assert f"ended before anything was touched; there is no run folder (pytest: {child})" in nowhere
        assert f"ended without a verdict; nothing was left to undo (pytest: {child})" in somewhere


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ([LEASE_KIND, "env-repo-tag"], "1 change not undone"),
        ([LEASE_KIND], "its lock not given back"),
        (None, "its undo journal is damaged"),
    ],
)
@pytest.mark.parametrize("child", [-9, 0, 70])
def test_a_run_that_was_killed_with_something_changed_says_so_by_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kinds: list[str] | None, left: str, child: int
) -> None:
    """It was 3, as if nothing but the claim were missing; `judge` of the same folder said 4."""
    store = FolderStore(tmp_path / JOURNAL)
    for number, kind in enumerate(kinds or (), 1):
        store.append({"number": number, "kind": kind, "subject": kind, "args": {}})
    if kinds is None:
        (tmp_path / JOURNAL).write_text("{}\n")
    assert exit_code_of(tmp_path, child) == 4
    said = capsys.readouterr().err
    assert f"ended without a verdict, with {left}: `rollproof undo {tmp_path}` puts things back" in said


def test_a_run_that_was_killed_after_its_undo_is_no_failed_undo(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / JOURNAL)
    store.append({"number": 1, "kind": LEASE_KIND, "subject": LEASE_KIND, "args": {}})
    store.append({"number": 1, "state": "done"})
    assert exit_code_of(tmp_path, -9) == 3


def test_a_verdict_that_is_cut_off_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "verdicts.json").write_text('{"exit_code": ')
    assert exit_code_of(tmp_path, 0) == 3


@pytest.mark.processes
@pytest.mark.parametrize("door", ["drills", "module", "generator"])
def test_e16_nothing_is_imported_from_the_current_directory(tmp_path: Path, door: str) -> None:
    for name in ("kubernetes", "httpx", "numpy", "urllib3", "pydantic", "typer", "locust", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported from the current directory')")
    words = {
        "drills": [*pytest_words(Order(drills=("drift",)), [], target=Path("t"), folder=Path("f"))[:4], "--version"],
        "module": [sys.executable, "-m", "rollproof", "--help"],
        "generator": [sys.executable, "-P", str(script("faultserver.py")), "--help"],
    }[door]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "imported from the current directory" not in ended.stdout + ended.stderr
    assert ended.returncode == 0, ended.stderr


def test_a_current_folder_that_is_gone_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest would end with a traceback."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="the current folder cannot be used: No such file or directory"):
        run_drills(Order(drills=("drift",)), [], target=tmp_path / "t.toml", folder=tmp_path / "run")
    monkeypatch.chdir(tmp_path)


def test_everything_that_was_ordered_reaches_the_child() -> None:
    order = Order(drills=("drift",), sha="abc1234", trials=("env", "image"), mean_production="shop", under_load=True)
    words = pytest_words(order, [Path("a.py")], target=Path("t.toml"), folder=Path("run"))
    for wanted in (
        "--rollproof-sha abc1234",
        "--rollproof-trial env --rollproof-trial image",
        "--rollproof-production shop",
        "--rollproof-under-load",
    ):
        assert wanted in " ".join(words)
    assert words[-1] == "a.py"
