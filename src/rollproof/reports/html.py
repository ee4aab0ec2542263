"""report.html: one self-contained page, from a summary at the top down to single requests.

No network, no external file, works from file://; complete without JavaScript (which adds zoom, details and filter).
Every value goes through the template's escaping: answers of the target and of Argo CD are not trusted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.verdict import EXIT_UNDO_FAILED, WORST_FIRST, Result, Verdict
from rollproof.core.visible import visible
from rollproof.reports import tables
from rollproof.reports.causes import details, leading
from rollproof.reports.cluster_rows import cluster_sections
from rollproof.reports.fault_rows import fault_rows
from rollproof.reports.files import write_whole
from rollproof.reports.kept_rows import kept_rows, last_words, said_rows
from rollproof.reports.model import Report
from rollproof.reports.posture_rows import CHECKER, posture_rows
from rollproof.reports.sentences import data_text, headline, sentence, short_sha
from rollproof.reports.templating import seconds, templates
from rollproof.reports.timeline import Axis, Section, axis_of, ticks
from rollproof.reports.traffic_rows import traffic
from rollproof.reports.words import bottom_line, broken_line, exit_meaning, release_words, stable_name, undo_sentence

__all__ = ["html_page", "write_html"]

_DETAILED_DRILLS = 8  # more share what is drawn for so many: a page of 32 stays below 3 MB
_EVENTS_MAX = 4000  # rows of the event table; the run folder has all events
_OF_REQUESTS = ("availability", "loss", "outage")  # the checkers that count the app's answers
_MARKS = {Result.PASS: "✔", Result.FAIL: "✖", Result.INCONCLUSIVE: "?", Result.SKIPPED: "-"}
_NO_WORD = re.compile(r"[^a-z0-9]+")
_CLASSES = {Result.PASS: "within", Result.FAIL: "over", Result.INCONCLUSIVE: "", Result.SKIPPED: ""}


def write_html(path: Path, report: Report) -> None:
    """Write report.html."""
    write_whole(path, html_page(report))


def html_page(report: Report) -> str:
    """The page as text; a pure function of the report."""
    shown, left_out = _shown_events(report)
    stages, drift, faults = tables.stage_tables(report), tables.drift_rows(report), fault_rows(report)
    linked = {row.seq for table in stages for row in table.rows} | {row.seqs[0] for row in drift}
    linked |= {row.seq for row in faults if row.seq is not None}
    in_html, as_data = _split(report, shown, linked)
    listed = _listed(report)
    share = min(1.0, _DETAILED_DRILLS / max(1, len(report.plan.drills)))
    drills = [_drill(drill, facts, report, share) for drill, facts in report.drills()]
    first, others = _first_timeline(drills, listed)
    kept, cause = kept_rows(report), leading(report)
    begin_s = min((event.start_s for event in report.events()), default=0.0)
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            plan=report.plan,
            mark=_MARKS,
            verdict_class=_CLASSES,
            bottom_line=bottom_line(report),
            exit_meaning=exit_meaning(report.exit_code),
            undo=undo_sentence(report),
            cards=_cards(report, stages),
            blind=tables.blind_spots(report),
            broken=broken_line(report) if report.exit_code == EXIT_UNDO_FAILED else "",
            cause=cause,
            cause_details=details,
            event_rows={event.seq for event in in_html},
            verdicts=_verdict_rows(listed, shown),
            result_counts=_result_counts(listed),
            verdict_drills=list(dict.fromkeys(verdict.drill for verdict in listed if verdict.drill)),
            posture=posture_rows(report.verdicts),
            kept=kept,
            last_words=last_words(kept, cause.drill) if cause is not None else None,
            said=said_rows(report),
            stages=stages,
            drift=[row for row in drift if not row.held],
            drift_beside_faults=[row for row in drift if row.held],
            faults=faults,
            gaps=tables.heal_gaps(report),
            first=first,
            others=others,
            events=[_event_row(event, begin_s) for event in in_html],
            more_events=[_event_data(event, begin_s) for event in as_data],
            begin_s=begin_s,
            left_out=left_out,
            sources=sorted({event.source for event in shown}),
            environment=tables.flat({key: said for key, said in report.environment.items() if key != "target_file"}),
            settings=tables.flat(_plain(report.plan.target)),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drill:
    name: str
    axis: Axis | None
    sections: tuple[Section, ...]
    ticks: tuple[tuple[str, float], ...]
    hover: dict[str, Any] | None
    zooms: tuple[tuple[str, float, float], ...]
    failure_counts: tuple[tuple[str, str, int], ...]
    failures: tuple[tables.FailedRequest, ...]


def _drill(name: str, facts: Facts, report: Report, share: float) -> _Drill:
    axis = axis_of(facts)
    facts = _with_all_watches(facts, report)
    if axis is None:
        return _Drill(
            name=name, axis=None, sections=(), ticks=(), hover=None, zooms=(), failure_counts=(), failures=()
        )  # fmt: skip
    own = [verdict for verdict in report.verdicts if verdict.drill == name]
    sections = cluster_sections(facts, axis, {verdict.subject: verdict for verdict in own})
    judged = [one for verdict in own for one in verdict.intervals]
    section, hover = traffic(facts, axis, judged, share) or (None, None)
    if section is not None:
        at = next((i for i, other in enumerate(sections) if other.title in {"Proof", "Blind"}), len(sections))
        sections.insert(at, section)
    log = facts.requests
    counts, failures = tables.failed_requests(log, axis, share) if log is not None else ([], [])
    return _Drill(
        name=name,
        axis=axis,
        sections=tuple(sections),
        ticks=ticks(axis),
        hover=hover,
        zooms=_zooms(facts, axis, sections),
        failure_counts=tuple(counts),
        failures=tuple(failures),
    )


def _with_all_watches(facts: Facts, report: Report) -> Facts:
    """The drill's facts and earlier watch events: they give the state of pods and Applications at its begin."""
    wanted = {facts.drill, ""}
    events = tuple(event for event in report.events() if event.drill in wanted or event.source == "watch")
    return replace(facts, events=events)


