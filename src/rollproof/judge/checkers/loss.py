"""Where a part of the target is lost without a warning: for how long were requests lost, and none after that?

For faults that nobody can be told of beforehand (a node that is gone, a process that stands still). Until the platform
notices, some requests must be lost: what was open hangs, and what is new is sent there still. For how long that may be
is a promise of the target file (`faults.loss_budgets_s`, else `faults.node_loss_budget_s`), held against the time at
which the last of them was sent. The fault begins at some moment between its request and the answer to that.
"""

from __future__ import annotations

from dataclasses import replace

from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults, loss_budget_s
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.core.watched import pods_seen
from rollproof.judge.checkers.lost import Lost, judged

__all__ = ["check"]

_NAME = "loss"
_CLOCKS = (
    "what decides how long: for a node, node-monitor-grace-period (50 s; 40 s before Kubernetes 1.32) and its check "
    "each 5 s; for a process, the readiness probe's period, failures and time-out; then the ingress's connect and read "
    "time-outs"
)


def check(facts: Facts) -> Verdict:
    """FAIL on a request that was lost later than the budget allows, or got a wrong answer; PASS if none was."""
    limits = facts.plan.target.faults
    budgets_s = [loss_budget_s(limits, one.short_name) for one in find_faults(facts)]
    budget_s = min(budgets_s, default=limits.node_loss_budget_s)
    asked_s = max((one.asked_s for one in find_faults(facts)), default=0.0)
    verdict = judged(
        facts, _NAME, broken=lambda lost: _broken(lost, budget_s, asked_s), claim=lambda lost: _claim(lost, budget_s),
        doubt=lambda lost: _doubt(lost, budget_s, asked_s),
    )  # fmt: skip
    if not verdict.numbers:  # nothing was measured
        return verdict
    fellows = () if verdict.result is Result.INCONCLUSIVE else _fellows(facts)
    return replace(
        verdict, numbers={**verdict.numbers, "budget_s": budget_s}, findings=(*verdict.findings, *fellows)
    )  # fmt: skip


def _broken(lost: Lost, budget_s: float, asked_s: float) -> Finding | None:
    """The first promise that was broken, also if the fault began only when its request was answered."""
    if broken := lost.wrong_or_afterwards():
        return broken
    late = lost.later_than(budget_s + asked_s)
    if lost.more_of(late):
        text = (
            f"{lost.all:,} of {lost.requests:,} requests were lost, {lost.lost_of(late):,} of them later than the "
            f"budget of {budget_s:g} s allows, the last {lost.to_s:.1f} s after the start"
        )
        return Finding("LOST_FOR_TOO_LONG", text, _CLOCKS)
    return None


def _doubt(lost: Lost, budget_s: float, asked_s: float) -> str:
    """That the budget was kept only if the fault began late; "" if it was kept anyhow."""
    if not lost.more_of(lost.later_than(budget_s)):
        return ""
    return (
        f"{lost.all:,} of {lost.requests:,} requests were lost, the last {lost.to_s - asked_s:.1f} to {lost.to_s:.1f} "
        f"s after the fault began, which took {asked_s:.1f} s to be asked for, and the budget of {budget_s:g} s lies "
        "between: run it again, or allow for it in faults.loss_budgets_s"
    )


def _fellows(facts: Facts) -> tuple[Finding, ...]:
    """Did a pod that the fault was not done to get unready while it lasted?"""
    for fault in find_faults(facts):
        ready = set[str]()  # anew for each: what a pod was after an earlier fault it was not before this one
        since_s, until_s = fault.started.start_s, fault.end_s or fault.started.end_s
        for pod in pods_seen(facts):
            was = pod.uid in ready
            (ready.add if pod.ready and not pod.gone else ready.discard)(pod.uid)
            ours = pod.member and pod.uid not in fault.felt_by and not pod.terminating and not pod.gone
            if ours and was and not pod.ready and since_s <= pod.at_s <= until_s:
                lasted_s = pod.at_s - since_s
                text = f"{pod.subject}, which {fault.name} did not touch, got unready {lasted_s:.1f} s after its start"
                hint = "what it needs was lost too: the cluster's DNS, the database? Run two of each, on two nodes"
                return (Finding("FELLOWS_UNREADY", text, hint),)
    return ()


def _claim(lost: Lost, budget_s: float) -> str:
    """What was seen."""
    if not lost.all:
        return f"none of {lost.requests:,} requests was lost"
    return (
        f"{lost.all:,} of {lost.requests:,} requests were lost, {lost.stalled:,} of them without an answer, sent from "
        f"{lost.from_s:.1f} to {lost.to_s:.1f} s after the start; the budget is {budget_s:g} s"
        f"{lost.words_since(budget_s) or ', and none was lost later'}"
    )
