"""The journal in the cluster: there before the change, bound to its version, bounded, and enough to undo from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import story
from fakeapi import FakeApi
from recorder import ListRecorder

from rollproof.clients.kube import Kube
from rollproof.core.journal import read_journal
from rollproof.core.target import JournalSettings
from rollproof.errors import RunFolderError
from rollproof.store import clusterjournal
from rollproof.store.clusterjournal import (
    BothStores,
    ClusterStore,
    fetch,
    journal_store,
    object_name,
    stored_journals,
)
from rollproof.store.journal import FolderStore, Journal, Undone

RUN = "20260101T000000Z-all"
NAME = "rollproof-journal-20260101t000000z-all"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    fake = FakeApi()
    with fake.serve(tmp_path):
        yield fake


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Kube:  # noqa: ARG001 - it must be up
    return Kube("fake", str(tmp_path / "kubeconfig"))


@pytest.fixture
def store(kube: Kube) -> ClusterStore:
    return ClusterStore(kube, "shop", RUN, '{"schema": 1}')


def both(store: ClusterStore, folder: Path) -> BothStores:
    return BothStores(FolderStore(folder / "undo.jsonl"), store)


def content(api: FakeApi) -> bytes:
    text: str = api.objects["configmaps", NAME]["data"]["undo.jsonl"]
    return text.encode()


def test_an_entry_is_in_both_when_write_returns(api: FakeApi, store: ClusterStore, tmp_path: Path) -> None:
    journal = Journal(both(store, tmp_path), ListRecorder())
    entry = journal.write("tag", "overlay", {"from": "a"})
    journal.made(entry)
    journal.settle(entry, Undone("done"))
    assert content(api) == (tmp_path / "undo.jsonl").read_bytes()
    assert [one.state for one in read_journal(content(api)).entries] == ["done"]
    item = api.objects["configmaps", NAME]
    assert item["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "rollproof"
    assert (item["data"]["run"], item["data"]["plan.json"]) == (RUN, '{"schema": 1}')
    store.delete()
    assert ("configmaps", NAME) not in api.objects


@pytest.mark.parametrize("status", [403, 409, 503])
def test_a_cluster_that_refuses_keeps_the_change_from_being_made(
    api: FakeApi, store: ClusterStore, tmp_path: Path, status: int
) -> None:
    journal = Journal(both(store, tmp_path), ListRecorder())
    journal.write("tag", "overlay", {})
    api.refuse_next(NAME, status)
    with pytest.raises(RunFolderError, match="nothing was changed"):
        journal.write("tag", "another", {})
    assert len(journal.open_entries()) == 1


def test_another_process_that_wrote_since_is_seen(kube: Kube, store: ClusterStore) -> None:
    store.append({"number": 1, "args": {}})
    other = ClusterStore(kube, "shop", RUN, "")
    other.append({"number": 1, "state": "done"})
    with pytest.raises(RunFolderError, match="another process has written it since"):
        store.append({"number": 2, "args": {}})


def test_how_a_change_ended_is_kept_by_the_folder_alone_too(api: FakeApi, store: ClusterStore, tmp_path: Path) -> None:
    journal = Journal(both(store, tmp_path), ListRecorder())
    entry = journal.write("tag", "overlay", {})
    api.refusing[NAME] = 503
    journal.settle(entry, Undone("done"))
    assert [one.state for one in read_journal((tmp_path / "undo.jsonl").read_bytes()).entries] == ["done"]


def test_an_answer_that_was_lost_is_looked_for(api: FakeApi, store: ClusterStore) -> None:
    store.append({"number": 1, "args": {}})
    api.hang_ups[NAME] = 1
    with pytest.raises(RunFolderError, match="may have been done"):
        store.append({"number": 2, "args": {}})
    store.append({"number": 2, "args": {}})
    assert len(read_journal(content(api)).damage) == 2, "two lines without a kind: both are there"


def test_it_is_bounded_and_leaves_room_for_how_changes_end(
    store: ClusterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusterjournal, "_CHANGES_MAX", 100)
    monkeypatch.setattr(clusterjournal, "_SIZE_MAX", 200)
    store.append({"number": 1, "args": {}})
    with pytest.raises(RunFolderError, match="is full"):
        store.append({"number": 2, "args": {"text": "x" * 80}})
    store.append({"number": 1, "state": "done", "reason": "x" * 80})


def test_a_folder_is_made_of_it_and_says_the_same(kube: Kube, store: ClusterStore, tmp_path: Path) -> None:
    line = {"number": 1, "kind": "tag", "subject": "overlay", "args": {"from": "a"}}
    store.append(line)
    [stored] = stored_journals(kube, "shop")
    folder = fetch(stored, tmp_path / "elsewhere")
    assert folder.name == RUN
    assert json.loads((folder / "undo.jsonl").read_text()) == line
    assert (folder / "plan.json").read_text() == '{"schema": 1}'
    with pytest.raises(RunFolderError, match="cannot be made"):
        fetch(stored, tmp_path / "elsewhere")
    assert (folder / "plan.json").is_file(), "what was there is not touched"


@pytest.mark.parametrize("run_id", ["../../etc", "", ".hidden", "a/b", "x" * 200])
def test_a_name_that_is_no_runs_is_passed_over(api: FakeApi, kube: Kube, run_id: str) -> None:
    labels = {"app.kubernetes.io/managed-by": "rollproof"}
    metadata = {"name": object_name(run_id), "namespace": "shop", "labels": labels}
    api.put("configmaps", {"metadata": metadata, "data": {"run": run_id, "undo.jsonl": "", "plan.json": ""}})
    assert list(stored_journals(kube, "shop")) == []


def test_the_target_file_says_where_it_lives(kube: Kube, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    assert isinstance(journal_store(tmp_path, story.plan(), kube), FolderStore)
    target = story.target(journal=JournalSettings(store="cluster"))
    assert isinstance(journal_store(tmp_path, story.plan(target=target), kube), BothStores)
