"""Facts -> the tables of the page: stage times, drift repairs, failed requests, and what could not be seen.

They show the numbers of facts and verdicts, in the order in which a reader needs them. They must not judge: a limit is
printed beside the figure, the result is the verdict's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rollproof.core.backoff import schedule
from rollproof.core.counts import many
from rollproof.core.drift import ArgoState, DriftTrial, drift_trials
from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.kept import unread_parts
from rollproof.core.requests import RequestLog
from rollproof.core.rollout import STAGES, find_rollout
from rollproof.core.runframe import median_delay_ms
from rollproof.core.verdict import Number, Result
from rollproof.core.watched import watch_gaps
from rollproof.reports.model import Report
from rollproof.reports.sentences import data_text, sentence, short_sha
from rollproof.reports.timeline import Axis

__all__ = [
    "DriftRow", "FailedRequest", "StageRow", "StageTable", "blind_spots", "drift_rows", "failed_requests",
    "flat", "heal_gaps", "stage_tables",
]  # fmt: skip

_FAILED_MAX = 200  # of a drill, one by one
_STAGE_WORDS: Mapping[str, str] = {
    "committed": "tag committed", "restarted": "rollout restarted", "pushed": "pushed to the env repo",
    "seen": "seen by Argo CD", "synced": "synced", "rolled-out": "rolled out", "old-gone": "last old pod gone",
    "proven": "version proven",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One stage: its own duration, and how long after the push it ended."""

    name: str
    took_s: float
    since_push_s: float | None  # None before the push
    detail: str
    seq: int
    left: float  # position in a small waterfall, per cent
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTable:
    """The stages of one release or rollback; `limit_s` is None if there is no limit."""

    drill: str
    title: str
    rows: tuple[StageRow, ...]
    total_s: float | None  # push to proof; None if it was not proven
    limit_s: float | None
    result: Result | None  # of the verdict about this act: it alone compares with the limit
    unfinished: str = ""


def stage_tables(report: Report) -> list[StageTable]:
    """A table for each drill that released or rolled back."""
    tables = []
    for drill, facts in report.drills():
        act = find_rollout(facts)
        if act is None:
            continue
        first = act.stages.get("pushed") or act.stages.get("restarted") or act.started
        span_s = max((act.end_s or first.end_s) - act.started.start_s, 0.001)
        rows = []
        for stage in STAGES:
            if stage not in act.stages:
                continue
            event = act.stages[stage]
            rows.append(
                StageRow(
                    name=_STAGE_WORDS[stage],
                    took_s=event.end_s - event.start_s,
                    since_push_s=event.end_s - first.end_s if event.end_s >= first.end_s else None,
                    detail=sentence(event).partition(": ")[2],
                    seq=event.seq,
                    left=round(100 * (event.start_s - act.started.start_s) / span_s, 2),
                    width=round(100 * (event.end_s - event.start_s) / span_s, 2),
                )
            )
        back = act.source == "rollback"
        verdict = next((v for v in report.verdicts if (v.drill, v.checker) == (drill, act.source)), None)
        numbers = verdict.numbers if verdict is not None else {}
        tables.append(
            StageTable(
                drill=drill,
                title=f"{'Rollback' if back else 'Release'} {act.from_sha} → {act.to_sha}",
                rows=tuple(rows),
                total_s=_seconds(numbers, "push_to_proof_s"),
                limit_s=_seconds(numbers, "limit_s") if back else None,
                result=verdict.result if verdict is not None else None,
                unfinished="" if "proven" in act.stages else act.why_unfinished(),
            )
        )
    return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """One trial. Times are None if not measured. `held`: judged beside a fault that was held, by a limit of its own."""

    trial: str
    change: str
    kind: str
    outcome: str
    restored_s: float | None
    backoff_s: float | None
    repair_s: float | None  # restored - back-off: detection + apply
    attempts: str
    by: str
    seqs: tuple[int, ...]
    result: Result | None
    held: bool = False
    held_s: float | None = None  # from the change to the fault's undo
    healed_while_s: float | None = None
    healed_after_s: float | None = None  # from the undo
    limit_s: float | None = None  # of that


def drift_rows(report: Report) -> list[DriftRow]:
    """A row for each trial of every drill."""
    rows = []
    for drill, facts in report.drills():
        verdicts = {v.subject: v for v in report.verdicts if v.drill == drill}
        for trial in drift_trials(facts):
            verdict = verdicts.get(trial.subject)
            numbers, result = (verdict.numbers, verdict.result) if verdict else ({}, None)
            row = _drift_row(trial, numbers, result)
            rows.append(_beside_fault(row, numbers) if verdict and verdict.checker == "meanwhile" else row)
    return rows


def _drift_row(trial: DriftTrial, numbers: Mapping[str, Number], result: Result | None) -> DriftRow:
    events = trial.said
    ends = ("skipped", "error", "void", "not-healed", "stayed", "restored", "injected")
    ended = next((events[what] for what in ends if what in events), None)
    return DriftRow(
        trial=trial.short_name,
        change=trial.change,
        kind="control" if trial.control else "heal",
        outcome=sentence(ended).partition(": ")[2] if ended else "not injected",
        restored_s=_seconds(numbers, "restored_s"),
        backoff_s=_seconds(numbers, "backoff_s") if "restored" in events else None,
        repair_s=_seconds(numbers, "detect_and_apply_s"),
        attempts=f"{_count(trial.before.state)} → {_count(trial.after)}" if trial.before else "",
        by=trial.undone_by or (trial.restored.manager if trial.restored else ""),
        seqs=tuple(event.seq for event in events.values()),
        result=result,
    )


