"""The stored histories as they are judged, for tests that change nothing of what they get.

In a run with xdist's workers each is judged once, whichever file or worker asks for it. Otherwise each time:
mutation.py has to see which test calls what, and changes the code between two tests.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from pathlib import Path

from rollproof.judge.judging import judge_run
from rollproof.reports.model import Report
from rollproof.store.runfolder import RunFolder

__all__ = ["CASES", "CORPUS", "case_id", "judged"]

CORPUS = Path(__file__).resolve().parents[1] / "histories"
CASES = sorted(path.parent for path in CORPUS.glob("*/*/expected.json"))


def case_id(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def judged(case: Path) -> Report:
    """What is judged of a copy of it now, by the code that is tested."""
    shared = os.environ.get("JUDGED_HISTORIES")  # the folder, where there is one: conftest.py
    stored = Path(shared) / f"{case.parent.name}-{case.name}" if shared else None
    if stored is not None and stored.exists():
        report: Report = pickle.loads(stored.read_bytes())  # noqa: S301 - of a process of this run
        return report
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        copied = Path(folder) / case.name
        shutil.copytree(case, copied)
        with RunFolder.open(copied) as run:
            report = judge_run(run)
        if stored is not None:
            whole = Path(folder) / "report"
            whole.write_bytes(pickle.dumps(report))
            whole.replace(stored)
    return report
