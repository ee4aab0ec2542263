"""docs/rows.md: each row that has to be proven, its drills, and where each was proven last (`--update-golden`).

Drills name their rows in their markers; what was proven is read from the runs that are kept in tests/histories.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollproof.core.platform import platform_word
from rollproof.suites import Drill, drill_table
from rollproof.suites.rows import EVERY_CHANGE, EVERY_DRILL, ROWS

ROOT = Path(__file__).resolve().parents[3]
PAGE, HISTORIES = ROOT / "docs" / "rows.md", ROOT / "tests" / "histories"
BEGIN, END = "<!-- the rows: made by tests/unit/house/test_rows.py -->", "<!-- end of the rows -->"
SANDBOX = "sandbox"


@dataclass(frozen=True, order=True)
class Proof:
    """One drill of a kept run, with a verdict that claims something. PASS counts before FAIL, then the newest."""

    passed: bool
    run_id: str
    drill: str
    platform: str
    kubernetes: str
    argocd: str
    history: str

    def __str__(self) -> str:
        day = f"{self.run_id[:4]}-{self.run_id[4:6]}-{self.run_id[6:8]}"
        versions = f"Kubernetes {self.kubernetes}, Argo CD {self.argocd}"
        return f"{'PASS' if self.passed else 'FAIL'} {day}, {versions} (`{self.history}`)"


def proofs(folder: Path) -> Iterator[Proof]:
    """What a kept run has proven; nothing where it was made of another one, or made no claim."""
    expected, plan, around = (_read(folder / name) for name in ("expected.json", "plan.json", "environment.json"))
    if expected.get("origin") not in ("lab", SANDBOX):
        return
    platform = platform_word(str(around["kubernetes"]), plan["target"]["cluster"]["context"])
    for drill in plan["drills"]:
        results = {one for told in expected.get("checkers", {}).get(drill, {}).values() for one in told} - {"SKIPPED"}
        claimed = results or {expected["result"]}  # a run of posture alone expects its result only
        if claimed == {"PASS"} or "FAIL" in claimed:
            yield Proof(
                claimed == {"PASS"}, plan["run_id"], drill, platform, str(around["kubernetes"]).partition("+")[0],
                around["argocd"]["version"], f"{folder.parent.name}/{folder.name}",
            )  # fmt: skip


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else {}


def drills_of(row: int, drills: Iterable[Drill]) -> list[Drill]:
    if row in EVERY_DRILL:
        return [*drills]
    if row in EVERY_CHANGE:
        return [one for one in drills if one.faults or one.deploys or one.drifts]
    return [one for one in drills if row in one.rows]


def page(drills: list[Drill], known: list[Proof]) -> str:
    lines = ["| row | drill | last on a cluster | last on the sandbox |", "|---|---|---|---|"]
    for row, text in ROWS.items():
        chosen, head = drills_of(row, drills), f"{row} {text}"
        if row in (*EVERY_CHANGE, *EVERY_DRILL):
            words = "every drill that changes anything" if row in EVERY_CHANGE else "every drill"
            lines.append(_line(head, f"{words} ({len(chosen)})", {one.name for one in chosen}, known))
        elif not chosen:
            lines.append(f"| {head} | none yet | - | - |")
        for drill in chosen if row not in (*EVERY_CHANGE, *EVERY_DRILL) else ():
            lines.append(_line(head, f"`{drill.name}`", {drill.name}, known))
            head = ""
    lines += [_line("beyond these rows", f"`{one.name}`", {one.name}, known) for one in drills if not one.rows]
    return "\n".join(lines)


def _line(head: str, said: str, names: set[str], known: list[Proof]) -> str:
    mine = [one for one in known if one.drill in names]
    cluster = max((one for one in mine if one.platform != SANDBOX), default="-")
    sandbox = max((one for one in mine if one.platform == SANDBOX), default="-")
    return f"| {head} | {said} | {cluster} | {sandbox} |"


def in_order() -> list[Drill]:
    return sorted(drill_table().values(), key=lambda drill: drill.name)


def test_every_row_has_a_drill() -> None:
    missing = {row for row in ROWS if not drills_of(row, in_order())}
    assert not missing, "a drill names its rows in its marker: rows=(…,)"


def test_the_page_says_what_the_kept_runs_say(request: pytest.FixtureRequest) -> None:
    known = [one for folder in sorted(HISTORIES.glob("*/*")) if folder.is_dir() for one in proofs(folder)]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    wanted = f"{before}{BEGIN}\n{page(in_order(), known)}\n{END}{rest.partition(END)[2]}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "--update-golden writes it"


def history(
    folder: Path, run_id: str, result: str, origin: str = "lab", drill: str = "jobs", kubernetes: str = "v1.34.4"
) -> Path:
    checkers = {drill: {"jobs": [result, "SKIPPED"]}, "undo": {"undo": ["PASS"]}}
    plan = {"run_id": run_id, "drills": [drill], "target": {"cluster": {"context": "kind-lab"}}}
    around = {"kubernetes": kubernetes, "argocd": {"version": "v3.6.1"}}
    told = {"origin": origin, "result": result, "checkers": checkers}
    folder.mkdir()
    for name, value in (("expected", told), ("plan", plan), ("environment", around)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def test_what_counts_as_proven(tmp_path: Path) -> None:
    """The newest PASS, before any FAIL; no run that was made of another one, and none without a claim."""
    made = [
        history(tmp_path / "a", "20261101T000000Z-jobs", "PASS"),
        history(tmp_path / "b", "20261102T000000Z-jobs", "PASS"),
        history(tmp_path / "c", "20261103T000000Z-jobs", "FAIL"),
        history(tmp_path / "d", "20261104T000000Z-jobs", "INCONCLUSIVE"),
        history(tmp_path / "e", "20261105T000000Z-jobs", "PASS", origin="derived from good/jobs"),
        history(tmp_path / "f", "20261106T000000Z-jobs", "PASS", origin=SANDBOX, kubernetes="v1.34.4+sandbox"),
        history(tmp_path / "g", "20261107T000000Z-x", "FAIL", drill="x"),
    ]
    known = [one for folder in made for one in proofs(folder)]
    drills = [Drill(name="jobs", rows=(5,)), Drill(name="x"), Drill(name="y", rows=(6,))]
    lines = page(drills, known).splitlines()
    of = {line.split("|")[2].strip(): line.split("|")[3:5] for line in lines if not line.startswith("| 1")}
    assert "PASS 2026-11-02, Kubernetes v1.34.4, Argo CD v3.6.1" in of["`jobs`"][0]
    assert "PASS 2026-11-06" in of["`jobs`"][1]
    assert "FAIL 2026-11-07" in of["`x`"][0], "beyond the rows, and told all the same"
    assert of["`y`"] == [" - ", " - "]
    assert "| none yet |" in next(line for line in lines if line.startswith("| 8 "))
