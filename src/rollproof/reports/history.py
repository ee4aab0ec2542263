"""`rollproof history` and `compare`: what the nights say, in rows and sentences. It decides no verdict.

Each statement has its test, its p, its N and what it takes for granted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from rollproof.core.counts import many
from rollproof.core.nights import Check, Group, Night, group, inconclusive_in_a_row
from rollproof.core.trends import NIGHTS_MIN, Rank, RateChange, bad_share_bounds, rank_of, rate_change
from rollproof.core.verdict import Result
from rollproof.core.visible import visible

__all__ = ["Row", "Said", "Statement", "compared", "csv_text", "rows", "said", "statements"]

_MARKS = {Result.PASS: ".", Result.FAIL: "F", Result.INCONCLUSIVE: "?", Result.SKIPPED: "-"}
_SHOWN = 30  # nights of a row
_ALARM = 3  # INCONCLUSIVE nights in a row: the harness is ill, whatever the app is
_MET = 0.02  # a number that differs by less than this share is the same, for `compare`


class Said(StrEnum):
    """What a statement is about."""

    ALARM = "alarm"
    ODD = "odd"
    WORSE = "worse"
    TOO_FEW = "too-few"
    BOUND = "bound"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence with its test, p, N and assumption."""

    kind: Said
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One check over the nights, the newest last in `marks`."""

    group: Group
    marks: str
    newest: float | None
    middle: float | None
    rank: Rank | None
    change: RateChange | None

    @property
    def label(self) -> str:
        """The drill and the check."""
        return f"{self.group.drill} {self.group.name}"


def rows(nights: Sequence[Night]) -> list[Row]:
    """A row a check, of targets and platforms apart."""
    return [_row(one) for one in group(nights)]


def _row(one: Group) -> Row:
    checks = [check for _, check in one.nights]
    marks = "".join(_MARKS[check.result] for check in checks[-_SHOWN:])
    figures = one.figures
    newest = checks[-1].value
    sound = newest is not None and checks[-1].sound
    before = figures[:-1] if sound else figures
    rank = rank_of(newest, before) if sound and newest is not None and before else None
    return Row(one, marks, newest, median(before) if before else None, rank, rate_change(one.failed))


def statements(nights: Sequence[Night]) -> Iterator[str]:
    """The sentences of `said`."""
    return (one.text for one in said(nights))


def said(nights: Sequence[Night]) -> Iterator[Statement]:
    """What is out of the ordinary, what cannot be said yet, and what the clean nights bound."""
    found = rows(nights)
    tested = [row for row in found if row.rank is not None and row.rank.enough]
    for row in tested:
        if row.rank and row.rank.odd:
            yield Statement(Said.ODD, _odd(row, row.rank, len(tested)))
    for row in found:
        if row.change and row.change.worse:
            yield Statement(Said.WORSE, _worse(row, row.change))
    few = [row.rank.nights for row in found if row.rank is not None and not row.rank.enough]
    if few:
        text = f"too few nights to call a figure odd: {min(few)} to {max(few)} of {NIGHTS_MIN}"
        why = f"{text} ({many(len(few), 'check')}; the rank test's smallest p is 1/(N+1))"
        yield Statement(Said.TOO_FEW, why)
    yield from _bounds(nights)
    yield from _harness(nights)


def _odd(row: Row, rank: Rank, tested: int) -> str:
    figure = next(check.figure for _, check in reversed(row.group.nights) if check.figure)
    bonferroni = min(1.0, rank.p * tested)
    return (
        f"{row.label} is odd: {figure} {row.newest:g}, median {row.middle:g}; {rank.at_least_as_bad} of "
        f"{rank.nights} nights were as bad (rank test, one-sided: p = {rank.p:.3f}, N = {rank.nights}, nights taken as "
        f"exchangeable; {bonferroni:.2f} after Bonferroni for {many(tested, 'figure')})"
    )


def _worse(row: Row, change: RateChange) -> str:
    return (
        f"{row.label} fails more often: {change.failures} of the last {many(change.nights, 'night')}, "
        f"{change.failures_before} of the {change.nights_before} before (Fisher's exact test, one-sided: "
        f"p = {change.p:.3f}, N = {change.nights + change.nights_before}, nights taken as independent)"
    )


def _bounds(nights: Sequence[Night]) -> Iterator[Statement]:
    for whose in dict.fromkeys(night.of for night in nights):
        own = [night for night in nights if night.of == whose]
        sound = [night for night in own if night.result in (Result.PASS, Result.FAIL)]
        if sound:
            failures = sum(night.result is Result.FAIL for night in sound)
            low, high = bad_share_bounds(failures, len(sound))
            yield Statement(
                Said.BOUND,
                f"{whose}: {failures} of {many(len(sound), 'judged night')} failed: the share of bad ones is between "
                f"{low:.1%} and {high:.1%} (Clopper and Pearson, each end 95 %, nights taken as independent)",
            )


def _harness(nights: Sequence[Night]) -> Iterator[Statement]:
    for whose in dict.fromkeys(night.of for night in nights):
        own = [night for night in nights if night.of == whose]
        blind = sum(night.result is Result.INCONCLUSIVE for night in own)
        if blind:
            text = f"{whose}: {blind} of {many(len(own), 'night')} were INCONCLUSIVE, and say nothing about the app"
            yield Statement(Said.BLIND, text)
        if (row := inconclusive_in_a_row(own)) >= _ALARM:
            text = f"ALARM {whose}: the last {row} nights were all INCONCLUSIVE: look at the harness, not at the app"
            yield Statement(Said.ALARM, text)


def csv_text(nights: Iterable[Night]) -> str:
    """A line a night: time, commit, then a column for each figure, as Apache Otava's CSV importer reads it."""
    ordered = list(nights)
    names = list(
        dict.fromkeys(_column(check) for night in ordered for check in night.checks if check.value is not None)
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", "commit", "target", *names])
    for night in ordered:
        values = {_column(check): check.value for check in night.checks if check.value is not None}
        row = [values.get(name, "") for name in names]
        writer.writerow([_time(night.run), visible(night.sha), visible(night.target), *row])
    return out.getvalue()


def _column(check: Check) -> str:
    return visible(f"{check.drill}.{check.name}.{check.figure}".replace(" ", "."))


def _time(run: str) -> str:
    """The begin, from the run's name: 20260101T020304Z-all."""
    digits = run.partition("-")[0]
    if len(digits) != 16:
        return run
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[9:11]}:{digits[11:13]}:{digits[13:15]}Z"


