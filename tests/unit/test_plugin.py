"""The plugin: every way in which a drill can end is told to the run, and the run is always closed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SESSION = '''
import sys, types
from rollproof.errors import CannotJudgeError, InputError

class Console:
    def problem(self, text, hint=""):
        print("problem:", text, hint)

class FakeSession:
    """Says on stdout what the plugin asks of it."""
    obstacle = None
    flaw = None  # what closing raises
    beginning = None  # what a drill's begin raises
    journal = None

    @property
    def folder(self):
        raise RuntimeError("the session is not open")

    def __init__(self, order, target, folder, stream):
        print("made:", order.drills, order.sha, order.trials)
        self.place, self.stream = folder, stream
        self.console = Console()

    def open(self):
        print("open")
        if FakeSession.obstacle:
            raise FakeSession.obstacle

    def begin(self, drill):
        print("begin:", drill)
        if FakeSession.beginning:
            raise FakeSession.beginning
        return self

    def end(self, what, reason=""):
        print("end:", what, reason)

    def close(self):
        print("close")
        if FakeSession.flaw:
            raise FakeSession.flaw
        return 0

module = types.ModuleType("rollproof.session")  # the real one takes a second to import
module.Session = FakeSession
sys.modules["rollproof.session"] = module
'''
DRILL = """
import pytest
from rollproof.errors import CannotJudgeError, Inconclusive, RollproofFailure

@pytest.mark.drill("drift")
def test_it(run):
    {body}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of crash logs


def run(pytester: pytest.Pytester, body: str, *words: str, session: str = SESSION) -> pytest.RunResult:
    pytester.makeconftest(session)
    pytester.makepyfile(DRILL.format(body=body))
    return pytester.runpytest_subprocess("-p", "rollproof.plugin", *words)


TARGET = ("--rollproof-target", "t.toml", "-s")


def test_a_drill_that_passes(pytester: pytest.Pytester) -> None:
    result = run(pytester, "pass", *TARGET, "--rollproof-sha", "abc", "--rollproof-trial", "env")
    result.stdout.fnmatch_lines(
        ["*made: ('drift',) abc ('env',)", "open", "begin: drift", "*end: finished*", "*close*"]
    )
    assert result.ret == 0


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("raise RollproofFailure('two requests were lost')", "finished"),
        ("raise Inconclusive('nobody looked')", "finished"),
        ("raise CannotJudgeError('the API server did not answer')", "error the API server did not answer"),
        ("raise RuntimeError('a bug')", "error RuntimeError: a bug"),
        ("assert 1 == 2", "error AssertionError"),
    ],
)
def test_no_bad_end_is_green_and_none_is_a_traceback(pytester: pytest.Pytester, body: str, end: str) -> None:
    result = run(pytester, body, *TARGET)
    result.stdout.fnmatch_lines([f"*end: {end}*", "*close*"])
    assert result.ret == 1
    assert "Traceback" not in result.stdout.str()
    assert "test_it(run)" not in result.stdout.str()


def test_ctrl_c_is_told_and_the_run_is_closed(pytester: pytest.Pytester) -> None:
    result = run(pytester, "import os, signal; os.kill(os.getpid(), signal.SIGINT)", *TARGET)
    result.stdout.fnmatch_lines(["*end: interrupted*", "*close*"])
    assert result.ret == 43


@pytest.mark.parametrize(("error", "code"), [("InputError", 42), ("CannotJudgeError", 43)])
def test_an_obstacle_ends_pytest_before_the_drill(pytester: pytest.Pytester, error: str, code: int) -> None:
    session = SESSION.replace("obstacle = None", f"obstacle = {error}('there is no Deployment')")
    result = run(pytester, "pass", *TARGET, session=session)
    result.stdout.fnmatch_lines(["close", "problem: there is no Deployment*"])
    assert "begin" not in result.stdout.str()
    assert result.ret == code


CLI = ("-p", "no:terminal", "--rollproof-run", "run")  # as under the command line: pytest itself says nothing


