"""The command line as a user meets it: a child process, one clear message, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from story import good_release, plan
from targettoml import target_toml

from rollproof.cli import app, main
from rollproof.judge.judging import judge_run, write_reports
from rollproof.preflight import doctor
from rollproof.run import process, session, teardown
from rollproof.store.runfolder import RunFolder


def rollproof(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "rollproof", *words], cwd=cwd, env={**kept, "COLUMNS": "200", **environ},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "zero-downtme"], "there is no drill 'zero-downtme'"),
        (["run", "drift", "--target", "nothing.toml"], "nothing.toml does not exist"),
        (["run", "release", "--on-fail", "explode"], "--on-fail"),
        (["run", "drift", "--on-fail", "keep"], "--on-fail is for the release drill"),
        (["run", "release", "--trial", "env"], "--trial is for the drift drill"),
        (["plan", "release", "--under-load"], "--under-load is for the drift drill, not for release"),
        (["run", "drift", "--nonsense"], "No such option"),
        (["plan", "nothing"], "there is no drill 'nothing'"),
        (["judge", "reports/nothing"], "does not exist"),
        (["undo"], "name a run folder, or say --last"),
        (["undo", "--last"], "there is no run in reports"),
        (["lab", "sideways"], "up, down and status"),
        (["doctor", "--target", "nothing.toml"], "does not exist"),
    ],
)
def test_a_wrong_request_is_one_message_and_exit_2(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "lab.toml").write_text(TARGET)
    done = rollproof(*words, cwd=tmp_path)
    assert said in done.stdout + done.stderr
    assert done.returncode == 2


TARGET = target_toml(context="nowhere", git_url="file:///nowhere/env.git")


def test_a_target_with_mistakes_names_them_all(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(TARGET.replace('service = "web"', "servce = 5"))
    done = rollproof("run", "drift", "--target", "t.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "cluster.servce: unknown key; did you mean cluster.service?" in done.stderr
    assert "cluster.service: missing" in done.stderr


def test_production_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(f"{TARGET}production = true\n")
    for words in (("zero-downtime",), ("drift", "--trial", "image")):
        done = rollproof("run", *words, "--target", "t.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert "--i-mean-production" in done.stderr


@pytest.mark.parametrize(
    ("words", "noted"), [(("all",), True), (("drift",), False), (("all", "--i-mean-production"), False)]
)
def test_a_plan_of_production_says_that_run_needs_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...],
    noted: bool,
) -> None:  # fmt: skip
    path = tmp_path / "t.toml"
    path.write_text(f"{TARGET}production = true\n")
    monkeypatch.setattr(session, "preview", lambda *_: plan())
    monkeypatch.setattr(sys, "argv", ["rollproof", "plan", *words, "--target", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert ("`run` will need --i-mean-production: target 'shop' is marked" in capsys.readouterr().out) is noted


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_context_that_does_not_exist_ends_with_2_and_leaves_no_folder(tmp_path: Path, command: str) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\nkind: Config\ncontexts: []\nclusters: []\nusers: []\n")
    done = rollproof(command, "zero-downtime", "--target", "t.toml", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert "there is no context 'nowhere' in" in said
    assert done.returncode == 2
    assert not (tmp_path / "reports").exists()


def test_a_cluster_that_is_away_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    config = {
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    done = rollproof("run", "zero-downtime", "--target", "t.toml", cwd=tmp_path)
    assert "did not answer" in done.stdout + done.stderr
    assert done.returncode == 3
    assert not (tmp_path / "reports").exists()


def stored_run(folder: Path) -> Path:
    with RunFolder.create(folder / "reports" / "20260101T000000Z-zero-downtime", plan()) as run:
        run.drill = "zero-downtime"
        run.record("run", "drill", "started")
        for event in good_release().events:
            run.record(
                event.source, event.subject, event.what, outcome=event.outcome, start_s=event.start_s,
                end_s=event.end_s, data=event.data,
            )  # fmt: skip
        run.record("run", "judge", "asked", data={"checkers": ["rollout", "version"]})
        run.record("run", "drill", "finished")
        write_reports(run, judge_run(run))
        return run.path


def test_judge_needs_no_cluster_and_gives_the_same_verdicts(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    before = (path / "verdicts.json").read_text()
    (path / "report.html").unlink()
    done = rollproof("judge", str(path.relative_to(tmp_path)), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout
    assert (path / "verdicts.json").read_text() == before
    assert (path / "report.html").is_file()
    assert rollproof("judge", path.name, cwd=tmp_path).returncode == 0  # by its name alone


def test_judge_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    lines = (path / "timeline.jsonl").read_text().splitlines(keepends=True)
    (path / "timeline.jsonl").write_text("".join(lines[:-2]))
    done = rollproof("judge", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "is cut off" in done.stderr


def test_undo_with_nothing_open_ends_with_0(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    done = rollproof("undo", "--last", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was left to undo" in done.stdout
    assert RunFolder.open(path).events()[-1].what == "undo-check"


COMMANDS = ("run", "plan", "judge", "undo", "doctor", "lab", "sandbox")


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:  # fmt: skip
    """Exit code, standard output and standard error of a command, in this process."""
    monkeypatch.setattr(sys, "argv", ["rollproof", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    seen = capsys.readouterr()
    return int(ended.value.code or 0), seen.out, seen.err


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = told(monkeypatch, capsys, "--help")
    assert code == 0
    assert all(f"\n  {command} " in said for command in COMMANDS)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_f5_every_help_has_all_exit_codes_and_two_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str | None
) -> None:
    code, said, _ = told(monkeypatch, capsys, *filter(None, [command]), "--help")
    assert code == 0
    _, _, after = said.partition("Examples:")
    examples, _, codes = after.partition("Exit codes:")
    shown = [line.strip() for line in examples.splitlines() if line.strip()]
    assert len(shown) == 2
    assert all(line.startswith(f"rollproof {command or ''}".strip()) for line in shown)
    for number, word in enumerate(("PASS", "FAIL", "wrong", "INCONCLUSIVE", "undo")):
        assert any(line.split()[:1] == [str(number)] and word in line for line in codes.splitlines()), number


def test_f5_the_examples_of_the_help_are_commands_that_exist() -> None:
    """Every option in an example is one of its command."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        options = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
        examples = str(command.epilog).partition("Exit codes:")[0]
        for line in examples.splitlines():
            used = {word for word in line.partition(" -- ")[0].split() if word.startswith("-")}
            assert used <= options, (name, line)


