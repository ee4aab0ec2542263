"""The track record: its summary and its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rollproof_sandbox.defects import DEFECTS, GROUPS

from .case import Outcome
from .firstcauses import is_right, wanted
from .kept import OnKind, SandboxRun

__all__ = ["CPU_PRESSURE_MIN", "FIRST_MIN", "excused", "page", "summary"]

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
*On kind*: what was said on the lab of `python -m lab up`, and when (`make truth LAB=kind`).
Made by `{command}` (first seed {seed}) from what is kept in docs/truth/; do not edit.
"""
_NOT_RUN = "-"


def excused(one: Outcome) -> bool:
    """Whether lack of CPU, as recorded, is the only reason for this INCONCLUSIVE run."""
    return one.starved and one.exit_code == 3 and one.cpu_pressure >= CPU_PRESSURE_MIN


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


def page(run: SandboxRun, on_kind: Mapping[str, OnKind]) -> str:
    """docs/truth.md. `on_kind` are the lab's outcomes by name."""
    outcomes = run.outcomes
    head = _HEAD.format(pressure=CPU_PRESSURE_MIN, command=run.command, seed=run.seed)
    lines = [head, f"{run.when}, {run.host}.", "", *(f"* {line}" for line in summary(outcomes, took_s=run.took_s))]
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
    lines += _only_on_kind(on_kind)
    return "\n".join(lines) + "\n"


def _row(one: Outcome, on_kind: OnKind | None) -> str:
    defect = DEFECTS[one.name]
    said = _said(one) if one.caught else f"**{_said(one)}** (must be {defect.result})"
    by = defect.checker if one.named else ", ".join(who for who, what in one.said.items() if what == one.result)
    cause = (defect.cause or "-") if one.named else f"not named (must be {defect.checker or 'the run'}: {defect.cause})"
    cells = (
        f"`{one.name}`", defect.text, " ".join(defect.drill), said, by or "the run", cause, _first(one),
        f"{one.took_s:.0f}", _compared(one, on_kind),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _said(one: Outcome) -> str:
    return f"exit {one.exit_code}" if one.result == "none" else one.result  # without verdicts


def _first(one: Outcome) -> str:
    if is_right(one.name, one.first):
        return one.first or "-"
    return f"**{one.first or 'none'}** (must be {wanted(one.name) or 'none'})"


def _sound(chosen: Sequence[Outcome], on_kind: Mapping[str, OnKind]) -> list[str]:
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


def _compared(here: Outcome, on_kind: OnKind | None) -> str:
    if on_kind is None:
        return _NOT_RUN
    there = on_kind.outcome
    differ = _differences(here, there)
    rest = f": {'; '.join(differ)}" if differ else ", every checker agrees"
    return f"{_kind_said(there)}{rest} ({on_kind.day})"


def _kind_said(there: Outcome) -> str:
    """With what is wrong in it: the expectations are the same on both targets."""
    checks = (
        (there.caught, "NOT CAUGHT"), (there.named, "not named"),
        (is_right(there.name, there.first, on_kind=True), "first cause wrong"),
    )  # fmt: skip
    wrong = next((words for right, words in checks if not right), "")
    return f"**{_said(there)}, {wrong}**" if wrong else _said(there)


def _kind_summary(outcomes: Sequence[Outcome], on_kind: Mapping[str, OnKind]) -> Iterator[str]:
    first = {one.name: one for one in reversed(outcomes)}
    both = [(first[name], there.outcome) for name, there in on_kind.items() if name in first]
    if both:
        same = sum(here.result == there.result for here, there in both)
        every = sum(not _differences(here, there) for here, there in both)
        yield f"on kind: {len(both)} of them, {same} with the same result, {every} with the same of every checker"
    if there := [one.outcome for one in on_kind.values()]:
        caught, named = sum(one.caught for one in there), sum(one.named for one in there)
        right = sum(is_right(one.name, one.first, on_kind=True) for one in there)
        rest = f"of {right} the first cause right (or rightly none)"
        yield f"on kind: {len(there)} cases, {caught} caught, {named} named, {rest}"


def _only_on_kind(on_kind: Mapping[str, OnKind]) -> list[str]:
    chosen = [one for name, one in sorted(on_kind.items()) if name not in DEFECTS]
    if not chosen:
        return []
    columns = ("case", "said", "first cause", "s", "day")
    lines = ["", "## only on kind", "", "What they are: `tests/kind/test_truth.py`."]
    lines += ["", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for one in chosen:
        there = one.outcome
        cells = (f"`{there.name}`", _kind_said(there), there.first or "-", f"{there.took_s:.0f}", one.day)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
