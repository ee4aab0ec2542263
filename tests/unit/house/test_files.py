"""Files are short enough to be read at once."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LINES_MAX = 450
FOLDERS = ("src", "tests", "load", "lab", "bench", "e2e", "chaos")


def test_no_python_file_is_too_long() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 400
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: count for path, count in lines.items() if count > LINES_MAX} == {}, "split them, by their subjects"
