"""The words of every report for results, so that page, console and JUnit agree. It must not judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rollproof.core.counts import many
from rollproof.core.journal import CHECK
from rollproof.core.plan import Plan
from rollproof.core.target import Traffic
from rollproof.core.verdict import EXIT_UNDO_FAILED, EXIT_USAGE, Finding, Result, Verdict
from rollproof.reports.model import Report
from rollproof.reports.posture_rows import posture_sentence
from rollproof.store.reading import UNDO

__all__ = [
    "bottom_line",
    "broken_line",
    "exit_meaning",
    "finding_line",
    "names_apart",
    "release_words",
    "stable_name",
    "target_line",
    "traffic_rules",
    "undo_sentence",
]

_EXITS: Mapping[int, str] = {
    0: "every claim was proven",
    1: "a promise was broken",
    EXIT_USAGE: "the command or the target file is wrong; nothing was touched",
    3: "no claim is possible: see what could not be seen",
    EXIT_UNDO_FAILED: "not everything is known to be as it was: `rollproof undo` tries again, or looks again",
}
_UNDO: Mapping[str, str] = {
    "clean": "Everything that the run changed is as it was before.",
    "kept": "The release stays deployed, as the plan says.",
    "left": "Something was left alone, because somebody else changed it after us.",
    "failed": "Not everything could be put back: run `rollproof undo`.",
}
# Of "failed": where nothing of ours is left, and where nobody knows what is.
_LOOK_FAILED = "All that the run changed was put back, and something is not as it was before: see what, and mend it."
_NO_RECORD = "What the run changed, and whether it was put back, is not known: its record is gone. See what it planned."
_NOT_LOOKED = "All that the run changed was put back; whether all is as before was not seen: run `rollproof undo`."
_LEFT = "Something that the run changed was left as it is: see the verdict of the undo, which says why."
_DAMAGED = "What the run changed is not known in full, its record is damaged: look at what it planned to change."
# Checkers with several verdicts, and their subjects: each is followed by its own name from night to night.
_NAMED = {
    ("drift", "Drift"), ("fault", "Fault"), ("jobs", "Job"), ("jobs", "Jobs"), ("meanwhile", "Drift"),
    ("pipeline", "Pipeline"), ("posture", "Check"), ("secrets", "Secrets"),
}  # fmt: skip
_BY_KIND = {("autoscaling", "Deployment"): "replicas"}  # its name is the target's, and needs no second one
_BLAME = (Result.FAIL, Result.INCONCLUSIVE)  # the first of these that occurs decides the run


def exit_meaning(code: int) -> str:
    """The meaning of an exit code, in a few words."""
    return _EXITS.get(code, "unknown exit code")


def traffic_rules(traffic: Traffic) -> str:
    """The rules of the target file for the window, in one clause; "" for the default: no loss."""
    rules = []
    if traffic.downtime_budget_ms:
        rules.append(f"{traffic.downtime_budget_ms:g} ms of outage on the worst lane")
    if traffic.outages_max is not None:
        rules.append(f"{many(traffic.outages_max, 'outage')} at least 1 s apart")
    if traffic.background_failures_per_million:
        rules.append(f"{traffic.background_failures_per_million:g} single failures per million as background")
    if traffic.p99_ms_max is not None:
        rules.append(f"a p99 of {traffic.p99_ms_max:g} ms")
    if traffic.longest_ms_max is not None:
        rules.append(f"{traffic.longest_ms_max:g} ms for the longest answer")
    return ", ".join(rules)


def release_words(plan: Plan) -> str:
    """The app's version, and what becomes of it in this run."""
    if plan.restart:
        return f"restart of {plan.old_sha}"
    return f"{plan.old_sha or '?'} → {plan.new_sha}" if plan.new_sha else f"none; {plan.old_sha or '?'} stays"


def undo_sentence(report: Report) -> str:
    """The state after the run; an unknown word is shown as it is."""
    if report.undo == "failed":
        return _failed_undo(report)
    if report.undo == "left" and (why := _not_left_by_others(report)):
        return why
    return _UNDO.get(report.undo, f"Undo: {report.undo}." if report.undo else "")


def _not_left_by_others(report: Report) -> str:
    """Why nobody can say that all is as before, where it is not that somebody else changed it; "" if it is."""
    verdict = next((one for one in report.verdicts if _is_undo(one)), None)
    if verdict is None or any(finding.code == "LEFT_ALONE" for finding in verdict.findings):
        journal = report.facts[UNDO].journal if UNDO in report.facts else None
        left = [one for one in journal.entries if one.state == "left"] if journal is not None else []
        return _LEFT if left and left[-1].expected is None and left[-1].reason else ""
    return _NOT_LOOKED if verdict.findings else _NO_RECORD


