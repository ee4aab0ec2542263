"""Rights: what is asked for is what the drills use, and what docs/eks.md says."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from patient import FakeKube, Patient, well

from rollproof.clients.argo import Argo
from rollproof.core.permission import READING
from rollproof.core.pipelinesettings import PipelineSettings, RegistrySettings
from rollproof.core.target import DriftSettings, FaultSettings, Ingress, JournalSettings, ReleaseSettings
from rollproof.core.trials import TRIALS
from rollproof.preflight import checks
from rollproof.preflight.checks import Look
from rollproof.preflight.permissions import Permission, needed_permissions
from rollproof.preflight.planning import Order
from rollproof.suites import Drill

EKS = Path(__file__).resolve().parents[3] / "docs/eks.md"


def named(*names: str) -> tuple[Drill, ...]:
    return Order(drills=names).chosen


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    return well(monkeypatch)


def test_a_required_one_is_not_ok(patient: Patient) -> None:
    patient.kube.refused = ("patch deployments",)
    line = patient.examine("drift")["permission on deployments.apps in shop"]
    assert line.ok is False
    assert line.said.startswith("not granted: patch (needed: drift image")


def test_an_optional_one_says_what_is_lost(patient: Patient) -> None:
    patient.kube.refused = ("get pods/log",)
    line = patient.examine()["permission on pods/log in ingress"]
    assert line.ok is None
    assert "MASKED" in line.said


def test_only_required_ones_end_a_run(patient: Patient) -> None:
    patient.kube.refused = ("get pods/log", "get pods/proxy", "delete services")
    assert patient.missing("zero-downtime", "drift") == "permissions are missing: delete services in shop"


def test_a_drill_asks_only_for_what_it_uses(patient: Patient) -> None:
    def changing(*drills: str, **order: Any) -> set[str]:
        refused = FakeKube(objects=patient.kube.objects, lists=patient.kube.lists)
        clients = replace(patient.clients, kube=refused, argo=Argo(refused, "argocd", "shop"))  # type: ignore[arg-type]
        wanted = Order(drills=drills, **order)
        seen = Look(order=wanted, target=patient.target, clients=clients)
        for question in (*checks.QUESTIONS_OF_A_TARGET, *checks.QUESTIONS_OF_A_DRILL):
            question.ask(seen)
        own = {permission for permission in seen.granted if permission.resource != "leases" and permission.required}
        return {str(permission) for permission in own if permission.verb in ("patch", "delete", "create")}

    settle = "patch applications.argoproj.io in argocd"  # every drill waits for rest first
    assert changing("zero-downtime") == {settle}
    assert changing("zero-downtime", sha=story.OLD) == {settle, "patch deployments.apps in shop"}  # a restart
    patient.target = replace(patient.target, release=ReleaseSettings(mode="observe"))
    assert changing("zero-downtime", sha=story.NEW) == {settle}
    for trial, permissions in {
        "configmap": {"patch configmaps in shop"},
        "undeclared-annotation": {"patch services in shop"},
        "void-patch": {"patch services in shop"},
        "delete-service": {"delete services in shop", "create services in shop"},
        "delete-configmap": {"delete configmaps in shop", "create configmaps in shop"},
        "replicas": {"patch deployments.apps in shop"},
        "revision-history": {"patch deployments.apps in shop"},
        "image": set(),  # skipped, see below
    }.items():
        patient.target = replace(patient.target, drift=DriftSettings(trials=(trial,), drift_image_tag=story.OLD))
        assert changing("drift") == {settle, *permissions}
    patient.target = replace(patient.target, argocd=replace(patient.target.argocd, profile="read-only"))
    assert changing("drift") == set()


def test_without_the_rights_to_look_all_that_may_be_missing_is_named_at_once(patient: Patient) -> None:
    patient.kube.refused = ("get services", "patch services")
    patient.target = replace(patient.target, drift=DriftSettings(trials=("void-patch",)))
    assert patient.missing("drift") == "permissions are missing: get services in shop; patch services in shop"


def test_hpas_that_may_not_be_listed_skip_one_trial_and_end_nothing(patient: Patient) -> None:
    patient.kube.refused = ("list horizontalpodautoscalers", "list HorizontalPodAutoscaler")
    patient.target = replace(patient.target, drift=DriftSettings(trials=("replicas", "env")))
    changes = [touch.change for touch in patient.look("drift").touches if touch.subject.startswith("D")]
    assert changes[0].startswith("skipped: HorizontalPodAutoscalers may not be listed")
    assert changes[1].endswith("= 'info-drift'")
    line = patient.examine()["permission on horizontalpodautoscalers.autoscaling in shop"]
    assert line.ok is None


def test_each_is_asked_for_once(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(FakeKube, "may", lambda _, *words, **more: asked.append((*words, *more.values())) or True)
    patient.examine()
    assert len(asked) == len(set(asked))


def test_argo_cds_rights_are_asked_in_its_own_cluster(patient: Patient) -> None:
    app: Any = FakeKube()
    argocd: Any = FakeKube(refused=("watch applications",))
    clients = replace(patient.clients, kube=app, argo=Argo(argocd, "argocd", "shop"))
    seen = Look(order=Order(drills=("drift",)), target=patient.target, clients=clients)
    (missing,) = seen.missing(needed_permissions(patient.target, named("drift")))
    assert missing.argocd
    assert missing.name == "shop"


def test_the_same_right_is_asked_once(patient: Patient) -> None:
    target = replace(patient.target, drift=DriftSettings(reset="sync"))
    permissions = [
        str(permission) for permission in needed_permissions(target, named("zero-downtime", "drift", "rollback"))
    ]
    assert permissions.count("patch applications.argoproj.io in argocd") == 1


def test_how_a_permission_reads() -> None:
    permission = Permission(verb="get", resource="pods", namespace="shop", why="x", subresource="log")
    assert str(permission) == "get pods/log in shop"


def _place(permission: Permission) -> tuple[str, str]:
    where = (
        "Argo CD's" if permission.argocd else {"ingress": "ingress's", "": "cluster"}.get(permission.namespace, "app's")
    )
    return where, permission.place.split()[0]


def _asked() -> set[tuple[str, str, str, bool]]:
    """Everything that any drill could ask for: where, resource, verb, and whether a run is possible without it."""
    permissions = [
        permission
        for check, restart in itertools.product(("nodes", "registry"), (True, False))
        for permission in _asked_by(check, restart=restart)
    ]
    return {(*_place(permission), permission.verb, permission.required) for permission in permissions}


def _asked_by(image_check: str, *, restart: bool) -> list[Permission]:
    target = story.target(
        ingress=Ingress(namespace="ingress", selector="app=ingress"),
        release=ReleaseSettings(shas=(story.OLD, story.NEW), image_check=image_check),
        drift=DriftSettings(trials=tuple(TRIALS)),
        journal=JournalSettings(store="cluster"),
        pipeline=PipelineSettings(registry=RegistrySettings(url="https://ghcr.io", pull_secret="ghcr-pull-secret")),
    )
    trials = [f"drift-{trial}" for trial in TRIALS]
    plan = story.plan(target=target, restart=restart)
    return list(needed_permissions(target, named("zero-downtime", "drift"), plan, trials))


def _on_the_page() -> set[tuple[str, str, str, bool]]:
    rows = re.findall(r"^ *\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", EKS.read_text(), flags=re.MULTILINE)
    return {
        (where.strip(), resource.split()[0], verb, "optional" not in why)
        for where, resource, verbs, why in rows
        for verb in verbs.strip().split(", ")
        if where.strip() not in {"namespace", "---"}
    }


def test_the_page_about_eks_names_exactly_these_rights() -> None:
    asked, told = _asked(), _on_the_page()
    assert asked - told == set(), "asked for, and not on the page"
    assert told - asked == set(), "on the page, and never asked for"


def test_a_drill_that_only_reads_needs_no_right_to_write() -> None:
    needed = needed_permissions(story.target(), named("posture"))
    writes = {str(one) for one in needed if one.verb not in READING}
    assert writes == {"create pods/eviction in shop"}  # with dryRun=All
    assert all(not one.required for one in needed if one.verb not in READING)
    assert any(str(one) == "list poddisruptionbudgets.policy in shop" and not one.required for one in needed)
    both = {str(one) for one in needed_permissions(story.target(), named("posture", "release"))}
    assert {"create leases.coordination.k8s.io in shop", "list networkpolicies.networking.k8s.io in shop"} <= both


@pytest.mark.parametrize(
    ("limit", "drill", "asked"), [(0, "pod-delete", True), (None, "pod-delete", False), (0, "secrets", False)]
)
def test_nodes_are_asked_for_where_a_drill_under_load_ends_when_they_are_lost(
    limit: int | None, drill: str, *, asked: bool
) -> None:
    target = story.target(faults=FaultSettings(abort_nodes=limit))
    verbs = {one.verb for one in needed_permissions(target, named(drill)) if one.resource == "nodes"}
    assert verbs == ({"list", "watch"} if asked else set())
