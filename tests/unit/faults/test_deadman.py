"""Dead-men: armed before the fault, ended after its undo, kept where the fault is not undone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from faults.databasestage import DatabaseStage as Stage
from faults.databasestage import World

from rollproof.core.injection import Injection
from rollproof.faults import deadman
from rollproof.faults.base import Injected, LiveContext
from rollproof.faults.database_refused import FAULT, DatabaseRefused
from rollproof.faults.deadman import OwnerJob, armed, end_job
from rollproof.faults.registry import undo_handlers
from rollproof.run.teardown import replay_all
from rollproof.store.journal import DEAD_MAN, FolderStore, Journal

ACCOUNT = ("serviceaccounts", "roles", "rolebindings")


class GuardedWorld(World):
    """The Job's pod gets ready as soon as it may be made, unless `ready` is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = 1
        self.on_patch = self.start

    def start(self, plural: str, item: dict[str, Any]) -> None:
        if plural == "jobs" and item["spec"]["parallelism"] and not item.get("status"):
            self.put("jobs", {**item, "status": {"active": 1, "ready": self.ready}})

    def jobs(self) -> list[str]:
        return [name for plural, name in self.objects if plural == "jobs"]

    def changes(self) -> list[str]:
        """What was asked for, in order, as verb and resource."""
        return [f"{method} {path.split('/namespaces/db/')[1].split('/rollproof-')[0]}"
                for method, path, _ in self.sent if "/namespaces/db/" in path]  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr(deadman, "_POLL_S", 0.01)
    with ExitStack() as stack:
        yield Stage(FAULT, GuardedWorld(), tmp_path, stack, dead_man_image="lab/python:1")


def world(stage: Stage) -> GuardedWorld:
    assert isinstance(stage.api, GuardedWorld)
    return stage.api