def compared(one: Night, other: Night) -> Iterator[tuple[str, str, str]]:
    """(what, in the first, in the second) of all that differs: settings first, then verdicts, then numbers.

    A number counts as different from 2 % on.
    """
    for what in ("target", "platform", "sha", "result"):
        first, second = str(getattr(one, what)), str(getattr(other, what))
        if first != second:
            yield what, first, second
    here, there = ({(c.drill, c.name): c for c in night.checks} for night in (one, other))
    for key in [*here, *(key for key in there if key not in here)]:
        name, first_check, second_check = " ".join(key), here.get(key), there.get(key)
        if first_check is None or second_check is None:
            yield name, _result(first_check), _result(second_check)
            continue
        if first_check.result is not second_check.result:
            yield name, _result(first_check), _result(second_check)
        yield from _numbers(name, first_check, second_check)


def _numbers(name: str, one: Check, other: Check) -> Iterator[tuple[str, str, str]]:
    first, second = one.numbers or {}, other.numbers or {}
    for number, value in first.items():
        against = second.get(number)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(against, int | float):
            continue
        larger = max(abs(value), abs(against))
        if larger and abs(value - against) / larger >= _MET:
            yield f"{name}: {number}", f"{value:g}", f"{against:g}"


def _result(check: Check | None) -> str:
    return "not judged" if check is None else str(check.result)