def test_a_bug_before_the_drill_is_told_in_one_message(pytester: pytest.Pytester, tmp_path: Path) -> None:
    session = SESSION.replace("obstacle = None", "obstacle = KeyError('status')")
    result = run(pytester, "pass", *TARGET, *CLI, session=session)
    result.stdout.fnmatch_lines(["close", "problem: rollproof itself failed: KeyError: 'status'*rollproof-*.log*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert result.ret == 43
    assert "KeyError: 'status'" in next(tmp_path.glob("rollproof-*.log")).read_text()


def test_a_drill_that_cannot_be_imported_is_told_in_one_message(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SESSION)
    pytester.makepyfile("import nowhere_to_be_found")
    result = pytester.runpytest_subprocess("-p", "rollproof.plugin", "-s", *TARGET, *CLI)
    result.stderr.fnmatch_lines(
        ["error: rollproof itself failed: ModuleNotFoundError: *nowhere_to_be_found'", "*the whole story is in*"]
    )
    assert "Traceback" not in result.stderr.str()
    assert result.ret == 43


def test_a_bug_as_the_drill_begins_is_told_to_the_run(pytester: pytest.Pytester) -> None:
    session = SESSION.replace("beginning = None", "beginning = KeyError('x')")
    result = run(pytester, "pass", *TARGET, *CLI, session=session)
    result.stdout.fnmatch_lines(["end: error KeyError: 'x' *", "problem: rollproof itself failed: KeyError*", "close"])


@pytest.mark.parametrize(("entries", "code"), [("[]", 43), ("['the tag']", 44)])
def test_a_bug_while_putting_back_is_told_and_is_a_failed_undo_if_something_is_left(
    pytester: pytest.Pytester, entries: str, code: int
) -> None:
    left = f"journal = type('Journal', (), {{'open_entries': lambda self: {entries}}})()"
    session = SESSION.replace("journal = None", left).replace("flaw = None", "flaw = KeyError('x')")
    result = run(pytester, "pass", *TARGET, *CLI, session=session)
    result.stdout.fnmatch_lines(["close", "problem: rollproof itself failed: KeyError: 'x'*"])
    assert result.ret == code


def test_the_story_of_a_bug_is_in_the_run_folder_and_named_from_there(pytester: pytest.Pytester) -> None:
    whole = """
        import pathlib
        from rollproof.runfolder import RunFolder
        path = pathlib.Path("run")
        path.mkdir(exist_ok=True)
        folder = RunFolder(path, None)
        folder.redact(["s3cret-word"])
        folder.drill = "drift"
        return folder
"""
    session = SESSION.replace('        raise RuntimeError("the session is not open")\n', whole)
    result = run(pytester, "raise KeyError('s3cret-word')", *TARGET, *CLI, session=session)
    result.stdout.fnmatch_lines(
        ["end: error KeyError: * (the whole story: crash-drift.log)", "*in run/crash-drift.log*"]
    )
    story = (pytester.path / "run" / "crash-drift.log").read_text()
    assert "KeyError: '[redacted]'" in story
    assert "s3cret-word" not in story


def test_the_console_goes_past_pytests_capture_and_the_run_into_the_named_folder(pytester: pytest.Pytester) -> None:
    """As a user types it, without -s; what was told by other means is captured as always."""
    session = SESSION.replace('print("open")', 'print("folder:", self.place, file=self.stream, flush=True)')
    words = ("--rollproof-target", "t.toml", "--rollproof-reports", "kept")
    result = run(pytester, "pass", *words, session=session)
    result.stdout.re_match_lines([rf".*folder: {pytester.path}/kept/\d+T\d+Z-drift"])
    assert "made:" not in result.stdout.str()
    assert result.ret == 0


def test_a_drill_needs_a_target(pytester: pytest.Pytester) -> None:
    result = run(pytester, "pass")
    result.stderr.fnmatch_lines(["*drills need --rollproof-target*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_without_drills_the_plugin_does_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SESSION)
    pytester.makepyfile("def test_other(): raise ValueError('seen as usual')")
    result = pytester.runpytest_subprocess("-p", "rollproof.plugin")
    result.stdout.fnmatch_lines(["*ValueError: seen as usual*"])
    assert "made:" not in result.stdout.str()
