"""DNS away from the cluster against a small API server: the app's pods answer as the replicas of CoreDNS say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story
from faults.databasestage import DatabaseStage, World

from rollproof.core.injection import Skip
from rollproof.errors import FenceError
from rollproof.faults.dns_away_cluster import FAULT
from rollproof.preflight.fences import check_namespace_fence

FELT = ["planned", "injecting", "injected", "effect"]


class Dns(World):
    """A Job has its pod at once; without CoreDNS the app does not find its database."""

    def __init__(self) -> None:
        super().__init__()
        metadata = {"name": "coredns", "namespace": "kube-system", "uid": "uid-dns"}
        self.put("deployments", {"metadata": metadata, "spec": {"replicas": 2}, "status": {}})
        self.away = lambda: not self.dns

    @property
    def dns(self) -> int:
        return int(self.objects["deployments", "coredns"]["spec"].get("replicas", 0))

    def scale_dns(self, replicas: int) -> None:
        item = self.objects["deployments", "coredns"]
        self.put("deployments", {**item, "spec": {"replicas": replicas}})

    def put(self, plural: str, item: Any) -> Any:
        if plural == "jobs":
            item = {**item, "status": {"ready": 1}}
        return super().put(plural, item)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.dns_away_cluster._GONE_S", 0.0)
    monkeypatch.setattr("rollproof.faults.dns_away_cluster.probed_within_s", lambda _: 0.0)
    with ExitStack() as stack:
        yield DatabaseStage(FAULT, Dns(), tmp_path, stack, dead_man_image="curl:8")


def dns(stage: DatabaseStage) -> Dns:
    assert isinstance(stage.api, Dns)
    return stage.api


def test_names_that_cannot_be_resolved_and_can(stage: DatabaseStage) -> None:
    injection = stage.injection()
    assert injection.subject == "Deployment/kube-system/coredns"
    assert "sets /spec/replicas of deployments coredns to 2" in injection.dead_man
    assert FAULT.blast(injection, stage.target).pods is None, "all pods of the app feel it"
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert dns(stage).dns == 2
    assert stage.journal.open_entries() == []
    kinds = [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method in ("POST", "PATCH")]
    assert kinds.index("rolebindings") < kinds.index("scale"), "the dead-man is there before the fault"


def test_an_app_that_feels_nothing_is_no_effect(stage: DatabaseStage) -> None:
    stage.api.away = lambda: False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert dns(stage).dns == 2


def test_an_app_that_does_not_come_back_is_no_recovery(stage: DatabaseStage) -> None:
    ever: list[bool] = []
    stage.api.away = lambda: bool(ever) or (not dns(stage).dns and not ever.append(True))
    assert stage.run()[-2:] == ["undone", "not-recovered"]
    assert dns(stage).dns == 2, "it is put back all the same"


def test_what_somebody_else_has_scaled_is_void_and_stays(stage: DatabaseStage) -> None:
    injection = stage.injection()
    dns(stage).scale_dns(3)
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert dns(stage).dns == 3


def test_undone_twice_and_never_what_is_somebody_elses(stage: DatabaseStage) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    dns(stage).scale_dns(0)
    assert (FAULT.undo(stage.kube, args).how, dns(stage).dns) == ("done", 2)
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    dns(stage).scale_dns(5)
    assert (FAULT.undo(stage.kube, args).how, dns(stage).dns) == ("left", 5)


def test_it_is_refused_unless_kube_system_is_opened_by_name(stage: DatabaseStage) -> None:
    with pytest.raises(FenceError, match="'kube-system' is outside of the fences"):
        check_namespace_fence(story.target(), stage.injection().args["namespace"])


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: DatabaseStage) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    without = replace(stage.target.faults, dead_man_image="")
    assert "the whole cluster would be left without DNS" in reason(faults=without)
    dns(stage).scale_dns(0)
    assert "scaled to 0 already" in reason()
    del stage.api.objects["deployments", "coredns"]
    assert "there is no Deployment/kube-system/coredns" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []
