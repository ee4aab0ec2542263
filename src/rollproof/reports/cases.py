"""A verdict as a test case: its stable name, its class, its time, and the file and line to look at.

Used by JUnit and Allure, so that they agree. Pure: facts in, a Case out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollproof.core.act import find_act
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.verdict import Result, Verdict
from rollproof.errors import InputError
from rollproof.reports.model import Report
from rollproof.reports.words import names_apart, stable_name
from rollproof.suites import drill_table

__all__ = ["Case", "Place", "Span", "cases", "drill_span"]

_BY_OVERLAY = frozenset({"release", "rollback", "rollout", "version", "readiness", "availability"})
_LIMITS: Mapping[str, str] = {  # checker -> the setting that its verdict may turn on
    "bad_release": "release.bad.named_within_s", "drift": "drift.limit_s", "fault": "faults.recovery_limit_s",
    "rollback": "rollback.limit_s",
    "load_soundness": "traffic.late_share_max",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """An interval of the run's monotonic clock, and the wall clock time of its begin (None: there are no events)."""

    took_s: float = 0.0
    begun: datetime | None = None

    @property
    def ended(self) -> datetime | None:
        """The wall clock time of its end."""
        return self.begun + timedelta(seconds=self.took_s) if self.begun else None


@dataclass(frozen=True, slots=True)
class Place:
    """A file and its line, counted from 1; 0 if unknown."""

    file: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One verdict, as CI systems see it. `name` and `suite` stay the same from run to run of one target."""

    verdict: Verdict
    suite: str
    name: str
    span: Span
    place: Place | None


def cases(report: Report) -> Iterator[Case]:
    """One case per verdict."""
    names = names_apart((verdict.drill, stable_name(verdict)) for verdict in report.verdicts)
    for verdict, name in zip(report.verdicts, names, strict=True):
        facts = report.facts.get(verdict.drill)
        yield Case(verdict, verdict.drill or "run", name, _span(facts, verdict), _place(report, facts, verdict))


def drill_span(facts: Facts | None) -> Span:
    """From the drill's first event to its last."""
    return _spanned(facts.events, facts.drill) if facts else Span()


def _span(facts: Facts | None, verdict: Verdict) -> Span:
    """The time of the verdict's subject: its trial, act, answers or load; without such events, the whole drill."""
    if facts is None:
        return Span()
    own = _spanned(_events_of(facts, verdict), facts.drill)
    if verdict.checker == "availability" and isinstance(judged_s := verdict.numbers.get("window_s"), float):
        own = Span(judged_s, own.begun)
    return own if own.took_s or own.begun else drill_span(facts)


def _events_of(facts: Facts, verdict: Verdict) -> Iterable[Event]:
    checker, act = verdict.checker, find_act(facts)
    if checker in {"drift", "fault"}:
        return (event for event in facts.find(source=checker) if event.subject == verdict.subject)
    if checker in {"version", "readiness"}:
        what = "version" if checker == "version" else "database"
        since_s = act.started.start_s if act else 0.0
        return (event for event in facts.find(source="proof", what=what) if event.start_s >= since_s)
    if checker == "load_soundness":
        return facts.find(source="load")
    if checker in {"rollout", "release", "rollback"}:
        rollout = find_rollout(facts)
        return rollout.events if rollout else ()
    if checker in {"availability", "bad_release"} and act:
        return act.events
    return ()


def _spanned(events: Iterable[Event], drill: str) -> Span:
    own = [event for event in events if event.drill == drill]
    if not own:
        return Span()
    first = min(own, key=lambda event: event.start_s)
    took_s = max(event.end_s for event in own) - first.start_s
    try:  # an event is written at its end, and `wall` is the time of writing
        begun = datetime.fromisoformat(first.wall) - timedelta(seconds=first.end_s - first.start_s)
        return Span(took_s, begun if begun + timedelta(seconds=took_s) else None)
    except (ValueError, TypeError, OverflowError):  # a damaged folder: it needs a report too
        return Span(took_s)


def _place(report: Report, facts: Facts | None, verdict: Verdict) -> Place | None:
    """The first place to look: the limit if it decided, else the line of the released version, else the drill."""
    setting = _deciding_limit(verdict)
    found = _setting_place(report.environment, setting) if setting else None
    if found is None and verdict.checker in _BY_OVERLAY and facts is not None:
        found = _overlay_place(find_rollout(facts))
    return found or _drill_place(verdict.drill)


def _deciding_limit(verdict: Verdict) -> str:
    """The setting of the target file that decided the verdict, "" if none did."""
    numbers = verdict.numbers
    if verdict.checker == "availability":
        if numbers.get("budget_ms"):
            return "traffic.downtime_budget_ms"
        blind = verdict.result is Result.INCONCLUSIVE and not numbers.get("failures") and "gap_ms_max" in numbers
        return "traffic.resolution_ms" if blind else ""
    if verdict.checker == "rollback" and "push_to_proof_s" not in numbers:
        return ""  # it ended before the limit was compared
    return _LIMITS.get(verdict.checker, "")


def _setting_place(environment: Mapping[str, Any], setting: str) -> Place | None:
    """The line of a setting in the target file, as recorded in the run; for a default the line of its section."""
    noted = environment.get("target_file")
    if not isinstance(noted, Mapping) or not isinstance(path := noted.get("path"), str):
        return None  # a run of an older version, without lines
    lines = noted.get("lines")
    lines = lines if isinstance(lines, Mapping) else {}
    line = lines.get(setting) or lines.get(setting.partition(".")[0]) or 1
    return Place(path, line if isinstance(line, int) else 1)


def _overlay_place(rollout: Rollout | None) -> Place | None:
    place = rollout.overlay_place if rollout else None
    return Place(*place) if place else None


def _drill_place(drill: str) -> Place | None:
    """The file and line of a drill's test; None if it is not one of ours, or cannot be read."""
    try:
        found = drill_table().get(drill)
    except InputError:
        return None
    return Place(found.file, found.line) if found else None
