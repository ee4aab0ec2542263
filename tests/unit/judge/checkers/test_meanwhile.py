"""A drift that was made while a fault was held: what of the fault's plan must be known."""

from __future__ import annotations

from dataclasses import replace

from expected_meanwhile_verdicts import healed, made
from expected_outage_verdicts import held

from rollproof.core.verdict import Result
from rollproof.judge.checkers import meanwhile


def test_a_repair_in_the_moment_in_which_the_fault_is_undone_is_after_it() -> None:
    verdict = meanwhile.check(healed(made(held()), at=112).facts())
    assert verdict.numbers["healed_after_return_s"] == 0.0
    verdict = meanwhile.check(healed(made(held()), at=111.9).facts())
    assert "healed_after_return_s" not in verdict.numbers


def test_without_the_limit_of_the_fault_nothing_is_in_time_or_late() -> None:
    told = healed(made(held()), at=120)
    told.events = [
        replace(one, data={name: value for name, value in one.data.items() if name != "limit_s"})
        if (one.source, one.what) == ("fault", "planned") else one
        for one in told.events
    ]  # fmt: skip
    verdict = meanwhile.check(told.facts())
    assert (verdict.result, verdict.why) == (
        Result.INCONCLUSIVE, "the plan of the fault, with the limit, was not recorded",
    )  # fmt: skip
    assert set(verdict.numbers) == {"away_s"}
    assert verdict.evidence
