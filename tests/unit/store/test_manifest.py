"""Facts that were changed after the run are no claim; a folder from elsewhere is not trusted (C7)."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from story import plan, target
from targettoml import target_toml

from rollproof.core.event import Outcome
from rollproof.core.verdict import Result
from rollproof.errors import InputError
from rollproof.judge.judging import judge_run
from rollproof.preflight.checks import Clients
from rollproof.reports.console import LiveConsole
from rollproof.run import teardown
from rollproof.run.teardown import handlers, undo_stored
from rollproof.store import manifest
from rollproof.store.journal import Undone
from rollproof.store.runfolder import UNDO, RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with RunFolder.create(tmp_path / "run", plan()) as folder:
        folder.write_environment({})
        folder.drill = "zero-downtime"
        folder.record("run", "drill", "started")
        folder.record("run", "drill", "error", outcome=Outcome.UNKNOWN, data={"reason": "x"})
        (folder.path / "undo.jsonl").write_text("")
    manifest.seal(folder.path)
    return folder.path


def test_facts_as_they_were_are_no_change_and_neither_is_an_undo_that_goes_on(run: Path) -> None:
    assert manifest.changes(run) == ()
    with RunFolder.open_for_undo(run) as folder:
        folder.drill = UNDO
        folder.record("run", "phase", "undo-check")
        (run / "undo.jsonl").write_text('{"number": 1, "kind": "a", "subject": "x", "args": {}}\n')
    assert manifest.changes(run) == ()


def edited(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))


def longer(path: Path) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps({"drill": "zero-downtime"}) + "\n")


CHANGED = [
    ("plan.json", edited), ("timeline.jsonl", edited), ("timeline.jsonl", longer), ("plan.json", longer),
    ("environment.json", longer), ("environment.json", Path.unlink), ("undo.jsonl", Path.unlink),
    ("requests-drift.npz", Path.touch), ("manifest.json", longer),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), CHANGED)
def test_a_changed_fact_is_seen_and_stays_seen(run: Path, name: str, change: object) -> None:
    assert callable(change)
    change(run / name)
    seen = manifest.changes(run)
    assert seen
    assert name in seen[0]
    manifest.seal(run)
    assert manifest.changes(run) == seen


def test_no_claim_comes_from_changed_facts(run: Path) -> None:
    longer(run / "environment.json")
    (run / "environment.json").write_text("{}")
    report = judge_run(RunFolder.open(run))
    assert (report.result, report.exit_code) == (Result.INCONCLUSIVE, 3)
    assert any("the facts were changed after the run: environment.json" in verdict.why for verdict in report.verdicts)


# -- from elsewhere ----------------------------------------------------------------------------------------------------


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an undo would have reached for."""
    reached: list[str] = []

    def of(loaded: object) -> Clients:
        reached.append(repr(loaded))
        raise InputError("reached")

    monkeypatch.setattr(teardown.Clients, "of", of)
    return reached


def undone(run: Path, target_path: Path | None = None) -> None:
    undo_stored(run, LiveConsole(io.StringIO()), target_path=target_path)


def test_c7_a_folder_that_was_made_here_is_undone_as_it_says(run: Path, touched: list[str]) -> None:
    with pytest.raises(InputError, match="reached"):
        undone(run)
    assert touched


@pytest.mark.parametrize("how", ["another machine", "no mark", "plan changed", "mark is a link"])
def test_c7_a_folder_from_elsewhere_reaches_nothing_without_a_target(
    run: Path, touched: list[str], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "another machine":
        monkeypatch.setattr(manifest, "_KEYS", (run / "plan.json",))
    elif how == "no mark":
        (run / "origin.json").unlink()
    elif how == "mark is a link":
        (run / "origin.json").rename(run / "real.json")
        (run / "origin.json").symlink_to(run / "real.json")
    else:
        text = (run / "plan.json").read_text()
        (run / "plan.json").write_text(text.replace('"kubeconfig": ""', '"kubeconfig": "/tmp/evil"', 1))
    with pytest.raises(InputError, match="not made on this machine") as refused:
        undone(run)
    assert "--target" in refused.value.hint
    assert touched == []


def test_c7_a_target_file_of_another_target_is_refused(run: Path, tmp_path: Path, touched: list[str]) -> None:
    path = tmp_path / "target.toml"
    path.write_text(target_toml(overlay="overlays/other"))
    with pytest.raises(InputError, match="made on another target"):
        undone(run, path)
    assert touched == []


ENTRIES = [
    ("field-restore", {"kind": "ConfigMap", "namespace": "kube-system", "name": "c", "path": ["data", "k"]}),
    ("field-restore", {"kind": "Application", "namespace": "shop", "name": "c", "path": ["spec"]}),
    ("object-restore", {"object": {"kind": "ConfigMap", "metadata": {"namespace": "kube-system", "name": "c"}}}),
    ("object-restore", {"object": {"kind": "ClusterRole", "metadata": {"namespace": "shop", "name": "c"}}}),
    ("lease-release", {"namespace": "kube-system", "run_id": "x"}),
]


@pytest.mark.parametrize(("kind", "args"), ENTRIES)
def test_c7_nothing_outside_of_the_fences_is_touched_whatever_the_journal_says(kind: str, args: dict[str, str]) -> None:
    fenced = handlers(replace(plan(), target=target()), Clients(None, None, None, None), lambda _: Undone("done"))  # type: ignore[arg-type]
    try:
        how = fenced[kind](args).how
    except InputError as error:
        how = str(error)
    assert how == "failed" or "outside of the fences" in how
