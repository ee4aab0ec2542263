"""The plugin: every way in which a drill can end is told to the run, and the run is always closed."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from forked import run_module

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("temporary_files")]  # crash logs are there

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
    interrupted = False
    skipped = ""  # why the target cannot have the drill

    def enter(self):
        pass

    def leave(self):
        print("leave")

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

module = types.ModuleType("rollproof.run.session")  # the real one takes a second to import
module.Session = FakeSession
sys.modules["rollproof.run.session"] = module
module = types.ModuleType("rollproof.run.drill")  # so does this
module.Run = lambda context, drill: context
sys.modules["rollproof.run.drill"] = module
'''
DRILL = """
import pytest
from rollproof.errors import CannotJudgeError, Inconclusive, RollproofFailure

@pytest.mark.drill("drift")
def test_it(rollproof_run):
    {body}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def in_a_process(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """What `pytester.runpytest_subprocess` gives, at a tenth of its price."""
    words = (f"--basetemp={pytester.path / 'basetemp'}", *words)
    started_s = time.monotonic()
    done = run_module("pytest", *words, cwd=pytester.path, environ={**os.environ, "HOME": str(pytester.path)})
    lines = (done.stdout.splitlines(), done.stderr.splitlines())
    return pytest.RunResult(done.returncode, *lines, time.monotonic() - started_s)


def run(pytester: pytest.Pytester, body: str, *words: str, session: str = SESSION) -> pytest.RunResult:
    pytester.makeconftest(session)
    pytester.makepyfile(DRILL.format(body=body))
    return in_a_process(pytester, "-p", "rollproof.plugin", *words)


TARGET = ("--rollproof-target", "t.toml", "-s")


def test_a_drill_that_passes(pytester: pytest.Pytester) -> None:
    """In a fresh process, as in all of a user's runs; the others are forked from one that has imported pytest."""
    pytester.makeconftest(SESSION)
    pytester.makepyfile(DRILL.format(body="pass"))
    words = (*TARGET, "--rollproof-sha", "abc", "--rollproof-trial", "env")
    result = pytester.runpytest_subprocess("-p", "rollproof.plugin", *words)
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
    assert "test_it(rollproof_run)" not in result.stdout.str()


def test_a_drill_with_a_run_of_its_own_is_left_out_of_a_folder_and_runs_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SESSION)
    own = DRILL.format(body="pass").replace('"drift"', '"bad-release", alone=True')
    pytester.makepyfile(test_one=DRILL.format(body="pass"), test_own=own)
    result = in_a_process(pytester, "-p", "rollproof.plugin", "-s", *TARGET)
    result.stdout.fnmatch_lines(["*made: ('drift',)*", "*1 deselected*"])
    assert "bad-release" not in result.stdout.str()
    assert result.ret == 0
    result = in_a_process(pytester, "-p", "rollproof.plugin", "-s", *TARGET, "test_own.py")
    result.stdout.fnmatch_lines(["*made: ('bad-release',)*"])


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
    result = in_a_process(pytester, "-p", "rollproof.plugin", "-s", *TARGET, *CLI)
    result.stderr.fnmatch_lines(
        ["error: rollproof itself failed: ModuleNotFoundError: *nowhere_to_be_found'", "*the traceback is in*"]
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
        from rollproof.store.runfolder import RunFolder
        path = pathlib.Path("run")
        path.mkdir(exist_ok=True)
        folder = RunFolder(path, None)
        folder.redact(["s3cret-word"])
        folder.drill = "drift"
        return folder
"""
    session = SESSION.replace('        raise RuntimeError("the session is not open")\n', whole)
    result = run(pytester, "raise KeyError('s3cret-word')", *TARGET, *CLI, session=session)
    result.stdout.fnmatch_lines(["end: error KeyError: * (the traceback: crash-drift.log)", "*in run/crash-drift.log*"])
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
    result = in_a_process(pytester, "-p", "rollproof.plugin")
    result.stdout.fnmatch_lines(["*ValueError: seen as usual*"])
    assert "made:" not in result.stdout.str()


def test_f6_no_project_gets_a_fixture_without_our_prefix(pytester: pytest.Pytester) -> None:
    seen = in_a_process(pytester, "-p", "rollproof.plugin", "--fixtures", "-v", "-q").stdout.str()
    ours = re.findall(r"^(\w+)(?: \[.*?\])? -- .*rollproof", seen, re.MULTILINE)
    assert {"rollproof_run", "rollproof_release", "rollproof_traffic", "rollproof_drift"} <= set(ours), seen
    assert all(name.lstrip("_").startswith("rollproof") for name in ours), ours


def test_f6_a_project_keeps_its_own_fixtures(pytester: pytest.Pytester) -> None:
    """A project in which rollproof is merely installed finds no `run` that it has not made itself."""
    pytester.makepyfile("def test_theirs(run): pass")
    result = in_a_process(pytester, "-p", "rollproof.plugin")
    result.stdout.fnmatch_lines(["*fixture 'run' not found*"])


@pytest.mark.parametrize("suite", ["e2e", "load", "chaos"])
def test_f6_the_drills_have_their_short_names(pytester: pytest.Pytester, suite: str) -> None:
    """By the conftest of their folder, in the wheel as in a checkout."""
    folder = Path(__file__).resolve().parents[2] / suite
    (pytester.path / "conftest.py").write_text((folder / "conftest.py").read_text())
    pytester.makepyfile(DRILL.replace("rollproof_run", "run, release, traffic, drift").format(body="run.judge()"))
    parts = "    def judge(self): print('judged')\n    def part(self): pass\n    release = traffic = drift = part\n"
    pytester.makepyfile(fake=SESSION.replace("    def end(self", f"{parts}    def end(self"))
    result = in_a_process(pytester, "-p", "fake", "-p", "rollproof.plugin", *TARGET)
    result.stdout.fnmatch_lines(["begin: drift", "*judged*", "*end: finished*"])
    assert result.ret == 0


SKIPS = {
    "in the drill": "pytest.skip('there is no HPA here')",
    "by unittest": "import unittest; raise unittest.SkipTest('there is no HPA here')",
    "importorskip": "pytest.importorskip('nowhere', reason='there is no HPA here')",
}


@pytest.mark.parametrize("body", SKIPS.values(), ids=SKIPS)
def test_f7_a_skipped_drill_ends_as_skipped_with_its_text(pytester: pytest.Pytester, body: str) -> None:
    result = run(pytester, body, *TARGET)
    result.stdout.fnmatch_lines(["begin: drift", "*end: skipped there is no HPA here*", "*close*"])
    result.assert_outcomes(skipped=1)


MARKED = """
import pytest

@pytest.fixture
def absent():
    pytest.skip("there is no HPA here")

@pytest.mark.drill("zero-downtime")
def test_before({first}):
    pass

@pytest.mark.drill("drift")
{mark}
def test_it({second}):
    pass
"""


@pytest.mark.parametrize(
    "words",
    [
        {
            "first": "rollproof_run",
            "mark": "@pytest.mark.skip(reason='there is no HPA here')",
            "second": "rollproof_run",
        },
        {"first": "rollproof_run", "mark": "", "second": "absent, rollproof_run"},
        {"first": "rollproof_run", "mark": "", "second": "rollproof_run, absent"},
    ],
    ids=["by a mark", "by a fixture", "by a fixture after the run"],
)
def test_f7_a_drill_that_is_skipped_before_it_begins_is_told(pytester: pytest.Pytester, words: dict[str, str]) -> None:
    pytester.makeconftest(SESSION)
    pytester.makepyfile(MARKED.format(**words))
    result = in_a_process(pytester, "-p", "rollproof.plugin", *TARGET)
    result.stdout.fnmatch_lines(
        ["begin: zero-downtime", "*begin: drift", "*end: skipped there is no HPA here*", "*close*"]
    )
    assert result.stdout.str().count("begin: drift") == 1
    result.assert_outcomes(passed=1, skipped=1)


def test_f7_a_drill_that_is_skipped_before_there_is_a_run_is_told_to_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(SESSION)
    marked = MARKED.replace("def test_before", "@pytest.mark.skip(reason='there is no HPA here')\ndef test_before")
    pytester.makepyfile(marked.format(first="rollproof_run", mark="", second="rollproof_run"))
    result = in_a_process(pytester, "-p", "rollproof.plugin", *TARGET)
    lines = ["open", "begin: zero-downtime", "end: skipped there is no HPA here", "begin: drift", "*end: finished*"]
    result.stdout.fnmatch_lines(lines)


@pytest.mark.parametrize(
    ("body", "end", "code"),
    [
        ("pytest.fail('a bug')", "error Failed: a bug", 1),
        ("pytest.xfail('a bug')", "error XFailed: a bug", 1),
        ("pytest.exit('enough')", "interrupted enough", 2),
    ],
)
def test_f7_no_other_way_out_of_a_drill_is_the_middle_of_it(
    pytester: pytest.Pytester, body: str, end: str, code: int
) -> None:
    """pytest's own exceptions are no `Exception`; the run is told of each, with its text."""
    result = run(pytester, body, *TARGET)
    result.stdout.fnmatch_lines([f"*end: {end}*", "*close*"])
    assert result.ret == code
