"""The track record's own judgement: what counts as caught, as named, as proven, and as excused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollproof.errors import InputError
from rollproof_sandbox.defects import DEFECTS, with_defects
from rollproof_sandbox.settings import Settings
from tests.starved import starved
from tests.truth import case
from tests.truth.__main__ import good, main
from tests.truth.case import BROKEN, Outcome, first_cause, judged, judged_again, worst
from tests.truth.firstcauses import FIRST, ON_KIND, is_right, wanted
from tests.truth.kept import OnKind, SandboxRun, merged, read_kind, read_sandbox, write_kind, write_sandbox
from tests.truth.proofs import PROOFS, Record, happened
from tests.truth.table import CPU_PRESSURE_MIN, excused, page

ROOT = Path(__file__).resolve().parents[2]


def stored(result: str, checker: str, why: str = "", *codes: str) -> dict[str, Any]:
    findings = [{"code": code} for code in codes]
    return {
        "result": result,
        "verdicts": [
            {"checker": "undo", "result": "PASS", "why": "", "findings": []},
            {"checker": checker, "result": result, "why": why, "findings": findings},
        ],
    }


BY_CODE, BY_WORDS, BY_NOBODY = DEFECTS["self-heal-off"], DEFECTS["old-pod-stuck"], DEFECTS["disk-full"]
FULL = "error: timeline.jsonl cannot be written: No space left on device\n  free the disk\n"


@pytest.mark.parametrize(
    ("defect", "run", "code", "wanted"),
    [
        (BY_CODE, stored("FAIL", "drift", "", "SELF_HEAL_OFF"), 1, (True, True)),
        (BY_CODE, stored("FAIL", "drift", "", "OTHER"), 1, (True, False)),
        (BY_CODE, stored("FAIL", "watches", "", "SELF_HEAL_OFF"), 1, (True, False)),
        (BY_CODE, stored("INCONCLUSIVE", "drift", "", "SELF_HEAL_OFF"), 3, (False, False)),
        (BY_CODE, stored("FAIL", "drift", "", "SELF_HEAL_OFF"), 4, (False, False)),
        (BY_CODE, {}, 1, (False, False)),
        (BY_WORDS, stored("FAIL", "rollout", "1 of 2 old pods were Left behind"), 1, (True, True)),
        (BY_NOBODY, {}, 3, (True, True)),
        (BY_NOBODY, {}, 2, (False, False)),
        (DEFECTS["old-pod-orphaned"], stored("FAIL", "rollout", "left behind"), 4, (True, True)),
        (DEFECTS["old-pod-orphaned"], stored("FAIL", "rollout", "left behind"), 1, (False, False)),
    ],
)
def test_a_run_is_caught_by_its_result_and_named_by_checker_and_cause(
    defect: Any, run: dict[str, Any], code: int, wanted: tuple[bool, bool]
) -> None:
    assert judged(defect, run, code, FULL, Record())[:2] == wanted


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (FULL, True),
        (f"  3.0s phase act\n{FULL}", True),
        ("  3.0s cannot be written: No space left on device\nerror: the API server is away\n", False),
        (f"{FULL}error: the API server is away\n", False),
        ("  3.0s cannot be written: No space left on device\n", False),
    ],
)
def test_without_verdicts_the_cause_must_be_in_the_last_error_message(output: str, named: bool) -> None:
    assert judged(BY_NOBODY, {}, 3, output, Record())[:2] == (True, named)


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("run", [{}, stored("INCONCLUSIVE", "disk-full", "No space left on device")])
def test_a_sandbox_or_a_harness_that_failed_itself_catches_nothing(broken: str, run: dict[str, Any]) -> None:
    assert judged(BY_NOBODY, run, 3, f"{FULL}error: {broken}: KeyError\n", Record())[:2] == (False, False)


def test_a_checker_that_failed_itself_is_seen_in_its_verdict() -> None:
    run = stored("INCONCLUSIVE", "availability", "the checker itself failed: KeyError: 'rows'")
    run["verdicts"][0] |= {"why": "nobody was looking", "checker": "availability", "result": "INCONCLUSIVE"}
    assert judged(DEFECTS["too-few-samples"], run, 3, "", Record())[:2] == (False, False)


def test_every_defect_says_what_must_be_said() -> None:
    vague = [name for name, one in DEFECTS.items() if one.group != "sound" and not (one.checker or one.cause)]
    assert vague == []
    stay = {"old-pod-orphaned", "race-pod-orphaned", "revert-image-gone"}
    assert {name for name, one in DEFECTS.items() if one.stays} == stay


@pytest.mark.processes
def test_the_command_line_is_no_part_of_what_is_judged(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "print('error: something else')", "--defect", "disk-full"]
    code, said = case._ended(words, tmp_path / "output.log")
    assert (code, said) == (0, "error: something else\n")
    assert "--defect disk-full" in (tmp_path / "output.log").read_text()


@pytest.mark.processes
def test_a_run_that_does_not_end_in_time_is_not_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "_DEADLINE_S", 0.0)
    words = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    code, said = case._ended(words, tmp_path / "output.log")
    assert (code, said) == (-1, "")
    assert judged(BY_NOBODY, {}, code, FULL, Record())[0] is False


@pytest.mark.processes
def test_a_run_that_does_not_hear_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "_UNDO_S", 0.01)
    deaf = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-u", "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        case._end(process)
        assert process.returncode == -signal.SIGKILL


# -- proofs of what is unusual in a sound run ------------------------------------------------------------------------


def record(*said: tuple[str, dict[str, Any]], log: str = "") -> Record:
    return Record(tuple({"what": what, "data": data} for what, data in said), log)


RELOADS = "2026-11-26 10:40:11,120 rollproof_sandbox.sandbox ingress: reloads;"


def backed_off(attempts: int = 6, quiet_s: float = 302.0) -> Record:
    """Eight seconds went by between the plan and the start of a trial."""
    data = {"attempts": attempts, "gap_s": 300.0, "quiet_s": quiet_s}
    return Record(({"what": "planned", "end_s": 10.0, "data": {}}, {"what": "before", "end_s": 18.0, "data": data}))


@pytest.mark.parametrize(
    ("name", "shown", "not_shown"),
    [
        ("watch-410-resumed", record(("gap", {"reason": "410 Gone"})), record(("gap", {"reason": "it ended"}))),
        ("watch-ended-resumed", record(("gap", {"reason": "the server ended the watch"})),
         record(("gap", {"reason": "410 Gone"}))),
        ("back-off-at-attempt-6", backed_off(), backed_off(attempts=5)),
        ("back-off-at-attempt-6", backed_off(), backed_off(quiet_s=299.0)),
        ("back-off-at-attempt-6", backed_off(), backed_off(quiet_s=309.0)),
        ("deleted-object-new-uid", record(("injected", {"uid": "a"}), ("restored", {"uid": "b"})),
         record(("injected", {"uid": "a"}), ("restored", {"uid": "a"}))),
        ("deleted-object-new-uid", record(("injected", {"uid": "a"}), ("restored", {"uid": "b"})),
         record(("injected", {"uid": "a"}), ("restored", {}))),
        ("ingress-reload-clean", record(log=f"x\n{RELOADS} 12 connections end with their next answer\n"),
         record(log=f"x\n{RELOADS} 0 connections end with their next answer\n")),
        ("refresh-lost", record(("refresh-asked", {"count": 2})), record(("refresh-asked", {"count": 1}))),
    ],
)  # fmt: skip
def test_a_sound_run_must_show_that_the_unusual_thing_took_place(name: str, shown: Record, not_shown: Record) -> None:
    defect = DEFECTS[name]
    run = stored("PASS", defect.checker or "release", "", defect.cause)
    assert judged(defect, run, 0, "", shown)[:2] == (True, True)
    for nothing in (not_shown, Record()):
        assert judged(defect, run, 0, "", nothing)[:2] == (True, False)


def test_proofs_are_of_known_defects_and_others_need_none() -> None:
    assert PROOFS.keys() <= DEFECTS.keys()
    assert happened("sound-load", Record())


def test_a_record_is_read_from_the_run_and_the_logs_of_its_sandbox(tmp_path: Path) -> None:
    (tmp_path / "timeline.jsonl").write_text('{"what": "gap", "data": {"reason": "x"}}\n{"what": "gap"}\n')
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/children.log").write_text("said\n")
    read = Record.of(tmp_path, tmp_path)
    assert (list(read.data("gap")), read.log) == ([{"reason": "x"}, {}], "said\n")
    assert Record.of(None) == Record.of(tmp_path / "none", tmp_path / "none") == Record()


# -- the goals -------------------------------------------------------------------------------------------------------


def outcome(name: str, result: str = "PASS", code: int = 0, **more: Any) -> Outcome:
    right = result == DEFECTS[name].result
    first = wanted(name) or ""
    made = Outcome(name, 1, result, code, caught=right, named=right, why="", took_s=8.0, cpu_pressure=0.1, first=first)
    return replace(made, **more)


CONTROL = next(one.name for one in DEFECTS.values() if one.result == "PASS" and one.group != "sound")
CAUGHT = outcome("self-heal-off", "FAIL", 1)
SOUND = [outcome("sound-load") for _ in range(9)]
STARVED = outcome("sound-load", "INCONCLUSIVE", 3, cpu_pressure=0.9, starved=True)


@pytest.mark.parametrize(
    ("runs", "wanted"),
    [
        ([CAUGHT, *SOUND], True),
        ([*SOUND], True),
        ([CAUGHT], True),
        ([replace(CAUGHT, caught=False)], False),
        ([replace(CAUGHT, named=False)], False),
        ([*[CAUGHT] * 9, replace(CAUGHT, named=False)], True),
        ([*[CAUGHT] * 19, replace(CAUGHT, first="DEADLINE_EXCEEDED")], True),  # of 20 one may be wrong: 95 %
        ([*[CAUGHT] * 18, replace(CAUGHT, first="DEADLINE_EXCEEDED")], False),
        ([CAUGHT, replace(CAUGHT, first="")], False),
        ([CAUGHT, outcome("too-few-samples", "INCONCLUSIVE", 3)], True),
        ([CAUGHT, outcome("too-few-samples", "INCONCLUSIVE", 3, first="SLOW")], False),
        ([*SOUND, outcome("sound-load", first="SLOW")], False),
        ([*SOUND, outcome("sound-load", "FAIL", 1)], False),
        ([replace(one, exit_code=4, caught=False, named=False) for one in SOUND], False),
        ([*SOUND, outcome("sound-load", code=4)], False),
        ([*SOUND, outcome("sound-load", caught=False)], False),
        ([*SOUND, outcome("sound-load", named=False)], False),
        ([*SOUND, STARVED], True),
        ([*SOUND, replace(STARVED, name=CONTROL)], True),
        ([*SOUND, STARVED, replace(STARVED, name=CONTROL)], False),
        ([*SOUND, replace(STARVED, name=CAUGHT.name)], False),
        ([*SOUND, replace(STARVED, cpu_pressure=CPU_PRESSURE_MIN - 0.001)], False),
        ([*SOUND, replace(STARVED, starved=False)], False),
        ([*SOUND, replace(STARVED, exit_code=4)], False),
        ([*SOUND, STARVED, STARVED], False),
        ([*SOUND * 10, STARVED, STARVED], False),
        ([*SOUND * 12, STARVED, STARVED], True),
    ],
)
def test_the_goals(runs: list[Outcome], wanted: bool) -> None:
    assert good(runs) is wanted


# -- first causes ----------------------------------------------------------------------------------------------------


def test_each_defect_that_must_not_pass_states_its_first_cause_or_that_none_can_be_named() -> None:
    assert {name for name, one in DEFECTS.items() if one.result != "PASS"} == FIRST.keys()
    silent = [name for name, code in FIRST.items() if code is None and DEFECTS[name].result == "FAIL"]
    assert silent == [], "each FAIL has a cause that can be named"


def test_what_passes_names_none_and_the_lab_may_differ() -> None:
    assert wanted("sound-load") is wanted(CONTROL) is None
    assert is_right("sound-load", "")
    assert not is_right("sound-load", "SLOW")
    assert is_right("self-heal-off", "SELF_HEAL_OFF")
    assert not is_right("self-heal-off", "")
    for name, code in ON_KIND.items():
        assert is_right(name, str(code or ""), on_kind=True)


def test_the_first_cause_is_the_first_that_is_stored() -> None:
    assert first_cause({"causes": [{"code": "A"}, {"code": "B"}]}) == "A"
    assert first_cause({"causes": []}) == first_cause({}) == ""


STORED = sorted((Path(__file__).resolve().parents[1] / "histories").glob("*/sandbox-*/expected.json"))
OF_DEFECTS = [path for path in STORED if path.parent.name.removeprefix("sandbox-") in DEFECTS]


@pytest.mark.parametrize("path", OF_DEFECTS, ids=lambda path: path.parent.name)
def test_a_stored_run_of_a_defect_names_the_cause_that_the_table_wants(path: Path) -> None:
    """`test_histories.py` holds the judging code to the same word."""
    named = json.loads(path.read_text()).get("cause", "")
    assert is_right(path.parent.name.removeprefix("sandbox-"), named)


def test_more_than_half_of_what_the_table_wants_is_shown_by_a_stored_run() -> None:
    shown = {path.parent.name.removeprefix("sandbox-") for path in OF_DEFECTS}
    asked = {name for name, code in FIRST.items() if code is not None}
    assert len(shown & asked) > len(asked) / 2


def test_a_run_without_a_folder_is_not_judged_again() -> None:
    assert judged_again(CAUGHT) is CAUGHT


BLIND = "for 90 ms nobody was looking"


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        (stored("INCONCLUSIVE", "availability", BLIND), True),
        (stored("INCONCLUSIVE", "load_soundness", "the generator cannot be believed: it stood still"), True),
        (stored("INCONCLUSIVE", "watches", "Watch/Pod was away for 1.2 s"), True),
        (stored("INCONCLUSIVE", "load_soundness", "no load ran"), False),
        (stored("INCONCLUSIVE", "watches", "the wall clock moved +5.0 s"), False),
        (stored("INCONCLUSIVE", "harness", "the harness failed: nobody was looking"), False),
        (stored("FAIL", "availability", BLIND), False),
        ({}, False),
    ],
)
def test_only_what_want_of_cpu_causes_is_called_starved(run: dict[str, Any], wanted: bool) -> None:
    assert starved(run) is wanted


def test_one_reason_of_another_kind_and_it_is_not_starved() -> None:
    run = stored("INCONCLUSIVE", "availability", BLIND)
    run["verdicts"].append({"checker": "drift", "result": "INCONCLUSIVE", "why": "void", "findings": []})
    assert not starved(run)
    assert not excused(replace(STARVED, starved=starved(run)))


def test_the_worst_of_a_checkers_verdicts_is_what_it_said() -> None:
    run = stored("FAIL", "drift")
    run["verdicts"].append({"checker": "drift", "result": "PASS", "why": "", "findings": []})
    assert worst(run) == {"undo": "PASS", "drift": "FAIL"}


# -- the page --------------------------------------------------------------------------------------------------------


def written(outcomes: list[Outcome], *on_kind: Outcome) -> str:
    run = SandboxRun.now(outcomes, command="python -m tests.truth --write", seed=7, took_s=0)
    return page(run, {one.name: OnKind(one, "2026-12-31") for one in on_kind})


def row(name: str, *on_kind: Outcome, **more: Any) -> str:
    text = written([outcome(name, DEFECTS[name].result, 1, **more)], *on_kind)
    return next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))


def test_an_empty_track_record_claims_nothing() -> None:
    assert "caught" not in written([]).split("*Named*")[1].partition("do not edit")[2]


def test_the_page_says_by_which_command_it_was_made() -> None:
    assert "Made by `python -m tests.truth --write` (first seed 7)" in written([])


def test_a_defect_that_was_not_named_is_said_to_be_by_whoever_said_it() -> None:
    said = {"version": "FAIL", "undo": "PASS"}
    assert "| drift | SELF_HEAL_OFF |" in row("self-heal-off", said=said)
    assert "| FAIL | version | not named (must be drift: SELF_HEAL_OFF) |" in row(
        "self-heal-off", said=said, named=False
    )


def test_the_page_says_the_first_cause_and_what_it_must_be() -> None:
    assert "| SELF_HEAL_OFF | SELF_HEAL_OFF | 8 |" in row("self-heal-off")
    assert "| **NOT_SYNCED** (must be SELF_HEAL_OFF) | 8 |" in row("self-heal-off", first="NOT_SYNCED")
    assert "| **none** (must be SELF_HEAL_OFF) | 8 |" in row("self-heal-off", first="")
    text = written([CAUGHT, replace(CAUGHT, first=""), *SOUND, outcome("sound-load", first="SLOW")])
    assert "first cause right: 1 of 2 (50%; 95% is asked); named where none can be: 0 of 0" in text
    assert "sound runs: 9 of 10 PASS, 0 INCONCLUSIVE, 1 other; 1 named a cause" in text


def test_the_page_says_what_was_not_run() -> None:
    rest = [outcome(name, one.result) for name, one in DEFECTS.items() if name != "disk-full"]
    assert "not run this time, so nothing is said of them: 1: disk-full" in written(rest)
    assert "not run" not in written([*rest, outcome("disk-full", "INCONCLUSIVE", 3)])


def test_a_run_without_verdicts_is_told_by_its_exit_code() -> None:
    without = replace(outcome("disk-full", "INCONCLUSIVE", 3), result="none")
    text = written([without, outcome("tag-latest", "none", 1)])
    assert "| exit 3 | the run | cannot be written: No space left on device |" in text
    assert "| **exit 1** (must be INCONCLUSIVE) | the run | not named" in text


def test_the_page_compares_every_checker_with_the_labs() -> None:
    here = {"drift": "FAIL", "undo": "PASS"}
    there = outcome("self-heal-off", "FAIL", 1, said=here)
    assert row("self-heal-off", said=here).endswith("| - |")
    assert row("self-heal-off", there, said=here).endswith("| FAIL, every checker agrees (2026-12-31) |")
    other = replace(there, said={"drift": "FAIL", "watches": "PASS"})
    differs = "| FAIL: drift INCONCLUSIVE, here FAIL; undo -, here PASS (2026-12-31) |"
    assert row("self-heal-off", replace(there, said={"drift": "INCONCLUSIVE"}), said=here).endswith(differs)
    only = replace(there, name="process-never-returns", first="SILENT_LOSS")
    text = written([outcome("self-heal-off", "FAIL", 1, said=here)], other, only)
    assert "on kind: 1 of them, 1 with the same result, 0 with the same of every checker" in text
    assert "on kind: 2 cases, 2 caught, 2 named" in text
    assert "| `process-never-returns` | FAIL | SILENT_LOSS | 8 | 2026-12-31 |" in text
    missed = replace(there, caught=False, named=False, result="PASS")
    assert "| **PASS, NOT CAUGHT**: drift" in row("self-heal-off", missed)


def test_what_is_kept_is_read_again_without_the_machine_s_folder(tmp_path: Path) -> None:
    one = replace(outcome("self-heal-off", "FAIL", 1), folder="/here/reports/1", why="all well")
    missed = replace(one, name="sync-retry", caught=False, why="it said PASS")
    run = SandboxRun.now([one, missed], command="words", seed=7, took_s=1.5)
    write_sandbox(tmp_path / "truth/sandbox.json", run)
    bare = (replace(one, folder="", why=""), replace(missed, folder=""))
    assert read_sandbox(tmp_path / "truth/sandbox.json") == replace(run, outcomes=bare)
    write_kind(tmp_path / "kind.json", {"self-heal-off": OnKind(one, "2026-12-31")})
    assert read_kind(tmp_path / "kind.json") == {"self-heal-off": OnKind(bare[0], "2026-12-31")}
    assert read_kind(tmp_path / "none.json") == {}


def test_the_lab_s_newest_word_counts() -> None:
    old, new = (OnKind(outcome("self-heal-off", "FAIL", 1), day) for day in ("2026-11-30", "2026-12-01"))
    other = OnKind(outcome("sync-retry", "FAIL", 1), "2026-01-01")
    assert merged({"self-heal-off": old, "sync-retry": other}, [new]) == {"self-heal-off": new, "sync-retry": other}
    assert merged({"self-heal-off": new}, [old]) == {"self-heal-off": new}
    again = replace(new, outcome=replace(new.outcome, took_s=1.0))
    assert merged({"self-heal-off": new}, [again]) == {"self-heal-off": again}


def test_the_page_in_the_repository_is_what_is_kept_beside_it() -> None:
    kept = ROOT / "docs/truth"
    beside = page(read_sandbox(kept / "sandbox.json"), read_kind(kept / "kind.json"))
    assert (ROOT / "docs/truth.md").read_text() == beside, "write it anew: python -m tests.truth --page"


@pytest.mark.parametrize("words", [["--only", "sound-load"], ["--sound-only"]])
def test_a_part_of_the_record_does_not_replace_the_page(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.truth", "--write", *words])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "--write replaces the whole page" in capsys.readouterr().err


# -- the defects -----------------------------------------------------------------------------------------------------


def test_an_unknown_defect_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no defect 'exit-at-sigtem'") as caught:
        with_defects(["exit-at-sigtem"], Settings())
    assert "'exit-at-sigterm'" in caught.value.hint


def test_defects_that_contradict_each_other_are_refused_and_others_add_up() -> None:
    with pytest.raises(InputError, match=r"'exit-at-sigterm' and 'prestop-too-short' both change \w+\.\w+"):
        with_defects(["exit-at-sigterm", "prestop-too-short"], Settings())
    settings = with_defects(["wrong-version", "self-heal-off", "wrong-version"], Settings())
    assert (settings.next_app.health_version, settings.argocd.self_heal) == ("0badbad", False)


def test_every_defect_changes_something_but_the_sound_ones() -> None:
    unchanged = [name for name in DEFECTS if with_defects([name], Settings()) == Settings()]
    assert all(DEFECTS[name].group == "sound" for name in unchanged)
