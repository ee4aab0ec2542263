"""Where the generator's code lies: in the repository's `load/`, or beside the installed package."""

from __future__ import annotations

from pathlib import Path

import rollproof
from rollproof.loadgen.child import LoadError

__all__ = ["script"]


def script(name: str) -> Path:
    """The path of one of the generator's scripts."""
    package = Path(rollproof.__file__).resolve().parent
    for folder in (package.parents[1] / "load", package / "suites" / "load"):
        if (folder / name).is_file():
            return folder / name
    hint = "reinstall rollproof, or run it from a clone of its repository"
    raise LoadError(f"the load generator's {name} is neither in the repository nor in the installed package", hint)
