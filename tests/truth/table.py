"""The track record: its summary and its page."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rollproof_sandbox.defects import DEFECTS, GROUPS

from .case import Outcome
from .firstcauses import is_right, wanted

__all__ = ["CPU_PRESSURE_MIN", "FIRST_MIN", "excused", "kind_outcomes", "page", "summary"]

# An INCONCLUSIVE sound run is excused only if some task waited for a CPU for at least this share of it. On two cores
# with nothing else to do 15 runs had 7 % to 15 %; with up to six other busy jobs 34 had 27 % to 99 %. Most of those
# were good for a verdict, so pressure alone excuses nothing.
CPU_PRESSURE_MIN = 0.25
FIRST_MIN = 0.95

_HEAD = """# The track record

Every defect of the sandbox (`rollproof sandbox --list`), the shortest drill that shows it, and what rollproof said.
*Caught*: the right result. *Named*: by the right checker, with the right cause; a sound control must also show that
what is unusual in it took place (`tests/truth/proofs.py`). *First cause*: the code that the report names first, where
one can be named (`tests/truth/firstcauses.py`); no run that passes names one. A sound run may be INCONCLUSIVE only
where want of CPU explains it: some task waited for a CPU for {pressure:.0%} of the run's time or more, and nothing was
said but what a starved machine causes (`load_soundness` does not believe the generator, nobody was looking for too
long, a watch was away).
Made by `{command}` (first seed {seed}); do not edit.
"""
_NOT_RUN = "-"


def excused(one: Outcome) -> bool:
    """Whether lack of CPU, as recorded, is the only reason for this INCONCLUSIVE run."""
    return one.starved and one.exit_code == 3 and one.cpu_pressure >= CPU_PRESSURE_MIN


def kind_outcomes(path: Path) -> dict[str, Outcome]:
    """The lab's result for each defect, by name; empty if there was no run (`make truth LAB=kind`)."""
    if not path.is_file():
        return {}
    return {one["name"]: Outcome(**one) for one in json.loads(path.read_text())}


def summary(outcomes: Sequence[Outcome], *, took_s: float) -> Iterator[str]:
    """The figures, one per line."""
    defects = [one for one in outcomes if DEFECTS[one.name].group != "sound"]
    sound = [one for one in outcomes if DEFECTS[one.name].group == "sound"]
    if defects:
        caught, named = sum(one.caught for one in defects), sum(one.named for one in defects)
        yield f"defects: {caught} of {len(defects)} caught, {named} named ({named / len(defects):.0%})"
        yield from _first_causes(defects)
    if sound:
        passed = sum(one.caught and one.named and not one.first for one in sound)
        opened = [one for one in sound if one.result == "INCONCLUSIVE"]
        other = len(sound) - passed - len(opened)
        why = f" ({sum(map(excused, opened))} for want of CPU)" if opened else ""
        said = f"{len(opened)} INCONCLUSIVE{why}, {other} other; {sum(bool(one.first) for one in sound)} named a cause"
        yield f"sound runs: {passed} of {len(sound)} PASS, {said}"
    yield f"time: {took_s / 60:.1f} min"


def _first_causes(defects: Sequence[Outcome]) -> Iterator[str]:
    asked = [one for one in defects if wanted(one.name)]
    if asked:
        right = sum(is_right(one.name, one.first) for one in asked)
        others = [one for one in defects if not wanted(one.name)]
        strange = sum(bool(one.first) for one in others)
        none = f"named where none can be: {strange} of {len(others)}"
        yield f"first cause right: {right} of {len(asked)} ({right / len(asked):.0%}; {FIRST_MIN:.0%} is asked); {none}"


