"""The track record on the real lab (`make truth LAB=kind`): the sandbox's defects that can be made real there.

Each case has the name and the expectation of the sandbox's catalogue, so that both targets are held to one table; what
the lab needs to show it is here. Nothing is tried again until it suits; a run that was INCONCLUSIVE for lack of CPU
alone is skipped, and says so. The outcomes are in reports/truth-kind.json; `python -m tests.truth --page` takes them
into docs/truth.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edits
import pytest
import troubles as t
from lab_user import ROOT, TARGET, Ended, Tool
from troubles import Beside, Stage

from rollproof_sandbox.defects import DEFECTS, Defect
from tests.starved import starved, waited_us
from tests.truth.case import Outcome, first_cause, judged, worst
from tests.truth.firstcauses import ON_KIND, is_right, wanted
from tests.truth.kept import OnKind, merged, read_kind, write_kind
from tests.truth.proofs import Record
from tests.truth.table import excused

TABLE = ROOT / "reports/truth-kind.json"
SHORT = {
    "traffic": {"baseline_s": 3, "after_old_gone_s": 3, "tail_s": 1},
    "release": {"deadline_s": 60, "proof_count": 10},
    "rollback": {"deadline_s": 60},
}
Target = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """How the lab shows a defect. `words` follow the defect's own drill; {name} is the sha of a release."""

    words: tuple[str, ...] = ()
    before: tuple[edits.Edit, ...] = ()
    beside: Beside = t.nothing
    target: Target = field(default_factory=dict)


CASES = {
    "image-not-pullable": Case(words=("--sha", "0badbad"), target={"release": {"image_check": '"none"'}}),
    "crash-loop": Case(words=("--sha", "{crashes}")),
    "wrong-version": Case(words=("--sha", "{wrong-version}")),
    "never-ready": Case(words=("--sha", "{never-ready}"), before=(edits.soon_exceeded,)),
    "sync-retry": Case(beside=t.images_frozen, target={"release": {"deadline_s": 14}}),
    "stale-synced": Case(beside=t.argo_cd_looks_away, target={"release": {"deadline_s": 12}}),
    "rollout-replaces-nothing": Case(before=(edits.pinned_by_a_second_entry,)),
    "superseding-commit": Case(beside=t.superseding_commit),
    "self-heal-off": Case(beside=t.self_heal_off),
    "noop-commit": Case(beside=t.noop_commit),
    "healed-by-a-person": Case(beside=t.healed_by_a_person),
    "ignored-field": Case(beside=t.ignored_field),
    "sync-window-closed": Case(beside=t.sync_window_closed),
    "deleted-object-new-uid": Case(),
    "back-off-at-attempt-6": Case(beside=t.six_heals_before, target={"drift": {"reset": '"wait"'}}),  # no way around it
    "sound-load": Case(),
    "generator-stalled": Case(beside=t.engine_stopped),
    "revert-conflict": Case(beside=t.tag_edit),
    "image-updater": Case(beside=t.image_updater),
    "rollback-too-slow": Case(target={"rollback": {"limit_s": 4}}),
    "rollback-loses-requests": Case(words=("--sha", "{exits-at-sigterm}"), before=(edits.no_prestop,)),
    "exit-at-sigterm": Case(words=("--sha", "{second}"), before=(edits.runs("exits-at-sigterm"), edits.no_prestop)),
    "prestop-too-short": Case(
        words=("--sha", "{second}"), before=(edits.runs("exits-at-sigterm"), edits.short_prestop)
    ),
    "database-down": Case(before=(edits.ready_without_database,), beside=t.database_away),
    "heals-late": Case(beside=t.heals_late, target={"drift": {"deadline_s": 6}}),
    "env-not-healed": Case(beside=t.self_heal_off),
    "deletion-not-healed": Case(beside=t.self_heal_off),
    "bad-crash-loop": Case(words=("--bad", "crash-loop")),
    "bad-never-ready": Case(words=("--bad", "never-ready"), before=(edits.soon_exceeded,)),
    "bad-wrong-version": Case(words=("--bad", "wrong-version")),
    "deny-window-ends": Case(),
    "deny-window-loses-requests": Case(
        words=("--sha", "{second}"), before=(edits.runs("exits-at-sigterm"), edits.no_prestop)
    ),
    "sound-race": Case(),
    "sound-race-in-sync": Case(),
    "race-loses-requests": Case(before=(edits.runs("exits-at-sigterm"), edits.no_prestop)),
    "race-last-not-pullable": Case(
        target={
            "release": {"shas": '["{second}", "0badbad"]', "image_check": '"none"'}, "faults": {"recovery_limit_s": 20},
        },
    ),
    "race-not-synced": Case(beside=t.images_frozen, target={"release": {"deadline_s": 14}}),
    "sound-delete": Case(),
    "sound-evict": Case(),
    "evict-prestop-too-short": Case(before=(edits.runs("exits-at-sigterm"), edits.short_prestop)),
    "replacement-late": Case(target={"faults": {"recovery_limit_s": 3}}),
    "budget-blocks-for-ever": Case(beside=t.budget_of_none),
    "budget-allows-one": Case(beside=t.budget_of_one),
    "one-replica": Case(before=(edits.one_replica,)),
    "no-second-node": Case(before=(edits.on_one_node,)),
    "process-never-returns": Case(target={"faults": {"process": '"nginx"'}}),
    "sound-process-kill": Case(),
    "readiness-ignores-database": Case(
        before=(edits.ready_without_database,), target={"posture": {"must": '["readiness-probe"]'}},
    ),
    "liveness-needs-database": Case(before=(edits.alive_with_database,), target={"faults": {"hold_s": 40}}),
    "force-push-not-allowed": Case(),  # its git server takes no force
}  # fmt: skip
# What only the lab can show: the sandbox's kubelet always asks the path that needs the database.
OURS = {
    "database-down": Defect(
        name="database-down", group="readiness", text="the database is away and no probe asks for it",
        drill=("release",), result="FAIL", checker="readiness", cause="down", change={},
    ),
    "process-never-returns": Defect(
        name="process-never-returns", group="pod fault", text="nobody starts a supervised process again",
        drill=("process-kill",), result="FAIL", checker="fault", cause="SILENT_LOSS", change={},
    ),
    "readiness-ignores-database": Defect(
        name="readiness-ignores-database", group="readiness", text="the readiness probe does not need the database",
        drill=("posture",), result="FAIL", checker="posture", cause="readinessProbe", change={},
    ),
    "liveness-needs-database": Defect(
        name="liveness-needs-database", group="readiness", text="the liveness probe needs the database",
        drill=("database-refused",), result="FAIL", checker="dependency", cause="restarted", change={},
    ),
    "sound-process-kill": Defect(
        name="sound-process-kill", group="sound", text="the supervisor starts a process again",
        drill=("process-kill",), result="PASS", checker="fault", change={},
    ),
}  # fmt: skip
assert OURS.keys() <= ON_KIND.keys(), (
    "the first cause of a case that only the lab has stands in tests/truth/firstcauses.py"
)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    """What was said so far."""
    said: list[Outcome] = []
    yield said
    for one in said:
        word = "ok" if one.named else "caught, not named" if one.caught else "NOT CAUGHT"
        print(f"{word:<17} {one.name:<26} {one.result:<12} {one.took_s:6.1f} s")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, releases: dict[str, str]) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"), releases)
    yield stage
    stage.close()