def _zooms(facts: Facts, axis: Axis, sections: list[Section]) -> tuple[tuple[str, float, float], ...]:
    """Intervals worth a look, as buttons: the act, and the first outages with some room around."""
    out = []
    act = facts.first(source="run", what="act")
    if act is not None:
        out.append(("the act", axis.at_ms(act.start_s), axis.at_ms(act.end_s)))
    bars = [bar for section in sections for row in section.rows for bar in row.bars if bar.kind == "outage-bounds"]
    seen: list[tuple[float, float]] = []
    for one in sorted(bars, key=lambda bar: bar.start_ms):
        if seen and one.start_ms <= seen[-1][1]:  # the same time on another lane
            continue
        room_ms = max(one.end_ms - one.start_ms, 500.0)
        seen.append((max(one.start_ms - room_ms, 0.0), min(one.end_ms + room_ms, axis.length_ms)))
    out += [(f"outage {number}", *stretch) for number, stretch in enumerate(seen[:5], start=1)]
    return tuple(out)


def _cards(report: Report, stages: Sequence[tables.StageTable]) -> list[tuple[str, str, str]]:
    """(title, figure, note): the summary at the top."""
    plan = report.plan
    events = report.events()
    took_s = max((e.end_s for e in events), default=0.0) - min((e.start_s for e in events), default=0.0)
    logs = [facts.requests for facts in report.facts.values() if facts.requests is not None]
    cluster = plan.target.cluster
    cards = [
        (
            "Target",
            f"{plan.target.name}, on {report.platform}",
            f"{cluster.context} / {cluster.namespace} / {cluster.deployment}",
        ),
        ("Release", release_words(plan), f"env repo at {short_sha(plan.env_repo_head)}"),
        ("Duration", seconds(took_s), f"from {events[0].wall[:19].replace('T', ' ')} UTC" if events else "no events"),
    ]
    if logs:
        cards.append(("Requests", f"{sum(len(log.rows) for log in logs):,}", _judged_requests(report)))
    for table in stages:
        limit = f"limit {table.limit_s:g} s" if table.limit_s is not None else "from push to proof"
        figure = seconds(table.total_s) if table.total_s is not None else "not reached"
        cards.append(("Rollback" if table.limit_s is not None else "Rollout", figure, limit))
    return cards


