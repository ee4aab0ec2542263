"""ConfigMap key against a real git server and a small Argo CD that brings what is pushed into the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import story
from faults.configmapworld import MANIFEST, World, git
from faults.podcluster import Cluster

from rollproof.clients.overlay import data_value
from rollproof.core.facts import Facts
from rollproof.core.fault import find_faults
from rollproof.core.injection import Injection, Skip
from rollproof.core.reasons import TakenIn
from rollproof.core.target import ConfigMapInGit, FaultSettings
from rollproof.core.verdict import Result
from rollproof.errors import InputError
from rollproof.faults.configmap_key import FAULT
from rollproof.faults.settingplaces import KEY

pytestmark = pytest.mark.processes

DONE = ["planned", "injecting", "injected", "effect", "recovered", "undone"]
VOLUME = {"name": "settings", "configMap": {"name": "shop-config"}}
PROJECTED = {
    "name": "settings",
    "projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": VOLUME["configMap"]}]},
}
MOUNT = {"name": "settings", "mountPath": "/etc/shop/"}
PART = {"name": "settings", "mountPath": "/etc/a shop/ZONE", "subPath": "ZONE"}
ENV = {"configMapRef": {"name": "shop-config"}}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.02)
    monkeypatch.setattr("rollproof.faults.configmap_key._VOLUME_S", 0.5)
    with ExitStack() as stack:
        stage = World(FAULT, Cluster(), tmp_path, stack)
        stage.furnish(tmp_path, stack, monkeypatch)
        yield stage


def went_through(stage: World, injection: Injection | None = None) -> None:
    """Whether the watches have seen yet that the undo is in the pods is chance here; if not, it is said again."""
    assert stage.run(injection) in (DONE, [*DONE, "undone"])


def by(stage: World) -> object:
    """How the pods came to it, of a run that went through."""
    went_through(stage)
    assert stage.verdict() is Result.PASS
    assert stage.text() == MANIFEST
    return stage.said("recovered").data.get("by")


def test_a_key_in_the_environment_reaches_no_running_pod(stage: World) -> None:
    injection = stage.injection()
    assert "adds the key ROLLPROOF_MARK in patch-configmap.yaml" in injection.change
    assert "in the variable ROLLPROOF_MARK of container web" in injection.change
    went_through(stage, injection)
    assert stage.said("recovered").data["by"] is TakenIn.NEVER
    assert (stage.verdict(), stage.findings()) == (Result.PASS, ["CONFIG_NOT_ROLLED"])
    assert stage.text() == MANIFEST
    subjects = git(stage.bare, "log", "--format=%s", "main").splitlines()
    assert subjects[0] == "rollproof: undo of configmap-key, ROLLPROOF_MARK is taken out"
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize(
    "volume", [VOLUME, PROJECTED, {**VOLUME, "configMap": {"name": "shop-config", "optional": True}}]
)
def test_a_key_in_a_volume_reaches_every_running_pod(stage: World, volume: Any) -> None:
    stage.uses([volume], volumeMounts=[MOUNT])
    assert "in the folder /etc/shop of container web" in stage.injection().change
    assert (by(stage), stage.findings()) == (TakenIn.FILE, [])


@pytest.mark.parametrize("way", [{"envFrom": [ENV]}, {"volumeMounts": [MOUNT]}])
def test_a_change_that_is_rolled_out_reaches_new_pods(stage: World, way: Any) -> None:
    stage.uses([VOLUME], **way)
    stage.rolls = True
    assert (by(stage), stage.findings()) == (TakenIn.ROLLOUT, [])


def test_a_file_by_subpath_is_never_written_anew(stage: World) -> None:
    """What proves it: the container holds the file of a writing that was removed."""
    stage.uses([VOLUME], volumeMounts=[PART])
    assert "in the file /etc/a shop/ZONE (by subPath) of container web" in stage.injection().change
    assert (by(stage), stage.findings()) == (TakenIn.NEVER, ["CONFIG_NOT_ROLLED"])


def test_new_pods_cannot_be_asked_for_a_file_by_subpath(stage: World) -> None:
    """It is the file of another key: nothing is said of it."""
    stage.uses([VOLUME], volumeMounts=[PART])
    stage.rolls = True
    assert (by(stage), stage.findings()) == (None, [])


@pytest.mark.parametrize("more", [[], [{"name": "log", "volumeMounts": [MOUNT]}]])
def test_some_places_have_it_and_others_have_not(stage: World, more: Any) -> None:
    stage.uses([VOLUME], more, envFrom=[ENV], volumeMounts=[] if more else [MOUNT])
    assert (by(stage), stage.findings()) == (TakenIn.PARTLY, ["CONFIG_NOT_ROLLED"])


def test_a_sidecar_is_asked_where_the_app_does_not_use_it(stage: World) -> None:
    for sidecar in ({"more": [{"name": "log", "volumeMounts": [MOUNT]}]},
                    {"init": [{"name": "log", "restartPolicy": "Always", "volumeMounts": [MOUNT]}]}):  # fmt: skip
        stage.uses([VOLUME], **sidecar)
        assert "in the folder /etc/shop of container log, in each pod" in stage.injection().change
    assert (by(stage), stage.findings()) == (TakenIn.FILE, [])


def test_a_container_without_a_shell_is_not_asked_and_that_is_said(stage: World) -> None:
    stage.uses([VOLUME], [{"name": "log", "volumeMounts": [MOUNT]}], envFrom=[ENV])
    stage.shells.without = ("log",)
    change = stage.injection().change
    assert "container log" not in change.partition("(not asked:")[0]
    assert "cannot be run in container log of web-1: no such file: sh" in change.partition("(not asked:")[2]
    assert by(stage) is TakenIn.NEVER


def test_a_generators_hash_rolls_the_pods_out(stage: World) -> None:
    stage.hashed = stage.rolls = True
    stage.names("shop-env", "app.env")
    stage.push("# of dev\nZONE=UTC\n")
    stage.compare()
    injection = stage.injection()
    assert injection.args["used"] == "shop-env-tmkhgfdcb2"
    went_through(stage, injection)
    assert "uses ConfigMap shop-env-bcdfghkmt2 now" in str(stage.said("effect").data["watched"])
    assert stage.said("recovered").data["by"] is TakenIn.ROLLOUT
    assert (stage.verdict(), stage.findings()) == (Result.PASS, [])
    assert stage.text() == "# of dev\nZONE=UTC\n"


def test_a_commit_that_does_not_arrive_is_no_effect(stage: World) -> None:
    stage.arrives = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert stage.text() == MANIFEST


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        (MOUNT, "pod web-1 does not have ROLLPROOF_MARK in the folder /etc/shop of container web yet"),
        (PART, "the volume behind the file /etc/a shop/ZONE (by subPath) of container web is not written anew"),
    ],
)  # fmt: skip
def test_a_volume_that_is_not_written_anew_is_no_recovery(stage: World, mount: Any, said: str) -> None:
    stage.uses([VOLUME], volumeMounts=[mount])
    stage.shells.writes = False
    assert stage.run() == [*DONE[:4], "not-recovered", "undone"]
    assert said in str(stage.said("not-recovered").data["last_seen"])
    assert "by" not in stage.said("not-recovered").data, "it may still come"
    assert stage.verdict() is Result.FAIL
    assert stage.text() == MANIFEST


def test_a_rollout_that_has_only_begun_is_waited_for(stage: World) -> None:
    """The controller has not looked at the changed template yet: its counts are of the old one."""
    item = stage.api.objects["deployments", "web"]
    stage.api.put(
        "deployments", {**item, "metadata": {**item["metadata"], "generation": 2}, "status": {"observedGeneration": 1}}
    )
    assert stage.run() == [*DONE[:4], "not-recovered", "undone"]
    assert stage.said("not-recovered").data["last_seen"] == "the Deployment is being rolled out"


def test_argocd_is_asked_to_look_at_the_undo(stage: World) -> None:
    """By its own poll a rollout would come in the middle of another drill. Where it cannot be asked, it is undone."""
    stage.uses([VOLUME], volumeMounts=[MOUNT])
    assert by(stage) is TakenIn.FILE
    assert "ROLLPROOF_MARK" not in stage.api.objects["configmaps", "shop-config"]["data"]
    assert stage.shells.now == ""
    args = {**stage.injection().args, "value": "abc"}
    stage.push(MANIFEST.replace("  ZONE", f'  {KEY}: "abc"\n  ZONE'))
    stage.api.refusing["applications"] = 403
    assert stage.undo(args).how == "done"


@pytest.mark.parametrize("way", [{"envFrom": [ENV]}, {"volumeMounts": [MOUNT]}])
def test_what_pods_have_taken_in_must_be_gone_after_the_undo(stage: World, way: Any) -> None:
    """On the lab the undo's own writing of the volumes took the app away when the run was over."""
    stage.uses([VOLUME], **way)
    stage.rolls, stage.takes_back = "envFrom" in way, False
    assert stage.run() == [*DONE, "error"]
    assert f"was put back 1.5 s ago, and still: pod web-{3 if stage.rolls else 1} has {KEY} in " in str(
        stage.said("error").data["reason"]
    )
    assert stage.verdict() is Result.INCONCLUSIVE
    assert stage.text() == MANIFEST


