"""The plugin: every way in which a drill can end is told to the run, and the run is always closed."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SESSION = '''
import rollproof.session
from rollproof.errors import CannotJudgeError, InputError

class Console:
    def problem(self, text, hint=""):
        print("problem:", text)

class FakeSession:
    """Says on stdout what the plugin asks of it."""
    obstacle = None

    def __init__(self, order, target, folder, stream):
        print("made:", order.drills, order.sha, order.trials)
        self.console = Console()

    def open(self):
        print("open")
        if FakeSession.obstacle:
            raise FakeSession.obstacle

    def begin(self, drill):
        print("begin:", drill)
        return self

    def end(self, what, reason=""):
        print("end:", what, reason)

    def close(self):
        print("close")

rollproof.session.Session = FakeSession
'''
DRILL = """
import pytest
from rollproof.errors import CannotJudgeError, Inconclusive, RollproofFailure

@pytest.mark.drill("drift")
def test_it(run):
    {body}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, body: str, *words: str, session: str = SESSION) -> pytest.RunResult:
    pytester.makeconftest(session)
    pytester.makepyfile(DRILL.format(body=body))
    return pytester.runpytest_subprocess("-p", "rollproof.plugin", "-s", *words)


TARGET = ("--rollproof-target", "t.toml")


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
    result.stdout.fnmatch_lines(["close", "problem: there is no Deployment"])
    assert "begin" not in result.stdout.str()
    assert result.ret == code


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