def _beside_fault(row: DriftRow, numbers: Mapping[str, Number]) -> DriftRow:
    return replace(
        row, held=True, held_s=_seconds(numbers, "away_s"), healed_while_s=_seconds(numbers, "healed_while_away_s"),
        healed_after_s=_seconds(numbers, "healed_after_return_s"), limit_s=_seconds(numbers, "limit_s"),
    )  # fmt: skip


def _count(state: ArgoState | None) -> str:
    """Number of heals so far, "?" if unknown."""
    return "?" if state is None or state.attempts is None else str(state.attempts)


def _seconds(numbers: Mapping[str, Number], key: str) -> float | None:
    """A time as the checker computed it: the page computes none itself."""
    value = numbers.get(key)
    return float(value) if isinstance(value, int | float) else None


def heal_gaps(report: Report) -> list[tuple[int, float, bool]]:
    """(heals before, gap in seconds, within the limit) as the drift checker has it from the drill's model."""
    return next((list(rows) for _, facts in report.drills() if (rows := schedule(facts))), [])


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequest:
    """One failed attempt, with what is needed to find it in a server log."""

    at_ms: float
    lane: str
    outcome: str
    status: int
    took_ms: float
    served_by: str
    version: str
    connection: str
    request_id: str


def failed_requests(
    log: RequestLog, axis: Axis, share: float = 1.0
) -> tuple[list[tuple[str, str, int]], list[FailedRequest]]:
    """Counts by (lane, outcome), and the first failures one by one; share: of what is shown where there is room."""
    failed = log.rows[log.column("outcome") != 0]
    counts = Counter((log.lanes[int(row["lane"])], log.outcomes[int(row["outcome"])]) for row in failed)
    rows = []
    for row in failed[: int(_FAILED_MAX * share)]:
        done_ns = int(row["done_ns"]) or int(row["send_ns"])
        reused = f"reused, idle {float(row['idle_ms']):.0f} ms, {int(row['connection_requests'])} served before"
        rows.append(
            FailedRequest(
                at_ms=axis.at_ns(int(row["send_ns"])),
                lane=log.lanes[int(row["lane"])],
                outcome=log.outcomes[int(row["outcome"])],
                status=int(row["status"]),
                took_ms=round((done_ns - int(row["intended_ns"])) / 1e6, 1),
                served_by=log.pods[int(row["served_by"])],
                version=log.versions[int(row["version"])],
                connection=reused if row["reused"] else "new",
                request_id=log.request_id(int(row["k"])),
            )
        )
    return [(lane, outcome, count) for (lane, outcome), count in counts.most_common()], rows


def blind_spots(report: Report) -> list[str]:
    """What this run could not see: the limits of its results."""
    out: list[str] = []
    out += [
        f"{verdict.checker} {verdict.subject} was skipped: {verdict.why}"
        for verdict in report.verdicts
        if verdict.result is Result.SKIPPED
    ]
    for drill, facts in report.drills():
        lost = [gap for gap in watch_gaps(facts) if gap.lost]
        out += [f"{drill}: {sentence(gap.event)}; facts may be missing" for gap in lost]
        for what in ("not-reachable", "log-unreadable"):
            event_found = facts.first(what=what)
            if event_found is not None:
                out.append(f"{drill}: {sentence(event_found)}")
        unanswered = sum(event.outcome is Outcome.UNKNOWN for event in facts.find(source="proof"))
        if unanswered:
            out.append(f"{drill}: {many(unanswered, 'proof')} had no answer")
        out += [f"{drill}: {sentence(event)}" for event in unread_parts(facts) if event.outcome is Outcome.UNKNOWN]
        if facts.requests is not None:
            out += [f"{drill}: {text}" for text in (*_widest_gap(report, facts), *_blind_load(facts.requests))]
    delay = next((event for event in report.events() if (event.source, event.what) == ("run", "calibrated")), None)
    if delay is not None:
        late = f"{median_delay_ms(delay)} ms late (median)"
        out.append(f"what the cluster did is shown at the time at which its watch told us: {late}")
    else:
        out.append("the watch delay was not measured, so times of cluster facts have no error bar")
    return list(dict.fromkeys(out))


def _widest_gap(report: Report, facts: Facts) -> list[str]:
    """The widest gap of the window, from the availability verdict."""
    said = [v.numbers for v in report.verdicts if v.drill == facts.drill and "gap_ms_max" in v.numbers]
    return [
        f"an outage shorter than {float(str(one['gap_ms_max'])):.0f} ms could have gone unseen "
        f"(widest gap, lane {one.get('gap_lane', '?')})"
        for one in said
        if one["gap_ms_max"]
    ]


def _blind_load(log: RequestLog) -> list[str]:
    out = []
    if not log.control:
        out.append("there was no control lane: trouble on the way in and trouble of the app look the same")
    if set(log.lanes) <= {*log.open_loop, log.control}:
        out.append("there was no slow lane: a pod that drops the requests in its hands is seen by luck only")
    engine = log.engine
    if engine.dropped or engine.unfinished:
        out.append(f"{many(engine.dropped, 'request')} not sent (in-flight cap), {engine.unfinished} never finished")
    if engine.scheduling == "normal":
        out.append("the generator ran with normal scheduling: other work on this host can delay it")
    return out


def flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted rows, for the environment and plan tables."""
    if isinstance(value, Mapping):
        rows: list[tuple[str, str]] = []
        for key, inner in value.items():
            rows += flat(inner, f"{prefix}.{key}" if prefix else str(key))
        return rows
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        return [(f"{prefix}[{index}]", data_text(item)) for index, item in enumerate(value)]
    if isinstance(value, list | tuple):
        return [(prefix, ", ".join(str(item) for item in value))]
    return [(prefix, short_sha(value))]
