"""The requests' rows of the timeline: versions, rate, latency, and for each lane outages and blind gaps.

Outages and blind gaps are the intervals of the availability verdict, with their bounds: what was not judged is not
drawn as judged. Without such a verdict failed attempts are drawn, and no outages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rollproof.core.counts import many
from rollproof.core.facts import Facts
from rollproof.core.outcomes import Kind, kinds
from rollproof.core.requests import RequestLog
from rollproof.core.verdict import Interval
from rollproof.reports.cluster_rows import version_kind
from rollproof.reports.curves import (
    BUCKETS_MAX,
    Buckets,
    bucketed,
    decades,
    latency_paths,
    log_y,
    stack_paths,
    step_path,
)
from rollproof.reports.timeline import Axis, Bar, Plot, Row, Section, bar

__all__ = ["traffic"]

_HEIGHTS = {"rate": 56, "latency": 72, "lane": 26, "versions": 22}
_FAILURE_MARKS_MAX = 1000  # on a lane; more are drawn as a curve
_BARS_MAX = 200  # in a row, the widest ones
_LEGEND = (
    ("sent", "requests"), ("failed", "failed"), ("outage", "outage, surely"), ("outage-bounds", "outage, at most"),
    ("blind", "widest gap, nobody was looking"), ("band", "latency p50 to p99"),
)  # fmt: skip


def traffic(
    facts: Facts, axis: Axis, judged: Sequence[Interval] = (), share: float = 1.0
) -> tuple[Section, dict[str, Any]] | None:
    """The section and the data for the page's cursor; None without load. `judged`: the verdict's intervals.

    share: of the detail that is drawn where there is room for it.
    """
    log = facts.requests
    if log is None or not len(log.rows):
        return None
    buckets = bucketed(log, axis, int(BUCKETS_MAX * share))
    rows = [_versions(facts, log, buckets), _rate(log, buckets), _latency(buckets)]
    rows += [_lane(log, lane, axis, buckets, judged) for lane in log.lanes]
    late = _late(log, axis)
    rows += [late] if late is not None else []
    return Section(title="Requests", rows=tuple(rows), legend=_LEGEND), _hover(buckets)


def _hover(buckets: Buckets) -> dict[str, Any]:
    """Totals and percentiles of each bucket."""
    return {
        "step_ms": buckets.step_ms,
        "sent": buckets.sent.sum(axis=0).tolist(),
        "failed": buckets.failed.sum(axis=0).tolist(),
        "p50": [None if np.isnan(value) else round(float(value), 1) for value in buckets.p50_ms],
        "p99": [None if np.isnan(value) else round(float(value), 1) for value in buckets.p99_ms],
    }


def _versions(facts: Facts, log: RequestLog, buckets: Buckets) -> Row:
    height = _HEIGHTS["versions"]
    paths = []
    for version, path in zip(log.versions, stack_paths(buckets.versions, buckets.step_ms, height), strict=True):
        if path:
            paths.append((version_kind(facts.plan, version) if version else "none", path))
    return Row(name="answered by", kind="versions", plot=Plot(height=height, paths=tuple(paths)))


def _rate(log: RequestLog, buckets: Buckets) -> Row:
    height = _HEIGHTS["rate"]
    sent, failed = buckets.sent.sum(axis=0), buckets.failed.sum(axis=0)
    top = max(int(sent.max()), 1)
    per_s = 1000 / buckets.step_ms
    paths = (
        ("sent", step_path(height * (1 - sent / top), buckets.step_ms, height)),
        ("failed", step_path(height * (1 - failed / top), buckets.step_ms, height)),
    )
    note = f"{len(log.rows):,} in {buckets.step_ms} ms buckets"
    marks = ((f"{top * per_s:g}/s", 0.0),)
    return Row(name="requests", note=note, kind="rate", plot=Plot(height=height, paths=paths, marks=marks))


def _latency(buckets: Buckets) -> Row:
    height = _HEIGHTS["latency"]
    band, p50, p99 = latency_paths(buckets, height)
    low, high = decades(buckets)
    powers = [10.0**power for power in range(round(np.log10(low)), round(np.log10(high)) + 1)]
    at = log_y(np.array(powers), low, high, height) / height * 100
    marks = tuple((f"{power:g} ms", round(float(y), 1)) for power, y in zip(powers, at, strict=True))
    plot = Plot(height=height, paths=(("band", band), ("p50", p50), ("p99", p99)), marks=marks)
    return Row(name="latency", note="p50 and p99, log scale", kind="latency", plot=plot)


def _lane(log: RequestLog, lane: str, axis: Axis, buckets: Buckets, judged: Sequence[Interval]) -> Row:
    height = _HEIGHTS["lane"]
    number = log.lanes.index(lane)
    sent, failed = buckets.sent[number], buckets.failed[number]
    top = max(int(sent.max()), 1)
    paths = [("sent", step_path(height * (1 - sent / top), buckets.step_ms, height))]
    if int(failed.sum()) > _FAILURE_MARKS_MAX:
        paths.append(("failed", step_path(height * (1 - failed / top), buckets.step_ms, height)))
    elif failed.any():
        paths.append(("failure", _failure_marks(log, number, axis, height)))
    own = [one for one in judged if one.lane == lane]
    bars = [_gap_bar(axis, gap) for gap in own if gap.kind == "blind"]
    for outage in [one for one in own if one.kind == "outage"][:_BARS_MAX]:  # the widest come first
        bars += _outage_bars(axis, outage)
    role = " (not the app)" if lane == log.control else "" if lane in log.open_loop else " (by concurrency)"
    note = f"{int(sent.sum()):,} sent, {int(failed.sum()):,} failed in all"
    plot = Plot(height=height, paths=tuple(paths))
    return Row(name=f"{lane}{role}", note=note, kind="lane", bars=tuple(bars), plot=plot)


def _failure_marks(log: RequestLog, lane: int, axis: Axis, height: int) -> str:
    rows = log.rows[(log.column("lane") == lane) & (kinds(log) == Kind.HARD)]
    at_ms = sorted({axis.at_ns(int(send_ns)) for send_ns in rows["send_ns"]})
    return "".join(f"M{moment:g} 0V{height}" for moment in at_ms)


def _late(log: RequestLog, axis: Axis) -> Row | None:
    """The times at which the generator itself was late: blind on every lane."""
    late = log.engine.late_ns
    if not len(late):
        return None
    widest = late[np.argsort(-late[:, 1], kind="stable")[:_BARS_MAX]]
    bars = [
        bar(
            axis, axis.at_ns(int(at_ns)), axis.at_ns(int(at_ns + late_ns)), "blind",
            tip=f"the generator was {late_ns / 1e6:.1f} ms late",
        )
        for at_ns, late_ns in sorted(widest.tolist())
    ]  # fmt: skip
    return Row(name="generator late", note=many(len(late), "time"), kind="thin", bars=tuple(bars))


def _gap_bar(axis: Axis, gap: Interval) -> Bar:
    return bar(axis, axis.at_ns(gap.begins_ns[0]), axis.at_ns(gap.ends_ns[1]), "blind", tip=gap.text)


def _outage_bars(axis: Axis, outage: Interval) -> list[Bar]:
    low_ms, high_ms = axis.at_ns(outage.begins_ns[0]), axis.at_ns(outage.ends_ns[1])
    bars = [bar(axis, low_ms, high_ms, "outage-bounds", tip=outage.text)]
    if outage.ends_ns[0] > outage.begins_ns[1]:  # the certain part of the outage
        bars.append(
            bar(axis, axis.at_ns(outage.begins_ns[1]), axis.at_ns(outage.ends_ns[0]), "outage", tip=outage.text)
        )
    return bars
