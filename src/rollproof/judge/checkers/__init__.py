"""Checkers: pure functions from facts to verdicts, one concern a file; the same code live and in `rollproof judge`.

Nothing here does I/O, reads a clock or keeps state. A checker first asks whether its own assumptions hold (else
INCONCLUSIVE), then judges. A checker that crashes is INCONCLUSIVE too: a bug of ours is no statement about the target
(as Jepsen's `check-safe` does).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from rollproof.core.facts import Facts
from rollproof.core.verdict import Result, Verdict

__all__ = ["CHECKERS", "Checker", "judge"]

Checker = Callable[[Facts], Verdict | tuple[Verdict, ...]]

_MODULES = tuple(one.name for one in pkgutil.iter_modules(__path__))


class _Checkers(Mapping[str, Checker]):
    """By the names of the modules that have a `check`: a new checker is one new file, and no list has it.

    A module is imported when it is asked for: a run has asked for a few of them. Who goes through all imports all.
    """

    def __getitem__(self, name: str) -> Checker:
        check: Checker | None = None
        if name in _MODULES:  # the name is a stored run's: nothing else is ever imported by it
            check = getattr(importlib.import_module(f"{__name__}.{name}"), "check", None)
        if check is None:
            raise KeyError(name)
        return check

    def __iter__(self) -> Iterator[str]:
        return (name for name in _MODULES if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


CHECKERS: Mapping[str, Checker] = _Checkers()


def judge(facts: Facts, names: Iterable[str]) -> tuple[Verdict, ...]:
    """The verdicts of the named checkers, in that order, stamped with the drill.

    An unknown name or an exception inside a checker gives INCONCLUSIVE with the reason, never an exception: a run
    folder from another version must still be judged as far as possible.
    """
    verdicts: list[Verdict] = []
    for name in names:
        verdicts.extend(replace(verdict, drill=facts.drill) for verdict in _judge_one(facts, name))
    return tuple(verdicts)


def _judge_one(facts: Facts, name: str) -> tuple[Verdict, ...]:
    checker = CHECKERS.get(name)
    if checker is None:
        why = f"this version of rollproof has no checker named {name!r}; judge with the version that made the run"
        return (Verdict(checker=name, subject="rollproof", result=Result.INCONCLUSIVE, why=why),)
    try:
        said = checker(facts)
    except Exception as error:  # noqa: BLE001 - whatever broke, the facts stay unjudged and the reader is told
        why = f"the checker itself failed: {type(error).__name__}: {error}; please report it with the run folder"
        return (Verdict(checker=name, subject="rollproof", result=Result.INCONCLUSIVE, why=why),)
    return said if isinstance(said, tuple) else (said,)
