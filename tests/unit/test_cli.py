"""The command line as a user meets it: a child process, one clear message, the right exit code, never a traceback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
import typer
from commands import TARGET, loaded_by, rollproof, stored_run, told
from story import plan

from rollproof.cli import app, main
from rollproof.preflight import doctor
from rollproof.run import process, session, undoing
from rollproof.store import unpacking
from rollproof.store.folderfiles import FolderLock
from rollproof.store.runfolder import RunFolder


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "zero-downtme"], "there is no drill 'zero-downtme'\n  did you mean 'zero-downtime'?"),
        (["run", "release", "--sha", ""], "--sha is empty"),
        (["run", "drift", "--trial", "env", "--trial="], "--trial is empty"),
        (["plan", "drift", "--target="], "--target is empty"),
        (["run", ""], "DRILL is empty"),
        (["rbac", "drift", ""], "DRILL... is empty"),
        (["rbac", "drift", "--namespace", ""], "--namespace is empty"),
        (["judge", ""], "RUN is empty"),
        (["undo", ""], "RUN is empty"),
        (["history", "--reports", ""], "--reports is empty"),
        (["export", "reports/x", "--format", "prom", "--endpoint", ""], "--endpoint is empty"),
        (["export", "reports/x", "--format", "prom", "--basic-auth-env", "A", ""], "--basic-auth-env is empty"),
        (["init", "--context", ""], "--context is empty"),
        (["sandbox", "--folder", "", "--", "true"], "--folder is empty"),
        (
            ["run", "drift", "--target", "nothing.toml"],
            "nothing.toml does not exist\n  --target names it, and `rollproof",
        ),
        (["run", "release", "--on-fail", "explode"], "--on-fail"),
        (["run", "drift", "--on-fail", "keep"], "--on-fail is for the release drill"),
        (["run", "release", "--trial", "env"], "--trial is for the drift drill"),
        (["plan", "release", "--under-load"], "--under-load is for the drift drill, not for release"),
        (["run", "drift", "--nonsense"], "No such option"),
        (["plan", "nothing"], "there is no drill 'nothing'"),
        (["rbac", "pod-delete", "nothing"], "there is no drill 'nothing'"),
        (["rbac", "drift", "--name", "Not A Name"], "--name 'Not A Name' cannot be the name"),
        (["judge", "reports/nothing"], "does not exist"),
        (["undo"], "name a run folder, or say --last or --all"),
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


@pytest.mark.processes
def test_a_target_with_mistakes_names_them_all(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(TARGET.replace('service = "web"', "servce = 5"))
    done = rollproof("run", "drift", "--target", "t.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "cluster.servce: unknown key; did you mean cluster.service?" in done.stderr
    assert "cluster.service: missing" in done.stderr


@pytest.mark.processes
def test_production_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(f"{TARGET}production = true\n")
    for words in (("zero-downtime",), ("drift", "--trial", "image")):
        done = rollproof("run", *words, "--target", "t.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert "--i-mean-production" in done.stderr


@pytest.mark.parametrize(
    ("words", "noted"), [(("all",), True), (("drift",), False), (("all", "--i-mean-production", "shop"), False)]
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
    assert ("`run` will need --i-mean-production shop: target 'shop' is marked" in capsys.readouterr().out) is noted


@pytest.mark.processes
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_context_that_does_not_exist_ends_with_2_and_leaves_no_folder(tmp_path: Path, command: str) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\nkind: Config\ncontexts: []\nclusters: []\nusers: []\n")
    done = rollproof(command, "zero-downtime", "--target", "t.toml", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert "there is no context 'nowhere' in" in said
    assert done.returncode == 2
    assert not (tmp_path / "reports").exists()


@pytest.mark.processes
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


@pytest.mark.processes
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
    nowhere = rollproof("judge", "nope", cwd=tmp_path)
    assert nowhere.returncode == 2
    assert "run folder reports/nope does not exist\n  `ls reports` shows the runs" in nowhere.stderr


def test_judge_unpacks_request_logs_beside_its_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    shutil.copytree(Path(__file__).parents[1] / "histories" / "good" / "all", path)
    where: list[str] = []

    def noted(archive: ZipFile, name: str, really: Callable[[ZipFile, str], bytes] = unpacking._part) -> bytes:
        where.append(threading.current_thread().name)
        return really(archive, name)

    monkeypatch.setattr(unpacking, "_part", noted)
    code, _, _ = told(monkeypatch, capsys, "judge", str(path))
    assert code == 0
    assert where == ["unpacking_0"] * 3 * len([*path.glob("requests-*.npz")])


@pytest.mark.processes
def test_judge_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    lines = (path / "timeline.jsonl").read_text().splitlines(keepends=True)
    (path / "timeline.jsonl").write_text("".join(lines[:-2]))
    done = rollproof("judge", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "is cut off" in done.stderr


@pytest.mark.processes
def test_undo_with_nothing_open_ends_with_0(tmp_path: Path) -> None:
    path = stored_run(tmp_path)
    done = rollproof("undo", "--last", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was left to undo" in done.stdout
    assert RunFolder.open(path).events()[-1].what == "undo-check"


COMMANDS = ("run", "plan", "judge", "undo", "doctor", "lab", "sandbox")
VERDICTS = (None, "run", "judge")  # what ends with the exit code of a verdict
CODES = {
    "run": [0, 1, 2, 3, 4], "judge": [0, 1, 2, 3, 4], "undo": [0, 2, 3, 4], "lab": [0, 1, 2], "sandbox": [0, 2, 3],
    **{name: [0, 2, 3] for name in ("plan", "doctor", "rbac", "export", "history", "compare", "schema", "init")},
}  # fmt: skip


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
        if command in VERDICTS:
            assert any(line.split()[:1] == [str(number)] and word in line for line in codes.splitlines()), number


@pytest.mark.parametrize("command", [None, *CODES])
def test_a_help_names_the_exit_codes_that_its_command_has_and_what_they_mean_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str | None
) -> None:
    """That of `schema`, `init` and eight more said "0  PASS: every promise was proven"."""
    said = told(monkeypatch, capsys, *filter(None, [command]), "--help")[1].partition("Exit codes:")[2]
    codes = [int(line.split()[0]) for line in said.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert codes == CODES.get(command or "", [0, 1, 2, 3, 4])
    assert ("promise" in said) is (command in VERDICTS)


def test_every_command_has_its_exit_codes_named() -> None:
    assert set(typer.main.get_command(app).commands) == set(CODES)


def test_f5_the_examples_of_the_help_are_commands_that_exist() -> None:
    """Every option in an example is one of its command."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        options = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
        examples = str(command.epilog).partition("Exit codes:")[0]
        for line in examples.splitlines():
            own = line.partition(" -- ")[0].partition(" | ")[0]  # what follows is another program's
            used = {word for word in own.split() if word.startswith("-")}
            assert used <= options, (name, line)