def test_f5_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = told(monkeypatch, capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"rollproof \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+, kubernetes client \d[\d.]*\)\n", said)


HEAVY = (
    "allure_commons", "gevent", "httpx", "jinja2", "kubernetes", "locust", "numpy", "pydantic", "pytest", "rich",
    "ruamel", "rollproof.run.session", "rollproof.judge.checkers", "rollproof.reports.model", "rollproof.target.file",
)  # fmt: skip
PROBE = """
import sys
from rollproof.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("LOADED", *sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--help"], {}),
        (["--version"], {}),
        (["run", "--help"], {}),
        (["x"], {"_ROLLPROOF_COMPLETE": "complete_bash", "COMP_WORDS": "rollproof run ze", "COMP_CWORD": "2"}),
    ],
    ids=["help", "version", "help of run", "completion"],
)
def test_f5_what_needs_no_library_imports_none(words: list[str], environ: dict[str, str]) -> None:
    """A person waits for these, so a second of imports is a fault. No clock here: what is imported is what it costs."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    loaded = done.stderr.partition("LOADED")[2].split()
    assert "rollproof.cli" in loaded
    typers_own = ("pydantic",) if words[0] != "--help" else ()  # typer checks the parameters of a command by it
    assert not [name for name in loaded if name.startswith(HEAVY) and not name.startswith(typers_own)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rollproof run ze", "zero-downtime"),
        ("rollproof plan dr", "drift"),
        ("rollproof run drift --trial undec", "undeclared-annotation"),
        ("rollproof sandbox --defect prestop-too", "prestop-too-short"),
        ("rollproof judge 2026", "20260101T000000Z-zero-downtime"),
        ("rollproof undo 2026", "20260101T000000Z-zero-downtime"),
        ("rollproof doc", "doctor"),
    ],
)
def test_f5_the_shell_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, expected: str
) -> None:
    run = tmp_path / "kept" / "20260101T000000Z-zero-downtime"
    run.mkdir(parents=True)
    (run / "plan.json").write_text("{}")
    monkeypatch.setenv("ROLLPROOF_REPORTS", str(run.parent))
    monkeypatch.setenv("_ROLLPROOF_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    code, said, _ = told(monkeypatch, capsys)
    assert (code, said.split()) == (0, [expected])


def test_f5_the_target_and_the_reports_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLPROOF_TARGET", "from-the-environment.toml")
    assert "from-the-environment.toml does not exist" in told(monkeypatch, capsys, "run", "drift")[2]
    assert "named.toml does not exist" in told(monkeypatch, capsys, "run", "drift", "--target", "named.toml")[2]
    path = stored_run(tmp_path / "elsewhere")
    monkeypatch.setenv("ROLLPROOF_REPORTS", str(path.parent))
    assert told(monkeypatch, capsys, "judge", path.name, "-q")[0] == 0
    assert "nothing was left to undo" in told(monkeypatch, capsys, "undo", "--last")[1]


DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "json.md"


def documented(command: str) -> set[str]:
    """The keys that docs/json.md names for a command."""
    rows = [line.split("|") for line in DOCUMENTED.read_text().splitlines() if line.startswith("| `")]
    return {key for row in rows if command in row[2] or "all" in row[2] for key in re.findall(r"`(\w+)`", row[1])}


def answered(said: str) -> dict[str, Any]:
    """The one object on standard output."""
    assert said.isascii()
    return dict(json.loads(said))


def test_f5_judge_answers_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored_run(tmp_path)
    code, said, _ = told(monkeypatch, capsys, "judge", str(path), "--json")
    document = answered(said)
    assert document.keys() == documented("judge")
    assert (code, document["exit_code"], document["result"], document["error"]) == (0, 0, "PASS", None)
    assert (document["run"], document["folder"], document["target"]) == (path.name, str(path), "story")
    stored = json.loads((path / "verdicts.json").read_text())["verdicts"]
    names = [verdict.pop("name") for verdict in document["verdicts"]]
    assert document["verdicts"] == stored
    assert names == ["rollout", "version"]


def test_f5_run_answers_in_json_and_tells_its_progress_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drills(*_: object, folder: Path, quiet: bool, out: object, **__: object) -> int:
        assert (quiet, out) == (True, sys.stderr)
        folder.parent.mkdir()
        stored_run(tmp_path / "made").rename(folder)
        return 1

    (tmp_path / "t.toml").write_text(TARGET)
    monkeypatch.setattr(process, "run_drills", drills)
    words = ("run", "drift", "--target", str(tmp_path / "t.toml"), "--reports", str(tmp_path / "runs"), "--json", "-q")
    code, said, _ = told(monkeypatch, capsys, *words)
    document = answered(said)
    assert document.keys() == documented("run")
    assert (code, document["exit_code"], document["command"]) == (1, 1, "run")
    assert Path(document["report"]).is_file()


def test_f5_a_run_without_verdicts_says_so_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    monkeypatch.setattr(process, "run_drills", lambda *_, **__: 3)
    words = ("run", "drift", "--target", str(tmp_path / "t.toml"), "--reports", str(tmp_path / "runs"), "--json")
    code, said, _ = told(monkeypatch, capsys, *words)
    document = answered(said)
    assert document.keys() == documented("run")
    assert (code, document["exit_code"], document["result"], document["folder"]) == (3, 3, None, None)
    assert "standard error says why" in document["error"]["message"]


def test_f5_plan_answers_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"{TARGET}production = true\n")
    monkeypatch.setattr(session, "preview", lambda *_: plan())
    code, said, _ = told(monkeypatch, capsys, "plan", "all", "--target", str(path), "--json")
    document = answered(said)
    assert document.keys() == documented("plan")
    assert (code, document["drills"], document["old_sha"]) == (0, list(plan().drills), plan().old_sha)
    assert "is marked as production" in document["refusal"]


