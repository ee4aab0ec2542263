"""From a run folder to verdicts and reports. Used by the live session and by `rollproof judge`, so they agree.

It only reads facts and calls checkers. It must never read from a cluster, and never treat an exception in the harness
as a statement about the target: such a drill is INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from rollproof.core.abort import aborted
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.gate import closed_gates, why_closed
from rollproof.core.oldfacts import was_kept
from rollproof.core.runframe import asked_checkers, reason
from rollproof.core.verdict import EXIT_CODES, EXIT_UNDO_FAILED, Finding, Result, Verdict, worst
from rollproof.core.vocabulary import is_known
from rollproof.judge import checkers, diagnose
from rollproof.redaction import SECRETS
from rollproof.reports.allure import write_allure
from rollproof.reports.fault_rows import fault_rows
from rollproof.reports.html import write_html
from rollproof.reports.junit import write_junit
from rollproof.reports.model import Report
from rollproof.store import manifest
from rollproof.store.runfolder import UNDO, RunFolder, UnwritableError

__all__ = ["judge_drill", "judge_run", "write_reports"]

_HARNESS = "harness"  # the checker's name in verdicts about a drill that did not finish
_SHOWN = 50  # events that are named as evidence
_BESIDE = {"watches", "load_soundness", "undo"}  # a run with only these has proven nothing about the app


def judge_run(folder: RunFolder) -> Report:
    """Judge every drill by the checkers that it asked for, then the undo; the worst result is the run's."""
    facts = {drill: folder.facts(drill) for drill in folder.plan.drills}
    verdicts = [verdict for drill in facts.values() for verdict in judge_drill(drill)]
    changed = manifest.changes(folder.path)
    if changed:
        verdicts = [*(_not_blamed(verdict, "the facts were changed") for verdict in verdicts), _changed(changed)]
    at_the_end = folder.facts(UNDO)
    undone = checkers.judge(at_the_end, ("undo",)) if _anything_done(at_the_end) else ()
    verdicts.extend(undone)
    verdicts.extend(_not_planned(at_the_end))
    verdicts.extend(_not_known(event for event in at_the_end.events if event.drill == UNDO))
    verdicts.extend(_nothing_tried(verdicts))
    result = worst(verdict.result for verdict in verdicts)
    undo = _undo_word(undone, at_the_end)
    return Report(
        plan=folder.plan,
        facts={**facts, UNDO: at_the_end},
        verdicts=SECRETS.value(tuple(verdicts)),
        result=result,
        exit_code=EXIT_UNDO_FAILED if undo == "failed" else EXIT_CODES[result],
        causes=SECRETS.value(diagnose.rank(facts, verdicts, result)),
        undo=undo,
        environment=folder.environment(),
    )


