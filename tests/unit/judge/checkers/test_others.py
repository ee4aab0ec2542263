"""Pods that have ended, and pods of others with the Service's labels: what a rollout is, and is not, blamed for."""

from __future__ import annotations

from typing import Any

import pytest
from builders import Requests
from story import NEW, OLD, Story, good_release

from rollproof.core.event import Outcome
from rollproof.core.verdict import Result
from rollproof.judge.checkers import rollout, version
from rollproof.judge.checkers.others import others


def other(told: Story, what: str = "modified", *, at: float, owner: str = "Job/migrate", **data: Any) -> Story:
    known = {"uid": "uid-other", "ready": True, "member": False, "in_service": True, "owner": owner, "phase": "Running"}
    return told.tell("watch", "Pod/shop/migrate-x1", what, at=at, **{**known, **data})


def test_a8_a_ready_pod_of_a_job_in_the_service_is_a_finding_with_its_owner_and_no_failure() -> None:
    verdict = rollout.check(other(good_release(), at=110).facts())
    assert verdict.result is Result.PASS
    (finding,) = verdict.findings
    assert finding.code == "OTHERS_IN_SERVICE"
    assert finding.text == "pods of others are ready in Service web and get its traffic: migrate-x1 of Job/migrate"


@pytest.mark.parametrize(
    "data",
    [{"ready": False}, {"in_service": False}, {"in_service": None}, {"member": True}, {"member": None}],
    ids=str,
)
def test_a8_one_that_gets_no_traffic_or_is_the_apps_is_no_finding(data: dict[str, Any]) -> None:
    assert rollout.check(other(good_release(), at=110, **data).facts()).findings == ()


def test_a8_of_many_five_are_named_and_the_rest_counted() -> None:
    told = good_release()
    for number in range(7):
        told.tell(
            "watch", f"Pod/shop/x{number}", "modified", at=110, uid=f"uid-{number}", ready=True, member=False,
            in_service=True, owner="Job/j", phase="Running",
        )  # fmt: skip
    (finding,) = rollout.check(told.facts()).findings
    named = ", ".join(f"x{number} of Job/j" for number in range(5))
    assert finding.text.endswith(f"get its traffic: {named} and 2 more")


def test_a8_a_bare_pod_is_nobodys() -> None:
    (finding,) = rollout.check(other(good_release(), at=110, owner="").facts()).findings
    assert "migrate-x1 of nobody" in finding.text


def test_a8_one_that_was_gone_before_the_act_is_not_told() -> None:
    told = other(Story(), at=50)
    other(told, "deleted", at=60).release_started().pods_replaced().stages().proofs()
    assert rollout.check(told.facts()).findings == ()
    (stretch,) = others(told.facts())
    assert (stretch.since_s, stretch.until_s) == (50, 60)


def test_a8_a_pod_of_somebody_else_is_no_new_pod() -> None:
    """Without one of the Deployment's own nothing was replaced."""
    told = Story().release_started().pod("old-1", "deleted", at=118).pod("old-2", "deleted", at=124)
    verdict = rollout.check(other(told.stages(), at=110).facts())
    assert verdict.result is Result.INCONCLUSIVE
    assert "no pod was replaced" in verdict.why


def test_a8_whose_answers_may_be_the_strays_is_said_beside_the_version() -> None:
    told = other(good_release(), at=110)
    told.requests = Requests(start=88.0, seconds=53.0, version=OLD).says("ccccccc", at=115.0, until=116.0).build()
    verdict = version.check(told.facts())
    assert (verdict.result, [one.code for one in verdict.findings]) == (Result.FAIL, ["OTHERS_IN_SERVICE"]), verdict.why


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a7_an_old_pod_that_is_evicted_in_the_middle_answers_nobody_any_more(phase: str) -> None:
    told = Story().release_started().pod("new-1", "modified", at=110, ready=True, sha=NEW)
    told.pod("old-1", "deleted", at=118)
    told.tell(
        "watch", "Pod/shop/old-2", "modified", at=119, uid="uid-old-2", ready=False, phase=phase, reason="Evicted"
    )
    verdict = rollout.check(told.stages().facts())
    assert verdict.result is Result.PASS
    assert verdict.numbers["old_pods_gone"] == 2


def test_a7_one_that_is_being_deleted_has_ended_when_it_is_gone() -> None:
    told = Story().release_started().pod("new-1", "modified", at=110, ready=True, sha=NEW)
    told.pod("old-1", "deleted", at=118)
    told.tell("watch", "Pod/shop/old-2", "modified", at=119, uid="uid-old-2", phase="Succeeded", terminating=True)
    told.stages(until="rolled-out").tell(
        "release", "Release/x", "failed", at=400, outcome=Outcome.FAIL, stage="old-gone", cause="DeadlineExceeded",
        reason="stuck",
    )  # fmt: skip
    assert rollout.check(told.facts()).result is Result.FAIL


@pytest.mark.parametrize(
    ("since_s", "until_s", "there"),
    [(110.0, 200.0, True), (110.001, 200.0, False), (0.0, 100.0, True), (0.0, 99.999, False)],
)
def test_a_pod_of_others_counts_up_to_the_moment_itself(since_s: float, until_s: float, there: bool) -> None:
    told = other(other(Story(), at=100), "deleted", at=110)
    assert bool(others(told.facts(), since_s=since_s, until_s=until_s)) is there
