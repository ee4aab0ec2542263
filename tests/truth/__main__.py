"""`python -m tests.truth`: run every defect, compare, print the table; `--write` keeps it in docs/truth/ and truth.md.

Exit code 0 if every defect was caught, at least 90 % were named, of at least 95 % the first cause was right, every
sound run passed, named no cause and showed what is unusual in it, and only a few that must pass were inconclusive for
lack of CPU. A run is never repeated to get a better result. `--again FILE` runs nothing: it judges anew what
`--keep --json FILE` has kept. `--page` runs nothing either: it takes in what was said on the lab since (of
`make truth LAB=kind`), and writes the page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rollproof_sandbox.defects import DEFECTS
from tests.histories.keep import keep

from .case import Outcome, judged_again, load_average, run
from .firstcauses import is_right, wanted
from .kept import SandboxRun, merged, read_kind, read_sandbox, write_kind, write_sandbox
from .table import FIRST_MIN, excused, page, summary

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/truth.md"
KEPT = ROOT / "docs/truth"
FROM_KIND = ROOT / "reports/truth-kind.json"  # written by tests/kind/test_truth.py
HISTORIES = ROOT / "tests/histories"
KINDS = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "inconclusive"}
SOUND = [name for name, defect in DEFECTS.items() if defect.group == "sound"]
NAMED_MIN, EXCUSED_MAX = 0.9, 0.02


def main() -> int:
    options = _options()
    if options.page:
        _write_page(read_sandbox(KEPT / "sandbox.json"))
        return 0
    if options.again:
        return _again(options)
    cases = list(_cases(options))
    print(f"{len(cases)} runs, one sandbox each; load average {load_average():.1f}", flush=True)
    print(f"seed {options.seed}; --seed {options.seed} does the same again", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="rollproof-truth-"))
    outcomes: list[Outcome] = []
    began_s = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(lambda case: _one(*case, folder), cases):
            outcomes.append(outcome)
            _tell(outcome, len(outcomes), len(cases))
            _note(options, outcomes)
            if options.histories and outcome.caught and outcome.folder:
                _keep_history(outcome)
            if outcome.caught and outcome.named and not options.keep:
                shutil.rmtree(folder / _place(outcome.name, outcome.seed), ignore_errors=True)
    took_s = time.monotonic() - began_s
    _conclude(options, outcomes, took_s)
    if any(folder.iterdir()):
        print(f"runs that were kept: {folder}")
    else:
        folder.rmdir()
    return 0 if good(outcomes) else 1


def _again(options: argparse.Namespace) -> int:
    """The same for the kept folders of an earlier run: seconds and CPU pressure are those of then."""
    kept = [Outcome(**one) for one in json.loads(options.again.read_text())]
    outcomes: list[Outcome] = []
    for one in kept:
        outcomes.append(judged_again(one))
        _tell(outcomes[-1], len(outcomes), len(kept))
    _note(options, outcomes)
    _conclude(options, outcomes, sum(one.took_s for one in kept))
    return 0 if good(outcomes) else 1


def _note(options: argparse.Namespace, outcomes: list[Outcome]) -> None:
    """Write all outcomes so far: a run of an hour may be ended before its end."""
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")


def _conclude(options: argparse.Namespace, outcomes: list[Outcome], took_s: float) -> None:
    """The page, and the figures."""
    if options.write:
        command = shlex.join(["python", "-m", "tests.truth", *sys.argv[1:]])
        run_ = SandboxRun.now(outcomes, command=command, seed=options.seed, took_s=round(took_s, 1))
        write_sandbox(KEPT / "sandbox.json", run_)
        _write_page(run_)
    for line in summary(outcomes, took_s=took_s):
        print(line)


def _write_page(run_: SandboxRun) -> None:
    """The page, of a run on the sandbox and of all that is known of the lab."""
    on_kind = merged(read_kind(KEPT / "kind.json"), read_kind(FROM_KIND).values())
    write_kind(KEPT / "kind.json", on_kind)
    PAGE.write_text(page(run_, on_kind), encoding="utf-8")


def good(outcomes: list[Outcome]) -> bool:
    """The goals of the track record.

    Sound runs: PASS with exit code 0 and with proof of what is unusual in them. Of all runs that must PASS 2 % may be
    INCONCLUSIVE, at least one, and each only if lack of CPU explains it (`table.excused`).
    """
    wanted = [one for one in outcomes if DEFECTS[one.name].result == "PASS"]
    open_ones = [one for one in wanted if excused(one)]
    few = len(open_ones) <= max(1, EXCUSED_MAX * len(wanted))
    rest = [one for one in outcomes if one not in open_ones]
    defects = [one for one in rest if DEFECTS[one.name].group != "sound"]
    sound = [one for one in rest if DEFECTS[one.name].group == "sound"]
    caught = all(one.caught for one in defects)
    named = sum(one.named for one in defects) >= NAMED_MIN * len(defects)
    proven = all(one.caught and one.named and one.exit_code == 0 and not one.first for one in sound)
    return caught and named and proven and few and _first_right(defects)


def _first_right(defects: list[Outcome]) -> bool:
    """The first cause: right in nearly all that must name one, and none where none can be named."""
    asked = [one for one in defects if wanted(one.name)]
    right = sum(is_right(one.name, one.first) for one in asked)
    return right >= FIRST_MIN * len(asked) and not any(one.first for one in defects if not wanted(one.name))


def _cases(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    if options.only:
        yield from ((name, options.seed + i) for i in range(options.times) for name in dict.fromkeys(options.only))
        return
    if not options.sound_only:
        names = [name for name in DEFECTS if name not in SOUND]
        chance = random.Random(options.seed)  # noqa: S311 - which defects, not secrets
        chosen = set(chance.sample(names, math.ceil(len(names) / options.share)))
        yield from ((name, options.seed) for name in names if name in chosen)
    for i, name in enumerate(itertools.islice(itertools.cycle(SOUND), options.sound)):
        yield name, options.seed + i


def _one(name: str, seed: int, folder: Path) -> Outcome:
    return run(name, seed=seed, folder=folder / _place(name, seed))


def _keep_history(one: Outcome) -> None:
    """Store the run's facts as a history named after the defect; an existing one is replaced."""
    defect = DEFECTS[one.name]
    case = HISTORIES / KINDS[defect.result] / f"sandbox-{one.name}"
    shutil.rmtree(case, ignore_errors=True)
    keep(Path(one.folder), case, defect.text, origin="sandbox")


