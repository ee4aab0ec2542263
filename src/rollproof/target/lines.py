"""The line of each setting in a target file, so that CI can point at it. Never raises: the lines are optional."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollproof.clients.inputfile import read_input

__all__ = ["noted", "setting_lines"]

_SECTION = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_SETTING = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")


def setting_lines(text: str) -> Mapping[str, int]:
    """`section` and `section.key` -> its line, counted from 1: the first that matches, as TOML allows one."""
    section, found = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if (head := _SECTION.match(line)) is not None:
            section = head[1]
            found.setdefault(section, number)
        elif (setting := _SETTING.match(line)) is not None:
            found.setdefault(f"{section}.{setting[1]}".lstrip("."), number)
    return found


def noted(path: Path) -> dict[str, Any]:
    """For environment.json: the file's path as CI knows it (below the current folder, else its name), and its lines."""
    try:
        text = read_input(path).decode("utf-8-sig", errors="replace")
        whole = path.resolve()
        below = whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else Path(path.name)
    except OSError:
        return {"path": path.name, "lines": {}}
    return {"path": below.as_posix(), "lines": dict(setting_lines(text))}
