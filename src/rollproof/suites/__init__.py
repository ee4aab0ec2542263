"""Where the drills are: in the wheel below this package, in a checkout the top-level folders e2e/, load/ and chaos/.

Only names and paths. It must not import a drill, because pytest is not always installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rollproof.errors import InputError

__all__ = ["ALL", "DRILLS", "drill_path", "drill_place", "expand"]

DRILLS: Mapping[str, str] = {
    "zero-downtime": "load/test_zero_downtime.py",
    "drift": "chaos/test_drift.py",
    "rollback": "chaos/test_rollback.py",
    "release": "e2e/test_release.py",
}
ALL = ("zero-downtime", "drift", "rollback")  # what the word `all` runs, in this order, in one run


def expand(word: str) -> tuple[str, ...]:
    """The drills that a word names: itself, or all of them."""
    if word == "all":
        return ALL
    if word not in DRILLS:
        raise InputError(f"there is no drill {word!r}", f"known: {', '.join([*DRILLS, 'all'])}")
    return (word,)


def drill_path(drill: str) -> Path:
    """The file of a drill."""
    packaged = Path(__file__).parent
    checkout = packaged.parents[2]
    for root in (packaged, checkout):
        path = root / DRILLS[drill]
        if path.is_file():
            return path
    raise InputError(f"the file {DRILLS[drill]} of drill {drill!r} is missing", "install rollproof again")


def drill_place(drill: str) -> tuple[str, int] | None:
    """The file of a drill, below the repository, and the line of its test; None for what is no drill of ours."""
    if drill not in DRILLS:
        return None
    try:
        lines = drill_path(drill).read_text(encoding="utf-8").splitlines()
    except (OSError, InputError):
        return DRILLS[drill], 1
    return DRILLS[drill], next((at for at, line in enumerate(lines, start=1) if line.startswith("def test_")), 1)
