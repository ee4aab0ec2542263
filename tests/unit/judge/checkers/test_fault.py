"""What each kind of history of a fault must lead to; the sentences are in tests/golden/verdicts/fault.txt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from expected_fault_verdicts import faults
from story import Story, plan

from rollproof.core.injection import Injection
from rollproof.core.verdict import Result
from rollproof.judge.checkers import fault, undo

BY = ("in-part", "mounted-file", "new-pods")
MUST = {
    Result.PASS: {
        "recovered in time", "exactly in time", "recovered in time, with a margin that was reckoned before",
        "recovered, and no running pod has the setting that was changed",
        "a watch was blind before", "a watch was away and lost nothing",
        "recovered in time after it was undone", "in time, and looked at for 2 s",
        "in time, and looked at for 2 s, after it was undone",
        *(f"recovered, and the setting that was changed came by {by}" for by in BY),
    },
    Result.FAIL: {
        "too late", "recovered too late after it was undone", "not recovered",
        "too late, and missed after the limit too", "too late, and missed after the limit too, after it was undone",
        "not recovered, and looked at to the limit",
        "not recovered, and nobody noted what was seen",
        "not recovered, and then after all", "a process that nobody started again",
        "a process that nobody started again, and readiness noticed",
        "a process that came back with a new container", "pods that wait on connections to a server that is gone",
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


@pytest.mark.parametrize(("missed_s", "result"), [(160.0, Result.INCONCLUSIVE), (160.01, Result.FAIL)])
def test_what_may_have_recovered_exactly_at_its_limit_may_have_been_in_time(missed_s: float, result: Result) -> None:
    told = Story().fault(until="effect")
    told.tell("fault", "Fault/pod-delete", "recovered", at=161.5, not_before_s=missed_s)
    (verdict,) = fault.check(told.facts())
    assert verdict.result is result, verdict.why


def test_each_fault_has_a_verdict_of_its_own() -> None:
    told = Story().fault("pod-delete").fault("node-drain", at=200, limit_s=10.0)
    verdicts = fault.check(told.facts())
    assert [(one.subject, one.result) for one in verdicts] == [
        ("Fault/pod-delete", Result.PASS), ("Fault/node-drain", Result.FAIL),
    ]  # fmt: skip
    assert verdicts[0].numbers == {"effect_s": 1.0, "recovery_s": 20.0, "limit_s": 60.0, "end_to_end_s": 20.0}


def pod_in_its_place(*, node_at: float, ready_at: float) -> Story:
    """A fault at 100 s that is over at 165 s, later than its limit, and the pod that came in place of the one that
    went."""
    told = Story().fault(recovered=65.0)
    state = {"uid": "uid-new", "member": True, "phase": "Running", "image": "x:1", "template_hash": "h"}
    told.tell("watch", "Pod/shop/new", "modified", at=node_at, node="n1", ready=False, **state)
    return told.tell("watch", "Pod/shop/new", "modified", at=ready_at, node="n1", ready=True, **state)


@pytest.mark.parametrize(
    ("node_at", "ready_at", "words"),
    [
        (150.0, 155.0, "50.0 s of it went by before a new pod had its node"),
        (102.0, 160.0, "58.0 s of it went by between a new pod's node and its readiness"),
        (102.0, 110.0, "55.0 s of it went by between a new pod's readiness and the steady state"),
    ],
)
def test_a_late_recovery_says_where_most_of_the_time_went(node_at: float, ready_at: float, words: str) -> None:
    (verdict,) = fault.check(pod_in_its_place(node_at=node_at, ready_at=ready_at).facts())
    assert [(one.code, one.text) for one in verdict.findings] == [("RECOVERED_LATE", words)]


class TestUndo:
    """Every injection is in the journal before it is made, also one that needs no undo."""

    @staticmethod
    def result(told: Story) -> Result:
        return undo.check(told.facts()).result

    def test_without_a_record_nobody_knows(self) -> None:
        told = Story().fault()
        assert self.result(told) is Result.INCONCLUSIVE
        told.tell("undo", "Undo/1-pod-delete", "not-needed", at=122, object="Pod/shop/old-1")
        assert self.result(told) is Result.PASS

    def test_also_of_one_that_was_about_to_begin(self) -> None:
        assert self.result(Story().fault(until="injecting")) is Result.INCONCLUSIVE

    def test_what_was_only_planned_needs_none(self) -> None:
        assert self.result(Story().fault(until="planned")) is Result.PASS


class TestPlanned:
    """The plan says which faults there are to be: one that left no fact is not forgotten."""

    @staticmethod
    def story() -> Story:
        injection = Injection(
            fault="node-drain", drill="zero-downtime", subject="Node/a", change="drained", undo="uncordoned", args={},
            affects_traffic=True, limit_s=60.0, effect_within_s=10.0, dead_man="none",
        )  # fmt: skip
        other = replace(injection, fault="pod-kill", drill="drift")
        return Story(plan=plan(injections=(injection, other), skips=()))

    def test_a_fault_of_which_nothing_is_known_is_not_judged(self) -> None:
        verdicts = fault.check(self.story().facts())
        assert [(one.subject, one.result) for one in verdicts] == [("Fault/node-drain", Result.INCONCLUSIVE)]
        assert verdicts[0].why == "it was planned, and nothing is known of it"

    def test_each_of_the_plan_has_one_verdict_and_what_it_does_not_name_has_one_too(self) -> None:
        verdicts = fault.check(self.story().fault("pod-delete").fault("node-drain", at=200).facts())
        assert [one.subject for one in verdicts] == ["Fault/node-drain", "Fault/pod-delete"]
        assert {one.result for one in verdicts} == {Result.PASS}
