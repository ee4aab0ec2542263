"""A command in odd surroundings: no room, a signal before anything, an empty variable, a name with a space in it.

One message, the documented exit code, nothing left behind, never a traceback nor "itself failed".
"""

from __future__ import annotations

import base64
import errno
import importlib.abc
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from commands import TARGET, stored_run, told
from story import plan, target

from rollproof import __main__ as door
from rollproof import cli
from rollproof.clients.gitobjects import GitObjects
from rollproof.clients.kubeconfig import api_client
from rollproof.clients.repo import EnvRepo
from rollproof.core.commandline import typed
from rollproof.errors import CannotJudgeError, InputError
from rollproof.loadgen.selftest import self_test
from rollproof.preflight.planning import Order
from rollproof.run import process, undoing
from rollproof.run.process import EXIT_BASE, crash_log_told, exit_code_of, run_drills, write_crash_log
from rollproof.run.signals import Interrupts, as_interrupts, ignore_endings, signals_held_at_start
from rollproof.store import folderfiles, manifest
from rollproof.store.runfolder import RunFolder, UnwritableError

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Told:
    """Type a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def type_in(*words: str) -> tuple[int, str, str]:
        code, out, err = told(monkeypatch, capsys, *words)
        assert "itself failed" not in out + err
        assert "Traceback" not in out + err
        return code, out, err

    return type_in


def no_room(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- no room ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--json",), ("-q",)])
def test_a_run_that_is_judged_on_a_full_disk(
    say: Told, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    run = stored_run(Path.cwd())
    before = (run / "verdicts.json").read_bytes()
    monkeypatch.setattr(folderfiles, "write_whole", no_room)
    code, out, err = say("judge", str(run), *words)
    assert (code, (run / "verdicts.json").read_bytes()) == (3, before)
    assert f"{run} cannot be written: No space left on device\n  free the disk" in err
    assert not out or json.loads(out)["exit_code"] == 3


@pytest.mark.parametrize("part", ["write_whole", "mark"])
def test_a_run_that_has_no_room_for_its_plan_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(folderfiles if part == "write_whole" else manifest, part, no_room)
    with pytest.raises(UnwritableError, match="cannot be written: No space left"):
        RunFolder.create(tmp_path / "reports" / "run", plan())
    assert [*(tmp_path / "reports").iterdir()] == []


@pytest.mark.parametrize("ask", [
    lambda: EnvRepo(target().env_repo, {}),
    lambda: GitObjects(target().env_repo, {}, size_max_bytes=1, time_max_s=1.0),
    self_test,
], ids=["clone", "all of git", "self-test"])  # fmt: skip
def test_no_room_for_temporary_files_is_a_message(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", no_room)
    with pytest.raises(CannotJudgeError, match="no temporary folder can be made: No space left") as refused:
        ask()
    assert "TMPDIR" in refused.value.hint


def test_a_traceback_that_cannot_be_written_is_said_to_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkstemp", no_room)
    assert write_crash_log(ValueError("x")) is None
    assert "could not be written" in crash_log_told(None)
    assert crash_log_told(Path("/tmp/x.log")).startswith("the traceback is in /tmp/x.log")  # noqa: S108 - a name only


@pytest.mark.parametrize("made", ["mkstemp", "gettempdir"])
def test_no_room_for_the_certificates_of_a_kubeconfig(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: str
) -> None:
    """It was called a file that the kubeconfig names and that cannot be read: "None"."""
    cluster = {"server": "https://127.0.0.1:9", "certificate-authority-data": base64.b64encode(b"x").decode()}
    (tmp_path / "kubeconfig").write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {"token": "t" * 20}}],
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
    }))  # fmt: skip
    monkeypatch.setattr("kubernetes.config.kube_config._temp_files", {})
    monkeypatch.setattr(tempfile, made, no_room)
    with pytest.raises(CannotJudgeError, match="need temporary files, and none can be made: No space left"):
        api_client("a", str(tmp_path / "kubeconfig"))


@pytest.mark.parametrize(("folder", "why"), [
    ("a$b", "has a '$' in it"), ("a\nb", "has a '$' in it, or a character"), ("a\udcff", "or a character"),
    ("~nobody-of-that-name/x", "cannot be found"),
], ids=["variable", "line", "bytes", "user"])  # fmt: skip
def test_a_folder_that_the_sandbox_cannot_name(say: Told, folder: str, why: str) -> None:
    """The target file in it said "environment variable b is not set"."""
    code, _, err = say("sandbox", "--folder", folder, "--", "true")
    assert (code, why in err) == (2, True)
    assert [*Path.cwd().iterdir()] == []


@pytest.mark.parametrize("home", ["/proc", "a-file"])
def test_completion_for_a_home_that_cannot_be_written(say: Told, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    Path("a-file").touch()
    monkeypatch.setenv("HOME", str(Path(home).absolute()))
    code, _, err = say("--install-completion", "bash")
    assert (code, "completion cannot be installed: " in err) == (2, True)
    assert "--show-completion" in err


# -- signals ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_the_command_line_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Pressed(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "rollproof.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "rollproof.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Pressed(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        door.main()
    assert (ended.value.code, capsys.readouterr().err) == (3, "error: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_command_lets_it_remove_what_it_has_made(
    say: Told, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """`timeout 60 rollproof doctor` left its clone of the env repo among the temporary files."""
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_DFL)  # who runs the tests may ignore a hang-up
    Path("t.toml").write_text(TARGET)
    made: list[Path] = []

    def examine(*_: object) -> NoReturn:
        with EnvRepo(target().env_repo, {}) as repo:
            made.append(repo._folder)
            os.kill(os.getpid(), number)
        raise AssertionError

    monkeypatch.setattr("rollproof.preflight.doctor.examine", examine)
    code, _, err = say("doctor", "--target", "t.toml")
    assert (code, "error: interrupted" in err) == (3, True)
    assert not made[0].exists()


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with as_interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
        ignore_endings()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("where", ["rollproof.run.commandgroup._refuse_empty", "typer.core.TyperGroup.parse_args"])
def test_a_second_ctrl_c_while_the_first_is_told(say: Told, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """It ended in a traceback out of the import of the console, or with typer's own 130."""
    console = cli._console

    def again(*words: Any, **more: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return console(*words, **more)

    def pressed(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, pressed)
    monkeypatch.setattr(cli, "_console", again)
    code, _, err = say("schema")
    assert (code, err.strip()) == (3, "error: interrupted")


def test_an_undo_that_was_interrupted_is_not_known_to_be_whole(say: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stored_run(Path.cwd())

    def undo_stored(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(undoing, "undo_stored", undo_stored)
    code, _, err = say("undo", str(run))
    assert (code, "what was not undone yet still is not" in err) == (4, True)


def test_a_signal_that_comes_before_a_process_can_take_it_is_not_lost() -> None:
    """The drills' process imports for half a second: Ctrl-C meanwhile was a traceback, or an end without a word."""
    interrupts = Interrupts(busy=lambda _: False)
    with signals_held_at_start():
        signal.raise_signal(signal.SIGTERM)  # to this thread: the default would end this process
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):  # noqa: PT012 - in one of the two
            interrupts.catch()
            threading.Event().wait(10.0)
    interrupts.release()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.processes
@pytest.mark.parametrize("when", ["before there is a child", "while it imports"])
def test_a_signal_to_the_command_line_reaches_the_drills_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
) -> None:
    """It held the signal until it could take it; one before it began ended the command line and left it alone."""
    code = "import signal, sys; sys.exit(40 + 3 if signal.sigwait({15}) == 15 else 9)"
    begin = subprocess.Popen

    def popen(_: object, **options: Any) -> subprocess.Popen[bytes]:
        if when == "before there is a child":
            signal.raise_signal(signal.SIGTERM)
        process = begin([sys.executable, "-c", code], **options)
        if when == "while it imports":
            process.send_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(process.subprocess, "Popen", popen)
    order = Order(drills=("drift",))
    assert run_drills(order, [], target=tmp_path / "t.toml", folder=tmp_path / "run") == 3


def test_a_target_file_that_can_be_read_once_is_refused_by_a_run(tmp_path: Path) -> None:
    """`run drift --target <(sed ... staging.toml)` said that /dev/fd/63 does not exist."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe, which can be read once"):
        run_drills(Order(drills=("drift",)), [], target=tmp_path / "pipe", folder=tmp_path / "run")


# -- names and variables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variable", "words"), [
    ("ROLLPROOF_TARGET", ("plan", "drift")), ("ROLLPROOF_TARGET", ("run", "drift")),
    ("ROLLPROOF_REPORTS", ("undo", "--last")), ("ROLLPROOF_REPORTS", ("history",)),
])  # fmt: skip
def test_a_variable_that_is_set_and_empty_is_not_the_default(
    say: Told, monkeypatch: pytest.MonkeyPatch, variable: str, words: tuple[str, ...]
) -> None:
    """The run of a target that was not named went to targets/lab.toml."""
    monkeypatch.setenv(variable, "")
    code, _, err = say(*words)
    assert (code, f"the environment variable {variable} is empty" in err) == (2, True)
    option = "--target" if variable.endswith("TARGET") else "--reports"
    assert "is empty" not in say(*words, option, "nowhere")[2]


@pytest.mark.parametrize("name", ["my reports", "it's", 'a "b"', "$HOME", "a;b", "plain"])
def test_a_command_to_type_is_what_a_shell_reads(name: str) -> None:
    said = typed("undo", Path(name) / "run")
    assert (said[0], said[-1]) == ("`", "`")
    assert shlex.split(said[1:-1]) == ["rollproof", "undo", f"{name}/run"]


def test_verdicts_of_another_run_of_that_second_are_not_this_ones(tmp_path: Path) -> None:
    """Two runs of one drill that begin in one second have one name: the second is refused, and had the first's PASS."""
    (tmp_path / "verdicts.json").write_text('{"exit_code": 0}')
    assert exit_code_of(tmp_path, EXIT_BASE + InputError.exit_code) == 2
    assert process.exit_code_of(tmp_path, 0) == 0
