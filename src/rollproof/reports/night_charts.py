"""Nights -> strips and charts with positions, for the page of `rollproof history`. Pure: it draws, and decides nothing.

One column a night, the newest right, the same column in every row of a target and platform. A strip has a bar for each
night (its height says the result, not its colour alone), a chart a point for each figure on a log axis, with the limit
that held in that night.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollproof.core.counts import many
from rollproof.core.nights import Check, Group, Night, group
from rollproof.core.trends import rank_of
from rollproof.core.verdict import Result

__all__ = ["CHART_PX", "NIGHTS_MAX", "STRIP_PX", "Chart", "Mark", "Part", "Point", "Strip", "parts"]

NIGHTS_MAX = 400  # columns of a part; more would be thinner than a pixel on most screens
STRIP_PX, CHART_PX = 18, 120
_WIDTH_PX, _PITCH_MIN_PX, _PITCH_MAX_PX = 960, 3, 22
_PAD_PX = 12  # above the highest and below the lowest step of an axis; what is 0 is drawn in the lower one
_STEPS_MAX = 6
_LEAST, _MOST = 1e-12, 1e15  # what is beyond, as a damaged file may have it, is drawn at that end
_HEIGHTS: Mapping[Result, tuple[int, int]] = {  # top and bottom of a bar
    Result.PASS: (11, 17), Result.FAIL: (1, 17), Result.INCONCLUSIVE: (1, 8), Result.SKIPPED: (16, 17),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a strip: `x` and `width` in pixels, `tip` for a reader who points at it."""

    x: float
    width: float
    top: int
    height: int
    result: Result
    tip: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One check over the nights; `counts` in words."""

    label: str
    counts: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of one night; `odd`: among the worst 5 % of the judged nights before it."""

    x: float
    y: float
    result: Result
    odd: bool
    tip: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure over the nights. `limit` is an SVG path, "" if no night had one; `steps` are (y, label)."""

    label: str
    figure: str
    points: tuple[Point, ...]
    limit: str
    steps: tuple[tuple[float, str], ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Part:
    """The nights of one target and platform. `shas` are (x, sha, run) where another version came."""

    target: str
    platform: str
    nights: tuple[Night, ...]
    left_out: int
    width: float
    shas: tuple[tuple[float, str, str], ...]
    strips: tuple[Strip, ...]
    charts: tuple[Chart, ...]


def parts(nights: Iterable[Night]) -> Iterator[Part]:
    """A part for each target and platform, in the order of their first night."""
    apart: dict[tuple[str, str], list[Night]] = {}
    for night in nights:
        apart.setdefault((night.target, night.platform), []).append(night)
    for (target, platform), own in apart.items():
        shown = own[-NIGHTS_MAX:]
        columns = _Columns(shown)
        groups = list(group(shown))
        whole = Strip("the run", _counts(night.result for night in shown), tuple(columns.runs(shown)))
        yield Part(
            target, platform, tuple(shown), len(own) - len(shown), columns.width, tuple(columns.shas(shown)),
            (whole, *(_strip(one, columns) for one in groups)),
            tuple(chart for one in groups if (chart := _chart(one, columns)) is not None),
        )  # fmt: skip


class _Columns:
    """Which night is where."""

    def __init__(self, nights: Sequence[Night]) -> None:
        self.pitch = min(_PITCH_MAX_PX, max(_PITCH_MIN_PX, _WIDTH_PX / max(1, len(nights))))
        self.width = round(self.pitch * len(nights), 1)
        self._index = {night.run: number for number, night in enumerate(nights)}

    def left(self, night: Night) -> float:
        return round(self._index[night.run] * self.pitch, 1)

    def middle(self, night: Night) -> float:
        return round((self._index[night.run] + 0.5) * self.pitch, 1)

    def mark(self, night: Night, result: Result, why: str) -> Mark:
        top, bottom = _HEIGHTS[result]
        tip = f"{night.run}: {result}, {night.sha}{f': {why}' if why else ''}"
        return Mark(self.left(night), round(max(2.0, self.pitch - 1), 1), top, bottom - top, result, tip)

    def runs(self, nights: Iterable[Night]) -> Iterator[Mark]:
        return (self.mark(night, night.result, "") for night in nights)

    def shas(self, nights: Sequence[Night]) -> Iterator[tuple[float, str, str]]:
        before = ""
        for night in nights:
            if night.sha != before and before:
                yield self.left(night), night.sha, night.run
            before = night.sha or before


def _strip(one: Group, columns: _Columns) -> Strip:
    marks = tuple(
        columns.mark(night, check.result, check.why if check.result is not Result.PASS else "")
        for night, check in one.nights
    )
    return Strip(f"{one.drill} {one.name}", _counts(check.result for _, check in one.nights), marks)


def _counts(results: Iterable[Result]) -> str:
    found = list(results)
    return ", ".join(f"{found.count(result)} {result}" for result in Result if result in found)


def _chart(one: Group, columns: _Columns) -> Chart | None:
    """None if no night has the figure."""
    measured = [(night, check, check.value) for night, check in one.nights if check.value is not None]
    if not measured:
        return None
    limits = [(night, check.limit) for night, check, _ in measured if check.limit is not None and check.limit > 0]
    axis = _Axis([*(value for _, _, value in measured), *(limit for _, limit in limits)])
    figure = next(check.figure for _, check, _ in reversed(measured))
    values = [value for _, _, value in measured]
    summary = f"{many(len(values), 'night')}, newest {values[-1]:g}, from {min(values):g} to {max(values):g}"
    return Chart(
        f"{one.drill} {one.name}", figure, tuple(_points(measured, axis, columns)), _limit(limits, axis, columns),
        axis.steps, summary,
    )  # fmt: skip


def _points(measured: Sequence[tuple[Night, Check, float]], axis: _Axis, columns: _Columns) -> Iterator[Point]:
    before: list[float] = []
    for night, check, value in measured:
        odd = check.sound and rank_of(value, before).odd
        limit = "" if check.limit is None else f", limit {check.limit:g}"
        tip = f"{night.run}: {check.figure} {value:g}{limit}, {check.result}, {night.sha}"
        if odd:
            tip += f" · odd: p = {rank_of(value, before).p:.3f}, N = {len(before)}"
        yield Point(columns.middle(night), axis.y(value), check.result, odd, tip)
        if check.sound:
            before.append(value)


def _limit(limits: Sequence[tuple[Night, float]], axis: _Axis, columns: _Columns) -> str:
    """A level line over the nights that had a limit; one stretch while it stays the same, so that its dashes show."""
    stretches: list[tuple[float, float, float]] = []  # from, to, y
    for night, limit in limits:
        left, y = columns.left(night), axis.y(limit)
        right = round(left + columns.pitch, 1)
        if stretches and stretches[-1][2] == y and abs(stretches[-1][1] - left) < 1:
            stretches[-1] = stretches[-1][0], right, y
        else:
            stretches.append((left, right, y))
    return "".join(f"M{left} {y}H{right}" for left, right, y in stretches)


class _Axis:
    """A log axis from the step (1, 2 or 5 times a power of ten) below the smallest value to that above the largest."""

    def __init__(self, values: Iterable[float]) -> None:
        positive = [_within(value) for value in values if value > 0] or [1.0]
        self._low, self._high = _step_below(min(positive)), _step_above(max(positive))
        if self._low == self._high:
            self._high *= 2

    def y(self, value: float) -> float:
        """From the top. What is 0 or less has no place on a log axis, and is drawn below it."""
        if not value > 0:
            return CHART_PX - 4.0
        share = math.log(_within(value) / self._low) / math.log(self._high / self._low)
        return round(CHART_PX - _PAD_PX - share * (CHART_PX - 2 * _PAD_PX), 1)

    @property
    def steps(self) -> tuple[tuple[float, str], ...]:
        """The lines to draw, at most six: every step, or else powers of ten, or each second of them, and so on."""
        exponents = range(math.floor(math.log10(self._low)), math.ceil(math.log10(self._high)) + 1)
        found = [factor * 10.0**power for power in exponents for factor in (1, 2, 5)]
        within = [one for one in found if self._low * 0.999 <= one <= self._high * 1.001]
        if len(within) > _STEPS_MAX:
            tens = [10.0**power for power in exponents if self._low * 0.999 <= 10.0**power <= self._high * 1.001]
            within = tens[:: math.ceil(len(tens) / _STEPS_MAX)]
        return tuple((self.y(one), f"{one:g}") for one in within)


def _within(value: float) -> float:
    return min(max(value, _LEAST), _MOST)


def _step_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max((factor * power for factor in (1, 2, 5) if factor * power <= value * 1.001), default=power)


def _step_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * 0.999)
