"""pytest plugin: options, fixtures, and what a verdict is to pytest. FAIL is an assertion, INCONCLUSIVE an error.

A drill is a test with the marker `drill`. All drills of one pytest run share one run folder, one lock and one undo.
This module and the drills are the only importers of pytest. It must do nothing in a pytest run without a drill.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import pytest

from rollproof.child import EXIT_BASE, write_crash_log
from rollproof.errors import Inconclusive, InputError, RollproofError, RollproofFailure
from rollproof.planning import Order

if TYPE_CHECKING:
    from rollproof.drilling import DriftDrill, Run, Traffic
    from rollproof.release.deploy import Release
    from rollproof.session import Session

_BACKSTOP_S = 3600  # pytest-timeout's kill skips `finally`: real deadlines are ours, this one is the last
_SESSION = pytest.StashKey["Session | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """All options are prefixed: the plugin is loaded wherever rollproof is installed."""
    group = parser.getgroup("rollproof")
    group.addoption("--rollproof-target", metavar="FILE", help="target file; needed to run a drill")
    group.addoption("--rollproof-sha", default="", help="app version to release")
    group.addoption("--rollproof-on-fail", default="restore", help="release drill: restore or keep")
    group.addoption("--rollproof-trial", action="append", default=[], help="drift drill: only this trial")
    group.addoption("--rollproof-reports", default="reports", metavar="DIR", help="where run folders are made")
    group.addoption("--rollproof-run", default="", metavar="DIR", help="the run folder to make (set by the CLI)")
    group.addoption("--rollproof-production", action="store_true", help="open the production fence for this run")


def pytest_configure(config: pytest.Config) -> None:
    """The marker that makes a test a drill."""
    config.addinivalue_line("markers", "drill(name): a rollproof drill; needs --rollproof-target")
    config.stash[_SESSION] = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drills get our deadline instead of the unit tests', and a stranger's warning cannot end one."""
    drills = [item for item in items if _drill_of(item)]
    if drills and not config.getoption("--rollproof-target"):
        raise pytest.UsageError("drills need --rollproof-target FILE, for example --rollproof-target targets/lab.toml")
    for item in drills:
        if config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(_BACKSTOP_S))
        item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def _rollproof_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The one session of all drills; closing it puts everything back and judges."""
    from rollproof.session import Session  # noqa: PLC0415 - only a drill pays for importing the clients

    config = request.config
    drills = dict.fromkeys(name for item in request.session.items if (name := _drill_of(item)))
    session = Session(_order(config, tuple(drills)), _target_path(config), _folder(config), _stream(config))
    config.stash[_SESSION] = session
    try:
        _open(session)
        yield session
    finally:
        untold = session.close()
        if untold:
            pytest.exit("the run folder could not be written", returncode=EXIT_BASE + untold)


def _open(session: Session) -> None:
    """Open it, or end pytest with a code that says why."""
    try:
        session.open()
    except RollproofError as error:
        session.close()
        session.console.problem(str(error), error.hint)
        pytest.exit(str(error), returncode=EXIT_BASE + error.exit_code)


@pytest.fixture
def run(request: pytest.FixtureRequest, _rollproof_session: Session) -> Run:
    """The run as a drill sees it: the plan, and the judgement at the end."""
    return _rollproof_session.begin(_drill_of(request.node))


@pytest.fixture
def release(run: Run) -> Release:
    """The sha's road to production, and back."""
    return run.release()


@pytest.fixture
def traffic(run: Run) -> Traffic:
    """Load around an act."""
    return run.traffic()


@pytest.fixture
def drift(run: Run) -> DriftDrill:
    """Drifts, one at a time."""
    return run.drift()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """However the drill ends, the run is told; an exception of the harness is INCONCLUSIVE, never FAIL."""
    session = item.config.stash.get(_SESSION, None)
    if session is None or not _drill_of(item):
        return (yield)
    try:
        result = yield
    except (RollproofFailure, Inconclusive):
        session.end("finished")
        raise
    except KeyboardInterrupt as interrupt:
        session.end("interrupted", str(interrupt) or "Ctrl-C")
        pytest.exit("interrupted", returncode=EXIT_BASE + 3)
    except RollproofError as error:
        session.end("error", str(error))
        session.console.problem(str(error), error.hint)
        raise Inconclusive(str(error)) from None
    except Exception as error:  # noqa: BLE001 - a bug of ours is no statement about the target
        path = write_crash_log(error)
        reason = f"{type(error).__name__}: {error} (the whole story: {path})"
        session.end("error", reason)
        raise Inconclusive(reason) from None
    session.end("finished")
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """A verdict's sentence instead of a traceback."""
    report = yield
    if _drill_of(item) and call.excinfo is not None and report.failed:
        report.longrepr = str(call.excinfo.value)
    return report


def _drill_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("drill")
    return str(marker.args[0]) if marker else ""


def _order(config: pytest.Config, drills: tuple[str, ...]) -> Order:
    return Order(
        drills=drills,
        sha=config.getoption("--rollproof-sha"),
        on_fail=config.getoption("--rollproof-on-fail"),
        trials=tuple(config.getoption("--rollproof-trial")),
        mean_production=config.getoption("--rollproof-production"),
    )


def _target_path(config: pytest.Config) -> Path:
    named = config.getoption("--rollproof-target")
    if not named:
        raise InputError("no target file: give --rollproof-target")
    return Path(config.invocation_params.dir / named)


def _folder(config: pytest.Config) -> Path | None:
    """The folder that the CLI named, or None: then the session makes a new one in the reports folder."""
    named = config.getoption("--rollproof-run")
    return config.invocation_params.dir / named if named else None


def _stream(config: pytest.Config) -> TextIO:
    """Where the live console writes: past pytest's capture, if there is any."""
    if config.pluginmanager.hasplugin("terminalreporter"):
        return cast(TextIO, _Uncaptured(config))
    return sys.stdout


class _Uncaptured(io.TextIOBase):
    """pytest's own terminal as a stream."""

    def __init__(self, config: pytest.Config) -> None:
        self._writer = config.get_terminal_writer()

    def write(self, text: str) -> int:
        self._writer.write(text, flush=True)
        return len(text)

    def isatty(self) -> bool:
        return bool(self._writer.hasmarkup)
