"""Actors: each does what its word says, as itself, and nothing without a reason."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollproof_sandbox.actors import Actors
from rollproof_sandbox.api.store import Change, Store
from rollproof_sandbox.envrepo import OVERLAY, EnvRepo
from rollproof_sandbox.settings import Actors as Who
from rollproof_sandbox.settings import Settings
from tests.waiting import until

STRATEGIC = "application/strategic-merge-patch+json"
US = "rollproof <rollproof@localhost>"
Scene = tuple[Store, EnvRepo, Callable[[str], "queue.Queue[Change]"]]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = Store()
    meta = {"name": "shop-config", "namespace": "shop", "labels": {"app": "shop"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"GREETING": "hello", "SIZE": "10Mi"}}
    store.create(config, manager="argocd-controller")
    store.create({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                  "metadata": {"name": "shop", "namespace": "argocd"}, "spec": {}}, manager="kubectl")  # fmt: skip
    repo = EnvRepo.create(tmp_path / "env.git", Settings(), repo_url="http://x/env.git", pod_port=8080)
    made: list[Actors] = []

    def start(name: str) -> queue.Queue[Change]:
        changes: queue.Queue[Change] = queue.Queue()
        store.subscribe(lambda change: changes.put(change) if change.manager != "rollproof" else None)
        made.append(Actors(Who(names=(name,)), store, repo))
        made[-1].start()
        return changes

    yield store, repo, start
    for actors in made:
        actors.stop()


def drift(store: Store, key: str = "GREETING", value: str = "drifted", manager: str = "rollproof") -> None:
    store.patch("ConfigMap", "shop", "shop-config", {"data": {key: value}}, STRATEGIC, manager=manager)


def data(store: Store) -> Any:
    return (store.get("ConfigMap", "shop", "shop-config") or {})["data"]


def push(repo: EnvRepo, tag: str, message: str) -> str:
    old = repo.read(OVERLAY)
    current = old.split('newTag: "')[1].split('"')[0]
    return repo.commit({OVERLAY: old.replace(current, tag)}, message=message, author=US)


def heads(repo: EnvRepo, author: str) -> str:
    """Wait for a commit of that author; its subject."""
    until(lambda: repo.last_commit()[1] == author, lambda: str(repo.last_commit()))
    return repo.last_commit()[2]


def test_a_person_heals_once_as_kubectl_edit(scene: Scene) -> None:
    store, _, start = scene
    changes = start("human-heals")
    drift(store)
    healed = changes.get(timeout=60)
    assert (healed.manager, healed.object["data"]["GREETING"]) == ("kubectl-edit", "hello")


def test_a_person_heals_a_deletion(scene: Scene) -> None:
    store, _, start = scene
    changes = start("human-heals")
    store.delete("ConfigMap", "shop", "shop-config", manager="rollproof")
    healed = changes.get(timeout=60)
    assert (healed.type, healed.manager, healed.object["metadata"]["labels"]) == (
        "ADDED", "kubectl-edit", {"app": "shop"}
    )  # fmt: skip


def test_what_was_restored_is_changed_back_again_and_again(scene: Scene) -> None:
    store, _, start = scene
    drift(store, "SIZE", "11Mi")  # before: not its business
    changes = start("changes-back")
    drift(store)
    for _ in range(2):
        drift(store, "GREETING", "hello", "argocd-controller")
        assert changes.get(timeout=60).manager == "argocd-controller"
        again = changes.get(timeout=60)
        assert (again.manager, again.object["data"]["GREETING"]) == ("kubectl-patch", "drifted")


def test_another_writer_writes_a_third_value(scene: Scene) -> None:
    store, _, start = scene
    changes = start("other-writer")
    drift(store)
    written = changes.get(timeout=60)
    assert (written.manager, written.object["data"]["GREETING"]) == ("other-controller", "drifted-other")
    drift(store, "SIZE", "11Mi")
    assert changes.get(timeout=60).object["data"]["SIZE"] == "12Mi"  # a quantity stays one


def test_a_commit_that_changes_nothing_and_a_refresh(scene: Scene) -> None:
    store, repo, start = scene
    overlay = repo.read(OVERLAY)
    changes = start("noop-commit")
    drift(store)
    asked = changes.get(timeout=60)
    assert asked.object["metadata"]["annotations"] == {"argocd.argoproj.io/refresh": "normal"}
    assert heads(repo, "colleague") == "README: reviewed"
    assert repo.read(OVERLAY) == overlay


def test_a_commit_on_top_of_ours_carries_our_tag(scene: Scene) -> None:
    _, repo, start = scene
    start("superseding-commit")
    push(repo, "b7a2e11", "Deploy")
    assert heads(repo, "colleague") == "README: reviewed"
    assert 'newTag: "b7a2e11"' in repo.read(OVERLAY)


def test_the_tags_line_is_edited_once_our_push_is_synced(scene: Scene) -> None:
    store, repo, start = scene
    start("tag-edit")
    revision = push(repo, "b7a2e11", "Deploy")

    def synced(item: Any) -> None:
        item["status"] = {"sync": {"status": "Synced", "revision": revision}}

    assert repo.head() == revision
    store.mutate("Application", "argocd", "shop", synced, manager="argocd-application-controller")
    assert heads(repo, "colleague") == "Say who writes the tag"
    assert 'newTag: "b7a2e11" # written by the pipeline, never by hand' in repo.read(OVERLAY)


def test_the_image_updater_puts_the_newer_tag_back_after_a_revert(scene: Scene) -> None:
    _, repo, start = scene
    start("image-updater")
    push(repo, "b7a2e11", "Deploy")
    push(repo, "5f1c0de", 'Revert "Deploy"')
    assert heads(repo, "argocd-image-updater") == "build: automatic update to b7a2e11"
    assert 'newTag: "b7a2e11"' in repo.read(OVERLAY)


def test_who_acts_after_a_while_acts_a_little_later_still(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    store, repo, _ = scene
    put: list[float] = []
    monkeypatch.setattr(Actors, "_put", lambda _self, delay_s, _step: put.append(delay_s))
    Actors(Who(later_s=0.25), store, repo).later(1.0, lambda: None)
    assert put == [1.25]


def test_nobody_acts_without_a_reason(scene: Scene) -> None:
    """A Lease, Argo CD's own writes, and what other people push are none."""
    store, repo, start = scene
    changes = start("other-writer")
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "shop"}}
    store.create({**lease, "spec": {"holderIdentity": "a"}}, manager="rollproof")
    store.patch("Lease", "shop", "l", {"spec": {"holderIdentity": "b"}}, STRATEGIC, manager="rollproof")
    drift(store, "GREETING", "hi", "argocd-controller")
    repo.commit({"README.md": "x\n"}, message="Somebody else")
    drift(store)  # a reason, last: what came before had no effect if this is the first that is answered
    assert changes.get(timeout=60).manager == "argocd-controller"
    assert changes.get(timeout=60).object["data"]["GREETING"] == "drifted-other"
    assert changes.empty()
