"""What is red beside others is run once more alone, and named; what is red again stays red."""

from __future__ import annotations

from pathlib import Path

import pytest
from forked import run_module

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PLUGINS = ("rollproof", "cacheprovider", "allure_pytest")
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
    words = ["--most", most, "-q", *(word for name in PLUGINS for word in ("-p", f"no:{name}")), "--", "test_it.py"]
    environ = {"PATH": "", "PYTHONPATH": str(ROOT)}
    done = run_module("tests.unsteady", *words, cwd=folder, environ=environ, imported="pytest")
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