def left_running(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness is killed right after the fault was injected."""

    def killed(self: DatabaseRefused, injection: Injection, live: LiveContext) -> Injected:
        real(self, injection, live)
        raise KeyboardInterrupt

    real = DatabaseRefused.inject
    with monkeypatch.context() as patched:
        patched.setattr(DatabaseRefused, "inject", killed)
        with pytest.raises(KeyboardInterrupt):
            stage.run()
    assert stage.api.replicas == 0


def undo(stage: Stage) -> list[str]:
    """What a later process does, with what the journal on the disk says."""
    stage.journal = Journal(FolderStore(stage.path), stage.recorder)
    handlers = undo_handlers(stage.kube, stage.target)
    return [undone.how for undone in replay_all(stage.journal, handlers, look=lambda _: None)]


def test_it_is_armed_before_the_fault_and_ended_after_its_undo(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.dead_man == "a Job in db sets /spec/replicas of statefulsets db to 1 after 60.7 s"
    assert stage.run(injection)[-2:] == ["undone", "recovered"]
    scale = "PATCH statefulsets/db/scale"
    account = [f"POST {plural}" for plural in ACCOUNT]
    assert world(stage).changes() == ["POST jobs", *account, "PATCH jobs", scale, scale, "DELETE jobs"]
    assert (world(stage).jobs(), stage.journal.open_entries()) == ([], [])
    kinds = [entry.kind for entry in stage.journal.record.entries]
    assert kinds == [DEAD_MAN, FAULT.name], "the journal has it before the fault"


@pytest.mark.processes
def test_it_has_one_right_and_goes_with_its_job(stage: Stage) -> None:
    stage.run()
    made = {path.rpartition("/")[2]: body for method, path, body in stage.api.sent if method == "POST"}
    job = made["jobs"]
    rule = {"apiGroups": ["apps"], "resources": ["statefulsets/scale"], "resourceNames": ["db"], "verbs": ["patch"]}
    assert made["roles"]["rules"] == [rule]
    for plural in ACCOUNT:
        [owner] = made[plural]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("Job", job["metadata"]["name"])
        assert owner["blockOwnerDeletion"] is False, "else it needs jobs/finalizers"
        assert made[plural]["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "rollproof"
    spec = job["spec"]
    assert (spec["parallelism"], spec["ttlSecondsAfterFinished"]) == (0, 0), "its clock runs before it has a pod"
    [container] = spec["template"]["spec"]["containers"]
    said = {one["name"]: one["value"] for one in container["env"]}
    uid = {"op": "test", "path": "/metadata/uid", "value": "uid-db"}
    still = {"op": "test", "path": "/spec/replicas", "value": None}
    back = {"op": "add", "path": "/spec/replicas", "value": 1}
    assert (json.loads(said["REHEARSAL"]), json.loads(said["DEED"])) == ([uid, back], [uid, still, back])
    assert float(said["WAIT_S"]) < spec["activeDeadlineSeconds"]
    assert subprocess.run(["sh", "-n"], input=container["command"][2], text=True, check=False).returncode == 0


def test_one_that_does_not_get_ready_keeps_the_fault_from_beginning(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadman, "_READY_S", 0.05)
    world(stage).ready = 0
    assert stage.run() == ["planned", "error"]
    assert "did not get ready within 0.05 s, so the fault was not begun" in stage.said("error").data["reason"]
    assert (stage.api.replicas, world(stage).jobs(), stage.journal.open_entries()) == (1, [], [])


@pytest.mark.parametrize("refused", ["jobs", "rolebindings"])
def test_one_that_is_refused_keeps_the_fault_from_beginning(stage: Stage, refused: str) -> None:
    stage.api.refuse_next(f"/{refused}", 403)
    assert stage.run() == ["planned", "error"]
    assert (stage.api.replicas, world(stage).jobs(), stage.journal.open_entries()) == (1, [], [])


def test_the_undo_of_a_killed_run_ends_it_after_the_fault(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    left_running(stage, monkeypatch)
    assert len(world(stage).jobs()) == 1
    stage.api.sent.clear()
    assert undo(stage) == ["done", "done"]
    assert world(stage).changes() == ["PATCH statefulsets/db/scale", "DELETE jobs"]
    assert (stage.api.replicas, world(stage).jobs()) == (1, [])
    assert undo(stage) == []


def test_one_that_has_acted_is_no_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    left_running(stage, monkeypatch)
    stage.api.scale(1)  # as its pod does
    [name] = world(stage).jobs()
    stage.api.remove("jobs", name)  # as its time to live of 0 s does
    assert undo(stage) == ["not-needed", "not-needed"]
    assert stage.journal.open_entries() == []


def test_it_is_kept_where_the_fault_cannot_be_undone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    left_running(stage, monkeypatch)
    monkeypatch.setattr("rollproof.run.teardown._PATIENCE_S", 0.0)
    stage.api.refusing["db/scale"] = 403
    assert undo(stage) == ["failed"]
    assert len(world(stage).jobs()) == 1, "it is the only one who can put it back now"
    assert {entry.kind for entry in stage.journal.open_entries()} == {DEAD_MAN, FAULT.name}
    stage.api.refusing.clear()
    assert undo(stage) == ["done", "done"]


def test_a_job_of_somebody_else_is_left(stage: Stage) -> None:
    dead_man = OwnerJob(namespace="db", after_s=5.5)
    args = dead_man.args(dead_man.new_name("some-fault"))
    assert end_job(stage.kube, args).how == "not-needed"
    stage.api.put("jobs", {"metadata": {"name": args["name"]}, "spec": {}})
    assert end_job(stage.kube, args).how == "left"
    assert world(stage).jobs() == [args["name"]]


def test_an_owner_is_a_job_without_a_pod(stage: Stage) -> None:
    dead_man = OwnerJob(namespace="db", after_s=5.5)
    name = dead_man.new_name("some-fault")
    owner = dead_man.create(stage.kube, name, "20260101T000000Z-all")
    dead_man.arm(stage.kube, owner)
    [(_, _, job)] = stage.api.sent
    assert (job["spec"]["parallelism"], job["spec"]["activeDeadlineSeconds"]) == (0, 6)
    policy = owner.metadata("cut")
    assert policy["ownerReferences"][0]["uid"] == stage.api.objects["jobs", name]["metadata"]["uid"]
    assert policy["labels"]["rollproof.io/run"] == "20260101T000000Z-all"
    assert end_job(stage.kube, dead_man.args(name)).how == "done"


@pytest.mark.processes
def test_a_timer_starts_before_the_fault_and_outlives_it(tmp_path: Path) -> None:
    """Its time is over when the test says so: `sleep` reads a pipe into which nobody has written yet."""
    undone, begun, over, asked = (tmp_path / name for name in ("undone", "begun", "over", "asked"))
    os.mkfifo(over)
    (tmp_path / "sleep").write_text(f"#!/bin/sh\necho $1 >{asked}\nread -r word <{over}\n")
    (tmp_path / "sleep").chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = armed(f": >{undone}; echo done >{over}", 0.2, f": >{begun}; exit 3")
    done = subprocess.run(words, capture_output=True, check=False, env=environ)
    assert (done.returncode, begun.exists(), undone.exists()) == (3, True, False)
    over.write_text("now\n")  # opened only when `sleep` reads
    assert over.read_text() == "done\n", "the undo came"
    assert undone.exists()
    assert asked.read_text() == "1\n"
