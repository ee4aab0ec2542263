"""Facts -> likely causes, with a hint: the table of known ways in which a rollout loses requests.

Pure, like the checkers; a cause never changes a result. It must say no more than the facts support; if nothing on the
timeline explains a failure, it says that. Its modules are imported by who has something to explain: most runs pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rollproof.core.diagnosis import Cause
from rollproof.core.facts import Facts
from rollproof.core.verdict import Result, Verdict

__all__ = ["explain", "rank"]


def explain(facts: Facts, verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The same verdicts; an availability FAIL gets findings with the likely causes of its failures."""
    return tuple(
        _explained(facts, verdict) if verdict.checker == "availability" and verdict.result is Result.FAIL else verdict
        for verdict in verdicts
    )


def _explained(facts: Facts, verdict: Verdict) -> Verdict:
    from rollproof.judge.diagnose.causes import causes  # noqa: PLC0415 - see above

    return replace(verdict, findings=(*verdict.findings, *causes(facts)))


def rank(facts: Mapping[str, Facts], verdicts: Iterable[Verdict], result: Result) -> tuple[Cause, ...]:
    """The causes of that result, the likeliest first; none where the run passed or was skipped."""
    if result not in (Result.FAIL, Result.INCONCLUSIVE):
        return ()
    from rollproof.judge.diagnose.ranking import ranked  # noqa: PLC0415 - see above

    return ranked(facts, verdicts, result)
