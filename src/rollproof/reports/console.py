"""The console: what is happening, for how long, how many requests and failures so far; at the end the verdicts.

On a terminal the last line is updated; elsewhere (CI) every line is printed once, so that a log stays readable. It must
never decide anything, never print a traceback, never end a run because its reader is gone (a closed terminal or pipe),
and never take CPU from the load generator: two refreshes a second.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rollproof.core.counts import many
from rollproof.core.diagnosis import Cause
from rollproof.core.event import Event, Outcome
from rollproof.core.plan import Plan, Touch
from rollproof.core.verdict import Result
from rollproof.redaction import SECRETS
from rollproof.reports.causes import cause_line, details
from rollproof.reports.drill_rows import DrillRow, drill_rows
from rollproof.reports.fault_rows import FaultRow, fault_rows
from rollproof.reports.kept_rows import LOGS_SHOWN, kept_rows, kept_text
from rollproof.reports.model import Report
from rollproof.reports.output import Outlet, one_line
from rollproof.reports.posture_rows import CHECKER, FINDING, PostureRow, posture_rows
from rollproof.reports.sentences import headline, sentence, short_sha
from rollproof.reports.words import (
    bottom_line,
    exit_meaning,
    finding_line,
    release_words,
    target_line,
    traffic_rules,
    undo_sentence,
)

__all__ = ["LiveConsole"]

_REFRESH_PER_S = 2
_PLAIN_PROGRESS_S = 10.0  # without a terminal: one progress line per this time
_NARROW = 72  # columns: a table of five columns in less would cut each of them to a few letters
_PLAIN_WIDTH = 200  # CI logs have no width; 80 would break every sentence
_STYLES = {
    Result.PASS: "bold green",
    Result.FAIL: "bold red",
    Result.INCONCLUSIVE: "bold yellow",
    Result.SKIPPED: "dim",
}
_ANSWERS = {True: ("ok", "green"), False: ("NOT OK", "red"), None: ("note", "yellow")}
_MARKS = {Outcome.OK: ("·", "dim"), Outcome.FAIL: ("✖", "bold red"), Outcome.UNKNOWN: ("?", "bold yellow")}


def _planned(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Drill, object, change, undo. A change that several drills make alike is one row with their names."""
    drills: dict[tuple[str, str, str, int], list[str]] = {}
    seen: Counter[Touch] = Counter()
    for touch in plan.touches:
        seen[touch] += 1  # twice in one drill: twice told
        drills.setdefault((touch.subject, touch.change, touch.undo, seen[touch]), []).append(touch.drill)
    each = set(plan.drills) if len(plan.drills) > 1 else None
    return [
        ("each drill" if set(names) == each else ", ".join(names), subject, change, undo)
        for (subject, change, undo, _), names in drills.items()
    ]


