"""Facts -> one row a log that was kept, and what Kubernetes said meanwhile: the same in every report.

What pods say is outside text: each report escapes it in its own way, and a link leads to a file of the run folder only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rollproof.core.kept import (
    ContainerKept,
    EventKept,
    LogKept,
    file_of,
    kept_containers,
    kept_events,
    kept_logs,
)
from rollproof.reports.model import Report

__all__ = ["LOGS_SHOWN", "KeptRow", "SaidRow", "kept_rows", "kept_text", "last_words", "said_rows"]

LOGS_SHOWN = 3  # logs whose last lines console, job summary and JUnit show; the page shows all


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """A container that was not ready or had restarted. tail: its last lines; file: all that was kept, "" if none."""

    drill: str
    pod: str
    container: str
    state: str
    which: str  # "log", "log before its restart", or "" where none was kept
    tail: tuple[str, ...]
    file: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidRow:
    """An event of Kubernetes. file: all of them."""

    drill: str
    object: str
    reason: str
    warning: bool
    count: int
    message: str
    file: str
    seq: int


def kept_rows(report: Report) -> list[KeptRow]:
    """A row for each kept log, in the order of the run; one without a log for a container that has none."""
    return [
        row
        for drill, facts in report.drills()
        for state in _last(kept_containers(facts))
        for row in _rows(drill, state, kept_logs(facts))
    ]


def said_rows(report: Report) -> list[SaidRow]:
    """What Kubernetes said of the app's objects while something did not reach its end."""
    return [_said(drill, one) for drill, facts in report.drills() for one in kept_events(facts)]


def last_words(rows: Iterable[KeptRow], drill: str) -> KeptRow | None:
    """The first log of that drill in which something was written: of the pod that kept it, from before its restart."""
    return next((row for row in rows if row.drill == drill and row.tail), None)


def kept_text(rows: Iterable[KeptRow]) -> Iterator[str]:
    """The rows as lines of text, each still to be made safe by who prints it."""
    before = ""
    for row in rows:
        whose = f"{row.pod}/{row.container}: {row.state}"
        if whose != before:
            yield whose
        before = whose
        where = f" ({row.file})" if row.file else ""
        if row.which:
            yield f"  {row.which}: nothing was written" if not row.tail else f"  {row.which}, its end{where}:"
        yield from (f"  | {line}" for line in row.tail)


def _last(states: list[ContainerKept]) -> list[ContainerKept]:
    """Of each container the last state: two things may have failed in one drill."""
    return list({(one.pod, one.container): one for one in states}.values())


def _rows(drill: str, state: ContainerKept, logs: list[LogKept]) -> Iterator[KeptRow]:
    own = [one for one in logs if (one.pod, one.container) == (state.pod, state.container)]
    for log in own:
        yield KeptRow(
            drill=drill, pod=state.pod, container=state.container, state=state.words,
            which="log before its restart" if log.previous else "log", tail=log.tail, file=log.file,
            seq=log.event.seq,
        )  # fmt: skip
    if not own:
        yield KeptRow(
            drill=drill, pod=state.pod, container=state.container, state=state.words, which="", tail=(), file="",
            seq=state.event.seq,
        )  # fmt: skip


def _said(drill: str, one: EventKept) -> SaidRow:
    return SaidRow(
        drill=drill, object=one.object, reason=one.reason, warning=one.warning, count=one.count, message=one.message,
        file=file_of(one.event), seq=one.event.seq,
    )  # fmt: skip
