"""What is red beside others is run once more alone, and named; what is red again stays red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
from pathlib import Path
def test_green(): pass
def test_once():
    seen = Path("seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError("only the first time")
def test_always(): assert Path("mended").exists(), "each time"
"""


def run(folder: Path, most: str) -> tuple[int, str]:
    (folder / "test_it.py").write_text(TESTS)
    words = [
        "--most",
        most,
        "-q",
        "-p",
        "no:rollproof",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:allure_pytest",
        "--",
        "test_it.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.unsteady", *words], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": "", "PYTHONPATH": str(ROOT)}, timeout=250,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("most", "mended", "code", "named"),
    [("1", True, 0, "test_it.py::test_once\n"), ("2", False, 1, "")],
)
def test_red_once_is_named_and_red_twice_stays_red(
    tmp_path: Path, most: str, mended: bool, code: int, named: str
) -> None:
    if mended:
        (tmp_path / "mended").touch()
    ended, said = run(tmp_path, most)
    assert ended == code, said
    file = tmp_path / "build" / "unsteady.txt"
    assert (file.read_text() if file.exists() else "") == named
    assert ("UNSTEADY" in said) == bool(named)
    assert "only the first time" in said  # the first failure stays readable
