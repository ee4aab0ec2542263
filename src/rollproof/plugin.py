"""pytest plugin: options, fixtures, and what pytest is told of a verdict: FAIL is an assertion, INCONCLUSIVE an error.

A drill is a test with the marker `drill`. All drills of one pytest run share one run folder, one lock and one undo.
This module and the drills' short names of fixtures (`rollproof.run.fixtures`) are the only importers of pytest.
It must do nothing in a pytest run without a drill, and every name that it adds carries a prefix.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
import unittest
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

import pytest

from rollproof.core.verdict import EXIT_UNDO_FAILED
from rollproof.errors import Inconclusive, InputError, RollproofError, RollproofFailure
from rollproof.preflight.planning import Order
from rollproof.redaction import SECRETS
from rollproof.reports.output import Outlet, guarded, one_line
from rollproof.run.process import EXIT_BASE, crash_log_told, write_crash_log
from rollproof.suites import Drill, drill_of_marker

if TYPE_CHECKING:
    from rollproof.release.deploy import Release
    from rollproof.reports.console import LiveConsole
    from rollproof.run.autoscaling import AutoscalingDrill
    from rollproof.run.drill import DriftDrill, FaultDrill, Run, Traffic
    from rollproof.run.jobs import JobsDrill
    from rollproof.run.secrets import SecretsDrill
    from rollproof.run.session import Session
    from rollproof.store.runfolder import RunFolder

_Skippable = TypeVar("_Skippable", "JobsDrill", "AutoscalingDrill", "SecretsDrill")
_BACKSTOP_S = 3600  # pytest-timeout's kill skips `finally`: each wait of ours has a deadline, this is the last resort
_SESSION = pytest.StashKey["Session | None"]()
_TERMINAL = pytest.StashKey[TextIO]()
_BEGUN = pytest.StashKey[set[str]]()  # the drills whose `begin` has been called
_TABLE = pytest.StashKey[Mapping[str, Drill]]()  # the drills that pytest has collected, by name
_SKIPPED = pytest.StashKey[dict[str, str]]()  # drill -> reason, for drills that were skipped before a session was open


def pytest_addoption(parser: pytest.Parser) -> None:
    """All options are prefixed: the plugin is loaded wherever rollproof is installed."""
    group = parser.getgroup("rollproof")
    group.addoption("--rollproof-target", metavar="FILE", help="target file; needed to run a drill")
    group.addoption("--rollproof-sha", default="", help="app version to release")
    group.addoption("--rollproof-on-fail", default="restore", help="release drill: restore or keep")
    group.addoption("--rollproof-trial", action="append", default=[], help="drift drill: only this trial")
    group.addoption("--rollproof-under-load", action="store_true", help="drift drill: send requests meanwhile")
    group.addoption("--rollproof-bad", default="", help="bad-release drill: which kind of release.bad")
    group.addoption("--rollproof-reports", default="reports", metavar="DIR", help="where run folders are made")
    group.addoption("--rollproof-run", default="", metavar="DIR", help="the run folder to make (set by the CLI)")
    group.addoption("--rollproof-production", default="", metavar="NAME", help="the production target that is meant")
    group.addoption("--rollproof-quiet", action="store_true", help="one line if all is well")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of drills, and keep a copy of the terminal's descriptor for the live console."""
    config.addinivalue_line("markers", "drill(name, **what it does): a rollproof drill; needs --rollproof-target")
    config.stash[_SESSION] = None
    config.stash[_BEGUN] = set()
    config.stash[_TABLE] = {}
    config.stash[_SKIPPED] = {}
    if config.getoption("--rollproof-run"):  # started by the command line: everything that is printed is ours
        stack = ExitStack()
        stack.enter_context(guarded())
        config.add_cleanup(stack.close)
    if config.getoption("--rollproof-target") and config.pluginmanager.hasplugin("terminal"):
        with suppress(OSError, ValueError, AttributeError):  # closed, or replaced by something that is not a file
            terminal = os.fdopen(os.dup(sys.stdout.fileno()), "w", errors="replace")  # pytest captures nothing yet
            config.stash[_TERMINAL] = cast(TextIO, Outlet(terminal))
            config.add_cleanup(lambda: _close_quietly(terminal))


