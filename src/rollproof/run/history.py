"""`rollproof history` and `rollproof compare`: read the stored nights, print a table and what can be said of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rollproof.core.counts import many
from rollproof.core.nights import Night
from rollproof.errors import InputError, RunFolderError
from rollproof.reports.console import LiveConsole
from rollproof.reports.files import deliver
from rollproof.reports.history import compared, csv_text, rows, statements
from rollproof.reports.nights import read_night, read_nights
from rollproof.reports.output import check_told

__all__ = ["FORMS", "show_comparison", "show_history"]

FORMS = ("table", "html", "json", "csv")


def show_history(
    roots: Sequence[Path], form: str, target: str, console: LiveConsole, out: Path | None = None
) -> None:  # fmt: skip
    """The nights below these folders, of one target if it is named; in one of FORMS, printed, or written to `out`."""
    if form not in FORMS:
        raise InputError(f"there is no format {form!r}", f"known: {', '.join(FORMS)}")
    found, left_out = read_nights(roots)
    nights = [night for night in found if night.target == target] if target else found
    if out is not None and form == "table":
        raise InputError("--out needs a format for programs or a browser", "--format html, json or csv")
    if not nights:
        known = ", ".join(sorted({night.target for night in found}))
        hint = f"targets with runs: {known}" if known else "`rollproof run` makes one"
        raise RunFolderError(f"there is no judged run in {', '.join(map(str, roots))}", hint)
    if form == "table":
        _show_table(nights, left_out, console)
        return
    write = {"html": _html, "json": _json, "csv": _csv}[form]
    deliver(write(nights, left_out), out)


def _html(nights: Sequence[Night], left_out: Sequence[str]) -> str:
    from rollproof.reports.nights_page import nights_page  # noqa: PLC0415 - jinja, for one form of four

    return nights_page(nights, left_out)


def _csv(nights: Sequence[Night], _: Sequence[str]) -> str:
    return csv_text(nights)


def _json(nights: Sequence[Night], left_out: Sequence[str]) -> str:
    checks = [
        {
            "target": row.group.target, "platform": row.group.platform, "drill": row.group.drill,
            "check": row.group.name, "marks": row.marks, "newest": row.newest, "median": row.middle,
            "rank": None if row.rank is None else {**asdict(row.rank), "p": row.rank.p, "odd": row.rank.odd},
            "rate": None if row.change is None else {**asdict(row.change), "worse": row.change.worse},
        }
        for row in rows(nights)
    ]  # fmt: skip
    document = {
        "schema": 1, "nights": len(nights), "checks": checks, "statements": list(statements(nights)),
        "left_out": list(left_out),
    }  # fmt: skip
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def _show_table(nights: Sequence[Night], left_out: Sequence[str], console: LiveConsole) -> None:
    table = rows(nights)
    several = len({(row.group.target, row.group.platform) for row in table}) > 1
    shown = [
        (
            f"{row.group.target} " * several + row.label,
            row.marks,
            *("" if value is None else f"{value:g}" for value in (row.newest, row.middle)),
        )
        for row in table
    ]
    console.table(("check", "nights, newest last", "newest", "median before"), shown)
    span = f"{many(len(nights), 'night')}, {nights[0].run} to {nights[-1].run}"
    console.say("\n".join(["", span, *statements(nights)]))
    for line in left_out:
        console.say(f"left out: {line}")
    check_told(to_people=True)


def show_comparison(one: Path, other: Path, console: LiveConsole) -> None:
    """What differs between two runs; runs of two targets or platforms are not comparable, which is said first."""
    first, second = read_night(one), read_night(other)
    if (first.target, first.platform) != (second.target, second.platform):
        console.say("not comparable: another target or platform; what differs below may come from that alone")
    found = list(compared(first, second))
    if not found:
        console.say("nothing differs (numbers: by less than 2 %)")
    else:
        console.table(("what", first.run, second.run), found)
    check_told(to_people=True)
