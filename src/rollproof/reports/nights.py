"""Stored runs -> nights: what verdicts.json of each folder says, without judging again.

A folder that is still being written, damaged, or made by another version is left out and named with its reason; it is
not an error, because a history over a month must not fail at one night.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rollproof.core.commandline import typed
from rollproof.core.nights import FIGURES, Check, Night
from rollproof.core.outside import Outside
from rollproof.core.plan import SCHEMA
from rollproof.core.verdict import Number, Result, Verdict
from rollproof.errors import RunFolderError
from rollproof.reports.words import names_apart, stable_name
from rollproof.store.folderfiles import folders_in, is_file, is_folder
from rollproof.store.reading import PLAN, VERDICTS, DamagedError, read_json

__all__ = ["read_night", "read_nights"]

_FOLDERS_MAX = 10_000
_RESULTS = {str(result): result for result in Result}


def read_nights(roots: Iterable[Path]) -> tuple[list[Night], list[str]]:
    """Every run below these folders (each a run itself, or a folder of runs), oldest first; and what was left out."""
    nights: dict[str, Night] = {}
    left_out: list[str] = []
    for path in _run_folders(roots):
        if not _may_look(path):
            left_out.append(f"{path}: it may not be read: is it somebody else's?")
            continue
        if not is_file(path / VERDICTS):
            left_out.append(f"{path}: no verdicts yet: the run is not over, or was killed")
            continue
        try:
            night = read_night(path)
        except RunFolderError as error:
            left_out.append(f"{path}: {error}")
            continue
        nights.setdefault(night.run, night)
    return sorted(nights.values(), key=lambda night: night.run), left_out


def _run_folders(roots: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for root in roots:
        if is_file(root / PLAN):
            found.append(root)
        elif is_folder(root):
            found += [path for path in folders_in(root) if is_file(path / PLAN) or not _may_look(path)]
        else:
            raise RunFolderError(f"{root} is no run folder and no folder of runs", "name the folder that --reports had")
    if len(found) > _FOLDERS_MAX:
        raise RunFolderError(f"{len(found)} runs are more than can be shown ({_FOLDERS_MAX})", "name fewer folders")
    return found


def _may_look(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def read_night(path: Path) -> Night:
    """One run folder. RunFolderError: it is damaged, or of a version that is not known."""
    who = str(path / VERDICTS)
    if not is_file(path / VERDICTS):
        message = f"{path} has no verdicts: it is no run folder, or the run was killed and not judged since"
        raise RunFolderError(message, f"`ls reports/` shows the runs, {typed('judge', path)} judges one")
    stored = Outside.of(read_json(path / VERDICTS), who, error=DamagedError)
    if stored.integer("schema", SCHEMA) != SCHEMA:
        raise DamagedError(
            f"{who} has schema {stored.integer('schema')}, this version reads {SCHEMA}", "judge it again"
        )
    plan = Outside.of(read_json(path / PLAN), str(path / PLAN), error=DamagedError)
    return Night(
        run=stored.needed("run"), target=plan.child("target").needed("name"), platform=stored.text("target_kind"),
        sha=plan.text("new_sha") or plan.text("old_sha"), result=_result(stored, who),
        exit_code=stored.integer("exit_code", 3),
        checks=tuple(_apart(_check(one, who) for one in stored.objects("verdicts"))),
    )  # fmt: skip


def _apart(checks: Iterable[Check]) -> Iterator[Check]:
    """Each with a name of its own, as the reports give it: two of one name would be two nights of one check."""
    found = list(checks)
    names = names_apart((one.drill, one.name) for one in found)
    return (replace(one, name=name) for one, name in zip(found, names, strict=True))


def _check(stored: Outside, who: str) -> Check:
    checker, result = stored.needed("checker"), _result(stored, who)
    verdict = Verdict(checker, stored.text("subject"), result, stored.text("why"), stored.text("drill"))
    figure, numbers = FIGURES.get(checker, ""), _numbers(stored.child("numbers"))
    value = numbers.get(figure)
    return Check(
        drill=verdict.drill, name=stable_name(verdict), result=result, why=verdict.why, numbers=numbers,
        figure=figure, value=float(value) if isinstance(value, int | float) else None,
    )  # fmt: skip


def _numbers(stored: Outside) -> dict[str, Number]:
    return {str(k): v for k, v in stored.value.items() if isinstance(v, float | int | str | bool | None)}


def _result(stored: Outside, who: str) -> Result:
    word = stored.needed("result")
    if word not in _RESULTS:
        raise DamagedError(f"{who} says result {word!r}, expected one of {', '.join(_RESULTS)}", "judge it again")
    return _RESULTS[word]
