"""Facts -> likely causes, with a hint: the table of known ways in which a rollout loses requests.

Pure, like the checkers; a cause never changes a result. It must say no more than the facts support; if nothing on the
timeline explains a failure, it says that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rollproof.core.facts import Facts
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.diagnose.causes import causes
from rollproof.judge.diagnose.ranking import rank

__all__ = ["causes", "explain", "rank"]


def explain(facts: Facts, verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The same verdicts; an availability FAIL gets findings with the likely causes of its failures."""
    return tuple(
        replace(verdict, findings=(*verdict.findings, *causes(facts)))
        if verdict.checker == "availability" and verdict.result is Result.FAIL
        else verdict
        for verdict in verdicts
    )
