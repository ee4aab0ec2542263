"""Files are short enough to be read at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LINES_MAX = 450
FOLDERS = ("src", "tests", "load", "lab", "bench", "e2e", "chaos")


def test_no_python_file_is_too_long() -> None:
    said = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [path for path in said.splitlines() if path.startswith(FOLDERS) and (ROOT / path).is_file()]
    assert len(paths) > 400
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: count for path, count in lines.items() if count > LINES_MAX} == {}, "split them, by their subjects"
