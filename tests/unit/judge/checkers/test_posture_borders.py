"""Posture's roundings, tables and limits: both sides of each, and each row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from expected_posture_verdicts import APPLICATION, BUDGET, DEPLOYMENT, MIXED, NO_SCALER, looked

from rollproof.core.posture import ApplicationSeen, BudgetsSeen, IgnoreSeen, NodesSeen, ScanEntry, ScanSeen
from rollproof.core.verdict import Verdict
from rollproof.judge.checkers.posture import check
from rollproof.judge.checkers.posture.argocd import leaves_replicas


def said(name: str, *views: object) -> Verdict:
    (one,) = (verdict for verdict in check(looked(*views).facts()) if verdict.subject == f"Check/{name}")
    return one


@pytest.mark.parametrize(
    ("surge", "replicas", "more"),
    [
        ("25%", 2, 1),  # rounded up
        ("25%", 4, 1),
        ("25%", 5, 2),
        ("100%", 3, 3),
        ("0%", 3, 0),
        ("3", 2, 3),
        ("x", 2, 0),
        ("x%", 2, 0),
    ],
)
def test_the_surge_is_rounded_up(surge: str, replicas: int, more: int) -> None:
    verdict = said("rollout-strategy", NO_SCALER, replace(DEPLOYMENT, max_surge=surge, replicas=replicas))
    assert f"{more} more, none away" in verdict.why


@pytest.mark.parametrize(
    ("unavailable", "replicas", "away"), [("25%", 3, 0), ("25%", 4, 1), ("25%", 7, 1), ("25%", 8, 2), ("2", 8, 2)]
)
def test_what_may_be_away_is_rounded_down(unavailable: str, replicas: int, away: int) -> None:
    verdict = said("rollout-strategy", NO_SCALER, replace(DEPLOYMENT, max_unavailable=unavailable, replicas=replicas))
    assert (f"{away} of {replicas} pods may be away at once" in verdict.why) is bool(away)


@pytest.mark.parametrize("kept_out", [{"open": False}, {"chosen": False}, {}], ids=str)
def test_only_a_node_that_the_pods_may_come_to_must_fit_the_image(kept_out: dict[str, bool]) -> None:
    nodes = NodesSeen(nodes=(*MIXED.nodes[:2], replace(MIXED.nodes[2], **kept_out)))
    assert bool(said("image-platform", nodes).findings) is (not kept_out)


@pytest.mark.parametrize(("allowed", "pods", "all_at_once"), [(2, 2, True), (3, 2, True), (2, 3, False), (1, 1, False)])
def test_a_budget_that_lets_all_pods_go_is_none(allowed: int, pods: int, all_at_once: bool) -> None:
    """maxUnavailable 100 %, or minAvailable 0: each dry run of an eviction would evict."""
    budget = BudgetsSeen(budgets=(replace(BUDGET, max_unavailable="100%", allowed=allowed),))
    verdict = said("disruption-budget", budget, replace(DEPLOYMENT, replicas=pods))
    assert ("all 2 pods at once" in verdict.why) is all_at_once
    assert bool(verdict.findings) is all_at_once


@pytest.mark.parametrize(("surge", "away"), [("0", True), ("0%", True), ("1", False), ("1%", False)])
def test_where_both_are_rounded_to_none_one_is_away(surge: str, away: bool) -> None:
    """Kubernetes: ResolveFenceposts. 25 % of two pods is none, and with no surge nothing could be replaced."""
    verdict = said(
        "rollout-strategy", NO_SCALER, replace(DEPLOYMENT, max_unavailable="25%", max_surge=surge, replicas=2)
    )
    assert ("1 of 2 pods may be away at once" in verdict.why) is away


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("Deployment", "apps"),
        ("StatefulSet", "apps"),
        ("DaemonSet", "apps"),
        ("ReplicaSet", "apps"),
        ("Ingress", "networking.k8s.io"),
        ("NetworkPolicy", "networking.k8s.io"),
        ("HorizontalPodAutoscaler", "autoscaling"),
        ("CronJob", "batch"),
        ("Job", "batch"),
        ("PodDisruptionBudget", "policy"),
    ],
)
def test_each_kind_that_is_in_a_group_is_ignored_with_it_only(kind: str, group: str) -> None:
    ignored = (IgnoreSeen(group="", kind=kind, fields=("/x",)),)
    assert f"{kind} without group {group}" in said("ignored-fields", replace(APPLICATION, ignored=ignored)).why
    ignored = (IgnoreSeen(group=group, kind=kind, fields=("/x",)),)
    assert said("ignored-fields", replace(APPLICATION, ignored=ignored)).findings == ()


@pytest.mark.parametrize(("grave", "shown"), [(1, 1), (9, 9), (10, 10), (11, 10)])
def test_ten_grave_results_are_shown(grave: int, shown: int) -> None:
    entries = tuple(ScanEntry(name=f"CVE-{i}", level="high", place="p", text="t") for i in range(12))
    verdict = said("scan-file", ScanSeen(tool="trivy", total=12, grave=grave, entries=entries))
    assert verdict.why.count("CVE-") == shown


@pytest.mark.parametrize(
    ("rule", "options", "left"),
    [
        ({"managers": ("kube-controller-manager",)}, ("RespectIgnoreDifferences=true",), True),
        ({"managers": ("kubectl",)}, ("RespectIgnoreDifferences=true",), False),
        ({"fields": ("/spec/replicas",)}, ("RespectIgnoreDifferences=true",), True),
        ({"fields": ("/spec/paused",)}, ("RespectIgnoreDifferences=true",), False),
        ({"managers": ("kube-controller-manager",)}, (), False),
    ],
)
def test_who_leaves_the_replicas_to_the_autoscaler(
    rule: dict[str, tuple[str, ...]], options: tuple[str, ...], left: bool
) -> None:
    ignored = (IgnoreSeen(group="apps", kind="Deployment", **rule),)
    assert leaves_replicas(ApplicationSeen(name="shop", options=options, ignored=ignored), "web") is left
