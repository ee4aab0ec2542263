"""The stored histories as they are judged, for tests that change nothing of what they get.

In a run with workers each is judged once, whichever file or worker asks for it. Otherwise each time: mutation.py has
to see which test calls what, and changes the code between two tests.
"""

from __future__ import annotations

import atexit
import pickle
import shutil
import tempfile
from pathlib import Path

from rollproof.judge.judging import judge_run
from rollproof.reports.model import Report
from rollproof.store.runfolder import RunFolder

__all__ = ["CASES", "CORPUS", "case_id", "judged", "share"]

CORPUS = Path(__file__).resolve().parents[1] / "histories"
CASES = sorted(path.parent for path in CORPUS.glob("*/*/expected.json"))
_SHARED: list[Path] = []  # the folder, where there is one


def case_id(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def share() -> None:
    """From now on, in this process and those that will be forked from it."""
    _SHARED.append(Path(tempfile.mkdtemp(prefix="rollproof-judged-")))
    atexit.register(shutil.rmtree, _SHARED[0], ignore_errors=True)


def judged(case: Path) -> Report:
    """What is judged of a copy of it now, by the code that is tested."""
    stored = _SHARED[0] / f"{case.parent.name}-{case.name}" if _SHARED else None
    if stored is not None and stored.exists():
        report: Report = pickle.loads(stored.read_bytes())  # noqa: S301 - of a process of this run
        return report
    with tempfile.TemporaryDirectory(dir=_SHARED[0] if _SHARED else None) as folder:
        copied = Path(folder) / case.name
        shutil.copytree(case, copied)
        with RunFolder.open(copied) as run:
            report = judge_run(run)
        if stored is not None:
            whole = Path(folder) / "report"
            whole.write_bytes(pickle.dumps(report))
            whole.replace(stored)
    return report
