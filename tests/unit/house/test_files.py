"""Files are short enough to be read at once; each folder of tests has a row that says what it is and who runs it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LINES_MAX = 450
FOLDERS = ("src", "tests", "load", "lab", "bench", "e2e", "chaos")


def test_no_python_file_is_too_long() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 400
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: count for path, count in lines.items() if count > LINES_MAX} == {}, "split them, by their subjects"


def test_every_folder_of_tests_and_every_command_that_runs_them_is_in_their_readme() -> None:
    page = (ROOT / "tests/README.md").read_text()
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*") if not path.parent.name.startswith("__")}
    assert {name for name in folders if f"| `tests/{name}/` |" not in page} == set()
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^(test[a-z-]*):.*## ", makefile, re.MULTILINE)
    assert {name for name in commands if f"`make {name}`" not in page} == set()
    phony = re.findall(r"^\.PHONY:(.*)", makefile, re.MULTILINE)[0].split()
    assert set(commands) <= set(phony)