class _Rows:
    """A table; where the terminal is too narrow for one, a block for each row, so that nothing of it is cut off."""

    def __init__(self, *head: str, style: str = "bold") -> None:
        self.head, self._style = head, style
        self.rows: list[tuple[str | Text, ...]] = []

    def add_row(self, *cells: str | Text) -> None:
        """One more row."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < _NARROW:
            yield from self._blocks()
            return
        table = Table(box=None, pad_edge=False, header_style=self._style)
        for title in self.head:
            table.add_column(title, overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        yield table

    def _blocks(self) -> Iterator[Text]:
        """Each cell on a line of its own after its title; what is empty is left out."""
        for row in self.rows:
            for title, cell in zip(self.head, row, strict=True):
                if len(cell):
                    yield Text.assemble((f"{title}: ", self._style), cell, overflow="fold")
            yield Text()


def _fault_table(rows: Iterable[FaultRow]) -> _Rows:
    """The end of a run of several faults: one row each."""
    table = _Rows("fault", "evidence", "recovery", "lost", "verdict", "undone")
    for row in rows:
        evidence = row.evidence or row.outcome
        recovery = "-" if row.recovery_s is None else f"{row.recovery_s:.1f} s"
        lost = "-" if row.lost is None else f"{row.lost:,}"
        verdict = Text(row.drill_result, style=_STYLES[row.drill_result])
        table.add_row(Text(_safe(row.fault)), Text(_safe(evidence)), recovery, lost, verdict, Text(row.undone))
    return table


def _drill_table(rows: Iterable[DrillRow]) -> _Rows:
    """The end of a run of several drills: one row each."""
    table = _Rows("drill", "verdict", "took", "why")
    for row in rows:
        took = "-" if row.took_s is None else f"{row.took_s:.0f} s"
        table.add_row(Text(_safe(row.drill)), Text(row.result, style=_STYLES[row.result]), took, Text(_safe(row.why)))
    return table


def _posture_table(rows: Iterable[PostureRow]) -> _Rows:
    """What is not as advised or not known, a block each; then the rest, by name."""
    table = _Rows("level", "check", "found, advised, why")
    for row in (one for one in rows if one.told):
        said = Text(_safe(row.why))
        if row.object:
            said.append(f"\nadvised: {_safe(row.advised)}\n{_safe(row.reason)}")
        said.append(f"\n→ {_safe(row.hint)}", style="dim")
        style = "yellow" if row.level == FINDING else _STYLES[row.result]
        table.add_row(Text(row.level, style=style), Text(_safe(row.check)), said)
    sound = [row.check for row in rows if row.result is Result.PASS and not row.told]
    if sound:
        table.add_row(Text("as advised", style="green"), str(len(sound)), Text(_safe(", ".join(sound))))
    for row in (one for one in rows if one.result is Result.SKIPPED):
        table.add_row(Text("not judged", style="dim"), Text(_safe(row.check)), Text(_safe(row.why), style="dim"))
    return table


def _safe(text: str) -> str:
    """Text from outside, ready to be printed: on one line, without secrets."""
    return one_line(SECRETS.text(text))


class LiveConsole:
    """One run on the console. Every method may be called from any thread."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        out = cast(TextIO, Outlet(stream or sys.stdout))
        width = None if out.isatty() else _PLAIN_WIDTH
        colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(file=out, highlight=False, width=width, color_system=colours)
        self.quiet = False  # one line if all is well; problems, and verdicts other than PASS, are printed in full
        self._clock = clock
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._begin_s = self._phase_s = self._status_s = clock()
        self._phase = self._status = ""
        self._sent = self._failed = 0
        self._progress_s = float("-inf")

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self.quiet:
            self._live = Live(
                get_renderable=self._now_line, console=self._console, refresh_per_second=_REFRESH_PER_S, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        with self._lock:
            live, self._live = self._live, None
        if live is not None:  # outside of our lock: stop() waits for rich's own, which a printing thread may hold
            live.stop()

    def phase(self, name: str) -> None:
        """A phase begins (settle, baseline, act, recovery, steady, undo-check)."""
        with self._lock:
            self._phase, self._phase_s = _safe(name), self._clock()
            self._status = ""
            self._line(Text(f"── {self._phase}", style="bold"))

    def status(self, text: str) -> None:
        """What is being waited for now; on a terminal it is shown with the elapsed time."""
        text = _safe(text)
        with self._lock:
            if text == self._status:
                return
            self._status, self._status_s = text, self._clock()
            if text and self._live is None:
                self._line(Text(f"… {text}"))

    def progress(self, sent: int, failed: int) -> None:
        """Requests and failures so far. Without a terminal a line every ten seconds, and at once for a new failure."""
        with self._lock:
            first_failure = failed > 0 and self._failed == 0
            self._sent, self._failed = sent, failed
            now_s = self._clock()
            if self._live is None and (first_failure or now_s - self._progress_s >= _PLAIN_PROGRESS_S):
                self._progress_s = now_s
                self._line(Text(f"  {self._counts()}"))

    def follow(self, event: Event) -> None:
        """Called by the run folder with every recorded event; prints those that are worth a line."""
        if not headline(event):
            return
        mark, style = _MARKS[event.outcome]
        with self._lock:
            self._line(Text.assemble((mark, style), " ", _safe(sentence(event))))

    def plan(self, plan: Plan) -> None:
        """What the run will touch, and how each change is undone."""
        if self.quiet:
            return
        head = short_sha(plan.env_repo_head)
        lines = [
            f"target {plan.target.name} ({plan.target.cluster.context}/{plan.target.cluster.namespace})",
            f"drills {', '.join(plan.drills)}; release {release_words(plan)}; env repo at {head}",
        ]
        if rules := traffic_rules(plan.target.traffic):
            lines.append(f"allowed while the load runs: {rules}")
        table = _Rows("drill", "object", "change", "undo")
        for row in _planned(plan):
            table.add_row(*(Text(_safe(cell)) for cell in row))
        with self._lock:
            for line in lines:
                self._console.print(Text(_safe(line)), soft_wrap=True)
            self._console.print(table if plan.touches else Text("nothing is changed"))

    def problem(self, text: str, hint: str = "") -> None:
        """Something is wrong with the request or the environment: one message, and what to do next."""
        first, *more = map(_safe, text.split("\n"))  # only our own messages have several lines
        with self._lock:
            self._console.print(Text.assemble(("error: ", "bold red"), first), soft_wrap=True)
            for line in [*more, *map(_safe, hint.splitlines())]:
                self._console.print(Text(f"  {line.strip()}"), soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a text of ours, with all its lines."""
        with self._lock:
            for line in text.split("\n"):
                self._console.print(Text(_safe(line)), soft_wrap=True)

    def answers(self, answers: Iterable[tuple[bool | None, str, str, str]]) -> None:
        """One line for each (True if good, None if neither; what was checked, what was found, what to do about it)."""
        rows = [(ok, _safe(name), _safe(said), _safe(hint)) for ok, name, said, hint in answers]
        width = max((len(name) for _, name, _, _ in rows), default=0)
        with self._lock:
            for ok, name, said, hint in rows:
                word, style = _ANSWERS[ok]
                self._console.print(Text.assemble((f"{word:>7}", style), f"  {name:<{width}}  {said}"), soft_wrap=True)
                if hint and ok is not True:
                    self._console.print(Text(f"{'':>9}{'':<{width}}  -> {hint}"), soft_wrap=True)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table of texts."""
        table = _Rows(*map(_safe, head), style="dim")
        for row in rows:
            table.add_row(*(Text(_safe(cell)) for cell in row))
        with self._lock:
            self._console.print(table)

    def verdicts(self, report: Report, *, folder: Path, written: bool = True) -> None:
        """The end: one row per verdict, the result and its meaning, and the path of the page. Ends the live line.

        written: the page is there; a folder that takes no more has none.
        """
        self._stop()
        if self.quiet and report.exit_code == 0:
            line = Text.assemble((report.result, _STYLES[report.result]), f"  {_safe(bottom_line(report))}")
            line.append(f" report {_safe(str(folder / 'report.html'))}")
            with self._lock:
                self._console.print(line, soft_wrap=True)
            return
        table = _Rows("result", "drill", "checker", "subject", "why")
        looked = posture_rows(report.verdicts)
        for verdict in report.verdicts:
            if verdict.checker == CHECKER and looked:
                continue  # they have a table of their own
            why = Text(_safe(verdict.why))
            for finding in verdict.findings:
                why.append(f"\n{_safe(finding_line(finding))}", style="dim")
            result = Text(verdict.result, style=_STYLES[verdict.result])
            subject = Text(_safe(verdict.subject))
            table.add_row(result, Text(_safe(verdict.drill)), Text(_safe(verdict.checker)), subject, why)
        with self._lock:
            self._console.print(table)
            self._console.print()
            if looked:
                self._console.print(_posture_table(looked))
                self._console.print()
            if len(faults := fault_rows(report)) > 1:
                self._console.print(_fault_table(faults))
                self._console.print()
            elif len(report.plan.drills) > 1:
                self._console.print(_drill_table(drill_rows(report)))
                self._console.print()
            self._causes(report.causes)
            self._kept(report, folder)
            self._console.print(Text(_safe(target_line(report))), soft_wrap=True)
            bottom = f"  {_safe(bottom_line(report))}"
            self._console.print(Text.assemble((report.result, _STYLES[report.result]), bottom), soft_wrap=True)
            self._console.print(Text(f"exit {report.exit_code}: {exit_meaning(report.exit_code)}", style="dim"))
            if report.undo:
                self._console.print(Text(_safe(undo_sentence(report)), style="dim"), soft_wrap=True)
            page = _safe(str(folder / "report.html")) if written else "could not be written"
            self._console.print(Text(f"report {page}"), soft_wrap=True)

    def _causes(self, causes: Sequence[Cause]) -> None:
        """The first cause with its change, which can be copied; the others on a line each. The caller has the lock."""
        for place, cause in enumerate(causes, 1):
            self._console.print(Text(f"cause {place}  {_safe(cause_line(cause))}"), soft_wrap=True)
            if place > 1:
                continue
            for word, said in details(cause):
                self._console.print(Text(f"  {word:<8}{_safe(said)}", style="dim"), soft_wrap=True)
            for line in cause.patch.text.splitlines() if cause.patch is not None else ():
                self._console.print(Text(f"    {_safe(line)}"), soft_wrap=True)
        if causes:
            self._console.print()

    def _kept(self, report: Report, folder: Path) -> None:
        """Of a run that did not pass: the last lines of the pods that did not come up. The caller has the lock."""
        rows = kept_rows(report) if report.causes else []
        for line in kept_text(rows[:LOGS_SHOWN]):
            self._console.print(Text(f"  {_safe(line)}", style="dim"), soft_wrap=True)
        if rows:
            more = f"{many(len(rows) - LOGS_SHOWN, 'more log')}, and " if len(rows) > LOGS_SHOWN else ""
            said = f"{more}what Kubernetes said: {_safe(str(folder / 'report.html'))}#kept"
            self._console.print(Text(f"  {said}", style="dim"), soft_wrap=True)
            self._console.print()

    def _line(self, text: Text) -> None:
        if self.quiet:
            return
        stamp = Text(f"{self._clock() - self._begin_s:7.1f}s ", style="dim")
        self._console.print(Text.assemble(stamp, text), soft_wrap=True)

    def _counts(self) -> str:
        return f"{many(self._sent, 'request')}, {self._failed:,} failed"

    def _now_line(self) -> Text:
        """The current text of the live line.

        It takes no lock: rich calls it while it holds its own, for which a printing thread (that holds ours) waits. A
        line that mixes two states is replaced half a second later.
        """
        now_s = self._clock()
        parts: list[str | tuple[str, str]] = [(self._phase or "preparing", "bold")]
        parts.append(f" {now_s - self._phase_s:.0f} s")
        if self._status:
            parts.append(f" · {self._status} ({now_s - self._status_s:.0f} s)")
        if self._sent:
            parts.append((f" · {self._counts()}", "red" if self._failed else ""))
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
