"""`python -m tests.crash`: a failure at every write of a run's journal, and kills at many times; all must be restored.

The matrix: every drill below, every write of its journal (counted in a whole run), and SIGKILL, API server gone, git
server gone or disk full; then the times. `--short` takes a seeded choice of it. At each point: the
failure, which ends with the run, `rollproof undo` (exit 0), the cluster and the env repo as they were before the run,
`rollproof judge` (any verdict, but no failed undo), `rollproof undo` again (exit 0). Exit code 1 if any point failed.

`--lab [NAME...]`: on the lab each drill that is named (none: those of `run chaos`) once, killed with SIGKILL as soon as
its fault is injected, before the journal says that it was. A drill that was refused is a failure there; one that was
skipped proves nothing, is counted apart and named with its reason. `--left`: the same, and nobody undoes anything until
the dead-man of the fault has put back what the API server shows of it; where that is a timer in a pod or on a node,
until its time is over, and the undo must then find nothing left to do. A fault without a dead-man is counted apart.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from rollproof.core.journal import read_journal
from rollproof.store.runfolder import JOURNAL
from rollproof.suites import expand

from .lab import LabPerson
from .person import Drill, Person
from .sandbox import SandboxPerson

DRIFT, RELEASE, ROLLBACK = ("drift",), ("zero-downtime",), ("rollback",)
DELETE, EVICT = ("pod-delete",), ("pod-evict",)
FAILURES = ("api", "git", "disk")  # beside SIGKILL; without a push nobody notices the git server
SHORT_POINTS = 10  # of the matrix, in CI
TIMER_LATE_S = 10.0  # a timer's shell is started before the fault, and sleeps on a busy machine
BY_THE_UNDO = "by the undo"  # not an end: whether the dead-man had acted the undo says
OK, NOT_KILLED, NO_DEAD_MAN, WRONG = "ok", "not killed", "no dead-man", "NOT AS BEFORE"


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run fails: at a write of its journal (`at`, as "3:after"; `how`), or killed after `after_s` seconds.

    `at` is "fault:made" for the first write that says that the change of a fault was made. `left`: to its dead-man.
    """

    drill: Drill
    at: str = ""
    how: str = "kill"
    after_s: float = 0.0
    left: bool = False

    def __str__(self) -> str:
        where = f"append {self.at} ({self.how})" if self.at else f"{self.after_s:.1f} s"
        return f"{' '.join(self.drill)} at {where}{', left to its dead-man' if self.left else ''}"


def main() -> int:
    options = _options()
    work = Path(tempfile.mkdtemp(prefix="rollproof-crash-"))
    began_s = time.monotonic()
    people: list[Person] = []
    try:
        if options.lab is None:
            people += [SandboxPerson(work / f"{number}", options.seed + number) for number in range(options.jobs)]
            points = list(_points(people[0], options))
        else:
            people.append(LabPerson(work / "lab", options.target))
            names = [name for word in options.lab or ("chaos",) for name in expand(word)]
            points = [Point((name,), at="fault:made", left=options.left) for name in names]
        print(f"{len(points)} points, {len(people)} side by side", flush=True)
        ended = _all(points, people)
    finally:
        for person in people:
            person.close()
    took_s = time.monotonic() - began_s
    print(_sum(ended, len(points), took_s), flush=True)
    if ended.count(WRONG) or len(ended) < len(points):
        print(f"kept: {work}")
        return 1
    shutil.rmtree(work, ignore_errors=True)
    return 0


def _sum(ended: list[str], points: int, took_s: float) -> str:
    """What was proven of how many; a run that was not killed proves nothing."""
    apart = "".join(f", {ended.count(word)} {word}" for word in (NOT_KILLED, NO_DEAD_MAN, WRONG) if word in ended)
    left = f", {points - len(ended)} not tried" if len(ended) < points else ""
    return f"{ended.count(OK)} of {points} points: killed, and all as before{apart}{left}; in {took_s / 60:.1f} min"