def _judged_requests(report: Report) -> str:
    """The requests that the verdicts on the app's answers count, with their numbers."""
    said = [v.numbers for v in report.verdicts if v.checker in _OF_REQUESTS and "requests" in v.numbers]
    if not said:
        return "none of them judged"
    judged, failed = (sum(int(str(one.get(word, 0))) for one in said) for word in ("requests", "failures"))
    return f"{failed:,} of {judged:,} judged ones failed"


def _listed(report: Report) -> list[Verdict]:
    """The verdicts of the first table, worst first; those of posture have a table of their own."""
    listed = [one for one in report.verdicts if one.checker != CHECKER]
    return sorted(listed, key=lambda verdict: WORST_FIRST[verdict.result])


def _verdict_rows(listed: list[Verdict], shown: list[Event]) -> list[tuple[Verdict, list[tuple[int, bool]], str]]:
    """Each verdict with its evidence (is the event's row on this page?) and its anchor, the same in every run."""
    there = {event.seq for event in shown}
    taken: Counter[str] = Counter()
    rows = []
    for verdict in listed:
        name = _NO_WORD.sub("-", f"{verdict.drill} {stable_name(verdict)}".lower()).strip("-")
        taken[name] += 1
        anchor = f"verdict-{name}" + (f"-{taken[name]}" if taken[name] > 1 else "")
        rows.append((verdict, [(seq, seq in there) for seq in verdict.evidence], anchor))
    return rows


def _result_counts(listed: list[Verdict]) -> list[tuple[Result, int]]:
    """How many verdicts of each result are listed, worst first."""
    counts = Counter(verdict.result for verdict in listed)
    return sorted(counts.items(), key=lambda one: WORST_FIRST[one[0]])


def _first_timeline(drills: list[_Drill], listed: list[Verdict]) -> tuple[list[_Drill], list[_Drill]]:
    """The drill whose verdict is the worst comes before the verdicts, with its timeline; then the others."""
    drawn = [drill for drill in drills if drill.axis]
    order = [*dict.fromkeys(verdict.drill for verdict in listed), *(drill.name for drill in drawn)]
    worst = sorted(drawn, key=lambda drill: order.index(drill.name))[:1]
    return worst, [drill for drill in drawn if drill not in worst]


def _split(report: Report, shown: list[Event], linked: set[int]) -> tuple[list[Event], list[Event]]:
    """What is read without JavaScript (evidence, what else a link leads to, and what is not ok), and what is data."""
    cited = linked | {seq for verdict in report.verdicts for seq in verdict.evidence}
    in_html = [event for event in shown if event.seq in cited or event.outcome is not Outcome.OK]
    kept = {event.seq for event in in_html}
    return in_html, [event for event in shown if event.seq not in kept]


def _shown_events(report: Report) -> tuple[list[Event], int]:
    """All events if they fit; else first the evidence and the headlines, then the earliest of the rest."""
    events = report.events()
    if len(events) <= _EVENTS_MAX:
        return list(events), 0
    proof = {seq for verdict in report.verdicts for seq in verdict.evidence}
    ranked = sorted(events, key=lambda event: (event.seq not in proof, not headline(event), event.seq))
    return sorted(ranked[:_EVENTS_MAX], key=lambda event: event.seq), len(events) - _EVENTS_MAX


def _event_row(event: Event, begin_s: float) -> dict[str, object]:
    took_s = event.end_s - event.start_s
    return {
        "seq": event.seq,
        "at": f"{event.start_s - begin_s:.3f}",  # one axis for the whole run, so that the table is in order
        "took": f"{took_s:.3f}" if took_s > 0 else "",
        "wall": f"{event.wall[11:23]} UTC",  # the day is on a card at the top
        "drill": event.drill,
        "source": event.source,
        "what": event.what,
        "outcome": event.outcome,
        "sentence": sentence(event),
        "data": data_text(event.data),
    }


def _event_data(event: Event, begin_s: float) -> list[object]:
    """The same as a list, for the script: its values do not pass the template's own filter of signs."""
    row = _event_row(event, begin_s)
    return [visible(value) if isinstance(value, str) else value for value in row.values()]


def _plain(target: object) -> dict[str, Any]:
    """The target file's settings; a dataclass inside stays nested."""
    if not is_dataclass(target) or isinstance(target, type):
        return {}
    return {field.name: _value(getattr(target, field.name)) for field in fields(target)}


def _value(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
