"""What each kind of history of a fault must lead to; the sentences are in tests/golden/verdicts/fault.txt."""

from __future__ import annotations

import pytest
from expected_fault_verdicts import faults
from story import Story

from rollproof.core.verdict import Result
from rollproof.judge.checkers import fault, undo

MUST = {
    Result.PASS: {
        "recovered in time", "exactly in time", "a watch was blind before", "a watch was away and lost nothing",
    },
    Result.FAIL: {
        "too late", "not recovered", "not recovered, and nobody noted what was seen",
        "not recovered, and then after all",
    },
    Result.SKIPPED: {"skipped", "skipped without a word"},
}  # fmt: skip


SINGLE = {name: told for name, told in faults() if name != "several"}


@pytest.mark.parametrize("name", SINGLE)
def test_each_history_has_its_result(name: str) -> None:
    """Whatever is not named above must not be judged."""
    wanted = next((result for result, names in MUST.items() if name in names), Result.INCONCLUSIVE)
    (verdict,) = fault.check(SINGLE[name].facts())
    assert verdict.result is wanted, verdict.why


def test_each_fault_has_a_verdict_of_its_own() -> None:
    told = Story().fault("pod-delete").fault("node-drain", at=200, limit_s=10.0)
    verdicts = fault.check(told.facts())
    assert [(one.subject, one.result) for one in verdicts] == [
        ("Fault/pod-delete", Result.PASS), ("Fault/node-drain", Result.FAIL),
    ]  # fmt: skip
    assert verdicts[0].numbers == {"effect_s": 1.0, "recovery_s": 20.0, "limit_s": 60.0}


class TestUndo:
    """A fault that leaves something behind must be in the journal; one that needs no undo need not."""

    @staticmethod
    def result(told: Story) -> Result:
        return undo.check(told.facts()).result

    def test_what_needs_none_is_not_missed(self) -> None:
        assert self.result(Story().fault()) is Result.PASS

    def test_what_was_undone_by_us_without_a_record_is(self) -> None:
        told = Story().fault(until="recovered").tell("fault", "Fault/pod-delete", "undone", at=121, by="us")
        assert self.result(told) is Result.INCONCLUSIVE
        told.tell("undo", "Undo/1-scale", "done", at=122, object="Deployment/shop/db")
        assert self.result(told) is Result.PASS

    def test_what_is_not_known_to_be_undone_is(self) -> None:
        assert self.result(Story().fault(until="injecting")) is Result.INCONCLUSIVE
