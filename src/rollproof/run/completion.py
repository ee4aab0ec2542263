"""Shell completion: names of drills, of trials, and of the runs that exist. Never raises."""

from __future__ import annotations

import os
from pathlib import Path

from rollproof.reports.exports import FORMS
from rollproof.store.folderfiles import folders_in, is_file
from rollproof.suites import SETS, drill_names

__all__ = ["drills", "fitting", "forms", "runs", "trials"]


def drills(incomplete: str) -> list[str]:
    """Names of drills."""
    return fitting([*drill_names(), *SETS], incomplete)


def trials(incomplete: str) -> list[str]:
    """Names of drift trials."""
    from rollproof.core.trials import TRIALS  # noqa: PLC0415 - each key that is pressed pays for an import

    return fitting([*TRIALS], incomplete)


def forms(incomplete: str) -> list[str]:
    """Names of export formats."""
    return fitting([*FORMS], incomplete)


def runs(incomplete: str) -> list[str]:
    """Run folders below the reports folder, the newest first."""
    reports = Path(os.environ.get("ROLLPROOF_REPORTS") or "reports")
    found = [path.name for path in reversed(folders_in(reports)) if is_file(path / "plan.json")]
    return fitting(found, incomplete)


def fitting(names: list[str], incomplete: str) -> list[str]:
    """The names that begin with `incomplete`."""
    return [name for name in names if name.startswith(incomplete)]
