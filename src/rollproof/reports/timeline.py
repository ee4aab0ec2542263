"""Facts of one drill -> rows on one time axis: phases, rollout, Argo CD, pods, endpoints, requests, faults.

Pure data for the template; all times are milliseconds since the drill's first fact. It draws no conclusions: a bar
shows what a watch or the harness reported, and where nothing was observed it shows a blind gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts

__all__ = ["Axis", "Bar", "Plot", "Row", "Section", "axis_of", "bar", "event_bar", "ticks"]

_TICKS_MAX = 10
_TICK_STEPS_MS = tuple(
    factor * unit for unit in (1, 10, 100, 1_000, 10_000, 60_000, 600_000) for factor in (1, 2, 5)
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The drill's interval of the monotonic clock."""

    start_s: float
    length_ms: float

    def at_ms(self, at_s: float) -> float:
        """A monotonic time on this axis, cut to it."""
        return round(min(max((at_s - self.start_s) * 1000, 0.0), self.length_ms), 1)

    def at_ns(self, at_ns: int) -> float:
        """The same for the request log's nanoseconds."""
        return self.at_ms(at_ns / 1e9)

    def percent(self, at_ms: float) -> float:
        """The position in per cent, for CSS."""
        return round(100 * at_ms / self.length_ms, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One interval of a row, or one moment if its length is 0. `kind` is a CSS class, `seq` the event behind it."""

    start_ms: float
    end_ms: float
    left: float  # per cent of the axis
    width: float
    kind: str
    label: str = ""
    tip: str = ""
    seq: int | None = None

    @property
    def moment(self) -> bool:
        """Whether it is drawn as a mark and not as a bar."""
        return self.end_ms <= self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Curves of a row: (CSS class, SVG path) in a box of the axis by `height`; `marks` are (label, y in per cent)."""

    height: int
    paths: tuple[tuple[str, str], ...]
    marks: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the timeline: its name at the left, bars or curves at the right."""

    name: str
    note: str = ""
    kind: str = "bars"
    bars: tuple[Bar, ...] = ()
    plot: Plot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Related rows, under a heading with a legend of (CSS class, word)."""

    title: str
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...] = field(default=())


def axis_of(facts: Facts) -> Axis | None:
    """From the drill's first fact to its last, requests included; None for a drill without facts."""
    own = [event for event in facts.events if event.drill == facts.drill]
    starts, ends = [event.start_s for event in own], [event.end_s for event in own]
    if facts.requests is not None and len(facts.requests.rows):
        rows = facts.requests.rows
        starts.append(float(rows["intended_ns"].min()) / 1e9)
        ends.append(float(max(rows["done_ns"].max(), rows["send_ns"].max())) / 1e9)
    if not starts:
        return None
    return Axis(start_s=min(starts), length_ms=max(round((max(ends) - min(starts)) * 1000, 1), 1.0))


def bar(
    axis: Axis, start_ms: float, end_ms: float, kind: str, *, label: str = "", tip: str = "", seq: int | None = None
) -> Bar:
    """A bar at its position on the axis."""
    left = axis.percent(start_ms)
    width = round(axis.percent(end_ms) - left, 4)
    return Bar(
        start_ms=start_ms, end_ms=end_ms, left=left, width=width, kind=kind, label=label, tip=tip, seq=seq
    )  # fmt: skip


def event_bar(axis: Axis, event: Event, kind: str, *, label: str = "", tip: str = "") -> Bar:
    """A bar for one event; if it is not ok, its class shows that."""
    if event.outcome is not Outcome.OK:
        kind = f"{kind} {event.outcome}"
    return bar(
        axis, axis.at_ms(event.start_s), axis.at_ms(event.end_s), kind, label=label, tip=tip, seq=event.seq
    )  # fmt: skip


def ticks(axis: Axis) -> tuple[tuple[str, float], ...]:
    """Round times along the axis, as (label, per cent)."""
    step_ms = next((step for step in _TICK_STEPS_MS if axis.length_ms / step <= _TICKS_MAX), 0)
    step_ms = step_ms or round(axis.length_ms / _TICKS_MAX)  # days: not round, but no more ticks
    count = int(axis.length_ms // step_ms)
    return tuple((_clock(index * step_ms, step_ms), axis.percent(index * step_ms)) for index in range(count + 1))


def _clock(at_ms: float, step_ms: float) -> str:
    if step_ms >= 60_000:
        return f"{at_ms / 60_000:g} min"
    return f"{at_ms / 1000:g} s"


def merged(bars: Iterable[Bar], axis: Axis) -> tuple[Bar, ...]:
    """Equal neighbouring bars joined: a watch may report the same state again."""
    out: list[Bar] = []
    for one in bars:
        last = out[-1] if out else None
        if last and last.kind == one.kind and last.label == one.label and last.end_ms == one.start_ms:
            out[-1] = bar(axis, last.start_ms, one.end_ms, last.kind, label=last.label, tip=last.tip, seq=last.seq)
        else:
            out.append(one)
    return tuple(out)


def states(axis: Axis, events: Sequence[Event], end_s: float | None = None) -> list[tuple[Event, float, float]]:
    """Each event with the interval in which it was the latest one: until the next, or the end of the axis."""
    out = []
    for index, event in enumerate(events):
        until_s = events[index + 1].start_s if index + 1 < len(events) else end_s
        begin_ms = axis.at_ms(event.start_s)
        until_ms = axis.length_ms if until_s is None else axis.at_ms(until_s)
        if until_ms > begin_ms:
            out.append((event, begin_ms, until_ms))
    return out