def test_f5_doctor_answers_in_json_and_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [doctor.Line("api", True, "answers"), doctor.Line("right", False, "no \u2716", "grant it")]
    monkeypatch.setattr(doctor, "examine", lambda _: lines)
    (tmp_path / "t.toml").write_text(TARGET)
    words = ("doctor", "--target", str(tmp_path / "t.toml"))
    code, said, _ = told(monkeypatch, capsys, *words, "--json")
    document = answered(said)
    assert document.keys() == documented("doctor")
    assert (code, document["exit_code"], document["summary"]) == (3, 3, "1 of 2 need attention")
    assert document["checks"][1] == {"name": "right", "ok": False, "said": "no \u2716", "hint": "grant it"}
    _, said, _ = told(monkeypatch, capsys, *words, "-q")
    assert "grant it" in said
    assert "answers" not in said


@pytest.mark.parametrize("words", [["run", "sideways"], ["plan", "sideways"], ["judge", "nowhere"], ["doctor"]])
def test_f5_an_error_is_an_answer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, complained = told(monkeypatch, capsys, *words, "--json")
    document = answered(said)
    assert document.keys() == {"schema", "command", "exit_code", "error"}
    assert (code, document["exit_code"], document["command"]) == (2, 2, words[0])
    assert document["error"]["message"].split("\n")[0] in complained
    assert document["error"]["hint"]


