"""GitHub Actions: the job summary (Markdown), annotations (workflow commands) and step outputs.

The summary is at most 60,000 bytes, because a comment ends at 65,536 and GitHub drops a step's summary above 1 MiB as a
whole: sections go from the end. GitHub shows 10 annotations of each level a step. Source: docs.github.com, "Workflow
commands for GitHub Actions". Outside text is escaped: it reaches a page that people trust.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from rollproof.core.verdict import WORST_FIRST, Result
from rollproof.core.visible import printable
from rollproof.reports.cases import Case, Place, cases
from rollproof.reports.causes import cause_line, details, leading
from rollproof.reports.kept_rows import LOGS_SHOWN, kept_rows, kept_text
from rollproof.reports.model import Report
from rollproof.reports.tables import StageTable, blind_spots, stage_tables
from rollproof.reports.words import bottom_line, exit_meaning, finding_line, target_line, undo_sentence

__all__ = ["outputs", "text", "workflow_commands"]

BYTES_MAX = 60_000
_ANNOTATIONS_MAX = 10
_ROWS_MAX, _SPOTS_MAX, _WHY_MAX = 200, 20, 400
_MARKS = {Result.PASS: "✅", Result.FAIL: "❌", Result.INCONCLUSIVE: "❔", Result.SKIPPED: "⏩"}


def text(report: Report) -> str:
    """The summary: verdict and sentence, first cause, verdicts, stages, what could not be seen, where the page is."""
    sections = (_head, _cause, _kept, _verdicts, _page, _stages, _blind)
    kept: list[str] = []
    size = 0
    for section in sections:
        written = "\n".join(section(report))
        size += len(written.encode()) + 2
        if size > BYTES_MAX:
            kept.append("*More is in the report page: this summary is cut.*")
            break
        if written:
            kept.append(written)
    return "\n\n".join(kept) + "\n"


def workflow_commands(report: Report, *, there: Callable[[str], bool]) -> Iterator[str]:
    """A workflow command for each FAIL, then for what is INCONCLUSIVE: 10 of each, which is what GitHub shows.

    there: is this file in the workspace? An annotation belongs to a file of the repository whose workflow runs; the
    overlay's tag line is there in the env repo's own workflow only, elsewhere the target file is named.
    """
    for result, level in ((Result.FAIL, "error"), (Result.INCONCLUSIVE, "warning")):
        found = [case for case in cases(report) if case.verdict.result is result]
        for case in found[:_ANNOTATIONS_MAX]:
            yield _annotation(level, case, _annotated(report, case.place, there))


def outputs(report: Report, page: Path) -> str:
    """Lines for `$GITHUB_OUTPUT`: result, exit_code, run, report, outage_ms and rollback_s ("" if not measured)."""
    values = {
        "result": report.result, "exit_code": report.exit_code, "run": report.plan.run_id, "report": page,
        "outage_ms": _worst(report, "availability", "outage_ms_upper"),
        "rollback_s": _worst(report, "rollback", "push_to_proof_s"),
    }  # fmt: skip
    return "".join(f"{name}={printable(str(value))}\n" for name, value in values.items())


def _worst(report: Report, checker: str, number: str) -> float | str:
    found = [verdict.numbers.get(number) for verdict in report.verdicts if verdict.checker == checker]
    return max((float(value) for value in found if isinstance(value, int | float)), default="")


def _head(report: Report) -> Iterator[str]:
    yield f"## {_MARKS[report.result]} {report.result} {_safe(report.plan.target.name)}"
    yield ""
    yield f"**{_safe(bottom_line(report))}**"
    yield ""
    yield f"{_safe(target_line(report))} · exit {report.exit_code}: {_safe(exit_meaning(report.exit_code))}  "
    yield _safe(undo_sentence(report))


def _cause(report: Report) -> Iterator[str]:
    """What the top of every report names, with what speaks for and against it, and its change to be copied."""
    cause = leading(report)
    if cause is None:
        return
    yield f"> **{_safe(cause.code)}**: {_safe(cause_line(cause).partition(': ')[2])}"
    said = [f"- {word}: {_safe(sentence)}" for word, sentence in details(cause)]
    if said:
        yield from ("", *said)
    if cause.patch is not None:
        yield from ("", "```yaml")
        yield from (printable(line).replace("`", "'") for line in cause.patch.text.splitlines())
        yield "```"


def _kept(report: Report) -> Iterator[str]:
    """The last lines of the pods that did not come up, where the run did not pass."""
    rows = kept_rows(report)[:LOGS_SHOWN] if report.causes else []
    if rows:
        yield "<details open><summary>What the pods said last (the files are in the run folder)</summary>"
        yield from ("", "```text")
        yield from (printable(line).replace("`", "'") for line in kept_text(rows))
        yield from ("```", "", "</details>")


def _verdicts(report: Report) -> Iterator[str]:
    yield "| | drill | check | why |"
    yield "|---|---|---|---|"
    ordered = sorted(cases(report), key=lambda case: WORST_FIRST[case.verdict.result])
    for case in ordered[:_ROWS_MAX]:
        verdict = case.verdict
        why = _safe(verdict.why, _WHY_MAX)
        yield f"| {_MARKS[verdict.result]} {verdict.result} | {_safe(verdict.drill)} | {_safe(case.name)} | {why} |"
    if len(ordered) > _ROWS_MAX:
        yield f"| | | {len(ordered) - _ROWS_MAX} more | see the report page |"


def _stages(report: Report) -> Iterator[str]:
    """Each release and rollback as a table, and above it as a gantt chart where Mermaid is drawn."""
    for table in stage_tables(report):
        yield f"### {_safe(table.title)} ({_safe(table.drill)})"
        yield ""
        yield from _gantt(table)
        yield "| stage | took | since the push |"
        yield "|---|---|---|"
        for row in table.rows:
            since = "" if row.since_push_s is None else f"{row.since_push_s:.2f} s"
            yield f"| {_safe(row.name)} | {row.took_s:.2f} s | {since} |"
        limit = "" if table.limit_s is None else f", limit {table.limit_s:g} s"
        yield f"| **push to proof** | | {'not reached' if table.total_s is None else f'{table.total_s:.2f} s'}{limit} |"
        yield ""


def _gantt(table: StageTable) -> Iterator[str]:
    """Times are ms since the first stage. A colon, a semicolon or a `#` in a label would end it."""
    if not table.rows:
        return
    yield "```mermaid"
    yield "gantt"
    yield "    dateFormat x"
    yield "    axisFormat %M:%S"
    begin_ms = 0
    for row in table.rows:
        end_ms = begin_ms + max(1, round(row.took_s * 1000))
        yield f"    {re.sub('[^A-Za-z0-9 -]', ' ', row.name)} :{begin_ms}, {end_ms}"
        begin_ms = end_ms
    yield "```"
    yield ""


def _blind(report: Report) -> Iterator[str]:
    spots = blind_spots(report)
    yield "<details><summary>What could not be seen</summary>"
    yield ""
    yield from (f"- {_safe(spot, _WHY_MAX)}" for spot in spots[:_SPOTS_MAX])
    if len(spots) > _SPOTS_MAX:
        yield f"- and {len(spots) - _SPOTS_MAX} more"
    yield ""
    yield "</details>"


def _page(report: Report) -> Iterator[str]:
    run = _safe(report.plan.run_id)
    page = f"The page with the timeline is `{run}/report.html` in the uploaded reports"
    yield f"{page}; `rollproof judge {run}` judges the stored facts again."


def _annotated(report: Report, place: Place | None, there: Callable[[str], bool]) -> Place | None:
    if place is not None and there(place.file):
        return place
    noted = report.environment.get("target_file")
    path = noted.get("path") if isinstance(noted, dict) else None
    return Place(path, 1) if isinstance(path, str) and there(path) else None


def _annotation(level: str, case: Case, place: Place | None) -> str:
    where = {"file": place.file, "line": str(place.line or 1)} if place else {}
    properties = {**where, "title": f"{case.verdict.result} {case.suite}: {case.name}"}
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    lines = [case.verdict.why, *map(finding_line, case.verdict.findings)]
    return f"::{level} {said}::{_command(chr(10).join(lines))}"


def _command(message: str) -> str:
    """A message of a workflow command: what ends it or begins another one is escaped."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _command(printable(value)).replace(":", "%3A").replace(",", "%2C")


def _safe(value: str, length_max: int = 600) -> str:
    """Outside text on one line of a Markdown table: no HTML, no link, no cell's end."""
    shown = printable(value, length_max=length_max).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", shown)