def _points(person: Person, options: argparse.Namespace) -> Iterator[Point]:
    """First a whole run of each drill: it shows the number of journal entries, and the duration."""
    drills = (DRIFT, RELEASE) if options.short else (DRIFT, RELEASE, ROLLBACK, DELETE, EVICT)
    points_of: dict[Drill, list[Point]] = {}
    took_s: dict[Drill, float] = {}
    for drill in drills:
        began_s = time.monotonic()
        folder = person.drill(drill)
        took_s[drill] = time.monotonic() - began_s
        if folder is None or person.difference():
            raise SystemExit(f"{' '.join(drill)} does not work: {person.said()[-2000:]}")
        appends = len((folder / "undo.jsonl").read_text().splitlines())
        print(f"{' '.join(drill)}: {appends} appends, {took_s[drill]:.0f} s", flush=True)
        points_of[drill] = list(_at_writes(drill, appends))
    # In turn: after drifts alone, on one revision, each next one waits longer for Argo CD's back-off, up to 5 minutes.
    turns = zip_longest(*points_of.values())
    matrix = [point for turn in turns for point in turn if point is not None]
    chance = random.Random(options.seed)  # noqa: S311 - which points, not secrets
    yield from chance.sample(matrix, SHORT_POINTS) if options.short else matrix
    count = 6 if options.short else options.moments
    for number in range(count):
        drill = drills[number % len(drills)]
        share = (number // len(drills) + 0.5) / (count / len(drills))
        yield Point(drill, after_s=0.5 + share * took_s[drill])


def _at_writes(drill: Drill, appends: int) -> Iterator[Point]:
    """Killed before, in the middle of and after each write of its journal; and each other failure after it."""
    hows = [how for how in FAILURES if how != "git" or drill in (RELEASE, ROLLBACK)]
    for number in range(1, appends + 1):
        for when in ("before", "after") if number % 4 else ("before", "torn", "after"):
            yield Point(drill, at=f"{number}:{when}")
        for how in hows:
            yield Point(drill, at=f"{number}:after", how=how)


def _all(points: list[Point], people: list[Person]) -> list[str]:
    """Run every point, each on a free sandbox; returns how each ended, in their order of ending."""
    todo: queue.SimpleQueue[Point] = queue.SimpleQueue()
    for point in points:
        todo.put(point)
    ended: list[str] = []

    def work(person: Person) -> None:
        while True:
            try:
                point = todo.get_nowait()
            except queue.Empty:
                return
            began_s = time.monotonic()
            try:
                person.prepare()
                word, why = _killed(person, point)
            except Exception as error:  # noqa: BLE001 - whatever it is, this point did not come back
                word, why = WRONG, f"{type(error).__name__}: {error}"
            ended.append(word)
            took_s = time.monotonic() - began_s
            print(f"{len(ended):>3}/{len(points)}  {word:<13} {took_s:5.1f} s  {point}  {why}", flush=True)
            if word == WRONG:
                return  # its sandbox cannot be used for another run

    workers = [threading.Thread(target=work, args=(person,)) for person in people]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return ended


def _killed(person: Person, point: Point) -> tuple[str, str]:
    """Kill the run there, and undo it; returns how that ended, and what is to be said of it."""
    folder = person.drill(point.drill, at=point.at, how=point.how, after_s=point.after_s)
    if folder is None or not (folder / "plan.json").is_file():
        if point.at:  # killed by time it may not have begun; at a write of its journal it must have
            return WRONG, f"the run was refused: {person.said()[-600:]}"
        wrong = person.difference()
    elif point.at and (folder / "verdicts.json").is_file() and point.how == "kill":
        wrong = person.difference()
        if not wrong:
            return NOT_KILLED, _skipped(folder)
    else:
        word, said = _left(person, folder) if point.left else (OK, "")
        wrong = (said if word == WRONG else "") or _undone(person, folder)
        if not wrong and word == BY_THE_UNDO:
            word, found = _found(folder)
            said = f"{said}, {found}"
        if not wrong:
            return word, said
    return (WRONG, wrong) if wrong else (OK, "")


def _left(person: Person, folder: Path) -> tuple[str, str]:
    """Wait until the dead-man has acted; how that ended, and after how long."""
    changed = person.changed_objects()
    jobs = {one for one in changed if one.startswith("Job/")}
    if not jobs:
        return _left_to_timer(folder)
    began_s = time.monotonic()
    while (still := changed & person.changed_objects()) and time.monotonic() < began_s + person.left_s:
        time.sleep(0.5)
    took_s = time.monotonic() - began_s
    if still:
        return WRONG, f"left for {took_s:.0f} s, and nobody put back {', '.join(sorted(still))}"
    word = BY_THE_UNDO if changed == jobs else OK  # what it owns is of a kind that is not compared
    return word, f"{', '.join(sorted(changed))} put back {took_s:.0f} s after the kill"


def _left_to_timer(folder: Path) -> tuple[str, str]:
    """Where a timer in a pod, on a node or on this machine undoes it the API server does not show when: its time is
    waited for, and then the undo says whether there was anything left (`_found`)."""
    (injection,) = json.loads((folder / "plan.json").read_text())["injections"]
    timer_s = injection["args"].get("at_most_s") or injection["args"].get("dead_man_s")
    if timer_s is None:
        return NO_DEAD_MAN, injection["dead_man"]
    time.sleep(timer_s + TIMER_LATE_S)
    return BY_THE_UNDO, f"{injection['dead_man']}: waited for"


def _found(folder: Path) -> tuple[str, str]:
    """Whether the undo found all as before, as it must where a timer had undone it; and its reason."""
    fault = json.loads((folder / "plan.json").read_text())["injections"][0]["fault"]
    entries = [one for one in read_journal((folder / JOURNAL).read_bytes()).entries if one.kind == fault]
    word = OK if entries and all(one.state == "not-needed" for one in entries) else WRONG
    said = "; ".join(f"{one.state}: {one.reason}" for one in entries)
    return word, f"the undo said {said or 'nothing'}"


def _skipped(folder: Path) -> str:
    """Why a run ended by itself."""
    verdicts = json.loads((folder / "verdicts.json").read_text())["verdicts"]
    for result in ("SKIPPED", "INCONCLUSIVE", "FAIL"):
        if reasons := [f"{one['checker']}: {one['why']}" for one in verdicts if one["result"] == result]:
            return f"it ended by itself, {result}: {reasons[0]}"
    return "it ended by itself: it changes nothing that an undo puts back"


def _undone(person: Person, folder: Path) -> str:
    """Undo a run, judge it, undo it again; returns what is wrong, "" if nothing."""
    code, said = person.does("undo", str(folder))
    if code != 0:
        return f"undo ended with {code}: {said[-600:]}"
    if wrong := person.difference():
        return f"after the undo {wrong}"
    code, said = person.does("judge", str(folder))
    if code not in (0, 1, 3):
        return f"judge ended with {code}: {said[-600:]}"
    if (word := json.loads((folder / "verdicts.json").read_text())["undo"]) not in ("", "clean"):
        return f"judge says of the undo: {word}"
    code, said = person.does("undo", str(folder))
    if code != 0:
        return f"the second undo ended with {code}: {said[-600:]}"
    return person.difference()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few points, for CI (under two minutes)")
    parser.add_argument("--moments", type=int, default=42, help="points in time, beside the entries (default 42)")
    parser.add_argument("--jobs", type=int, default=2, help="sandboxes side by side")
    parser.add_argument("--lab", nargs="*", metavar="NAME", help="on the lab; without a name: chaos")
    parser.add_argument("--target", default="lab", choices=("lab", "lab-prod"), help="with --lab: whose app")
    parser.add_argument("--left", action="store_true", help="with --lab: wait for the dead-man before anybody undoes")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