def _nothing_tried(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """A verdict about the run if every promise was skipped: the quality of the observation alone is no PASS."""
    promised = [verdict for verdict in verdicts if verdict.checker not in _BESIDE]
    if not promised:
        why = "nothing that was promised was judged: no drill asked for it"
        return (Verdict(_HARNESS, "run", Result.INCONCLUSIVE, why),)
    if any(verdict.result is not Result.SKIPPED for verdict in promised):
        return ()
    why = f"nothing was judged, all of it was skipped: {'; '.join(dict.fromkeys(one.why for one in promised))}"
    evidence = tuple(seq for verdict in promised for seq in verdict.evidence)
    return (Verdict(_HARNESS, "run", Result.INCONCLUSIVE, why, promised[0].drill, evidence=evidence),)


def _changed(changed: tuple[str, ...]) -> Verdict:
    """The verdict if the facts were changed after the run: they prove nothing."""
    why = f"the facts were changed after the run: {'; '.join(changed[:_SHOWN])}"
    finding = Finding("FACTS_CHANGED", why, "judge the folder as the run left it")
    return Verdict(_HARNESS, "run", Result.INCONCLUSIVE, why, findings=(finding,))


def _not_planned(facts: Facts) -> tuple[Verdict, ...]:
    """A verdict about the run if its timeline has a drill that is not in its plan: one of the two was changed."""
    events = [event for event in facts.events if event.drill not in {"", UNDO, *facts.plan.drills}]
    if not events:
        return ()
    names = ", ".join(repr(name) for name in dict.fromkeys(event.drill for event in events[:_SHOWN]))
    why = f"the folder is damaged: its timeline has a drill {names} that its plan does not have"
    return (Verdict(_HARNESS, "run", Result.INCONCLUSIVE, why, evidence=_seqs(events[:_SHOWN])),)


def _not_known(events: Iterable[Event], drill: str = "") -> tuple[Verdict, ...]:
    """A verdict if there is a fact that this version does not know: it may be a decisive one (ADR 001)."""
    unknown = [event for event in events if not is_known(event)]
    if not unknown:
        return ()
    first = unknown[0]
    why = f"a fact that this version does not know: {first.source} · {first.subject} · {first.what}"
    why += f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
    finding = Finding("UNKNOWN_FACT", why, "judge with the version that made the run")
    seqs = _seqs(unknown[:_SHOWN])
    return (Verdict(_HARNESS, drill or "run", Result.INCONCLUSIVE, why, drill, evidence=seqs, findings=(finding,)),)


def judge_drill(facts: Facts) -> tuple[Verdict, ...]:
    """The verdicts that the drill asked for, and one about its end if it did not finish."""
    ended = [event for event in facts.find(source="run", subject="drill") if event.drill == facts.drill]
    states = {event.what: event for event in ended}
    if "skipped" in states:
        why = reason(states["skipped"])
        return (Verdict(_HARNESS, facts.drill, Result.SKIPPED, why, facts.drill, evidence=_seqs(ended)),)
    asked = facts.last(source="run", subject="judge", what="asked")
    verdicts: tuple[Verdict, ...] = ()
    if asked is not None and asked.drill == facts.drill:
        verdicts = checkers.judge(facts, asked_checkers(asked))
        verdicts = diagnose.explain(facts, verdicts)
    unknown = _not_known(facts.events, facts.drill)
    if unknown:
        verdicts = tuple(_not_blamed(verdict, unknown[0].why) for verdict in verdicts)
    lost = facts.last(source="run", subject="lock", what="lost")
    if lost is not None:
        verdicts = tuple(
            _not_blamed(verdict, "another run may have been at work on this target") for verdict in verdicts
        )
        ended.append(lost)
    why = reason(lost) if lost else _why_ended(facts, ended) or _why_not_whole(states, verdicts)
    if not why:
        return (*verdicts, *unknown)
    broken = Verdict(_HARNESS, facts.drill, Result.INCONCLUSIVE, why, facts.drill, evidence=_seqs(ended))
    return (*verdicts, *unknown, broken)


def write_reports(folder: RunFolder, report: Report) -> None:
    """The pages, then verdicts.json: the exit code is read from it, so it exists only if all the rest does.

    UnwritableError where the disk takes no more: each file is as it was, or new.
    """
    try:
        _write_pages(folder, report)
    except OSError as error:
        raise UnwritableError(folder.path, error) from None
    folder.write_verdicts(
        report.verdicts,
        result=report.result,
        exit_code=report.exit_code,
        undo=report.undo,
        target_kind=report.platform,
        causes=map(asdict, report.causes),
        faults=map(asdict, fault_rows(report)),
    )


def _write_pages(folder: RunFolder, report: Report) -> None:
    page = folder.path / "report.html"
    write_html(page, report)
    write_junit(folder.path / "junit.xml", report)
    of_load = sorted(path for path in folder.path.glob("locust-*.html") if _is_file(path))
    write_allure(folder.path / "allure-results", report, (page,), of_load)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _why_ended(facts: Facts, evidence: list[Event]) -> str:
    """Why the drill did not go its whole way, by what was seen and not by how it ended; the facts go to `evidence`."""
    if (end := aborted(facts)) is not None:
        evidence.append(end)
        return f"it was ended at once: {reason(end)}"
    gates = closed_gates(facts)
    evidence.extend(gates)
    return why_closed(gates[0]) if gates else ""


def _why_not_whole(states: dict[str, Event], verdicts: tuple[Verdict, ...]) -> str:
    if "error" in states:
        return f"the harness failed: {reason(states['error'])}"
    if "interrupted" in states:
        return f"interrupted: {reason(states['interrupted'])}"
    if "started" not in states:
        return "the drill was never started: the run ended before it"
    if "finished" not in states:
        return "the run ended in the middle of the drill"
    return "" if verdicts else "the drill asked for no verdict"


def _not_blamed(verdict: Verdict, because: str) -> Verdict:
    """FAIL becomes INCONCLUSIVE where something else may be the cause: another run, or an unknown fact."""
    if verdict.result is not Result.FAIL:
        return verdict
    why = f"{because}: {verdict.why}"
    return replace(verdict, result=Result.INCONCLUSIVE, why=why)


def _anything_done(facts: Facts) -> bool:
    journal = facts.journal
    told = journal is not None and bool(journal.entries or journal.damage)
    return told or next(facts.find(source="undo"), None) is not None or _checked(facts)


def _checked(facts: Facts) -> bool:
    return facts.first(source="run", subject="phase", what="undo-check") is not None


def _undo_word(undone: tuple[Verdict, ...], facts: Facts) -> str:
    if not undone:
        return ""
    result = worst(verdict.result for verdict in undone)
    if result is Result.FAIL:
        return "failed"
    if result is Result.INCONCLUSIVE:
        return "left"
    kept = any(was_kept(event.data) for event in facts.find(source="undo", what="not-needed"))
    return "kept" if kept else "clean"


def _seqs(events: Iterable[Event]) -> tuple[int, ...]:
    return tuple(event.seq for event in events)
