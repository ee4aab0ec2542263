"""Pages of stored runs: one that passed, one that failed, one of which nothing can be claimed, and one of chaos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollproof.judge.judging import judge_run, write_reports
from rollproof.store.runfolder import RunFolder

HISTORIES = Path(__file__).resolve().parents[1] / "histories"
RUNS: Mapping[str, str] = {
    "pass": "good/all", "fail": "bad/exit-at-sigterm-with-settings",
    "inconclusive": "inconclusive/sandbox-generator-stalled", "chaos": "good/node-lost",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """A judged run: its page, and its verdicts.json."""

    name: str
    page: Path
    verdicts: dict[str, Any]


def made(name: str, under: Path) -> Run:
    """The reports of that run, made anew from its stored facts."""
    folder = under / name
    shutil.copytree(HISTORIES / RUNS[name], folder)
    with RunFolder.open(folder) as run:
        write_reports(run, judge_run(run))
    return Run(name, folder / "report.html", json.loads((folder / "verdicts.json").read_text()))