def _close_quietly(terminal: TextIO) -> None:
    with suppress(OSError, ValueError):  # the reader has gone
        terminal.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drills get our deadline instead of the unit tests', and a warning of another library does not end one."""
    drills = [item for item in items if _drill_of(item)]
    if drills and not config.getoption("--rollproof-target"):
        raise pytest.UsageError("drills need --rollproof-target FILE, for example --rollproof-target targets/lab.toml")
    try:
        table = {drill.name: drill for drill in map(_described, drills)}
    except InputError as error:
        raise pytest.UsageError(f"{error}; {error.hint}") from error
    left_out = {name for name, drill in table.items() if drill.alone} if len(table) > 1 else set()
    if left_out:  # a whole folder was named: the other drills are run, and this one by itself
        config.hook.pytest_deselected(items=[item for item in drills if _drill_of(item) in left_out])
        drills = [item for item in drills if _drill_of(item) not in left_out]
        items[:] = [item for item in items if _drill_of(item) not in left_out]
    config.stash[_TABLE] = {name: drill for name, drill in table.items() if name not in left_out}
    for item in drills:
        if config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(_BACKSTOP_S))
        item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def _rollproof_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The one session of all drills; closing it undoes every change and judges."""
    from rollproof.run.session import Session  # noqa: PLC0415 - only a drill pays for importing the clients

    config = request.config
    drills = dict.fromkeys(name for item in request.session.items if (name := _drill_of(item)))
    order = _order(config, tuple(drills))
    session = Session(order, _target_path(config), _folder(config, order.drills), _stream(config))
    session.console.quiet = config.getoption("--rollproof-quiet")
    config.stash[_SESSION] = session
    try:
        _open(session)
        for drill, why in config.stash[_SKIPPED].items():
            _skip(config, drill, why)
        yield session
    finally:
        untold = _close(session)
        if untold:
            pytest.exit("the run has no verdicts in its folder", returncode=EXIT_BASE + untold)


def _open(session: Session) -> None:
    """Open the session. If that fails, say why and end pytest with the error's exit code."""
    try:
        session.open()
    except RollproofError as error:
        code = max(error.exit_code, _close(session))
        session.console.problem(str(error), error.hint)
        pytest.exit(_shown(error), returncode=EXIT_BASE + code)
    except Exception as error:  # noqa: BLE001 - a bug of ours, and without pytest's terminal nobody else would tell
        log = write_crash_log(error, _run_folder(session))
        code = max(RollproofError.exit_code, _close(session))
        _tell_bug(session.console, error, log)
        pytest.exit(_shown(error), returncode=EXIT_BASE + code)


def _close(session: Session) -> int:
    """Close the session. 0 if its verdicts are in the folder, else the exit code; unexpected errors are reported."""
    try:
        return session.close()
    except Exception as error:  # noqa: BLE001
        _tell_bug(session.console, error, write_crash_log(error, _run_folder(session)))
        journal = getattr(session, "journal", None)  # missing if `open` failed early
        return EXIT_UNDO_FAILED if journal and journal.open_entries() else RollproofError.exit_code


def _shown(error: BaseException) -> str:
    """The error as pytest's own terminal may show it (redacted): that output does not pass through our console."""
    return "\n".join(one_line(line) for line in SECRETS.text(str(error)).split("\n"))


def _run_folder(session: Session) -> RunFolder | None:
    try:
        return session.folder
    except RuntimeError:  # no run folder yet
        return None


def _tell_bug(console: LiveConsole, error: BaseException, log: Path | None) -> None:
    console.problem(f"rollproof itself failed: {type(error).__name__}: {error}", crash_log_told(log))


@pytest.fixture
def rollproof_run(request: pytest.FixtureRequest, _rollproof_session: Session) -> Iterator[Run]:
    """The run as a drill sees it: the plan, and the judgement at the end. What this target cannot have is skipped."""
    from rollproof.run.drill import Run  # noqa: PLC0415 - as the session's

    drill = _drill_of(request.node)
    request.config.stash[_BEGUN].add(drill)
    run = Run(_rollproof_session.begin(drill), drill)
    if reason := run.skipped or run.enter():
        pytest.skip(reason)
    yield run
    if not _rollproof_session.interrupted:
        run.leave()


@pytest.fixture
def rollproof_release(rollproof_run: Run) -> Release:
    """Deploys and reverts the plan's version."""
    return rollproof_run.release()


@pytest.fixture
def rollproof_traffic(rollproof_run: Run) -> Traffic:
    """Load around an act."""
    return rollproof_run.traffic()


@pytest.fixture
def rollproof_drift(rollproof_run: Run) -> DriftDrill:
    """Drifts, one at a time."""
    return rollproof_run.drift()


@pytest.fixture
def rollproof_faults(rollproof_run: Run) -> FaultDrill:
    """The faults that the plan has for this drill."""
    return rollproof_run.faults()


@pytest.fixture
def rollproof_jobs(rollproof_run: Run) -> JobsDrill:
    """The app's job report. Without one the drill is skipped."""
    return _or_skip(rollproof_run.jobs())


@pytest.fixture
def rollproof_autoscaling(rollproof_run: Run) -> AutoscalingDrill:
    """A rise and fall of load. Without an autoscaler that can see the use of pods the drill is skipped."""
    return _or_skip(rollproof_run.autoscaling())


@pytest.fixture
def rollproof_secrets(rollproof_run: Run) -> SecretsDrill:
    """The search for secrets. Where there is nothing to look for the drill is skipped."""
    return _or_skip(rollproof_run.secrets())


def _or_skip(part: _Skippable) -> _Skippable:
    if reason := part.skipped:
        pytest.skip(reason)
    return part


