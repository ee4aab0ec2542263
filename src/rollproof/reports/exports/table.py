"""CSV, one line a number of a verdict, for spreadsheets and change-point tools; and the JUnit XML of every run.

Columns: run, wall (when the drill began, ISO 8601, UTC), target, platform, drill, check (its stable name), result,
number (its unit is the end of its name) and value. A verdict without numbers has one line with neither.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from rollproof.core.visible import visible
from rollproof.reports.cases import cases, drill_span
from rollproof.reports.junit import junit_xml as junit
from rollproof.reports.model import Report

__all__ = ["junit", "text"]

COLUMNS = ("run", "wall", "target", "platform", "drill", "check", "result", "number", "value")


def text(report: Report) -> str:
    """The table with its header."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(_rows(report))
    return out.getvalue()


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    plan = report.plan
    for case in cases(report):
        verdict = case.verdict
        begun = drill_span(report.facts.get(verdict.drill)).begun
        wall = begun.isoformat(timespec="seconds") if begun else ""
        head = (plan.run_id, wall, plan.target.name, report.platform, verdict.drill, case.name, str(verdict.result))
        for number, value in verdict.numbers.items() or (("", ""),):
            yield tuple(_cell(cell) for cell in (*head, number, "" if value is None else str(value)))


def _cell(text: str) -> str:
    """The text without what a spreadsheet takes for a formula: values come from the cluster (OWASP, CSV injection)."""
    shown = visible(text)
    return f"'{shown}" if shown[:1] in {"=", "+", "@"} or (shown[:1] == "-" and not _number(shown)) else shown


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
