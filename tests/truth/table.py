"""The track record in words and as a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rollproof.sandbox.defects import DEFECTS, GROUPS

from .case import Outcome

__all__ = ["page", "summary"]

_HEAD = """# The track record

Every defect of the sandbox (`rollproof sandbox --list`), the shortest drill that shows it, and what rollproof said.
*Caught*: the right result. *Named*: by the right checker, with the right cause. Made by `make truth`; do not edit.
"""


def summary(outcomes: Sequence[Outcome], *, took_s: float) -> Iterator[str]:
    """The figures, one a line."""
    defects = [one for one in outcomes if DEFECTS[one.name].group != "sound"]
    sound = [one for one in outcomes if DEFECTS[one.name].group == "sound"]
    if defects:
        caught, named = sum(one.caught for one in defects), sum(one.named for one in defects)
        yield f"defects: {caught} of {len(defects)} caught, {named} named ({named / len(defects):.0%})"
    if sound:
        results = [one.result for one in sound]
        passed, opened = results.count("PASS"), results.count("INCONCLUSIVE")
        yield f"sound runs: {passed} of {len(sound)} PASS, {opened} INCONCLUSIVE, {len(sound) - passed - opened} other"
    yield f"time: {took_s / 60:.1f} min"


def page(outcomes: Sequence[Outcome], *, took_s: float) -> str:
    """docs/truth.md."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    host = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    lines = [_HEAD, f"{now}, {host}.", "", *(f"* {line}" for line in summary(outcomes, took_s=took_s))]
    for group in GROUPS:
        chosen = [one for one in outcomes if DEFECTS[one.name].group == group]
        if group == "sound":
            lines += _sound(chosen)
        elif chosen:
            lines += [
                "",
                f"## {group}",
                "",
                "| defect | what is wrong | drill | said | by | cause | s |",
                "|" + "---|" * 7,
            ]
            lines += [_row(one) for one in chosen]
    return "\n".join(lines) + "\n"


def _row(one: Outcome) -> str:
    defect = DEFECTS[one.name]
    said = one.result if one.caught else f"**{one.result}** (must be {defect.result})"
    by = defect.checker or "the run"
    cause = (defect.cause or "-") if one.named else "not named"
    return f"| `{one.name}` | {defect.text} | {' '.join(defect.drill)} | {said} | {by} | {cause} | {one.took_s:.0f} |"


def _sound(chosen: Sequence[Outcome]) -> list[str]:
    if not chosen:
        return []
    lines = ["", "## sound", "", "| control | what is unusual | runs | PASS | INCONCLUSIVE | other |", "|" + "---|" * 6]
    for name in dict.fromkeys(one.name for one in chosen):
        results = [one.result for one in chosen if one.name == name]
        passed, opened = results.count("PASS"), results.count("INCONCLUSIVE")
        other = len(results) - passed - opened
        lines.append(f"| `{name}` | {DEFECTS[name].text} | {len(results)} | {passed} | {opened} | {other} |")
    open_ones = [one for one in chosen if one.result != "PASS"]
    for one in open_ones:
        lines += ["", f"`{one.again}`: {one.result}, CPU pressure {one.cpu_pressure:.0%}: {one.why}"]
    return lines
