"""ConfigMap key against a real git server and a small Argo CD that brings what is pushed into the cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.podcluster import Cluster, Stage

from rollproof.clients.execute import Executed
from rollproof.clients.kube import Kube
from rollproof.clients.overlay import data_value
from rollproof.clients.repo import EnvRepo
from rollproof.core.injection import Skip
from rollproof.core.reasons import TakenIn
from rollproof.core.target import ConfigMapInGit, FaultSettings
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.verdict import Result
from rollproof.errors import InputError
from rollproof.faults.base import Ways
from rollproof.faults.configmap_key import FAULT
from rollproof.store.journal import Undone

KEY, FILE = "ROLLPROOF_MARK", "overlays/dev/patch-configmap.yaml"
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop-config\ndata:\n  # of dev\n  ZONE: UTC\n"
DONE = ["planned", "injecting", "injected", "effect", "recovered", "undone"]


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=some@body")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


class World(Stage):
    """`arrives`: whether Argo CD brings the ConfigMap; `has`: what each pod finds."""

    def furnish(self, folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bare, self.work = folder / "env.git", folder / "work"
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(folder, "clone", "-q", str(self.bare), str(self.work))
        (self.work / "overlays/dev").mkdir(parents=True)
        (self.work / "overlays/dev/kustomization.yaml").write_text("images:\n  - name: web\n    newTag: aaaaaaa\n")
        self.push(MANIFEST)
        target = EnvRepoTarget(url=f"file://{self.bare}", overlay="overlays/dev", image="web")
        repo = stack.enter_context(EnvRepo(target, {}))
        wanted = ConfigMapInGit(name="shop-config", file="patch-configmap.yaml")
        limits = FaultSettings(effect_within_s=1.0, recovery_limits_s={FAULT.name: 1.5}, configmap=wanted)
        self.target = replace(self.target, faults=limits)
        self.live = replace(self.live, target=self.target, repo=repo)
        self.arrives, self.has = True, True
        self.uses(envFrom=[{"configMapRef": {"name": "shop-config"}}])
        self.api.on_patch = self.refreshed
        self.compare()
        status = {"sync": {"status": "Synced", "revision": "c" * 40}, "operationState": {"phase": "Succeeded"}}
        self.api.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": status})

        def pod_exec(
            _: Kube, _namespace: str, name: str, _container: str, command: Sequence[str], **_s: Any
        ) -> Executed:
            assert name in ("web-1", "web-2")
            if command[-1] == "kill -0 1":
                return Executed(0)
            found = data_value("", self.text(), KEY) if self.has else None
            return Executed(0 if found or "printf" in command[-1] else 1, found or "")

        monkeypatch.setattr(Kube, "pod_exec", pod_exec)

    def uses(self, volumes: Sequence[Any] = (), **container: Any) -> None:
        item = self.api.objects["deployments", "web"]
        spec = item["spec"]["template"]["spec"]
        own = {"name": "web", "image": "ghcr.io/shop/web:aaaaaaa", **container}
        template = {"spec": {**spec, "containers": [own], "volumes": list(volumes)}}
        self.api.put("deployments", {**item, "spec": {**item["spec"], "template": template}})

    def push(self, text: str) -> None:
        if git(self.bare, "branch"):
            git(self.work, "pull", "-q", "--rebase", "origin", "main")
        (self.work / FILE).write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "-m", "by hand")
        git(self.work, "push", "-q", "origin", "HEAD:main")

    def text(self) -> str:
        return git(self.bare, "show", f"main:{FILE}")

    def refreshed(self, plural: str, _: Any) -> None:
        if plural == "applications" and self.arrives:
            self.compare()

    def compare(self) -> None:
        value = data_value("", self.text(), KEY)
        data = {"ZONE": "UTC", **({KEY: value} if value else {})}
        self.api.put("configmaps", {"metadata": {"name": "shop-config", "namespace": "shop"}, "data": data})

    def undo(self, args: Any) -> Undone:
        return FAULT.undo_by(Ways(self.target, self.live.kube, self.live.repo), args)

    def run(self, injection: Any = None) -> list[str]:
        return super().run(injection)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.configmap_key._VOLUME_S", 0.5)
    with ExitStack() as stack:
        stage = World(FAULT, Cluster(), tmp_path, stack)
        stage.furnish(tmp_path, stack, monkeypatch)
        yield stage


VOLUME = {"name": "settings", "configMap": {"name": "shop-config"}}
MOUNT = {"name": "settings", "mountPath": "/etc/shop"}


def test_a_key_in_the_environment_reaches_no_running_pod(stage: World) -> None:
    stage.has = False
    injection = stage.injection()
    assert "adds the key ROLLPROOF_MARK in patch-configmap.yaml" in injection.change
    assert stage.run(injection) == DONE
    assert stage.said("recovered").data["by"] is TakenIn.NEVER
    assert (stage.verdict(), stage.findings()) == (Result.PASS, ["CONFIG_NOT_ROLLED"])
    assert stage.text() == MANIFEST
    subjects = git(stage.bare, "log", "--format=%s", "main").splitlines()
    assert subjects[0] == "rollproof: undo of configmap-key, ROLLPROOF_MARK is taken out"
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize(("mounted", "by"), [(True, TakenIn.FILE), (False, TakenIn.ROLLOUT)])
def test_a_key_that_every_pod_has_is_no_finding(stage: World, mounted: bool, by: TakenIn) -> None:
    if mounted:
        stage.uses([VOLUME], volumeMounts=[MOUNT])
    assert stage.run() == DONE
    assert stage.said("recovered").data["by"] is by
    assert (stage.verdict(), stage.findings()) == (Result.PASS, [])
    assert stage.text() == MANIFEST


def test_a_commit_that_does_not_arrive_is_no_effect(stage: World) -> None:
    stage.arrives = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert stage.text() == MANIFEST


def test_a_volume_that_is_not_written_anew_is_no_recovery(stage: World) -> None:
    stage.uses([VOLUME], volumeMounts=[MOUNT])
    stage.has = False
    assert stage.run() == [*DONE[:4], "not-recovered", "undone"]
    assert "pod web-1 does not have ROLLPROOF_MARK in /etc/shop yet" in str(
        stage.said("not-recovered").data["last_seen"]
    )
    assert stage.verdict() is Result.FAIL
    assert stage.text() == MANIFEST


def test_a_file_that_takes_no_key_any_more_is_void(stage: World) -> None:
    injection = stage.injection()
    stage.push(MANIFEST.replace("data:", "binaryData:"))
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert stage.journal.open_entries() == []


def test_undone_twice_and_never_what_is_somebody_elses(stage: World) -> None:
    args = stage.injection().args
    assert stage.undo(args).how == "not-needed"
    mine = MANIFEST.replace("  ZONE", f'  {KEY}: "{args["value"]}"\n  ZONE')
    stage.push(mine + "  MORE: theirs\n")
    assert stage.undo(args).how == "done"
    assert stage.text() == MANIFEST + "  MORE: theirs\n", "what others wrote meanwhile stays"
    assert stage.undo(args).how == "not-needed"
    stage.push(mine.replace(args["value"], "theirs"))
    assert stage.undo(args).how == "left"
    assert data_value("", stage.text(), KEY) == "theirs"


def test_what_cannot_be_done_is_skipped_or_refused_with_its_reason(stage: World) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    assert "[faults.configmap]" in reason(faults=FaultSettings())
    for container in ({}, {"volumeMounts": [{**MOUNT, "subPath": "ZONE"}]}):
        stage.uses([VOLUME], **container)
        assert "has no key of ConfigMap shop-config that is added to it" in reason()
    stage.push(MANIFEST + f"  {KEY}: left\n")
    assert "undo the earlier run first" in reason()
    for file, said in (("../base/configmap.yaml", "has no file"), ("kustomization.yaml", "no `data:`")):
        wanted = ConfigMapInGit(name="shop-config", file=file)
        with pytest.raises(InputError, match=said):
            stage.available(faults=FaultSettings(configmap=wanted))
