"""Causes: the ranked causes of a run as lines of text, the same in every report that is text."""

from __future__ import annotations

from collections.abc import Iterator

from rollproof.core.diagnosis import Cause, Patch
from rollproof.core.verdict import EXIT_UNDO_FAILED
from rollproof.reports.model import Report

__all__ = ["cause_line", "details", "leading"]


def leading(report: Report) -> Cause | None:
    """What the top of a report names: the first cause; where the undo failed, what it left behind."""
    if report.exit_code == EXIT_UNDO_FAILED:
        left = (one for one in report.verdicts if one.checker == "undo" and one.result is report.result)
        found = next((finding for verdict in left for finding in verdict.findings), None)
        if found is not None:
            return Cause(code=found.code, text=found.text, hint=found.hint, checker="undo")
    return report.causes[0] if report.causes else None


def cause_line(cause: Cause) -> str:
    """A cause on one line, with the next step behind an arrow."""
    return f"{cause.code}: {cause.text}" + (f" → {cause.hint}" if cause.hint else "")


def details(cause: Cause) -> Iterator[tuple[str, str]]:
    """(word, sentence): what speaks for and against it, the change or why there is none, and what would prove it."""
    yield from (("for", said) for said in cause.supports)
    yield from (("against", said) for said in cause.contradicts)
    if cause.patch is not None:
        yield "change", _where(cause.patch)
        yield from (("mind", said) for said in cause.patch.caveats)
    elif cause.why_no_patch:
        yield "change", cause.why_no_patch
    if cause.proof:
        yield "proof", cause.proof


def _where(patch: Patch) -> str:
    return f"a new file {patch.file}, then: {patch.apply}"