def pytest_exception_interact(
    node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any], report: pytest.CollectReport | pytest.TestReport
) -> None:
    """Report a drill that cannot be imported: under the command line there is no pytest terminal that would show it."""
    if isinstance(report, pytest.CollectReport) and call.excinfo and node.config.getoption("--rollproof-run"):
        from rollproof.reports.console import LiveConsole  # noqa: PLC0415 - as above

        error = call.excinfo.value.__cause__ or call.excinfo.value  # pytest's own error repeats its cause's message
        _tell_bug(LiveConsole(sys.stderr), error, write_crash_log(error))
        pytest.exit(_shown(error), returncode=EXIT_BASE + RollproofError.exit_code)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """A drill that fails before it begins is reported like one that fails on its way."""
    return (yield from _told(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Record how the drill ended, whatever the reason."""
    result = yield from _told(item)
    session = item.config.stash.get(_SESSION, None)
    if session is not None and _drill_of(item):
        session.end("finished")
    return result


def _told(item: pytest.Item) -> Generator[None, Any, Any]:
    drill = _drill_of(item)
    try:
        return (yield)
    except (pytest.skip.Exception, unittest.SkipTest) as error:
        if drill:
            _skip(item.config, drill, str(error))
        raise
    except pytest.exit.Exception as error:  # the reason was reported before; no further effect
        session = item.config.stash.get(_SESSION, None)
        if drill and session is not None:
            session.end("interrupted", str(error))
        raise
    except (Exception, pytest.fail.Exception, KeyboardInterrupt) as error:
        session = item.config.stash.get(_SESSION, None)
        if session is None or not drill:
            raise
        raise _ending(session, error) from None


def _skip(config: pytest.Config, drill: str, why: str) -> None:
    """Record the drill as SKIPPED with its reason; if no session is open yet, as soon as one is."""
    session = config.stash[_SESSION]
    if session is None:
        config.stash[_SKIPPED][drill] = why
        return
    if drill not in config.stash[_BEGUN]:
        session.begin(drill)
    session.end("skipped", why or "no reason was given")


def _ending(session: Session, error: BaseException) -> BaseException:
    """Record how the drill ended; return the error for pytest. An unexpected error is INCONCLUSIVE, never FAIL."""
    if isinstance(error, RollproofFailure | Inconclusive):
        session.end("finished")
        return error
    if isinstance(error, KeyboardInterrupt):
        said = str(error) or "Ctrl-C"
        session.end("interrupted", said)
        session.console.problem(f"interrupted by {said}")
        return pytest.exit.Exception("interrupted", EXIT_BASE + RollproofError.exit_code)
    if isinstance(error, RollproofError):
        session.end("error", str(error))
        session.console.problem(str(error), error.hint)
        return Inconclusive(str(error))
    log = write_crash_log(error, _run_folder(session))
    reason = f"{type(error).__name__}: {error} (the traceback: {log.name if log else 'could not be written'})"
    session.end("error", reason)
    _tell_bug(session.console, error, log)
    return Inconclusive(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """A verdict's sentence instead of a traceback."""
    report = yield
    if _drill_of(item) and call.excinfo is not None and report.failed:
        report.longrepr = _shown(call.excinfo.value)
    return report


def _drill_of(item: pytest.Item) -> str:
    """The name of the drill that this test is; "" if it is none."""
    marker = item.get_closest_marker("drill")
    return str(next(iter(marker.args), "?")) if marker else ""


def _described(item: pytest.Item) -> Drill:
    """The drill that this test is, by its marker. InputError if the marker is broken."""
    marker = item.get_closest_marker("drill")
    words, settings = (marker.args, marker.kwargs) if marker else ((), {})
    doc = inspect.getdoc(getattr(item, "function", None)) or ""
    line = (item.location[1] or 0) + 1  # pytest counts from 0
    return drill_of_marker(words, settings, where=item.nodeid, path=item.path, line=line, doc=doc)


def _order(config: pytest.Config, drills: tuple[str, ...]) -> Order:
    return Order(
        drills=drills,
        sha=config.getoption("--rollproof-sha"),
        on_fail=config.getoption("--rollproof-on-fail"),
        trials=tuple(config.getoption("--rollproof-trial")),
        mean_production=config.getoption("--rollproof-production"),
        under_load=config.getoption("--rollproof-under-load"),
        bad=config.getoption("--rollproof-bad"),
        table=config.stash[_TABLE],
    )


def _target_path(config: pytest.Config) -> Path:
    named = config.getoption("--rollproof-target")
    if not named:
        raise InputError("no target file: give --rollproof-target")
    return Path(config.invocation_params.dir / named)


def _folder(config: pytest.Config, drills: tuple[str, ...]) -> Path:
    """The folder that the CLI named, or a new one in the reports folder."""
    from rollproof.store.runfolder import new_run_id  # noqa: PLC0415 - as the session's

    named = config.getoption("--rollproof-run")
    reports = Path(config.getoption("--rollproof-reports"))
    return Path(config.invocation_params.dir / (named or reports / new_run_id(drills, wall_s=time.time())))


def _stream(config: pytest.Config) -> TextIO:
    """Where the live console writes: past pytest's capture, if there is any."""
    return config.stash.get(_TERMINAL, sys.stdout)