def test_the_act_lasts_until_the_undo_is_in_the_pods(stage: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users lose when the volumes are written for the undo is lost by the same kind of change: it counts."""
    stage.uses([VOLUME], volumeMounts=[MOUNT])
    looks, left = 0, FAULT.left_behind

    def look(*args: Any) -> str:
        nonlocal looks
        looks += 1
        return "it is there" if looks < 4 else left(*args)

    monkeypatch.setattr(FAULT, "left_behind", look)
    assert stage.run() == [*DONE, "undone"]
    first, last = (event for event in stage.recorder.events if event.what == "undone" and event.source == "fault")
    assert (last.data, last.start_s) == (first.data, first.start_s)
    facts = Facts(plan=story.plan(target=stage.target), drill="", events=tuple(stage.recorder.events))
    (fault,) = find_faults(facts)
    assert first.end_s < last.end_s == fault.over_s
    assert (stage.verdict(), stage.findings()) == (Result.PASS, [])


def test_a_rollout_that_begins_a_moment_later_is_not_missed(stage: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that rolls out what a ConfigMap has changed: never is said after a quiet time alone."""
    looks, missing = 0, FAULT.missing

    def look(*args: Any) -> str:
        nonlocal looks
        looks += 1
        if looks == 5:
            stage.rolls, stage.shells.now = True, ""
            stage.compare()
        return missing(*args)

    monkeypatch.setattr(FAULT, "missing", look)
    assert by(stage) is TakenIn.ROLLOUT


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
    stage.push(MANIFEST + f"  {KEY}: left\n")
    assert "undo the earlier run first" in reason()
    for file, said in (("../base/configmap.yaml", "has no file"), ("kustomization.yaml", "no `data:`")):
        wanted = ConfigMapInGit(name="shop-config", file=file)
        with pytest.raises(InputError, match=said):
            stage.available(faults=FaultSettings(configmap=wanted))


ITEMS = {"name": "settings", "configMap": {"name": "shop-config", "items": [{"key": "ZONE", "path": "zone"}]}}
SINGLE = {"name": "ZONE", "valueFrom": {"configMapKeyRef": {"name": "shop-config", "key": "ZONE"}}}
NO_PLACE = "no container has a key of ConfigMap shop-config that is added to it"


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        ({"volumes": [VOLUME]}, NO_PLACE),
        ({"volumes": [ITEMS], "volumeMounts": [MOUNT]}, NO_PLACE),
        ({"env": [SINGLE]}, NO_PLACE),
        ({"volumes": [VOLUME], "init": [{"name": "migrate", "volumeMounts": [MOUNT]}]},
         "only init container migrate has all of ConfigMap shop-config: it has ended"),
        ({"init": [{"name": "migrate", "envFrom": [ENV]}]}, "only init container migrate"),
        ({"envFrom": [{**ENV, "prefix": "my-"}]}, "no shell can name the variable my-ROLLPROOF_MARK"),
        ({"envFrom": [{"configMapRef": {"name": f"shop-config-{hash_}"}} for hash_ in ("bcdfghkmt2", "tmkhgfdcb2")]},
         "which of them is shop-config is not known"),
    ],
)  # fmt: skip
def test_a_pod_that_has_no_place_for_a_key_is_skipped(stage: World, uses: Any, said: str) -> None:
    stage.uses(**uses)
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert said in skip.reason


def test_a_configmap_that_cannot_change_is_skipped(stage: World) -> None:
    stage.config_map(immutable=True)
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "immutable: the API refuses a changed one" in skip.reason
    stage.api.objects.pop(("configmaps", "shop-config"))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "there is no ConfigMap shop-config in the cluster" in skip.reason


def test_a_kernel_that_does_not_tell_is_not_asked_by_subpath(stage: World) -> None:
    stage.uses([VOLUME], volumeMounts=[PART])
    stage.shells.own_kernel = True
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "container web does not say what is mounted as /etc/a shop/ZONE" in skip.reason
