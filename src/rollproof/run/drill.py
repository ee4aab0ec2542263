"""What a drill holds in its hands: the run, the traffic around its act, the drifts. So that drills read as prose.

Here are the phases (settle, baseline, act, recovery, steady) and nothing of the meaning: verdicts come from checkers.
It must end what it began, the load above all, whatever the drill does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.core.verdict import Result, worst
from rollproof.errors import CannotJudgeError, Inconclusive, LockedError, RollproofFailure
from rollproof.faults.drift import DriftRunner
from rollproof.faults.trials import plan_trials
from rollproof.judge.checkers import CHECKERS
from rollproof.judge.judging import judge_drill
from rollproof.loadgen import LoadSession
from rollproof.probes.ingresslog import record_retries
from rollproof.release import Release, Rollout

if TYPE_CHECKING:
    from rollproof.run.session import Session

__all__ = ["DriftDrill", "Load", "Run", "Traffic"]

_PROGRESS_S = 0.5
_BEYOND_S = 0.5  # the end of the judged window must lie inside the load
_SETTLE_S = 120.0


class Run:
    """The run as one drill sees it."""

    def __init__(self, session: Session, drill: str) -> None:
        self._session = session
        self.drill = drill

    @property
    def plan(self) -> Plan:
        """What was announced."""
        return self._session.plan

    @property
    def target(self) -> Target:
        """The system under test."""
        return self._session.plan.target

    def release(self) -> Release:
        """The sha's road to production, and back."""
        return self._session.release

    def traffic(self) -> Traffic:
        """Load around an act."""
        return Traffic(self._session, self)

    def drift(self) -> DriftDrill:
        """Drifts, one at a time."""
        return DriftDrill(self._session, self)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A named span of the timeline."""
        self._session.console.phase(name)
        begun_s = time.monotonic()
        try:
            yield
        finally:
            self._session.folder.record("run", "phase", name, start_s=begun_s, end_s=time.monotonic())

    def settle(self) -> None:
        """Wait until nothing moves: the branch's head is synced, and only the version that should run, runs."""
        self._session.check_lock()
        if self._session.awaits_rollout():
            return
        with self.phase("settle"):
            self._session.status("the app to be at rest")
            self._session.release.settle(self._session.running_sha(), deadline_s=_SETTLE_S)

    def deployed(self) -> Rollout:
        """The release that is open in this run; made now if no drill before has made one."""
        if self._session.deployed is None or not self._session.deployed.revision:
            self.settle()  # also: nothing is pushed while Argo CD cannot compare
            with self.phase("settle"):
                self.keep(self._session.release.deploy())
        deployed = self._session.deployed
        if deployed is None or not deployed.revision:
            raise CannotJudgeError("there is no release to roll back: the deploy was not pushed")
        return deployed

    def keep(self, rollout: Rollout) -> Rollout:
        """Remember the release for the drills after this one."""
        self._session.deployed = rollout
        return rollout

    def judge(self, *names: str) -> None:
        """Ask the named checkers. FAIL and INCONCLUSIVE are raised, so that the drill ends as what it is."""
        unknown = [name for name in names if name not in CHECKERS]
        if unknown:
            raise ValueError(f"no checker is named {unknown[0]!r}")
        folder = self._session.folder
        folder.record("run", "judge", "asked", data={"checkers": list(names)})
        with suppress(LockedError):  # it is a fact then, and decides with
            self._session.check_lock()
        self._session.end("finished")
        verdicts = judge_drill(folder.facts(self.drill))
        result = worst(verdict.result for verdict in verdicts)
        if result is Result.PASS:
            return
        said = "; ".join(f"{verdict.checker}: {verdict.why}" for verdict in verdicts if verdict.result is result)
        if result is Result.FAIL:
            raise RollproofFailure(said)
        raise Inconclusive(said or "nothing was judged")


class Traffic:
    """The load of one drill, with a clean baseline before the act."""

    def __init__(self, session: Session, run: Run) -> None:
        self._session = session
        self._run = run
        target = run.target
        self._generator = LoadSession(
            target.app, target.traffic, target.control, session.folder, session.folder.path,
            drill=run.drill, environ=session.loaded.environ,
        )  # fmt: skip
        self._tested = False

    def self_test(self) -> None:
        """Prove that the generator tells the truth, before anything is touched; once. LoadError if it does not."""
        if not self._tested:
            self._session.status("self-test of the load generator")
            self._generator.self_test()
            self._tested = True

    @contextmanager
    def steady(self) -> Iterator[Load]:
        """Load from before the block to its end; the record is in the folder and the ingress's log is read after."""
        session, target = self._session, self._run.target
        self._run.settle()
        self.self_test()
        with self._generator as generator:
            load = Load(generator, self._run, session.status)
            begun_s = time.monotonic()
            generator.start()
            with _progress(generator, session.console.progress):
                try:
                    load.baseline()
                    yield load
                finally:
                    session.status("the last answers")
                    log = generator.stop()
        since_s = time.monotonic() - begun_s
        record_retries(session.clients.kube, target.ingress, session.folder, log=log, since_s=since_s)


class Load:
    """Load that is running."""

    def __init__(self, generator: LoadSession, run: Run, status: Callable[[str], None]) -> None:
        self._generator = generator
        self._run = run
        self._status = status

    def baseline(self) -> None:
        """Load on an app that nobody touches: without it nothing could be blamed on the act."""
        with self._run.phase("baseline"):
            self._go_on(self._run.target.traffic.baseline_s)

    def go_on_after(self, rollout: Rollout) -> None:
        """Keep it up until the last old pod has been gone for long enough, and a tail after that."""
        traffic = self._run.target.traffic
        gone_s = rollout.old_gone_s
        since_s = time.monotonic() - gone_s if gone_s is not None else 0.0
        with self._run.phase("recovery"):
            self._go_on(traffic.after_old_gone_s - since_s)
        with self._run.phase("steady"):
            self._go_on(traffic.tail_s + _BEYOND_S)

    def _go_on(self, duration_s: float) -> None:
        until_s = time.monotonic() + duration_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._generator.progress()  # raises if the generator has died
            time.sleep(min(left_s, _PROGRESS_S))


class DriftDrill:
    """The trials of the plan."""

    def __init__(self, session: Session, run: Run) -> None:
        self._session = session
        self._run = run

    def run_all(self) -> None:
        """Inject each drift, wait for its repair, undo what was not repaired."""
        session, clients = self._session, self._session.clients
        self._run.settle()
        with self._run.phase("act"):
            runner = DriftRunner(
                self._run.target, clients.kube, clients.argo, session.folder, session.journal,
                planned=session.plan.touches,
            )  # fmt: skip
            for trial in plan_trials(self._run.target, clients.kube, clients.argo):
                session.status(f"drift {trial.name}")
                session.check_lock()
                runner.run(trial)


@contextmanager
def _progress(generator: LoadSession, tell: Callable[[int, int], None]) -> Iterator[None]:
    """Tell the console how many requests there were, from a thread of its own."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(_PROGRESS_S):
            try:
                tell(*generator.progress())
            except CannotJudgeError:
                return  # the generator is gone; whoever waits for it will say so

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
