"""Pods beside the app's against a small API server over real HTTP: the ingress controller's and those of Argo CD."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from recorder import ListRecorder
from surroundings import AppCluster, controlled, pod_of

from rollproof.clients.argo import Argo
from rollproof.clients.http import Answer
from rollproof.clients.kube import Kube
from rollproof.core.event import Event, Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import App, ArgoCd, Control, FaultSettings, Fences, Ingress, Target, UndoSettings
from rollproof.faults.base import LiveContext
from rollproof.faults.registry import fault_named
from rollproof.faults.replaced_pod import ReplacedPod
from rollproof.faults.runner import FaultRunner
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

PLACES = {
    "ingress-restart": ("ingress", {"app": "ingress"}),
    "argocd-controller-restart": ("argocd", {"app.kubernetes.io/name": "argocd-application-controller"}),
    "argocd-redis-restart": ("argocd", {"app.kubernetes.io/name": "argocd-redis"}),
    "argocd-repo-server-restart": ("argocd", {"app.kubernetes.io/name": "argocd-repo-server"}),
}
CONTROL = Control(url="http://127.0.0.1:1/", off_entry_url="http://127.0.0.1:2/")
WORDS = ["planned", "injecting", "injected", "effect"]


class World(AppCluster):
    """The app, and one pod of something beside it, which comes back under its old name as a StatefulSet's does."""

    def __init__(self, name: str) -> None:
        super().__init__()
        for pod in ("web-1", "web-2"):
            del self.objects["pods", pod]  # this API server tells neither labels nor namespaces apart
        self.namespace, self.labels = PLACES[name]
        self.after_delete: Callable[[], None] = self.replaced
        self.entry_ok, self.compares = True, True
        self.put("pods", self.pod("uid-old", "2026-01-01T00:00:00Z"))
        self.compared("2026-01-01T00:00:01Z")
        self.on_patch = self.refreshed

    def pod(self, uid: str, since: str, **metadata: Any) -> dict[str, Any]:
        owner = controlled("StatefulSet", "part")
        return pod_of(
            "part-0", namespace=self.namespace, labels=self.labels, owner=owner, uid=uid, ready_since=since, **metadata
        )

    def compared(self, at: str) -> None:
        self.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {"reconciledAt": at}})

    def refreshed(self, plural: str, _: Any) -> None:
        if plural == "applications" and self.compares:
            self.compared("2026-01-01T00:01:09Z")

    def remove(self, plural: str, name: str) -> dict[str, Any]:
        threading.Thread(target=self.after_delete).start()
        return self.objects[plural, name]

    def leaves(self) -> None:
        self.put("pods", self.pod("uid-old", "2026-01-01T00:00:00Z", deletionTimestamp="2026-01-01T00:01:00Z"))

    def replaced(self) -> None:
        self.leaves()
        time.sleep(0.05)
        super().remove("pods", "part-0")
        self.put("pods", self.pod("uid-new", "2026-01-01T00:01:05Z"))


class Stage:
    """The runner on that cluster; the entry answers as the world says."""

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        fault = fault_named(name)
        assert isinstance(fault, ReplacedPod)
        self.fault, self.api, self.recorder = fault, World(name), ListRecorder()
        self.kube = Kube("fake", str(stack.enter_context(self.api.serve(folder))))
        argo = Argo(self.kube, "argocd", "shop")
        self.target: Target = story.target(
            faults=FaultSettings(effect_within_s=0.5, recovery_limit_s=1.5), control=CONTROL,
            fences=Fences(namespaces=("shop", "ingress", "argocd")), undo=UndoSettings(late_s=0.0),
            ingress=Ingress(namespace="ingress", selector="app=ingress"),
        )  # fmt: skip
        watches = stack.enter_context(Watches(self.target, self.kube, argo, self.recorder))
        http: Any = self
        prover = Prover(self.target, self.kube, http, self.recorder)
        self.live = LiveContext(
            drill=name, target=self.target, kube=self.kube, argo=argo, watches=watches, prover=prover, sha=story.OLD
        )
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    def get(self, path: str) -> Answer:
        if not self.api.entry_ok:
            return Answer(status=None, error="connect.refused")
        said = {"version": story.OLD} if path == "/health" else {"database": "ok"}
        return Answer(status=200, body=json.dumps(said).encode())

    def available(self, **changes: Any) -> Injection | Skip:
        return self.fault.available(replace(self.live, target=replace(self.target, **changes)))

    def reason(self, **changes: Any) -> str:
        skip = self.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    def run(self, injection: Injection | None = None) -> list[str]:
        found = injection or self.available()
        assert isinstance(found, Injection)
        FaultRunner(self.live, self.recorder, self.journal).run(story.plan(injections=(found,)))
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Stage]]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        yield lambda name: Stage(name, tmp_path, stack)


