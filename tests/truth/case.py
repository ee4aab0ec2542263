"""One run of one defect, as a user would run it, and the comparison of its verdicts with the expected ones.

The tool is a child process with an exit code; no judging code is imported here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rollproof_sandbox.defects import DEFECTS, Defect
from tests.starved import starved, waited_us

from .proofs import Record, happened

__all__ = ["Outcome", "first_cause", "judged", "judged_again", "run", "worst"]

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
UNDO_FAILED = 4
# Whatever the exit code: a run with one of these messages shows nothing about the defect.
BROKEN = (
    "the sandbox itself failed", "the sandbox did not get healthy", "rollproof itself failed",
    "the checker itself failed",
)  # fmt: skip
_DEADLINE_S, _UNDO_S = 330.0, 60.0  # the undo may wait 240 s for the cluster to be at rest
_WORST = ("FAIL", "INCONCLUSIVE", "SKIPPED", "PASS")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run. `caught`: the right result; `named`: by the right checker, for the right cause.

    `said` is the worst result of each checker. `starved`: INCONCLUSIVE, and only in ways that lack of CPU explains.
    """

    name: str
    seed: int
    result: str
    exit_code: int
    caught: bool
    named: bool
    why: str
    took_s: float
    cpu_pressure: float  # share of the run's time in which some task waited for a CPU, or the machine for its host
    folder: str = ""
    said: dict[str, str] = field(default_factory=dict)
    starved: bool = False
    first: str = ""  # the code of the cause that was named first; "" if none was

    @property
    def again(self) -> str:
        """The command that repeats it."""
        return f"python -m tests.truth --only {self.name} --seed {self.seed}"


def run(name: str, *, seed: int, folder: Path) -> Outcome:
    """Start a sandbox with the defect, drill, and compare. The sandbox ends with the drill."""
    defect = DEFECTS[name]
    reports = folder / "reports"
    python = [sys.executable, "-m", "rollproof"]
    words = [*python, "sandbox", "--folder", str(folder / "sandbox"), "--ports", "auto", "--seed", str(seed)]
    words += ["--defect", name, "--", *python, "run", *defect.drill, "--target", "{target}", "--reports", str(reports)]
    began_s, began_us = time.monotonic(), waited_us()
    code, said = _ended(words, folder / "output.log")
    took_s = time.monotonic() - began_s
    pressure = (waited_us() - began_us) / 1e6 / took_s
    found = next(iter(sorted(reports.glob("*/verdicts.json"))), None)
    stored: dict[str, Any] = json.loads(found.read_text()) if found else {}
    record = Record.of(found.parent if found else None, folder / "sandbox")
    caught, named, why = judged(defect, stored, code, said, record)
    return Outcome(
        name, seed, str(stored.get("result", "none")), code, caught, named, why, round(took_s, 1), round(pressure, 3),
        str(found.parent) if found else "", worst(stored), starved(stored), first_cause(stored),
    )  # fmt: skip


def judged_again(one: Outcome) -> Outcome:
    """The outcome of a kept run as today's code judges it; one without a run folder stays as it is."""
    if not one.folder:
        return one
    report = Path(one.folder)
    log = report.parents[1] / "judged.log"
    code, said = _ended([sys.executable, "-m", "rollproof", "judge", str(report)], log)
    stored = json.loads((report / "verdicts.json").read_text())
    record = Record.of(report, report.parents[1] / "sandbox")
    caught, named, why = judged(DEFECTS[one.name], stored, code, said, record)
    return replace(
        one, result=str(stored["result"]), exit_code=code, caught=caught, named=named, why=why, said=worst(stored),
        starved=starved(stored), first=first_cause(stored),
    )  # fmt: skip


def judged(
    defect: Defect, stored: dict[str, Any], exit_code: int, output: str, record: Record
) -> tuple[bool, bool, str]:
    """(caught, named, why) of a run's verdicts.json, or without one of its exit code and its error message."""
    told = "\n".join((output, *(verdict["why"] for verdict in stored.get("verdicts", ()))))  # a table breaks lines
    broken = next((words for words in BROKEN if words in told), "")
    if broken:
        return False, False, f"{broken}: {output[-400:].strip()}"
    if exit_code != (UNDO_FAILED if defect.stays else EXIT_CODES[defect.result]):
        return False, False, _summary(stored) or output[-400:].strip()
    if not stored:
        message = _message(output)
        named = bool(defect.cause) and defect.cause.lower() in message.lower()
        return not defect.checker, named and not defect.checker, message or output[-400:].strip()
    caught = stored["result"] == defect.result
    chosen = [v for v in stored["verdicts"] if v["checker"] == defect.checker or not defect.checker]
    chosen = [v for v in chosen if v["result"] == defect.result or defect.result == "PASS"]
    named = bool(chosen) and any(_names(verdict, defect.cause) for verdict in chosen)
    if caught and named and not happened(defect.name, record):
        return caught, False, "the record does not show that it happened"
    return caught, caught and named, _summary(stored)


def worst(stored: dict[str, Any]) -> dict[str, str]:
    """The worst result of each checker: `drift` has one for each trial."""
    results: dict[str, set[str]] = {}
    for verdict in stored.get("verdicts", ()):
        results.setdefault(verdict["checker"], set()).add(verdict["result"])
    return {checker: next(one for one in _WORST if one in said) for checker, said in results.items()}


def first_cause(stored: dict[str, Any]) -> str:
    """The code of the cause that the report names first; "" if it names none."""
    return next((str(cause["code"]) for cause in stored.get("causes", ())), "")


def _message(output: str) -> str:
    """rollproof's last error message, with its hint; nothing of what was printed before."""
    begins = [found.start() for found in re.finditer("^error: ", output, flags=re.MULTILINE)]
    return output[begins[-1] :].strip() if begins else ""


def _names(verdict: dict[str, Any], cause: str) -> bool:
    codes = {finding["code"] for finding in verdict.get("findings", ())}
    return not cause or cause in codes or cause.lower() in str(verdict["why"]).lower()


def _summary(stored: dict[str, Any]) -> str:
    worst = [v for v in stored.get("verdicts", ()) if v["result"] == stored.get("result")]
    if stored.get("result") == "PASS":
        return ""
    told = []
    for verdict in worst:
        codes = ", ".join(finding["code"] for finding in verdict.get("findings", ()))
        told.append(f"{verdict['checker']}: {verdict['why']}" + (f" [{codes}]" if codes else ""))
    return "; ".join(told)


def _ended(words: list[str], log: Path) -> tuple[int, str]:
    """Exit code and output without the command line, which names the defect; -1 if it did not end in time."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        stream.write(f"$ {shlex.join(words)}\n")
        stream.flush()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
        try:
            code = process.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired:
            _end(process)
            code = -1
        except KeyboardInterrupt:
            _end(process)
            raise
    return code, log.read_text(errors="replace").partition("\n")[2]


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and wait: it has changes to undo. Then SIGKILL; a sandbox's children end with it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_UNDO_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def load_average() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]
