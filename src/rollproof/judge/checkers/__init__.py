"""Checkers: pure functions from facts to verdicts, one concern a file; the same code live and in `rollproof judge`.

Nothing here does I/O, reads a clock or keeps state. A checker first asks whether its own assumptions hold (else
INCONCLUSIVE), then judges. A checker that crashes is INCONCLUSIVE too: a bug of ours is no statement about the target
(as Jepsen's `check-safe` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from rollproof.core.facts import Facts
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import (
    autoscaling,
    availability,
    bad_release,
    dependency,
    drift,
    fault,
    jobs,
    load_soundness,
    loss,
    outage,
    pipeline,
    posture,
    readiness,
    release,
    rollback,
    rollout,
    secrets,
    undo,
    version,
    watches,
)

__all__ = ["CHECKERS", "Checker", "judge"]

Checker = Callable[[Facts], Verdict | tuple[Verdict, ...]]

CHECKERS: Mapping[str, Checker] = {
    "autoscaling": autoscaling.check,
    "availability": availability.check,
    "bad_release": bad_release.check,
    "dependency": dependency.check,
    "drift": drift.check,
    "fault": fault.check,
    "jobs": jobs.check,
    "load_soundness": load_soundness.check,
    "loss": loss.check,
    "outage": outage.check,
    "pipeline": pipeline.check,
    "posture": posture.check,
    "readiness": readiness.check,
    "release": release.check,
    "rollback": rollback.check,
    "rollout": rollout.check,
    "secrets": secrets.check,
    "undo": undo.check,
    "version": version.check,
    "watches": watches.check,
}


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