def _place(name: str, seed: int) -> str:
    return f"{name}-{seed}"


def _tell(one: Outcome, number: int, total: int) -> None:
    word = "ok" if one.caught and one.named else "caught, not named" if one.caught else "NOT CAUGHT"
    print(
        f"{number:>3}/{total}  {word:<17} {one.name:<28} {one.result:<12} {one.took_s:5.1f} s  {one.first}", flush=True
    )
    if not is_right(one.name, one.first):
        print(f"      the first cause must be {wanted(one.name) or 'none'}, not {one.first or 'none'}", flush=True)
    if word != "ok":
        print(f"      must be {DEFECTS[one.name].result} by {DEFECTS[one.name].checker or 'the run'}"
              f" ({DEFECTS[one.name].cause or 'any cause'}); said, exit {one.exit_code}: {one.why}\n"
              f"      again: {one.again}", flush=True)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(DEFECTS), help="this one; repeatable")
    parser.add_argument("--times", type=int, default=1, help="with --only: as often, with growing seeds")
    parser.add_argument("--sound", type=int, default=10, metavar="N", help="sound runs (default 10)")
    parser.add_argument("--sound-only", action="store_true", help="no defects")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="one in N of the defects, by the seed")
    parser.add_argument("--seed", type=int, default=0, help="the first (default: of the day, as 20261231)")
    parser.add_argument("--jobs", type=int, default=1, help="sandboxes side by side (they disturb each other)")
    parser.add_argument("--keep", action="store_true", help="keep all run folders")
    parser.add_argument("--histories", action="store_true", help="put the facts of caught runs into tests/histories")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all outcomes")
    parser.add_argument("--again", type=Path, metavar="FILE", help="judge the kept runs of that --json anew")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--page", action="store_true", help="only write the page, with what the lab has said since")
    options = parser.parse_args()
    if options.share < 1:
        parser.error("--share is a whole number from 1")
    if options.write and (options.only or options.sound_only or options.share > 1):
        parser.error("--write replaces the whole page: no --only, no --sound-only, no --share")
    if options.again and options.only:
        parser.error("--again takes the runs that the file names: no --only")
    options.seed = options.seed or int(f"{datetime.now(UTC):%Y%m%d}")
    return options


if __name__ == "__main__":
    sys.exit(main())