@pytest.mark.parametrize("name", CASES)
def test_a_defect_is_caught_and_named(name: str, stage: Stage, outcomes: list[Outcome], tmp_path: Path) -> None:
    case, defect = CASES[name], {**DEFECTS, **OURS}[name]
    began_s, began_us = time.monotonic(), waited_us()
    tag = stage.prepare(*case.before)
    stage.tool = _tool(name, tmp_path, case.target, stage.releases)
    words = [word.format_map(stage.releases) for word in (*defect.drill, *case.words)]
    with case.beside(stage):
        ended = stage.tool.drill(*words)
    took_s = time.monotonic() - began_s
    pressure = round((waited_us() - began_us) / 1e6 / took_s, 3)
    outcome = replace(_outcome(defect, ended), took_s=round(took_s, 1), cpu_pressure=pressure)
    outcomes.append(outcome)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    write_kind(TABLE, merged(read_kind(TABLE), [OnKind(outcome, day)]))  # of each at once: all take most of an hour
    if defect.result == "PASS" and excused(outcome):  # as tests/truth has it
        pytest.skip(f"INCONCLUSIVE for lack of CPU alone, which says nothing: {outcome.why}")
    assert outcome.caught, f"must be {defect.result}; said, exit {ended.exit_code}: {outcome.why}"
    assert outcome.named, f"must be named by {defect.checker}, {defect.cause or 'any cause'}; said: {outcome.why}"
    must = wanted(name, on_kind=True) or "none"
    assert is_right(name, outcome.first, on_kind=True), f"the first cause must be {must}, not {outcome.first or 'none'}"
    assert ended.result("undo") <= {"PASS"}
    if (defect.drill[0], defect.result) != ("release", "PASS"):  # what was proven, that drill leaves
        assert stage.tag() == tag, "the run has taken its release back"


def _tool(name: str, folder: Path, target: Target, releases: Mapping[str, str]) -> Tool:
    kept = os.environ.get("ROLLPROOF_KEEP_REPORTS")
    reports = Path(kept) / name if kept else folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    tool = Tool(reports)
    tool.target = folder / "target.toml"
    text = TARGET.read_text()
    for section in {**SHORT, **target}:
        for key, value in {**SHORT.get(section, {}), **target.get(section, {})}.items():
            text = _with(text, section, key, value.format_map(releases) if isinstance(value, str) else value)
    tool.target.write_text(text)
    return tool


def _with(text: str, section: str, key: str, value: Any) -> str:
    """A target file with one value changed or added."""
    head, found, body = text.partition(f"[{section}]\n")
    if not found:
        return f"{text.rstrip()}\n\n[{section}]\n{key} = {value}\n"
    own, bracket, rest = body.partition("\n[")
    own = re.sub(rf"^{key} = .*\n?", "", own, flags=re.MULTILINE)
    return f"{head}{found}{key} = {value}\n{own}{bracket}{rest}"


def _outcome(defect: Defect, ended: Ended) -> Outcome:
    stored = json.loads((ended.folder / "verdicts.json").read_text()) if ended.folder else {}
    caught, named, why = judged(defect, stored, ended.exit_code, ended.output, Record.of(ended.folder))
    return Outcome(
        defect.name, 0, str(stored.get("result", "none")), ended.exit_code, caught, named, why, 0.0, 0.0,
        str(ended.folder or ""), worst(stored), starved(stored), first_cause(stored),
    )  # fmt: skip
