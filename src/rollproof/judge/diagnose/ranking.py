"""Ranking: the causes of a run that did not pass, the root before its symptoms, each with what speaks for and against.

Order (`core.reasons`): what pods, probes and Argo CD said of themselves, what a checker found, promises about the way
to production, symptoms, a verdict that nothing explains. What only stands beside is no cause. Among equals what
explains more failed requests comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from rollproof.core.diagnosis import Cause
from rollproof.core.facts import Facts
from rollproof.core.posturefacts import Posture
from rollproof.core.reasons import ASIDES, BREACHES, DEEPEST, SYMPTOMS
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.judge.checkers.posture.table import CHECKS
from rollproof.judge.diagnose.patches import Proposal, propose
from rollproof.judge.diagnose.pods import supports_of
from rollproof.judge.diagnose.roots import Root, roots

__all__ = ["ranked"]

_LOOK_CLOSER = "no known cause fits: see the evidence, and what the pods and Argo CD logged in that time"
_CAUSES_MAX = 12
_UNDO = "undo"
_OF_EACH = {"INJECTED"}  # one for each drift or fault, with what that one cost
_NO_DOUBT = {"SLOW"}  # it is no reason why nothing can be claimed
_NOT_COUNTED = {"GENERATOR_STALL"}  # it explains failures that no FAIL counts
_BESIDE = {("rollout", "OTHERS_IN_SERVICE")}  # who else gets traffic is no reason why old pods stay
_DRILLS = {one.code: one.drill for one in CHECKS.values()}  # what shows the harm of a finding of posture


class _Order(IntEnum):
    """How near a finding is to the root."""

    DEEPEST = 0
    ROOT = 1
    FOUND = 2
    BREACH = 3
    SYMPTOM = 4
    VERDICT = 5
    ASIDE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A finding on its way to a cause. verdict: the one that has it, or for a root the drill's first that failed."""

    order: _Order
    finding: Finding
    verdict: Verdict
    evidence: tuple[int, ...]

    @property
    def failures(self) -> int:
        """How many failed requests it explains."""
        return int(self.finding.numbers.get("failures") or 0)


def ranked(facts: Mapping[str, Facts], verdicts: Iterable[Verdict], result: Result) -> tuple[Cause, ...]:
    """The causes of a FAIL or an INCONCLUSIVE, the likeliest first."""
    blamed = [verdict for verdict in verdicts if verdict.result is result]
    blamed = [verdict for verdict in blamed if verdict.checker != _UNDO] or blamed  # what it left is said elsewhere
    found: dict[tuple[str, str, str], _Candidate] = {}
    for drill in dict.fromkeys(verdict.drill for verdict in blamed):
        own = [verdict for verdict in blamed if verdict.drill == drill]
        for one in sorted(_candidates(facts.get(drill), own), key=lambda one: (one.order, -one.failures)):
            which = one.finding.text if one.finding.code in _OF_EACH else ""
            found.setdefault((drill, one.finding.code, which), one)
    ordered = sorted(found.values(), key=lambda one: (one.order, -one.failures))[:_CAUSES_MAX]
    return tuple(_cause(one, facts.get(one.verdict.drill)) for one in ordered)


def _candidates(facts: Facts | None, verdicts: list[Verdict]) -> Iterator[_Candidate]:
    """All that may be a cause in one drill."""
    behind = roots(facts, verdicts) if facts is not None else ()
    found = [
        _Candidate(order=_order(finding, verdict), finding=finding, verdict=verdict, evidence=verdict.evidence)
        for verdict in verdicts for finding in verdict.findings
    ]  # fmt: skip
    no_cause = _NOT_COUNTED if verdicts[0].result is Result.FAIL else _NO_DOUBT
    found = [one for one in found if one.finding.code not in no_cause]
    codes = {one.finding.code for one in found}
    deep = [_of_root(root, verdicts[0]) for root in behind if root.finding.code.partition("_SERVED")[0] not in codes]
    causes = [*deep, *(one for one in found if one.order is not _Order.ASIDE)]
    yield from causes
    if causes or verdicts[0].result is not Result.FAIL:
        return
    for verdict in verdicts:
        said = next(iter(verdict.findings), None) if verdict.checker == _UNDO else None
        said = said or Finding("UNEXPLAINED", verdict.why, _LOOK_CLOSER)
        yield _Candidate(order=_Order.VERDICT, finding=said, verdict=verdict, evidence=verdict.evidence)


def _of_root(root: Root, verdict: Verdict) -> _Candidate:
    return _Candidate(order=_Order.ROOT, finding=root.finding, verdict=verdict, evidence=root.evidence)


def _order(finding: Finding, verdict: Verdict) -> _Order:
    if (verdict.checker, finding.code) in _BESIDE:
        return _Order.ASIDE
    if finding.code in DEEPEST:
        return _Order.DEEPEST
    if finding.code in BREACHES:
        return _Order.BREACH
    if finding.code in SYMPTOMS:
        return _Order.SYMPTOM
    return _Order.ASIDE if finding.code in ASIDES else _Order.FOUND


def _cause(one: _Candidate, facts: Facts | None) -> Cause:
    """The cause with what speaks for it and against it, and its change."""
    finding, verdict = one.finding, one.verdict
    change = propose(finding, Posture(facts)) if facts is not None else Proposal()
    supports, contradicts = _by_requests(one, facts)
    if facts is not None:
        supports += supports_of(facts, finding.code, one.evidence)
    drill = _DRILLS.get(finding.code) or (f"rollproof run {verdict.drill}" if facts is not None else "")
    return Cause(
        code=finding.code, text=finding.text, hint=finding.hint, drill=verdict.drill, checker=verdict.checker,
        numbers=finding.numbers, supports=(*supports, *change.supports), evidence=one.evidence[:50],
        contradicts=(*contradicts, *change.contradicts), patch=change.patch, why_no_patch=change.why_not, proof=drill,
    )  # fmt: skip


def _by_requests(one: _Candidate, facts: Facts | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """For and against: the share of the failed requests that it explains, and whether the control lane failed too."""
    numbers = one.verdict.numbers
    total = int(numbers.get("failures") or 0)
    if facts is None or not one.failures or not total:
        return (), ()
    mine = min(one.failures, total)
    supports = (f"it fits {mine:,} of {total:,} failed requests",)
    against = [f"{total - mine:,} of {total:,} failed requests do not fit it"] if total > mine else []
    beside = int(numbers.get("failures_while_control_failed") or 0)
    if beside:
        against.append(f"the control lane, which the app does not serve, failed during {beside:,} of them")
    return supports, tuple(against)