@pytest.mark.parametrize("error", [KeyError("status"), KeyboardInterrupt()])
def test_f5_a_bug_and_an_interruption_are_answers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(doctor, "examine", fails)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "t.toml").write_text(TARGET)
    code, said, _ = told(monkeypatch, capsys, "doctor", "--target", str(tmp_path / "t.toml"), "--json")
    assert (code, answered(said)["exit_code"]) == (3, 3)
    assert answered(said)["error"]["message"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "error: interrupted"),
        (BrokenPipeError(32, "Broken pipe"), "standard output was closed"),
        (EOFError("no more"), "rollproof itself failed: RuntimeError: EOFError: no more"),
        (OSError(5, "Input/output error"), "rollproof itself failed: RuntimeError: OSError: [Errno 5]"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("words", [["doctor"], ["plan", "all"], ["undo", "--last"], ["lab", "status"]], ids=" ".join)
def test_f5_no_end_from_outside_has_an_exit_code_of_typers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str],
    error: BaseException, said: str,
) -> None:  # fmt: skip
    """Ctrl-C was 130 (with an older typer 1, which is FAIL), a closed pipe 1."""

    def fails(*_: object, **__: object) -> None:
        raise error

    for module, name in ((doctor, "examine"), (session, "preview"), (teardown, "undo_stored"), (subprocess, "run")):
        monkeypatch.setattr(module, name, fails)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "lab.toml").write_text(TARGET)
    stored_run(tmp_path)
    code, _, complained = told(monkeypatch, capsys, *words)
    assert code == 3
    assert said in complained


def test_f5_quiet_is_one_line_on_pass_and_all_of_it_on_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored_run(tmp_path)
    _, said, _ = told(monkeypatch, capsys, "judge", str(path), "-q")
    assert said.count("\n") == 1
    assert said.startswith("PASS  ")
    assert str(path / "report.html") in said
    shutil.copytree(CORPUS / "bad" / "wrong-version", tmp_path / "bad")
    code, quiet, _ = told(monkeypatch, capsys, "judge", str(tmp_path / "bad"), "-q")
    assert code == 1
    assert quiet == told(monkeypatch, capsys, "judge", str(tmp_path / "bad"))[1]


CORPUS = Path(__file__).resolve().parents[1] / "histories"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "all", "--target", "."],
        ["run", "all", "--target", "nul\0l.toml"],
        ["run", "all", "--reports", "a-file"],
        ["plan", "drift", "--trial", "nonsense"],
        ["judge", "a-file"],
        ["judge", "."],
        ["judge", ""],
        ["undo", "a-file"],
        ["undo", "--last", "--reports", "a-file"],
        ["undo", "x", "--last"],
        ["sandbox", "--ports", "1,2"],
        ["sandbox", "--ports", "nonsense"],
        ["sandbox", "--defect", "nonsense"],
        ["sandbox", "--seed", "many"],
        ["nonsense"],
        ["run"],
    ],
    ids=" ".join,
)
def test_f5_bad_input_is_one_message_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(process, "run_drills", lambda *_, folder, **__: RunFolder.create(folder, plan()).close())
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "lab.toml").write_text(TARGET)
    (tmp_path / "a-file").write_text("")
    code, said, complained = told(monkeypatch, capsys, *words)
    assert code == 2, complained
    assert "itself failed" not in complained
    assert len(re.findall(r"error:|Error:", said + complained)) == 1, complained
