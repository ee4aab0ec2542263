"""Undoing: the command `undo`: which runs are meant, in folders and in the cluster's journals, and one exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rollproof.clients.kube import Kube
from rollproof.core.verdict import EXIT_UNDO_FAILED
from rollproof.errors import InputError, RollproofError, RunFolderError
from rollproof.reports.console import LiveConsole
from rollproof.run.leftovers import tell_leftovers, unfinished_folders
from rollproof.run.teardown import is_of_target, undo_stored
from rollproof.store.clusterjournal import StoredJournal, fetch, stored_journals
from rollproof.store.folderfiles import folders_in, is_file
from rollproof.target.file import LoadedTarget, load

__all__ = ["undo_runs"]


def undo_runs(
    console: LiveConsole, run: Path | None, reports: Path, *, last: bool, every: bool, target: Path | None
) -> int:
    """Undo the named run, the newest one, or all that are unfinished; the exit code is the worst of them.

    every: all below `reports`, with a target file only those of that target, and those whose journal is in its cluster.
    InputError unless exactly one of the three is asked for.
    """
    if (run is not None) + last + every != 1:
        raise InputError("name a run folder, or say --last or --all", "`ls reports/` shows the runs")
    loaded = load(target) if target is not None else None
    tell_leftovers(loaded, reports, console.say)
    if not every:
        return undo_stored(_newest(reports) if run is None else run, console, target_path=target)
    paths, codes = _all(reports, loaded, console)
    codes += [_undo_one(path, console, target) for path in paths]
    if not codes:
        console.status("nothing was left to undo")
    return EXIT_UNDO_FAILED if EXIT_UNDO_FAILED in codes else max(codes, default=0)


def _undo_one(path: Path, console: LiveConsole, target: Path | None) -> int:
    """One of several: what is wrong with it must not keep the others from being undone."""
    console.status(f"the undo of {path.name}")
    try:
        return undo_stored(path, console, target_path=target)
    except RollproofError as error:
        console.problem(f"{path.name}: {error}", error.hint)
        return error.exit_code


def _all(reports: Path, loaded: LoadedTarget | None, console: LiveConsole) -> tuple[list[Path], list[int]]:
    """Newest first, as entries are undone; a journal of the cluster without a folder here gets one.

    And the exit codes of what cannot be looked at: it is told, and keeps none of the others from being undone.
    """
    paths, codes = [path for path, _ in unfinished_folders(reports)], list[int]()
    if loaded is not None:
        paths = [path for path in paths if _may_be_of(path, loaded)]
        try:
            for stored in _in_cluster(loaded):
                if not os.path.lexists(reports / stored.run_id):
                    paths.append(fetch(stored, reports))
        except RollproofError as error:
            console.problem(f"the journals in the cluster: {error}", error.hint)
            codes.append(error.exit_code)
    return sorted(paths, key=lambda path: path.name, reverse=True), codes


def _may_be_of(path: Path, loaded: LoadedTarget) -> bool:
    """One whose plan cannot be read may be of this target: what is wrong with it is told where it is to be undone."""
    try:
        return is_of_target(path, loaded.target)
    except RollproofError:
        return True


def _in_cluster(loaded: LoadedTarget) -> Iterator[StoredJournal]:
    cluster = loaded.target.cluster
    if loaded.target.journal.store == "cluster":
        yield from stored_journals(Kube(cluster.context, cluster.kubeconfig), cluster.namespace)


def _newest(reports: Path) -> Path:
    runs = [path for path in folders_in(reports) if is_file(path / "plan.json")]
    if not runs:
        raise RunFolderError(f"there is no run in {reports}")
    return max(runs, key=lambda path: path.name)