def test_f5_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = told(monkeypatch, capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"rollproof \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+, kubernetes client \d[\d.]*\)\n", said)


HEAVY = (
    "allure_commons", "gevent", "httpx", "jinja2", "kubernetes", "locust", "numpy", "pydantic", "pytest", "rich",
    "ruamel", "rollproof.run.session", "rollproof.judge.checkers", "rollproof.reports.model", "rollproof.target.file",
)  # fmt: skip


@pytest.mark.processes
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
    loaded = loaded_by(*words, **environ)
    assert "rollproof.cli" in loaded
    typers_own = ("pydantic",) if words[0] != "--help" else ()  # typer checks the parameters of a command by it
    assert not [name for name in loaded if name.startswith(HEAVY) and not name.startswith(typers_own)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rollproof run ze", "zero-downtime"),
        ("rollproof plan bad", "bad-release"),
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
@pytest.mark.usefixtures("temporary_files")
@pytest.mark.parametrize("words", [["doctor"], ["plan", "all"], ["undo", "--last"], ["lab", "status"]], ids=" ".join)
def test_f5_no_end_from_outside_has_an_exit_code_of_typers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str],
    error: BaseException, said: str,
) -> None:  # fmt: skip
    """Ctrl-C was 130 (with an older typer 1, which is FAIL), a closed pipe 1."""

    def fails(*_: object, **__: object) -> None:
        raise error

    for module, name in ((doctor, "examine"), (session, "preview"), (undoing, "undo_stored"), (subprocess, "run")):
        monkeypatch.setattr(module, name, fails)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "lab.toml").write_text(TARGET)
    stored_run(tmp_path)
    code, _, complained = told(monkeypatch, capsys, *words)
    assert code == (4 if words[0] == "undo" and isinstance(error, KeyboardInterrupt) else 3)  # an undo that was begun
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


@pytest.mark.parametrize("more", [[], ["--endpoint", "http://127.0.0.1:9"]], ids=["printed", "sent"])
def test_f5_a_run_that_is_under_way_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """Half of it read as if it had been killed: FAIL, nothing of it was undone."""
    path = stored_run(tmp_path)
    (path / "verdicts.json").unlink()
    with FolderLock.take(path, "the run"):
        code, said, complained = told(monkeypatch, capsys, "export", str(path), "--format", "prom", *more)
    assert (code, said) == (3, "")
    assert "has no verdicts yet: the run is under way" in complained
    assert told(monkeypatch, capsys, "export", str(path), "--format", "prom")[0] == 0  # it was killed
