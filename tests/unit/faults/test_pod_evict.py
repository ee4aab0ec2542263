"""Pod evict against a small API server over real HTTP: the budget's word before, in the middle, and never."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.podcluster import Object, Stage

from rollproof.core.event import Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import READING
from rollproof.core.verdict import Result
from rollproof.faults.pod_evict import FAULT


@pytest.fixture
def stage(staged: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("rollproof.faults.pod_evict._AGAIN_S", 0.05)
    return staged(FAULT)


def budget(name: str, *, allowed: int, selector: Object | None = None) -> Object:
    chosen = {"matchLabels": {"app": "web"}} if selector is None else selector
    status = {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2 - allowed, "expectedPods": 2}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": chosen}, "status": status}


def evictions(stage: Stage) -> list[bool]:
    """Of each eviction that was asked for, whether it was a dry run."""
    return [bool(query.get("dryRun")) for method, path, query in stage.api.asked if path.endswith("/eviction")]


def test_an_evicted_pod_is_replaced(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/web-1"
    assert "no PodDisruptionBudget selects it" in injection.change
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.verdict() is Result.PASS
    assert evictions(stage) == [True, False]
    sent = [body for _, path, body in stage.api.sent if path == "/api/v1/namespaces/shop/pods/web-1/eviction"]
    assert [one["deleteOptions"] for one in sent] == [{"preconditions": {"uid": "uid-web-1"}}] * 2
    assert sent[0]["apiVersion"] == "policy/v1"
    assert stage.said("effect").data["pods"] == ["uid-web-1"]
    assert stage.journal.open_entries() == []


def test_a_budget_that_allows_it_is_in_the_plan(stage: Stage) -> None:
    stage.api.put("poddisruptionbudgets", budget("web", allowed=1))
    said = stage.injection().change
    assert "PodDisruptionBudget web (disruptionsAllowed 1, currentHealthy 2, desiredHealthy 1) allows it" in said


@pytest.mark.parametrize("selector", [{}, {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}])
def test_a_budget_that_forbids_it_is_a_skip_with_its_numbers(stage: Stage, selector: Object) -> None:
    stage.api.put("poddisruptionbudgets", budget("strict", allowed=0, selector=selector))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert (
        "PodDisruptionBudget strict (disruptionsAllowed 0, currentHealthy 2, desiredHealthy 2) forbids it"
        in skip.reason
    )
    assert evictions(stage) == [], "not even tried"


def test_two_budgets_are_a_skip_that_names_both(stage: Stage) -> None:
    stage.api.put("poddisruptionbudgets", budget("one", allowed=1))
    stage.api.put("poddisruptionbudgets", budget("two", allowed=1))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "PodDisruptionBudget one" in skip.reason
    assert "PodDisruptionBudget two" in skip.reason


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"app": "other"}},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]},
        {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    ],
)
def test_a_budget_of_other_pods_says_nothing(stage: Stage, selector: Object) -> None:
    stage.api.put("poddisruptionbudgets", budget("other", allowed=0, selector=selector))
    assert isinstance(stage.available(), Injection)


@pytest.mark.parametrize("status", [403, 404, 405, 429, 500])
def test_a_dry_run_that_is_refused_is_a_skip_with_the_answer(stage: Stage, status: int) -> None:
    stage.api.refusing["/eviction"] = status
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert f"the dry run was answered {status}" in skip.reason


def test_a_budget_that_is_used_up_for_a_moment_is_asked_again(stage: Stage) -> None:
    injection = stage.injection()
    for _ in range(2):
        stage.api.refuse_next("/eviction", 429)
    assert stage.run(injection)[-1] == "undone"
    assert evictions(stage) == [True, False, False, False]


def test_a_budget_that_never_allows_it_is_void_with_its_numbers(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.put("poddisruptionbudgets", budget("strict", allowed=0))
    stage.api.refusing["/eviction"] = 429
    assert stage.run(injection) == ["planned", "injecting", "void"]
    reason = stage.said("void").data["reason"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert "forbidden each time" in reason
    assert "PodDisruptionBudget strict (disruptionsAllowed 0, currentHealthy 2, desiredHealthy 2)" in reason
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize("change", ["gone", "renamed"])
def test_a_pod_that_is_gone_already_is_void(stage: Stage, change: str) -> None:
    injection = stage.injection()
    if change == "gone":
        del stage.api.objects["pods", "web-1"]
    else:
        stage.api.objects["pods", "web-1"]["metadata"]["uid"] = "uid-other"
    assert stage.run(injection) == ["planned", "injecting", "void"]


def test_an_api_that_says_yes_and_does_nothing_is_no_effect(stage: Stage) -> None:
    stage.api.after_delete = lambda _: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]
    assert stage.said("no-effect").outcome is Outcome.UNKNOWN
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_is_not_replaced_is_no_recovery(stage: Stage) -> None:
    stage.api.after_delete = stage.api.leaves
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert stage.verdict() is Result.FAIL


def test_what_only_asks_is_needed_for_the_plan(stage: Stage) -> None:
    needed = {str(one): one.verb in READING for one in FAULT.permissions(stage.target)}
    assert needed == {
        "get pods in shop": True, "list poddisruptionbudgets.policy in shop": True,
        "create pods/eviction in shop": False,
    }  # fmt: skip