@pytest.mark.parametrize("name", PLACES)
def test_a_pod_that_is_replaced(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    assert stage.run() == [*WORDS, "recovered", "undone"]
    assert stage.said("undone").data == {"by": "platform"}
    assert [path for method, path, _ in stage.api.asked if method == "DELETE"] == [
        f"/api/v1/namespaces/{PLACES[name][0]}/pods/part-0"
    ]
    seen = [e for e in stage.recorder.events if e.subject == f"Pod/{PLACES[name][0]}/part-0"]
    assert {e.data["uid"] for e in seen} == {"uid-old", "uid-new"}
    assert {e.data["member"] for e in seen} == {False}, "none of the app's pods, whoever reads these facts"
    assert stage.live.watches.beside(PLACES[name][0]) == {}, "it is watched no longer than the fault lasts"


@pytest.mark.parametrize("name", PLACES)
def test_a_pod_that_is_not_replaced_is_no_recovery(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.api.after_delete = stage.api.leaves
    assert stage.run() == [*WORDS, "not-recovered"]
    assert (stage.said("not-recovered").outcome, stage.said("not-recovered").data["last_seen"]) == (
        Outcome.FAIL, "0 of 1 pods are ready",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "seen"), [
    ("ingress-restart", "does not answer as it should yet"),
    ("argocd-repo-server-restart", "no comparison since the new pod was ready"),
])  # fmt: skip
def test_a_new_pod_that_does_not_work_is_no_recovery(stages: Callable[[str], Stage], name: str, seen: str) -> None:
    stage = stages(name)
    stage.api.entry_ok = stage.api.compares = False
    assert stage.run() == [*WORDS, "not-recovered"]
    assert seen in stage.said("not-recovered").data["last_seen"]


@pytest.mark.parametrize("name", PLACES)
def test_an_api_that_says_yes_and_does_nothing_is_no_effect(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.api.after_delete = lambda: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]


def test_another_pod_of_the_same_name_is_void(stages: Callable[[str], Stage]) -> None:
    stage = stages("argocd-controller-restart")
    injection = stage.available()
    assert isinstance(injection, Injection)
    stage.api.put("pods", stage.api.pod("uid-other", "2026-01-01T00:00:30Z"))
    assert stage.run(injection) == ["planned", "void"]
    assert [path for method, path, _ in stage.api.asked if method == "DELETE"] == []


@pytest.mark.parametrize("name", PLACES)
def test_where_there_is_no_such_pod_it_is_skipped(stages: Callable[[str], Stage], name: str) -> None:
    stage = stages(name)
    stage.api.put("pods", {**stage.api.pod("uid-old", ""), "status": {"phase": "Pending"}})
    assert "no ready pod with the labels" in stage.reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []


def test_without_a_right_to_refresh_nobody_could_see_argo_cd_come_back(stages: Callable[[str], Stage]) -> None:
    reason = stages("argocd-redis-restart").reason(argocd=ArgoCd(application="shop", profile="read-only"))
    assert "allows no refresh" in reason


def test_the_entry_is_broken_only_with_a_control_lane_beside_it(stages: Callable[[str], Stage]) -> None:
    stage = stages("ingress-restart")
    injection = stage.available()
    assert isinstance(injection, Injection)
    assert "control lane off that path: http://127.0.0.1:2/" in injection.change
    needs = "an act on the ingress needs a control lane off that path"
    assert f"{needs}, and none is named" in stage.reason(control=None)
    assert f"{needs}, and http://127.0.0.1:1/ goes through it" in stage.reason(
        control=Control(url="http://127.0.0.1:1/")
    )
    assert "[ingress] namespace and selector" in stage.reason(ingress=Ingress())
    elsewhere = stage.available(control=Control(url="http://127.0.0.1:3/"))
    assert isinstance(elsewhere, Injection), "another address is taken to be another way"


@pytest.mark.parametrize(("fault", "url"), [("ingress-restart", "http://127.0.0.1:2/"), ("pod-delete", CONTROL.url)])
def test_the_control_lane_goes_beside_the_entry_where_a_drill_breaks_it(fault: str, url: str) -> None:
    target = story.target(control=CONTROL, app=App(base_url="http://127.0.0.1:1"))
    control = target.control_beside(entry_breaks=fault_named(fault).breaks_entry)
    assert control is not None
    assert control.url == url
