"""Defectrow: what one row of the table of defects is, and the short words that rows are written with.

A defect is a change of `Settings` and nothing else. The expected verdict is plain text (a result, a checker's name, a
finding's code or a phrase of its sentence): nothing here imports judging code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollproof_sandbox.settings import Trouble

__all__ = ["Change", "Defect", "fails", "of_group", "once", "passes", "undecided"]

Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One way of being wrong (or, in the group "sound", of being unusual and right).

    `drill`: the arguments of `rollproof run`, the shortest that show it. The run must end as `result`; `checker` must
    be among the checkers with that result (empty: no checker can tell, the run itself must); `cause` is the code of a
    finding, or words of the output. `change` is by section of the settings. `stays`: the defect persists after the
    undo, so the exit code must say that not all is as before.
    """

    name: str
    group: str
    text: str
    drill: tuple[str, ...]
    result: str
    checker: str
    cause: str = ""
    change: Change
    stays: bool = False


Said = Mapping[str, Any]  # the expected verdict: Defect's fields `result`, `checker`, `cause` and `stays`


def of_group(group: str, *defects: tuple[str, str, tuple[str, ...], Said, Change]) -> Iterable[Defect]:
    """The rows of one group of the table."""
    for name, text, drill, said, change in defects:
        yield Defect(name=name, group=group, text=text, drill=drill, change=change, **said)


def fails(checker: str, cause: str = "", *, stays: bool = False) -> Said:
    """A broken promise: by which checker it must be said, and with which cause."""
    return {"result": "FAIL", "checker": checker, "cause": cause, "stays": stays}


def undecided(checker: str, cause: str = "") -> Said:
    """Nothing can be said, and this is why."""
    return {"result": "INCONCLUSIVE", "checker": checker, "cause": cause}


def passes(checker: str = "", cause: str = "") -> Said:
    """All is well; a finding may say what is unusual."""
    return {"result": "PASS", "checker": checker, "cause": cause}


def once(kind: str, after_s: float = 0.0, for_s: float = 0.0) -> tuple[Trouble, ...]:
    """One trouble, once."""
    return (Trouble(kind=kind, after_s=after_s, for_s=for_s),)
