"""When a part of the platform counts as done: its pods are ready and made from what the files say now."""

from __future__ import annotations

import contextlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from lab import apprepo, cluster, settings, workloads
from lab.cluster import Mode
from lab.steps import Log

MODES = tuple(Mode("built", ingress=one) for one in settings.INGRESSES)


def workload(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metadata": {"generation": 3},
        "spec": {"replicas": 1, "template": {"metadata": {"annotations": {"rollproof.lab/content": "abc"}}}},
        "status": {"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1},
    }
    found["status"] |= changes
    return found


def test_ready_pods_of_this_content_are_done() -> None:
    assert workloads._runs(workload(), "abc")


@pytest.mark.parametrize(
    "changes",
    [{"readyReplicas": None}, {"readyReplicas": 0}, {"updatedReplicas": 0}, {"observedGeneration": 2}],
    ids=["not ready", "none ready", "old pods", "not seen by its controller"],
)
def test_anything_else_is_not(changes: dict[str, Any]) -> None:
    assert not workloads._runs(workload(**changes), "abc")


def test_pods_of_another_content_are_not_done() -> None:
    assert not workloads._runs(workload(), "abd")


def test_a_daemon_that_was_scheduled_nowhere_is_not_done() -> None:
    daemon = workload(desiredNumberScheduled=0, updatedNumberScheduled=0, numberReady=0)
    assert not workloads._runs(daemon, "abc")
    assert workloads._runs(workload(desiredNumberScheduled=1, updatedNumberScheduled=1, numberReady=1), "abc")


@pytest.mark.parametrize(
    ("component", "touched"),
    [
        (workloads.INGRESS["nginx"], "ingress/route.lua"),
        (workloads.INGRESS["nginx"], "ingress/ingress.yaml"),
        (workloads.INGRESS["traefik"], "traefik/dynamic.yaml"),
        (workloads.INGRESS["traefik"], "traefik/ingress.yaml"),
        (workloads.GIT, "git/lighttpd.conf"),
        (workloads.REGISTRY, "imageregistry/entrypoint"),
        (workloads.DATABASE, "database/schema.sql"),
        (workloads.ARGOCD, "argocd/config.yaml"),
        (workloads.ARGOCD, "argocd/git-verify-wrapper.sh"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_change_of_a_source_is_a_change_of_content(
    component: workloads.Component, touched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "lab"
    shutil.copytree(settings.SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(settings, "SOURCES", copy)
    assert workloads._content(workloads.ARGOCD, Mode("built", "3.2.6")) != workloads._content(
        workloads.ARGOCD, Mode("built", "3.6.1")
    )
    mode = next(one for one in MODES if component in workloads.components(one))
    before = {each.name: workloads._content(each, mode) for each in workloads.components(mode)}
    with (copy / touched).open("a", encoding="utf-8") as out:
        out.write("\n# changed\n")
    after = {each.name: workloads._content(each, mode) for each in workloads.components(mode)}
    assert [name for name in before if before[name] != after[name]] == [component.name]


def test_the_apps_repository_is_not_made_anew_while_another_lane_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings.state().mkdir(parents=True)
    both, made = Barrier(2), []

    def build(repository: Path) -> dict[str, str]:
        made.append(repository)
        with contextlib.suppress(BrokenBarrierError):
            both.wait(timeout=0.2)  # as long as a second one would need to be here as well
        return {"first": "f9c039c"}

    monkeypatch.setattr(apprepo, "build", build)
    with ThreadPoolExecutor(2) as lanes:
        found = list(lanes.map(lambda _: workloads.releases(), range(2)))
    assert found == [{"first": "f9c039c"}] * 2
    assert len(made) == 1


def test_what_traefik_left_of_the_gateway_api_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    route, policy = "crd/httproutes.gateway.networking.k8s.io", "policy/safe-upgrades.gateway.networking.k8s.io"
    there = ["crd/applications.argoproj.io", route, policy]

    def kubectl(_log: Log, *words: str) -> str:
        asked.append(words)
        return "\n".join(there)

    monkeypatch.setattr(cluster, "kubectl", kubectl)
    log = Log(tmp_path / "step.log")
    assert "2 objects" in workloads._without_gateway_api(log)
    assert asked[1:] == [("delete", policy, route)], "the policy may forbid it"
    there[1:] = []
    assert workloads._without_gateway_api(log) == "kept"
    assert len(asked) == 3
    names = {one: {step.name for step in workloads.steps(Mode("built", ingress=one))} for one in settings.INGRESSES}
    assert [one for one in names if "no Gateway API" in names[one]] == ["nginx"]
