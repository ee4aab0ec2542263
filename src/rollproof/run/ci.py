"""CI: the output for GitHub Actions at the end of a run, in the files and lines that its variables name.

Written where its variables are set, from the stored run: a job summary (`GITHUB_STEP_SUMMARY`), step outputs
(`GITHUB_OUTPUT`) and annotations on standard output. Nothing here may change an exit code: a file that cannot be
written is a sentence on standard error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from rollproof.errors import RollproofError
from rollproof.judge.judging import judge_run
from rollproof.redaction import SECRETS
from rollproof.reports.exports import export, github
from rollproof.reports.model import Report
from rollproof.store.runfolder import RunFolder

__all__ = ["tell_github"]

SUMMARY, OUTPUTS = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"


def tell_github(
    folder: Path, commands: TextIO, complain: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> None:
    """Write what GitHub has asked for; outside of GitHub Actions nothing is done.

    commands: where workflow commands go, as they are: the console would take their force. complain: prints a sentence.
    """
    if environ.get("GITHUB_ACTIONS") != "true" or not (folder / "plan.json").is_file():
        return
    try:
        with RunFolder.open(folder) as stored:
            report = judge_run(stored)
    except RollproofError as error:
        complain(f"GitHub is told nothing about this run: {error}")
        return
    for variable, text in _files(report, folder, environ):
        try:
            with Path(environ[variable]).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            complain(f"{variable} ({environ[variable]}) cannot be written: {error.strerror or error}")
    workspace = Path(environ.get("GITHUB_WORKSPACE") or ".")
    for line in github.workflow_commands(report, there=lambda name: (workspace / name).is_file()):
        print(SECRETS.text(line), file=commands, flush=True)


def _files(report: Report, folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if environ.get(SUMMARY):
        yield SUMMARY, export(report, "github")
    if environ.get(OUTPUTS):
        yield OUTPUTS, SECRETS.text(github.outputs(report, folder / "report.html"))