def page(outcomes: Sequence[Outcome], on_kind: Mapping[str, Outcome], *, took_s: float, command: str, seed: int) -> str:
    """docs/truth.md. `on_kind` are the lab's outcomes by name; `command` made the rest."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    host = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    head = _HEAD.format(pressure=CPU_PRESSURE_MIN, command=command, seed=seed)
    lines = [head, f"{now}, {host}.", "", *(f"* {line}" for line in summary(outcomes, took_s=took_s))]
    lines += [f"* {line}" for line in _kind_summary(outcomes, on_kind)]
    if missing := sorted(DEFECTS.keys() - {one.name for one in outcomes}):
        lines.append(f"* not run this time, so nothing is said of them: {len(missing)}: {', '.join(missing)}")
    for group in GROUPS:
        chosen = [one for one in outcomes if DEFECTS[one.name].group == group]
        if group == "sound":
            lines += _sound(chosen, on_kind)
        elif chosen:
            columns = ("defect", "what is wrong", "drill", "said", "by", "cause", "first cause", "s", "on kind")
            lines += ["", f"## {group}", "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
            lines += [_row(one, on_kind.get(one.name)) for one in chosen]
    return "\n".join(lines) + "\n"


def _row(one: Outcome, on_kind: Outcome | None) -> str:
    defect = DEFECTS[one.name]
    result = f"exit {one.exit_code}" if one.result == "none" else one.result  # without verdicts
    said = result if one.caught else f"**{result}** (must be {defect.result})"
    by = defect.checker if one.named else ", ".join(who for who, what in one.said.items() if what == one.result)
    cause = (defect.cause or "-") if one.named else f"not named (must be {defect.checker or 'the run'}: {defect.cause})"
    cells = (
        f"`{one.name}`", defect.text, " ".join(defect.drill), said, by or "the run", cause, _first(one),
        f"{one.took_s:.0f}", _compared(one, on_kind),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _first(one: Outcome) -> str:
    if is_right(one.name, one.first):
        return one.first or "-"
    return f"**{one.first or 'none'}** (must be {wanted(one.name) or 'none'})"


def _sound(chosen: Sequence[Outcome], on_kind: Mapping[str, Outcome]) -> list[str]:
    if not chosen:
        return []
    columns = ("control", "what is unusual", "runs", "PASS", "INCONCLUSIVE", "other", "on kind")
    lines = ["", "## sound", "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name in dict.fromkeys(one.name for one in chosen):
        runs = [one for one in chosen if one.name == name]
        passed = sum(one.caught and one.named and not one.first for one in runs)
        opened = sum(one.result == "INCONCLUSIVE" for one in runs)
        cells = (
            f"`{name}`", DEFECTS[name].text, len(runs), passed, opened, len(runs) - passed - opened,
            _compared(runs[0], on_kind.get(name)),
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    for one in chosen:
        if not (one.caught and one.named):
            word = "excused" if excused(one) else "not excused"
            pressure = f"CPU pressure {one.cpu_pressure:.0%}, {word}"
            lines += ["", f"`{one.again}`: {one.result}, exit {one.exit_code}, {pressure}: {one.why}"]
    return lines


# -- the lab --------------------------------------------------------------------------------------------------------


def _differences(here: Outcome, there: Outcome) -> list[str]:
    """Each checker with different results on the two targets."""
    both = dict.fromkeys((*here.said, *there.said))
    pairs = ((who, there.said.get(who, _NOT_RUN), here.said.get(who, _NOT_RUN)) for who in both)
    return [f"{who} {kind}, here {ours}" for who, kind, ours in pairs if kind != ours]


def _compared(here: Outcome, there: Outcome | None) -> str:
    if there is None:
        return _NOT_RUN
    differ = _differences(here, there)
    return f"{there.result}: {'; '.join(differ)}" if differ else f"{there.result}, every checker agrees"


def _kind_summary(outcomes: Sequence[Outcome], on_kind: Mapping[str, Outcome]) -> Iterator[str]:
    first = {one.name: one for one in reversed(outcomes)}
    both = [(first[name], there) for name, there in on_kind.items() if name in first]
    if both:
        same = sum(here.result == there.result for here, there in both)
        every = sum(not _differences(here, there) for here, there in both)
        yield f"on kind: {len(both)} of them, {same} with the same result, {every} with the same of every checker"
    for name, there in on_kind.items():
        if name not in DEFECTS:
            yield f"only on kind: `{name}`, {there.result}, {'caught' if there.caught else 'NOT CAUGHT'}"