def _failed_undo(report: Report) -> str:
    """What is known to be left: a change of ours, or only what the last look saw, or nothing for certain."""
    journal = report.facts[UNDO].journal if UNDO in report.facts else None
    if journal is None:
        return _UNDO["failed"]
    left = [entry for entry in journal.entries if entry.state == "open"]
    if any(entry.kind != CHECK for entry in left):
        return _UNDO["failed"]
    if journal.damage or not left:
        return _DAMAGED
    return _LOOK_FAILED if any(entry.tried == "failed" for entry in left) else _NOT_LOOKED


def finding_line(finding: Finding) -> str:
    """A finding on one line, with the next step behind an arrow."""
    return f"{finding.code}: {finding.text} → {finding.hint}"


def target_line(report: Report) -> str:
    """The target and its kind of cluster: a PASS on one kind does not hold for another."""
    version = f" (Kubernetes {report.kubernetes})" if report.kubernetes else ""
    return f"target {report.plan.target.name}, on {report.platform}{version}"


def names_apart(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Of each (drill, stable name) the name, the second with a number: readers take two for one and its retry."""
    seen: Counter[tuple[str, str]] = Counter()
    for key in named:
        seen[key] += 1
        yield key[1] if seen[key] == 1 else f"{key[1]} ({seen[key]})"


def stable_name(verdict: Verdict) -> str:
    """The name under which a history follows a check, from release to release.

    A checker with one verdict per drill gives its own name: its subject has the sha, the URL or what was seen. The
    others add the trial, the fault, the job, the leg, the place, or `run` for the whole run.
    """
    kind, _, name = verdict.subject.partition("/")
    if (verdict.checker, kind) in _NAMED and name:
        return f"{verdict.checker} {name}"
    if (verdict.checker, kind) in _BY_KIND:
        return f"{verdict.checker} {_BY_KIND[verdict.checker, kind]}"
    if verdict.subject == "run" and verdict.drill != "run":
        return f"{verdict.checker} run"
    return verdict.checker


def bottom_line(report: Report) -> str:
    """The run in one sentence: the check that decided, or what was proven."""
    if report.exit_code == EXIT_UNDO_FAILED:
        return _failed_undo(report)
    if broken := broken_line(report):
        return broken
    passed = [verdict for verdict in report.verdicts if verdict.result is Result.PASS]
    if not passed:
        return "Nothing was judged, so nothing is claimed."
    if looked := posture_sentence(report.verdicts):
        return _sentence(looked if len(report.plan.drills) == 1 else f"{_all_hold(len(passed))} {looked}")
    strongest = next((verdict for verdict in passed if verdict.checker == "availability"), None)
    proven = strongest.why if strongest else _slowest_repair(passed) or passed[0].why
    return f"{_all_hold(len(passed))} {_sentence(proven)}"


def broken_line(report: Report) -> str:
    """The check that decided, in one sentence, or "" if all of them passed. A failed undo is said beside it."""
    judged = [
        verdict for verdict in report.verdicts if not (report.exit_code == EXIT_UNDO_FAILED and _is_undo(verdict))
    ]
    for result in _BLAME:
        blamed = [verdict for verdict in judged if verdict.result is result]
        if blamed:
            return _blame(blamed)
    return ""


def _is_undo(verdict: Verdict) -> bool:
    return verdict.checker == "undo"


def _all_hold(count: int) -> str:
    return "The one check holds." if count == 1 else f"All {many(count, 'check')} hold."


def _slowest_repair(passed: list[Verdict]) -> str:
    """All repaired drifts in one clause, or "" if there was none."""
    repairs = [float(str(s)) for v in passed if (s := v.numbers.get("detect_and_apply_s")) is not None]
    if not repairs:
        return ""
    return f"Self-heal repaired {many(len(repairs), 'drift')}, the slowest in {max(repairs):.2f} s (detection + apply)"


def _blame(verdicts: list[Verdict]) -> str:
    first, others = verdicts[0], len(verdicts) - 1
    more = f" ({many(others, 'more check')} like it.)" if others else ""
    where = f"{first.drill}, " if first.drill and first.drill != first.checker else ""
    return f"{_sentence(f'{where}{first.checker}: {first.why}')}{more}"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
